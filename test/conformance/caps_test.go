package conformance

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var _ = Describe("Caps (R3, R4)", func() {
	var w *harness.World

	BeforeEach(func() {
		w = harness.NewWorld()
		w.Node(wrappers.MakeNode("big").Label("unit", "first").Capacity(corev1.ResourceCPU, "64").Capacity(corev1.ResourceMemory, "64Gi"))
		w.VirtualNode()
	})

	It("max is never passed, and what is over waits with its reason", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(2)).Unit(w.ECI().Max(3)))
		for range 8 {
			w.Create(w.Pod())
		}
		w.Settles(map[string]int{"first": 2, "eci": 3, "waiting": 3})
		w.WaitsWith(w.Create(w.Pod()), "full, max 2; unit 1")
	})

	It("maxResources is never passed", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").MaxResource("cpu", "5")).Unit(w.ECI()))
		for range 3 {
			w.Create(w.Pod())
		}
		w.Settles(map[string]int{"first": 2, "eci": 1})
		By("and a pod that fits into the rest gets it")
		small := w.Pod().Request(corev1.ResourceCPU, "1")
		Expect(w.Place(small)).To(Equal("first"))
	})

	It("each group has its own caps, and a pod without the label is refused", func() {
		w.Policy(wrappers.MakePolicy("p").GroupBy("pod-template-hash").Unit(w.ECS("first").Max(1)).Unit(w.ECI().Max(1)))
		for _, hash := range []string{"a", "b", "a", "b"} {
			w.Create(w.Pod().Label("pod-template-hash", hash))
		}
		w.Settles(map[string]int{"first": 2, "eci": 2})
		lost := w.Create(w.Pod())
		w.WaitsWith(lost, "the pod lacks the label pod-template-hash, which matchLabelKeys of ResourcePolicy p requires")
		By("until it gets the label")
		before := lost.DeepCopy()
		lost.Labels["pod-template-hash"] = "c"
		Expect(harness.API.Patch(context.Background(), lost, client.MergeFrom(before))).To(Succeed())
		Expect(w.UnitOf(lost)).To(Equal("first"))
	})

	It("a freed slot wakes a waiting pod", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(1)))
		first := w.Create(w.Pod())
		Expect(w.UnitOf(first)).To(Equal("first"))
		second := w.Create(w.Pod())
		w.Waits(second)
		w.Remove(first)
		Expect(w.UnitOf(second)).To(Equal("first"))
	})

	It("a pod that begins to terminate frees its slot", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(1)))
		first := w.Create(w.Pod())
		Expect(w.UnitOf(first)).To(Equal("first"))
		second := w.Create(w.Pod())
		w.Waits(second)
		Expect(harness.API.Delete(context.Background(), first, client.GracePeriodSeconds(300))).To(Succeed())
		Expect(w.UnitOf(second)).To(Equal("first"))
	})

	It("a pod that leaves its policy by a label edit frees its slot", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(1)))
		first := w.Create(w.Pod())
		Expect(w.UnitOf(first)).To(Equal("first"))
		second := w.Create(w.Pod())
		w.Waits(second)
		before := first.DeepCopy()
		first.Labels["app"] = "other"
		Expect(harness.API.Patch(context.Background(), first, client.MergeFrom(before))).To(Succeed())
		Expect(w.UnitOf(second)).To(Equal("first"))
	})

	It("counts pods that were there before the policy, whoever bound them", func() {
		node := w.Namespace + "-big"
		w.Create(w.Pod().Node(node))
		w.Create(w.Pod().Scheduler("another").Node(node))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(3)).Unit(w.ECI()))
		Expect(w.Place(w.Pod())).To(Equal("first"))
		Expect(w.Place(w.Pod())).To(Equal("eci"))
	})

	It("counts a pod for the unit that it was placed in, where units share a node", func() {
		// The second unit contains the node of the first: only the record tells them apart.
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(2)).Unit(wrappers.ECS().On("pool", w.Namespace).Max(3)).Unit(w.ECI()))
		for range 6 {
			w.Create(w.Pod())
		}
		w.Settles(map[string]int{"first": 5, "eci": 1})
	})

	It("holds while a node with pods is deleted and comes back", func(ctx SpecContext) {
		w.Node(wrappers.MakeNode("other").Label("unit", "first").Capacity(corev1.ResourceCPU, "64"))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(2)))
		w.Create(w.Pod())
		w.Create(w.Pod())
		w.Create(w.Pod())
		w.Settles(map[string]int{"first": 2, "waiting": 1})
		node := &corev1.Node{}
		Expect(harness.API.Get(ctx, client.ObjectKey{Name: w.Namespace + "-big"}, node)).To(Succeed())
		Expect(harness.API.Delete(ctx, node)).To(Succeed())
		w.Create(w.Pod())
		w.Settles(w.Count()) // The new pod has been tried.
		node.ResourceVersion, node.UID = "", ""
		Expect(harness.API.Create(ctx, node)).To(Succeed())
		w.Create(w.Pod())
		w.Settles(map[string]int{"first": 2, "waiting": 3})
	})

	It("holds across a restart of the scheduler", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(2)).Unit(wrappers.ECS().On("pool", w.Namespace).Max(2)).Unit(w.ECI().Max(1)))
		for range 4 {
			w.Create(w.Pod())
		}
		w.Settles(map[string]int{"first": 4})
		harness.Scheduler.Stop()
		for range 4 {
			w.Create(w.Pod())
		}
		harness.Scheduler = harness.StartScheduler()
		w.Settles(map[string]int{"first": 4, "eci": 1, "waiting": 3})
	})

	It("holds over a policy that is deleted and created again, and over a reorder of its units", func(ctx SpecContext) {
		units := []*wrappers.Unit{w.ECS("first").Max(2), wrappers.ECS().On("pool", w.Namespace).Max(1)}
		rp := w.Policy(wrappers.MakePolicy("p").Unit(units[0]).Unit(units[1]))
		for range 3 {
			w.Create(w.Pod())
		}
		w.Settles(map[string]int{"first": 3})
		Expect(harness.API.Delete(ctx, rp)).To(Succeed())
		w.Policy(wrappers.MakePolicy("p").Unit(units[1]).Unit(units[0]))
		fourth := w.Create(w.Pod())
		held(w, fourth)
		By("one of the second unit goes, and only its slot is free")
		pods := &corev1.PodList{}
		Expect(harness.API.List(ctx, pods, client.InNamespace(w.Namespace))).To(Succeed())
		for i := range pods.Items {
			if pods.Items[i].Annotations[v1alpha1.AnnotationUnit] == "ecs pool="+w.Namespace {
				w.Remove(&pods.Items[i])
			}
		}
		Expect(w.UnitOf(fourth)).To(Equal("first"))
		Expect(fourth.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationUnit, "ecs pool="+w.Namespace))
	})

	It("an edit is acted on: a lowered cap lets nothing in, a raised one wakes those that wait", func() {
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(2)))
		first, second := w.Create(w.Pod()), w.Create(w.Pod())
		Expect(w.UnitOf(first)).To(Equal("first"))
		Expect(w.UnitOf(second)).To(Equal("first"))
		setMax(rp, 1)
		third := w.Create(w.Pod())
		w.WaitsWith(third, "full, max 1")
		setMax(rp, 3)
		Expect(w.UnitOf(third)).To(Equal("first"))
	})
})

// setMax edits the cap of the first unit.
func setMax(rp *v1alpha1.ResourcePolicy, pods int32) {
	GinkgoHelper()
	Expect(harness.API.Get(context.Background(), client.ObjectKeyFromObject(rp), rp)).To(Succeed())
	before := rp.DeepCopy()
	rp.Spec.Units[0].Max = ptr.To(pods)
	Expect(harness.API.Patch(context.Background(), rp, client.MergeFrom(before))).To(Succeed())
}
