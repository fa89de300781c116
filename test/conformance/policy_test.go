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
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var _ = Describe("Which policy governs, and whether it is acted on (R1)", func() {
	var w *world

	BeforeEach(func() { w = newWorld() })

	It("a policy with a field that is not acted on is refused, and its pods wait until it is edited", func(ctx SpecContext) {
		w.nodes(2, "first")
		rp := w.policy(wrappers.MakePolicy("p").TryNext(v1alpha1.TryNextTimeout).Unit(w.ecs("first")))
		ready := meta.FindStatusCondition(rp.Status.Conditions, v1alpha1.ConditionReady)
		Expect(ready.Status).To(Equal(metav1.ConditionFalse))
		Expect(ready.Reason).To(Equal(v1alpha1.ReasonUnsupported))
		Expect(ready.Message).To(ContainSubstring(`spec.whenTryNextUnits.policy: Unsupported value: "Timeout": supported values: "LackResourceOrExceedMax"`))
		pod := w.create(w.pod())
		w.waitsWith(pod, "ResourcePolicy p is refused: spec.whenTryNextUnits.policy")

		before := rp.DeepCopy()
		rp.Spec.WhenTryNextUnits = nil
		Expect(api.Patch(ctx, rp, client.MergeFrom(before))).To(Succeed())
		Expect(w.unitOf(pod)).To(Equal("first"))
		Eventually(func(g Gomega) {
			g.Expect(api.Get(ctx, client.ObjectKeyFromObject(rp), rp)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(rp.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
			g.Expect(rp.Status.ObservedGeneration).To(Equal(rp.Generation))
		}).Should(Succeed())
	})

	It("a policy with a maxResources of zero is refused as invalid", func() {
		rp := w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").MaxResource("cpu", "0")))
		ready := meta.FindStatusCondition(rp.Status.Conditions, v1alpha1.ConditionReady)
		Expect(ready.Reason).To(Equal(v1alpha1.ReasonInvalid))
		Expect(ready.Message).To(ContainSubstring(`spec.units[0].maxResources[cpu]: Invalid value: "0": must be more than 0`))
	})

	It("the policy with more keys governs, and the other one says that it is shadowed", func(ctx SpecContext) {
		w.nodes(1, "first")
		w.nodes(1, "gold")
		general := w.policy(wrappers.MakePolicy("general").Unit(w.ecs("first")))
		gold := w.policy(wrappers.MakePolicy("gold").Selector("tier", "gold").Unit(w.ecs("gold")))
		Expect(w.place(w.pod().Label("tier", "gold"))).To(Equal("gold"))
		Expect(w.place(w.pod())).To(Equal("first"))
		Eventually(func(g Gomega) {
			g.Expect(api.Get(ctx, client.ObjectKeyFromObject(general), general)).To(Succeed())
			shadowed := meta.FindStatusCondition(general.Status.Conditions, v1alpha1.ConditionShadowed)
			g.Expect(shadowed.Status).To(Equal(metav1.ConditionTrue))
			g.Expect(shadowed.Message).To(ContainSubstring("ResourcePolicy gold"))
		}).Should(Succeed())
		Expect(meta.IsStatusConditionFalse(gold.Status.Conditions, v1alpha1.ConditionShadowed)).To(BeTrue())
	})

	It("a waiting pod is woken by a toleration of its own", func(ctx SpecContext) {
		w.node(wrappers.MakeNode("tainted").Label("unit", "first").Capacity(corev1.ResourceCPU, "2").Taint("dedicated", "web"))
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first")))
		pod := w.create(w.pod())
		w.waits(pod)
		before := pod.DeepCopy()
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpExists})
		Expect(api.Patch(ctx, pod, client.MergeFrom(before))).To(Succeed())
		Expect(w.unitOf(pod)).To(Equal("first"))
	})

	It("a deleted policy lets its waiting pods go, and one that comes counts from the start", func(ctx SpecContext) {
		w.nodes(2, "first")
		rp := w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(1)))
		Expect(w.place(w.pod())).To(Equal("first"))
		second := w.create(w.pod())
		w.waits(second)
		Expect(api.Delete(ctx, rp)).To(Succeed())
		Expect(w.unitOf(second)).To(Equal("first"))
		w.node(wrappers.MakeNode("more").Label("unit", "first").Capacity(corev1.ResourceCPU, "64"))
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(2)))
		w.waitsWith(w.create(w.pod()), "full, max 2")
	})

	It("a pod that waits for room is woken by a new node, a bigger node and a new label", func(ctx SpecContext) {
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first")))
		pod := w.create(w.pod())
		w.waitsWith(pod, "no node is in this unit")
		w.nodes(1, "first")
		Expect(w.unitOf(pod)).To(Equal("first"))

		pod = w.create(w.pod())
		w.waitsWith(pod, "no node has room")
		node := &corev1.Node{}
		Expect(api.Get(ctx, client.ObjectKey{Name: w.namespace + "-first-0"}, node)).To(Succeed())
		before := node.DeepCopy()
		node.Status.Allocatable[corev1.ResourceCPU] = wrappers.MakeNode("").Capacity("cpu", "4").Obj().Status.Allocatable["cpu"]
		Expect(api.Status().Patch(ctx, node, client.MergeFrom(before))).To(Succeed())
		Expect(w.unitOf(pod)).To(Equal("first"))

		pod = w.create(w.pod())
		w.waitsWith(pod, "no node has room")
		w.node(wrappers.MakeNode("other").Label("unit", "other").Capacity(corev1.ResourceCPU, "2"))
		Expect(api.Get(ctx, client.ObjectKey{Name: w.namespace + "-other"}, node)).To(Succeed())
		before = node.DeepCopy()
		node.Labels["unit"] = "first"
		Expect(api.Patch(context.Background(), node, client.MergeFrom(before))).To(Succeed())
		Expect(w.unitOf(pod)).To(Equal("first"))
	})
})
