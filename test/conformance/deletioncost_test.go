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
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// costs waits until a pod has this deletion cost and keeps this cost of the user; empty: none.
func costs(pod *corev1.Pod, cost, user string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		now := &corev1.Pod{}
		g.Expect(harness.API.Get(context.Background(), client.ObjectKeyFromObject(pod), now)).To(Succeed())
		g.Expect(now.Annotations[corev1.PodDeletionCost]).To(Equal(cost), "%v", now.Annotations)
		g.Expect(now.Annotations[v1alpha1.AnnotationUserDeletionCost]).To(Equal(user), "%v", now.Annotations)
	}).Should(Succeed())
}

// annotate sets or, with nil, removes an annotation of a pod.
func annotate(pod *corev1.Pod, key string, value *string) {
	GinkgoHelper()
	now := &corev1.Pod{}
	Expect(harness.API.Get(context.Background(), client.ObjectKeyFromObject(pod), now)).To(Succeed())
	before := now.DeepCopy()
	if delete(now.Annotations, key); value != nil {
		metav1.SetMetaDataAnnotation(&now.ObjectMeta, key, *value)
	}
	Expect(harness.API.Patch(context.Background(), now, client.MergeFrom(before))).To(Succeed())
}

// edit changes a policy.
func edit(rp *v1alpha1.ResourcePolicy, change func(*v1alpha1.ResourcePolicySpec)) {
	GinkgoHelper()
	Expect(harness.API.Get(context.Background(), client.ObjectKeyFromObject(rp), rp)).To(Succeed())
	before := rp.DeepCopy()
	change(&rp.Spec)
	Expect(harness.API.Patch(context.Background(), rp, client.MergeFrom(before))).To(Succeed())
}

// wasPatched tells whether the controller has ever written on a pod.
func wasPatched(pod *corev1.Pod) bool {
	GinkgoHelper()
	now := &corev1.Pod{}
	Expect(harness.API.Get(context.Background(), client.ObjectKeyFromObject(pod), now)).To(Succeed())
	for _, entry := range now.ManagedFields {
		if entry.Manager == "spillway-deletion-cost" {
			return true
		}
	}
	return false
}

var _ = Describe("Deletion cost (R10)", func() {
	var w *harness.World

	BeforeEach(func() { w = harness.NewWorld() })

	It("comes to pods that were there before the policy or were bound by another scheduler", func() {
		w.Nodes(2, "first")
		w.Nodes(2, "second")
		before := w.Create(bound(w, "second-0"))
		costly := w.Create(bound(w, "second-1").Annotation(corev1.PodDeletionCost, "7"))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECS("second")))
		costs(before, "-1000000", "")
		costs(costly, "-999993", "7")
		costs(w.Create(bound(w, "first-0")), "0", "")
		costs(w.Create(bound(w, "first-1").Annotation(corev1.PodDeletionCost, "-1")), "-1", "-1")
	})

	It("is right at binding, without a patch", func() {
		w.Nodes(1, "first")
		w.Nodes(1, "second")
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECS("second")))
		first := w.Create(w.Pod())
		Expect(w.UnitOf(first)).To(Equal("first"))
		second := w.Create(w.Pod().Annotation(corev1.PodDeletionCost, "7"))
		Expect(w.UnitOf(second)).To(Equal("second"))
		costs(first, "0", "")
		costs(second, "-999993", "7")
		By("a later pod is looked at after these two")
		costs(w.Create(bound(w, "first-0")), "0", "")
		Expect(wasPatched(first)).To(BeFalse())
		Expect(wasPatched(second)).To(BeFalse())
	})

	It("follows an edit and a reordering of the units, and goes when the policy does", func(ctx SpecContext) {
		w.Nodes(1, "first")
		w.Nodes(1, "second")
		w.Policy(wrappers.MakePolicy("gold").Selector("tier", "gold").Unit(w.ECS("second")))
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECS("second")))
		placed := w.Create(w.Pod())
		Expect(w.UnitOf(placed)).To(Equal("first"))
		costly := w.Create(bound(w, "second-0").Annotation(corev1.PodDeletionCost, "7"))
		costs(placed, "0", "")
		costs(costly, "-999993", "7")

		By("reordering")
		edit(rp, func(spec *v1alpha1.ResourcePolicySpec) { spec.Units[0], spec.Units[1] = spec.Units[1], spec.Units[0] })
		costs(placed, "-1000000", "")
		costs(costly, "7", "7")

		By("the recorded unit is removed: no unit has the node")
		edit(rp, func(spec *v1alpha1.ResourcePolicySpec) { spec.Units = spec.Units[:1] })
		costs(placed, "", "")
		costs(costly, "7", "7")

		By("and comes again, as the third one")
		edit(rp, func(spec *v1alpha1.ResourcePolicySpec) {
			spec.Units = append(spec.Units, w.ECI().Unit, w.ECS("first").Unit)
		})
		costs(placed, "-2000000", "")

		By("a policy that is refused changes nothing")
		edit(rp, func(spec *v1alpha1.ResourcePolicySpec) {
			spec.Units[0], spec.Units[2] = spec.Units[2], spec.Units[0]
			spec.Units[0].SpotInstance = ptr.To(true)
		})
		reports(rp, v1alpha1.ConditionReady, v1alpha1.ReasonUnsupported)
		costs(w.Create(bound(w, "second-0").Label("tier", "gold")), "0", "") // Looked at after those.
		costs(placed, "-2000000", "")
		costs(costly, "7", "7")

		By("no policy")
		Expect(harness.API.Delete(ctx, rp)).To(Succeed())
		costs(placed, "", "")
		costs(costly, "7", "")
	})

	It("keeps a cost that the user sets after binding", func() {
		w.Nodes(2, "first")
		w.Nodes(1, "second")
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("none")).Unit(w.ECS("first")).Unit(w.ECS("second")))
		placed, there := w.Create(w.Pod()), w.Create(bound(w, "second-0"))
		Expect(w.UnitOf(placed)).To(Equal("first"))
		costs(there, "-2000000", "")

		annotate(placed, corev1.PodDeletionCost, ptr.To("5"))
		annotate(there, corev1.PodDeletionCost, ptr.To("-1000000"))
		costs(placed, "-999995", "5")
		costs(there, "-2499999", "-1000000")

		annotate(placed, corev1.PodDeletionCost, ptr.To("6"))
		annotate(there, corev1.PodDeletionCost, nil)
		costs(placed, "-999994", "6")
		costs(there, "-2000000", "")
	})

	It("rewrites the costs of Spillway 0.2, also of pods without a note, and no cost of a user that looks like one", func() {
		w.Nodes(3, "third")
		noted := w.Create(bound(w, "third-0").Recorded("p", "third").Annotation(corev1.PodDeletionCost, "-200000000").
			Annotation(v1alpha1.AnnotationDeletionCost, "-200000000"))
		bare := w.Create(bound(w, "third-1").Recorded("p", "third").Annotation(corev1.PodDeletionCost, "-199999993").
			Annotation(v1alpha1.AnnotationUserDeletionCost, "7"))
		theirs := w.Create(bound(w, "third-2").Annotation(corev1.PodDeletionCost, "-200000000"))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECS("second")).Unit(w.ECS("third").Named("third")))
		costs(noted, "-2000000", "")
		costs(bare, "-1999993", "7")
		costs(theirs, "-2499999", "-200000000")
	})

	It("follows a node into another unit, and a pod into another policy", func(ctx SpecContext) {
		w.Nodes(1, "second")
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECS("second")))
		w.Policy(wrappers.MakePolicy("gold").Selector("tier", "gold").Unit(w.ECS("none")).Unit(w.ECS("none2")).Unit(w.ECS("first")))
		pod := w.Create(bound(w, "second-0"))
		costs(pod, "-1000000", "")
		node := &corev1.Node{}
		Expect(harness.API.Get(ctx, client.ObjectKey{Name: w.Namespace + "-second-0"}, node)).To(Succeed())
		before := node.DeepCopy()
		node.Labels["unit"] = "first"
		Expect(harness.API.Patch(ctx, node, client.MergeFrom(before))).To(Succeed())
		costs(pod, "0", "")
		Expect(harness.API.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		was := pod.DeepCopy()
		pod.Labels["tier"] = "gold"
		Expect(harness.API.Patch(ctx, pod, client.MergeFrom(was))).To(Succeed())
		costs(pod, "-2000000", "")
	})

	It("leaves pods that terminate or have ended, and those without a policy, alone", func(ctx SpecContext) {
		w.Nodes(3, "second")
		theirs := w.Create(bound(w, "second-0").Label("app", "db").Annotation(corev1.PodDeletionCost, "-1000000"))
		ended := w.Create(bound(w, "second-1"))
		before := ended.DeepCopy()
		ended.Status.Phase = corev1.PodSucceeded
		Expect(harness.API.Status().Patch(ctx, ended, client.MergeFrom(before))).To(Succeed())
		terminates := w.Create(bound(w, "second-2"))
		Expect(harness.API.Delete(ctx, terminates, client.GracePeriodSeconds(600))).To(Succeed())
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECS("second")))
		costs(w.Create(bound(w, "second-0")), "-1000000", "")
		costs(theirs, "-1000000", "")
		costs(ended, "", "")
		costs(terminates, "", "")
	})

	It("brings the podLabels that a placed pod lacks, unless they would take it from its owner", func(ctx SpecContext) {
		w.Nodes(2, "first")
		labels := map[string]string{"role": "main"}
		set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "web"}, Spec: appsv1.ReplicaSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: wrappers.MakePod("x").Obj().Spec},
		}}
		Expect(harness.API.Create(ctx, set)).To(Succeed())
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Named("first").PodLabel("role", "spill")))
		lacks := w.Create(bound(w, "first-0").Recorded("p", "first").Annotation(corev1.PodDeletionCost, "0"))
		owned := bound(w, "first-1").Recorded("p", "first").Label("role", "main").OwnedBy("apps/v1", "ReplicaSet", "web")
		owned.OwnerReferences[0].UID = set.UID
		keeps := w.Create(owned)
		role := func(pod *corev1.Pod) func() string {
			return func() string {
				Expect(harness.API.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
				return pod.Labels["role"]
			}
		}
		Eventually(role(lacks)).Should(Equal("spill"))
		costs(keeps, "0", "")
		Expect(role(keeps)()).To(Equal("main"))
	})
})
