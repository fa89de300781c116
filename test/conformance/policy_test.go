package conformance

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var _ = Describe("Which policy governs, and whether it is acted on (R1)", func() {
	var w *harness.World

	BeforeEach(func() { w = harness.NewWorld() })

	It("a policy with a field that is not acted on is refused, and its pods wait until it is edited", func(ctx SpecContext) {
		w.Nodes(2, "first")
		rp := w.Policy(wrappers.MakePolicy("p").TryNext(v1alpha1.TryNextTimeout).Unit(w.ECS("first")))
		ready := meta.FindStatusCondition(rp.Status.Conditions, v1alpha1.ConditionReady)
		Expect(ready.Status).To(Equal(metav1.ConditionFalse))
		Expect(ready.Reason).To(Equal(v1alpha1.ReasonUnsupported))
		Expect(ready.Message).To(ContainSubstring(`spec.whenTryNextUnits.policy: Unsupported value: "Timeout": supported values: "LackResourceOrExceedMax"`))
		pod := w.Create(w.Pod())
		w.WaitsWith(pod, "ResourcePolicy p is refused: spec.whenTryNextUnits.policy")

		before := rp.DeepCopy()
		rp.Spec.WhenTryNextUnits = nil
		Expect(harness.API.Patch(ctx, rp, client.MergeFrom(before))).To(Succeed())
		Expect(w.UnitOf(pod)).To(Equal("first"))
		Eventually(func(g Gomega) {
			g.Expect(harness.API.Get(ctx, client.ObjectKeyFromObject(rp), rp)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(rp.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
			g.Expect(rp.Status.ObservedGeneration).To(Equal(rp.Generation))
		}).Should(Succeed())
	})

	It("a policy with a maxResources of zero is refused as invalid", func() {
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").MaxResource("cpu", "0")))
		ready := meta.FindStatusCondition(rp.Status.Conditions, v1alpha1.ConditionReady)
		Expect(ready.Reason).To(Equal(v1alpha1.ReasonInvalid))
		Expect(ready.Message).To(ContainSubstring(`spec.units[0].maxResources[cpu]: Invalid value: "0": must be more than 0`))
	})

	It("the policy with more keys governs, and the other one says that it is shadowed", func(ctx SpecContext) {
		w.Nodes(1, "first")
		w.Nodes(1, "gold")
		general := w.Policy(wrappers.MakePolicy("general").Unit(w.ECS("first")))
		gold := w.Policy(wrappers.MakePolicy("gold").Selector("tier", "gold").Unit(w.ECS("gold")))
		Expect(w.Place(w.Pod().Label("tier", "gold"))).To(Equal("gold"))
		Expect(w.Place(w.Pod())).To(Equal("first"))
		Eventually(func(g Gomega) {
			g.Expect(harness.API.Get(ctx, client.ObjectKeyFromObject(general), general)).To(Succeed())
			shadowed := meta.FindStatusCondition(general.Status.Conditions, v1alpha1.ConditionShadowed)
			g.Expect(shadowed.Status).To(Equal(metav1.ConditionTrue))
			g.Expect(shadowed.Message).To(ContainSubstring("ResourcePolicy gold"))
		}).Should(Succeed())
		Expect(meta.IsStatusConditionFalse(gold.Status.Conditions, v1alpha1.ConditionShadowed)).To(BeTrue())
	})

	It("a waiting pod is woken by a toleration of its own", func(ctx SpecContext) {
		w.Node(wrappers.MakeNode("tainted").Label("unit", "first").Capacity(corev1.ResourceCPU, "2").Taint("dedicated", "web"))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")))
		pod := w.Create(w.Pod())
		w.Waits(pod)
		before := pod.DeepCopy()
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpExists})
		Expect(harness.API.Patch(ctx, pod, client.MergeFrom(before))).To(Succeed())
		Expect(w.UnitOf(pod)).To(Equal("first"))
	})

	It("a deleted policy lets its waiting pods go, and one that comes counts from the start", func(ctx SpecContext) {
		w.Nodes(2, "first")
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(1)))
		Expect(w.Place(w.Pod())).To(Equal("first"))
		second := w.Create(w.Pod())
		w.Waits(second)
		Expect(harness.API.Delete(ctx, rp)).To(Succeed())
		Expect(w.UnitOf(second)).To(Equal("first"))
		w.Node(wrappers.MakeNode("more").Label("unit", "first").Capacity(corev1.ResourceCPU, "64"))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(2)))
		w.WaitsWith(w.Create(w.Pod()), "full, max 2")
	})

	It("a pod that waits for room is woken by a new node, a bigger node and a new label", func(ctx SpecContext) {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")))
		pod := w.Create(w.Pod())
		w.WaitsWith(pod, "no node is in this unit")
		w.Nodes(1, "first")
		Expect(w.UnitOf(pod)).To(Equal("first"))

		pod = w.Create(w.Pod())
		w.WaitsWith(pod, "no node has room")
		node := &corev1.Node{}
		Expect(harness.API.Get(ctx, client.ObjectKey{Name: w.Namespace + "-first-0"}, node)).To(Succeed())
		before := node.DeepCopy()
		node.Status.Allocatable[corev1.ResourceCPU] = wrappers.MakeNode("").Capacity("cpu", "4").Obj().Status.Allocatable["cpu"]
		Expect(harness.API.Status().Patch(ctx, node, client.MergeFrom(before))).To(Succeed())
		Expect(w.UnitOf(pod)).To(Equal("first"))

		pod = w.Create(w.Pod())
		w.WaitsWith(pod, "no node has room")
		w.Node(wrappers.MakeNode("other").Label("unit", "other").Capacity(corev1.ResourceCPU, "2"))
		Expect(harness.API.Get(ctx, client.ObjectKey{Name: w.Namespace + "-other"}, node)).To(Succeed())
		before = node.DeepCopy()
		node.Labels["unit"] = "first"
		Expect(harness.API.Patch(context.Background(), node, client.MergeFrom(before))).To(Succeed())
		Expect(w.UnitOf(pod)).To(Equal("first"))
	})
})
