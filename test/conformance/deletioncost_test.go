package conformance

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// costs waits until a pod has this deletion cost and keeps this cost of the user; empty: none.
func (w *world) costs(pod *corev1.Pod, cost, user string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		now := &corev1.Pod{}
		g.Expect(api.Get(context.Background(), client.ObjectKeyFromObject(pod), now)).To(Succeed())
		g.Expect(now.Annotations[corev1.PodDeletionCost]).To(Equal(cost), "%v", now.Annotations)
		g.Expect(now.Annotations[v1alpha1.AnnotationUserDeletionCost]).To(Equal(user), "%v", now.Annotations)
	}).Should(Succeed())
}

// annotate sets or, with nil, removes an annotation of a pod.
func (w *world) annotate(pod *corev1.Pod, key string, value *string) {
	GinkgoHelper()
	now := &corev1.Pod{}
	Expect(api.Get(context.Background(), client.ObjectKeyFromObject(pod), now)).To(Succeed())
	before := now.DeepCopy()
	if delete(now.Annotations, key); value != nil {
		metav1.SetMetaDataAnnotation(&now.ObjectMeta, key, *value)
	}
	Expect(api.Patch(context.Background(), now, client.MergeFrom(before))).To(Succeed())
}

// edit changes a policy.
func (w *world) edit(rp *v1alpha1.ResourcePolicy, change func(*v1alpha1.ResourcePolicySpec)) {
	GinkgoHelper()
	Expect(api.Get(context.Background(), client.ObjectKeyFromObject(rp), rp)).To(Succeed())
	before := rp.DeepCopy()
	change(&rp.Spec)
	Expect(api.Patch(context.Background(), rp, client.MergeFrom(before))).To(Succeed())
}

// wasPatched tells whether the controller has ever written on a pod.
func wasPatched(pod *corev1.Pod) bool {
	GinkgoHelper()
	now := &corev1.Pod{}
	Expect(api.Get(context.Background(), client.ObjectKeyFromObject(pod), now)).To(Succeed())
	for _, entry := range now.ManagedFields {
		if entry.Manager == "spillway-deletion-cost" {
			return true
		}
	}
	return false
}

var _ = Describe("Deletion cost (R10)", func() {
	var w *world

	BeforeEach(func() { w = newWorld() })

	It("comes to pods that were there before the policy or were bound by another scheduler", func() {
		w.nodes(2, "first")
		w.nodes(2, "second")
		before := w.create(w.bound("second-0"))
		costly := w.create(w.bound("second-1").Annotation(corev1.PodDeletionCost, "7"))
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first")).Unit(w.ecs("second")))
		w.costs(before, "-100000000", "")
		w.costs(costly, "-99999993", "7")
		w.costs(w.create(w.bound("first-0")), "0", "")
		w.costs(w.create(w.bound("first-1").Annotation(corev1.PodDeletionCost, "-1")), "-1", "-1")
	})

	It("is right at binding, without a patch", func() {
		w.nodes(1, "first")
		w.nodes(1, "second")
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first")).Unit(w.ecs("second")))
		first := w.create(w.pod())
		Expect(w.unitOf(first)).To(Equal("first"))
		second := w.create(w.pod().Annotation(corev1.PodDeletionCost, "7"))
		Expect(w.unitOf(second)).To(Equal("second"))
		w.costs(first, "0", "")
		w.costs(second, "-99999993", "7")
		By("a later pod is looked at after these two")
		w.costs(w.create(w.bound("first-0")), "0", "")
		Expect(wasPatched(first)).To(BeFalse())
		Expect(wasPatched(second)).To(BeFalse())
	})

	It("follows an edit and a reordering of the units, and goes when the policy does", func(ctx SpecContext) {
		w.nodes(1, "first")
		w.nodes(1, "second")
		w.policy(wrappers.MakePolicy("gold").Selector("tier", "gold").Unit(w.ecs("second")))
		rp := w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first")).Unit(w.ecs("second")))
		placed := w.create(w.pod())
		Expect(w.unitOf(placed)).To(Equal("first"))
		costly := w.create(w.bound("second-0").Annotation(corev1.PodDeletionCost, "7"))
		w.costs(placed, "0", "")
		w.costs(costly, "-99999993", "7")

		By("reordering")
		w.edit(rp, func(spec *v1alpha1.ResourcePolicySpec) { spec.Units[0], spec.Units[1] = spec.Units[1], spec.Units[0] })
		w.costs(placed, "-100000000", "")
		w.costs(costly, "7", "7")

		By("the recorded unit is removed: no unit has the node")
		w.edit(rp, func(spec *v1alpha1.ResourcePolicySpec) { spec.Units = spec.Units[:1] })
		w.costs(placed, "", "")
		w.costs(costly, "7", "7")

		By("and comes again, as the third one")
		w.edit(rp, func(spec *v1alpha1.ResourcePolicySpec) {
			spec.Units = append(spec.Units, w.eci().Unit, w.ecs("first").Unit)
		})
		w.costs(placed, "-200000000", "")

		By("a policy that is refused changes nothing")
		w.edit(rp, func(spec *v1alpha1.ResourcePolicySpec) {
			spec.Units[0], spec.Units[2] = spec.Units[2], spec.Units[0]
			spec.Units[0].SpotInstance = ptr.To(true)
		})
		w.reports(rp, v1alpha1.ConditionReady, v1alpha1.ReasonUnsupported)
		w.costs(w.create(w.bound("second-0").Label("tier", "gold")), "0", "") // Looked at after those.
		w.costs(placed, "-200000000", "")
		w.costs(costly, "7", "7")

		By("no policy")
		Expect(api.Delete(ctx, rp)).To(Succeed())
		w.costs(placed, "", "")
		w.costs(costly, "7", "")
	})

	It("keeps a cost that the user sets after binding", func() {
		w.nodes(2, "first")
		w.nodes(1, "second")
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("none")).Unit(w.ecs("first")).Unit(w.ecs("second")))
		placed, there := w.create(w.pod()), w.create(w.bound("second-0"))
		Expect(w.unitOf(placed)).To(Equal("first"))
		w.costs(there, "-200000000", "")

		w.annotate(placed, corev1.PodDeletionCost, ptr.To("5"))
		w.annotate(there, corev1.PodDeletionCost, ptr.To("-100000000"))
		w.costs(placed, "-99999995", "5")
		w.costs(there, "-249999999", "-100000000")

		w.annotate(placed, corev1.PodDeletionCost, ptr.To("6"))
		w.annotate(there, corev1.PodDeletionCost, nil)
		w.costs(placed, "-99999994", "6")
		w.costs(there, "-200000000", "")
	})

	It("follows a node into another unit, and a pod into another policy", func(ctx SpecContext) {
		w.nodes(1, "second")
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first")).Unit(w.ecs("second")))
		w.policy(wrappers.MakePolicy("gold").Selector("tier", "gold").Unit(w.ecs("none")).Unit(w.ecs("none2")).Unit(w.ecs("first")))
		pod := w.create(w.bound("second-0"))
		w.costs(pod, "-100000000", "")
		node := &corev1.Node{}
		Expect(api.Get(ctx, client.ObjectKey{Name: w.namespace + "-second-0"}, node)).To(Succeed())
		before := node.DeepCopy()
		node.Labels["unit"] = "first"
		Expect(api.Patch(ctx, node, client.MergeFrom(before))).To(Succeed())
		w.costs(pod, "0", "")
		Expect(api.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		was := pod.DeepCopy()
		pod.Labels["tier"] = "gold"
		Expect(api.Patch(ctx, pod, client.MergeFrom(was))).To(Succeed())
		w.costs(pod, "-200000000", "")
	})

	It("leaves pods that terminate or have ended, and those without a policy, alone", func(ctx SpecContext) {
		w.nodes(3, "second")
		theirs := w.create(w.bound("second-0").Label("app", "db").Annotation(corev1.PodDeletionCost, "-100000000"))
		ended := w.create(w.bound("second-1"))
		before := ended.DeepCopy()
		ended.Status.Phase = corev1.PodSucceeded
		Expect(api.Status().Patch(ctx, ended, client.MergeFrom(before))).To(Succeed())
		terminates := w.create(w.bound("second-2"))
		Expect(api.Delete(ctx, terminates, client.GracePeriodSeconds(600))).To(Succeed())
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first")).Unit(w.ecs("second")))
		w.costs(w.create(w.bound("second-0")), "-100000000", "")
		w.costs(theirs, "-100000000", "")
		w.costs(ended, "", "")
		w.costs(terminates, "", "")
	})

	It("brings the podLabels that a placed pod lacks, unless they would take it from its owner", func(ctx SpecContext) {
		w.nodes(2, "first")
		labels := map[string]string{"role": "main"}
		set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "web"}, Spec: appsv1.ReplicaSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: wrappers.MakePod("x").Obj().Spec},
		}}
		Expect(api.Create(ctx, set)).To(Succeed())
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Named("first").PodLabel("role", "spill")))
		lacks := w.create(w.bound("first-0").Recorded("p", "first").Annotation(corev1.PodDeletionCost, "0"))
		owned := w.bound("first-1").Recorded("p", "first").Label("role", "main").OwnedBy("apps/v1", "ReplicaSet", "web")
		owned.OwnerReferences[0].UID = set.UID
		keeps := w.create(owned)
		role := func(pod *corev1.Pod) func() string {
			return func() string {
				Expect(api.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
				return pod.Labels["role"]
			}
		}
		Eventually(role(lacks)).Should(Equal("spill"))
		w.costs(keeps, "0", "")
		Expect(role(keeps)()).To(Equal("main"))
	})
})
