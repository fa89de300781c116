package conformance

import (
	"encoding/json"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var _ = Describe("podLabels, podAnnotations and node expressions (R2, R3, R9)", func() {
	var w *harness.World

	BeforeEach(func() {
		w = harness.NewWorld()
		w.Node(wrappers.MakeNode("first").Label("unit", "first").Label("cpu", "8").Capacity(corev1.ResourceCPU, "64"))
		w.VirtualNode()
	})

	It("are written on the pod over what it carries, by the Binding", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").PodLabel("tier", "gold").PodAnnotation("note", "new")).Unit(w.ECI()))
		pod := w.Create(w.Pod().Label("tier", "silver").Annotation("note", "old"))
		Expect(w.UnitOf(pod)).To(Equal("first"))
		w.HasLabel(pod, "tier", "gold")
		Expect(pod.Annotations).To(HaveKeyWithValue("note", "new"))
	})

	It("are left to whoever changes or removes them afterwards, and the pod still counts for its unit", func(ctx SpecContext) {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("none")).Unit(w.ECS("first").PodLabel("role", "spill").Max(1)).Unit(w.ECI()))
		pod := w.Create(w.Pod())
		Expect(w.UnitOf(pod)).To(Equal("first"))
		w.HasLabel(pod, "role", "spill")
		// The controller writes the cost and the labels of a pod in one patch: once it has answered a cost, it has
		// looked at the labels.
		edit := func(role any, cost string) {
			GinkgoHelper()
			data, err := json.Marshal(map[string]any{"metadata": map[string]any{
				"labels": map[string]any{"role": role}, "annotations": map[string]any{corev1.PodDeletionCost: cost},
			}})
			Expect(err).NotTo(HaveOccurred())
			Expect(harness.API.Patch(ctx, pod, client.RawPatch(types.MergePatchType, data))).To(Succeed())
		}
		edit("master", "7")
		costs(pod, "-999993", "7")
		Expect(w.Get(pod).Labels).To(HaveKeyWithValue("role", "master"))
		edit(nil, "8")
		costs(pod, "-999992", "8")
		Expect(w.Get(pod).Labels).NotTo(HaveKey("role"))
		Expect(w.Place(w.Pod())).To(Equal("eci"), "the unit is full by the pod's record")
	})

	It("of an edit are added to placed pods that lack the key, and change no value", func(ctx SpecContext) {
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Named("first").PodLabel("role", "spill")).Unit(w.ECI()))
		pod := w.Create(w.Pod())
		Expect(w.UnitOf(pod)).To(Equal("first"))
		w.HasLabel(pod, "role", "spill")
		before := rp.DeepCopy()
		rp.Spec.Units[0].PodLabels = v1alpha1.LabelSet{"role": "other", "zone": "b"}
		Expect(harness.API.Patch(ctx, rp, client.MergeFrom(before))).To(Succeed())
		Eventually(func() map[string]string { return w.Get(pod).Labels }).Should(HaveKeyWithValue("zone", "b"))
		Expect(pod.Labels).To(HaveKeyWithValue("role", "spill"))
	})

	It("pods that were not placed by the policy count only with them", func() {
		node := w.Namespace + "-first"
		w.Create(w.Pod().Node(node))
		w.Create(w.Pod().Label("tier", "gold").Node(node))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").PodLabel("tier", "gold").Max(2)).Unit(w.ECI()))
		Expect(w.Place(w.Pod())).To(Equal("first"))
		Expect(w.Place(w.Pod())).To(Equal("eci"))
	})

	It("two units with the same nodes and other podLabels are two units", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").PodLabel("tier", "gold").Max(1)).Unit(w.ECS("first").PodLabel("tier", "silver").Max(1)).Unit(w.ECI()))
		for _, tier := range []string{"gold", "silver", ""} {
			pod := w.Create(w.Pod())
			w.UnitOf(pod)
			w.HasLabel(pod, "tier", tier)
		}
	})

	It("a unit whose podLabels would give the pod to another policy is passed over, and the status says so", func() {
		w.Apply(wrappers.MakePolicy("gold").Namespace(w.Namespace).Selector("app", "web").Selector("tier", "gold").Unit(w.ECS("first").Max(0)))
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").PodLabel("tier", "gold")).Unit(w.ECI()))
		Expect(w.Place(w.Pod())).To(Equal("eci"))
		reports(rp, v1alpha1.ConditionMisconfigured, v1alpha1.ReasonPodLabelsChangePolicy)
		pod := w.Create(w.Pod().Request(corev1.ResourceCPU, "5000"))
		w.WaitsWith(pod, "its podLabels would give the pod to ResourcePolicy gold")
	})

	It("a unit whose podLabels would take the pod from its owner is passed over", func(ctx SpecContext) {
		rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "rs"}}
		rs.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web", "tier": "silver"}}
		rs.Spec.Template = corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: rs.Spec.Selector.MatchLabels}, Spec: wrappers.MakePod("x").Spec}
		Expect(harness.API.Create(ctx, rs)).To(Succeed())
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").PodLabel("tier", "gold")).Unit(w.ECI()))
		owned := w.Pod().Label("tier", "silver")
		owned.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(rs, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))}
		Expect(w.Place(owned)).To(Equal("eci"))
		Expect(w.Place(w.Pod().Label("tier", "silver"))).To(Equal("first"), "a pod without an owner is relabelled")
	})

	It("matchExpressions narrow a unit", func() {
		w.Node(wrappers.MakeNode("small").Label("unit", "small").Label("cpu", "2").Capacity(corev1.ResourceCPU, "64"))
		w.Policy(wrappers.MakePolicy("p").
			Unit(wrappers.ECS().On("pool", w.Namespace).Where("cpu", corev1.NodeSelectorOpLt, "4").Named("small").Max(1)).
			Unit(wrappers.ECS().On("pool", w.Namespace).Where("cpu", corev1.NodeSelectorOpIn, "8", "16")))
		pod := w.Create(w.Pod())
		Expect(w.UnitOf(pod)).To(Equal("small"))
		Expect(pod.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationUnit, "small"))
		Expect(w.Place(w.Pod())).To(Equal("first"))
	})

	It("ignorePreviousPod leaves pods out that were scheduled before the policy", func() {
		node := w.Namespace + "-first"
		// The API server sets no PodScheduled condition on a pod that is created bound: the pods are placed before the policy exists.
		before := w.Create(w.Pod())
		Expect(w.UnitOf(before)).To(BeElementOf("first", "eci"))
		w.Create(w.Pod().Node(node))
		Eventually(func() int64 { return metav1.Now().Unix() }).Should(BeNumerically(">", before.CreationTimestamp.Unix()+1))
		w.Policy(wrappers.MakePolicy("p").IgnorePrevious().Unit(w.ECS("first").Max(2)).Unit(w.ECI()))
		Expect(w.Place(w.Pod())).To(Equal("first"))
	})
})
