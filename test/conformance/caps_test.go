package conformance

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var _ = Describe("Caps (R3, R4)", func() {
	var w *world

	BeforeEach(func() {
		w = newWorld()
		w.node(wrappers.MakeNode("big").Label("unit", "first").Capacity(corev1.ResourceCPU, "64").Capacity(corev1.ResourceMemory, "64Gi"))
		w.virtualNode()
	})

	It("max is never passed, and what is over waits with its reason", func() {
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(2)).Unit(w.eci().Max(3)))
		for range 8 {
			w.create(w.pod())
		}
		w.settles(map[string]int{"first": 2, "eci": 3, "waiting": 3})
		w.waitsWith(w.create(w.pod()), "full, max 2; unit 1")
	})

	It("maxResources is never passed", func() {
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").MaxResource("cpu", "5")).Unit(w.eci()))
		for range 3 {
			w.create(w.pod())
		}
		w.settles(map[string]int{"first": 2, "eci": 1})
		By("and a pod that fits into the rest gets it")
		small := w.pod().Request(corev1.ResourceCPU, "1")
		Expect(w.place(small)).To(Equal("first"))
	})

	It("each group has its own caps, and a pod without the label is refused", func() {
		w.policy(wrappers.MakePolicy("p").GroupBy("pod-template-hash").Unit(w.ecs("first").Max(1)).Unit(w.eci().Max(1)))
		for _, hash := range []string{"a", "b", "a", "b"} {
			w.create(w.pod().Label("pod-template-hash", hash))
		}
		w.settles(map[string]int{"first": 2, "eci": 2})
		lost := w.create(w.pod())
		w.waitsWith(lost, "the pod lacks the label pod-template-hash, which matchLabelKeys of ResourcePolicy p requires")
		By("until it gets the label")
		before := lost.DeepCopy()
		lost.Labels["pod-template-hash"] = "c"
		Expect(api.Patch(context.Background(), lost, client.MergeFrom(before))).To(Succeed())
		Expect(w.unitOf(lost)).To(Equal("first"))
	})

	It("a freed slot wakes a waiting pod", func() {
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(1)))
		first := w.create(w.pod())
		Expect(w.unitOf(first)).To(Equal("first"))
		second := w.create(w.pod())
		w.waits(second)
		w.remove(first)
		Expect(w.unitOf(second)).To(Equal("first"))
	})

	It("a pod that begins to terminate frees its slot", func() {
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(1)))
		first := w.create(w.pod())
		Expect(w.unitOf(first)).To(Equal("first"))
		second := w.create(w.pod())
		w.waits(second)
		Expect(api.Delete(context.Background(), first, client.GracePeriodSeconds(300))).To(Succeed())
		Expect(w.unitOf(second)).To(Equal("first"))
	})

	It("a pod that leaves its policy by a label edit frees its slot", func() {
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(1)))
		first := w.create(w.pod())
		Expect(w.unitOf(first)).To(Equal("first"))
		second := w.create(w.pod())
		w.waits(second)
		before := first.DeepCopy()
		first.Labels["app"] = "other"
		Expect(api.Patch(context.Background(), first, client.MergeFrom(before))).To(Succeed())
		Expect(w.unitOf(second)).To(Equal("first"))
	})

	It("counts pods that were there before the policy, whoever bound them", func() {
		node := w.namespace + "-big"
		w.create(w.pod().Node(node))
		w.create(w.pod().Scheduler("another").Node(node))
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(3)).Unit(w.eci()))
		Expect(w.place(w.pod())).To(Equal("first"))
		Expect(w.place(w.pod())).To(Equal("eci"))
	})

	It("counts a pod for the unit that it was placed in, where units share a node", func() {
		// The second unit contains the node of the first: only the record tells them apart.
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(2)).Unit(wrappers.ECS().On("pool", w.namespace).Max(3)).Unit(w.eci()))
		for range 6 {
			w.create(w.pod())
		}
		w.settles(map[string]int{"first": 5, "eci": 1})
	})

	It("holds while a node with pods is deleted and comes back", func(ctx SpecContext) {
		w.node(wrappers.MakeNode("other").Label("unit", "first").Capacity(corev1.ResourceCPU, "64"))
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(2)))
		w.create(w.pod())
		w.create(w.pod())
		w.create(w.pod())
		w.settles(map[string]int{"first": 2, "waiting": 1})
		node := &corev1.Node{}
		Expect(api.Get(ctx, client.ObjectKey{Name: w.namespace + "-big"}, node)).To(Succeed())
		Expect(api.Delete(ctx, node)).To(Succeed())
		w.create(w.pod())
		w.settles(w.count()) // The new pod has been tried.
		node.ResourceVersion, node.UID = "", ""
		Expect(api.Create(ctx, node)).To(Succeed())
		w.create(w.pod())
		w.settles(map[string]int{"first": 2, "waiting": 3})
	})

	It("a node that leaves the unit takes its pods out of the count", func(ctx SpecContext) {
		w.node(wrappers.MakeNode("other").Label("unit", "first").Capacity(corev1.ResourceCPU, "64"))
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(1)))
		first := w.create(w.pod())
		Expect(w.unitOf(first)).To(Equal("first"))
		second := w.create(w.pod())
		w.waits(second)
		node := &corev1.Node{}
		Expect(api.Get(ctx, client.ObjectKey{Name: first.Spec.NodeName}, node)).To(Succeed())
		before := node.DeepCopy()
		node.Labels["unit"] = "gone"
		Expect(api.Patch(ctx, node, client.MergeFrom(before))).To(Succeed())
		Expect(w.unitOf(second)).To(Equal("first"))
	})

	It("holds across a restart of the scheduler", func() {
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(2)).Unit(wrappers.ECS().On("pool", w.namespace).Max(2)).Unit(w.eci().Max(1)))
		for range 4 {
			w.create(w.pod())
		}
		w.settles(map[string]int{"first": 4})
		scheduler.stop()
		for range 4 {
			w.create(w.pod())
		}
		scheduler = startScheduler()
		w.settles(map[string]int{"first": 4, "eci": 1, "waiting": 3})
	})

	It("an edit is acted on: a lowered cap lets nothing in, a raised one wakes those that wait", func() {
		rp := w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(2)))
		first, second := w.create(w.pod()), w.create(w.pod())
		Expect(w.unitOf(first)).To(Equal("first"))
		Expect(w.unitOf(second)).To(Equal("first"))
		setMax(rp, 1)
		third := w.create(w.pod())
		w.waitsWith(third, "full, max 1")
		setMax(rp, 3)
		Expect(w.unitOf(third)).To(Equal("first"))
	})
})

// setMax edits the cap of the first unit.
func setMax(rp *v1alpha1.ResourcePolicy, pods int32) {
	GinkgoHelper()
	Expect(api.Get(context.Background(), client.ObjectKeyFromObject(rp), rp)).To(Succeed())
	before := rp.DeepCopy()
	rp.Spec.Units[0].Max = ptr.To(pods)
	Expect(api.Patch(context.Background(), rp, client.MergeFrom(before))).To(Succeed())
}
