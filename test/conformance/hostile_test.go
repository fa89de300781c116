package conformance

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// setAnnotation edits an annotation of a pod, as a user does who no admission policy stops. An empty value removes it.
func setAnnotation(pod *corev1.Pod, key, value string) {
	GinkgoHelper()
	before := pod.DeepCopy()
	if delete(pod.Annotations, key); value != "" {
		metav1.SetMetaDataAnnotation(&pod.ObjectMeta, key, value)
	}
	Expect(harness.API.Patch(context.Background(), pod, client.MergeFrom(before))).To(Succeed())
}

// What users write on their pods after these are bound. The admission policy of the chart refuses most of it; the promises hold without it, too.
var _ = Describe("Edits of bound pods (R13)", Ordered, func() {
	BeforeAll(func(ctx SpecContext) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: harness.SecretNamespace}}
		Expect(client.IgnoreAlreadyExists(harness.API.Create(ctx, namespace))).To(Succeed())
		createSecret("eci-credentials", "simulator-id")
	})

	// huge returns a pod that requests next to nothing, and that ECI bills as 64-128Gi.
	huge := func(w *harness.World) *wrappers.Pod {
		p := w.Pod().Request("cpu", "1m").Request("memory", "1Mi")
		p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("64"), "memory": resource.MustParse("128Gi")}
		return p
	}

	edits := map[string]func(pod *corev1.Pod){
		"an annotation that cannot be read":     func(pod *corev1.Pod) { setAnnotation(pod, ecispec.AnnotationUseSpecs, "x") },
		"an annotation with a tiny instance":    func(pod *corev1.Pod) { setAnnotation(pod, ecispec.AnnotationUseSpecs, "0.25-0.5Gi") },
		"the size of the instance":              func(pod *corev1.Pod) { setAnnotation(pod, ecispec.AnnotationInstanceSpec, "0.25-0.5Gi") },
		"the record of the binding is replaced": func(pod *corev1.Pod) { setAnnotation(pod, v1alpha1.AnnotationECISpecs, "0.25-0.5Gi") },
		"the record of the binding is removed":  func(pod *corev1.Pod) { setAnnotation(pod, v1alpha1.AnnotationECISpecs, "") },
	}
	for what, edit := range edits {
		It("do not lower what a pod counts for: "+what, func() {
			createZone(wrappers.MakeZone(zoneJ).Limit("cpu", "64").MaxSpend("20"))
			w := harness.NewWorld()
			w.Policy(wrappers.MakePolicy("p").Unit(wrappers.ECI()))
			first := w.Create(huge(w))
			Expect(zoneOf(w, first)).To(Equal(zoneJ))
			Expect(first.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationECISpecs, "64-128Gi"))
			edit(first)
			for range 3 {
				w.WaitsWith(w.Create(huge(w)), "leaves no room for 64-128Gi")
			}
			By("after a restart of the scheduler")
			harness.Scheduler.Stop()
			harness.Scheduler = harness.StartScheduler()
			w.WaitsWith(w.Create(huge(w)), "leaves no room for 64-128Gi")
			Expect(w.Count()).To(HaveKeyWithValue("", 1))
		})
	}

	It("do not shut others out by a forged size of an instance", func() {
		createZone(wrappers.MakeZone(zoneJ))
		w, other := harness.NewWorld(), harness.NewWorld()
		for _, each := range []*harness.World{w, other} {
			each.Policy(wrappers.MakePolicy("p").Unit(wrappers.ECI()))
		}
		small := w.Create(w.Pod().Request("cpu", "250m"))
		Expect(zoneOf(w, small)).To(Equal(zoneJ))
		setAnnotation(small, ecispec.AnnotationInstanceSpec, "1000000-1000000Gi")
		setAnnotation(small, ecispec.AnnotationUseSpecs, "64-512Gi")
		for range 3 {
			Expect(zoneOf(other, other.Create(other.Pod()))).To(Equal(zoneJ))
		}
	})

	It("are recorded for a pod without a policy, too", func() {
		createZone(wrappers.MakeZone(zoneJ))
		w := harness.NewWorld()
		pod := w.Create(w.Pod().Request("cpu", "2").Tolerate("virtual-kubelet.io/provider").Annotation(v1alpha1.AnnotationECISpecs, "0.25-0.5Gi"))
		Eventually(func() string { return w.Get(pod).Spec.NodeName }).Should(ContainSubstring(zoneJ))
		Expect(w.Get(pod).Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationECISpecs, "2-1Gi"))
	})
})

var _ = Describe("Resize in place", func() {
	// resize asks for other requests of a pod.
	resize := func(pod *corev1.Pod, cpu string) {
		GinkgoHelper()
		before := pod.DeepCopy()
		size := corev1.ResourceList{"cpu": resource.MustParse(cpu)}
		pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: size, Limits: size}
		Expect(harness.API.SubResource("resize").Patch(context.Background(), pod, client.StrategicMergeFrom(before))).To(Succeed())
	}

	It("places a held pod that fits into what is left of maxResources", func() {
		w := harness.NewWorld()
		w.Nodes(1, "ecs")
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("ecs").MaxResource("cpu", "1")))
		Expect(w.UnitOf(w.Create(w.Pod().Request("cpu", "750m")))).To(Equal("ecs"))
		held := w.Create(w.Pod().Request("cpu", "500m"))
		Eventually(func() string { return harness.WaitReason(w.Get(held)) }).Should(ContainSubstring("held by ResourcePolicy p"))
		resize(w.Get(held), "250m")
		Expect(w.UnitOf(held)).To(Equal("ecs"))
	})

	It("upward is said in the status of the policy, and nothing is added", func(ctx SpecContext) {
		w := harness.NewWorld()
		w.Nodes(1, "ecs")
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("ecs").MaxResource("cpu", "1")))
		pod := w.Create(w.Pod().Request("cpu", "500m"))
		Expect(w.UnitOf(pod)).To(Equal("ecs"))
		resize(w.Get(pod), "1500m")
		Eventually(func() []metav1.Condition {
			Expect(harness.API.Get(ctx, harness.KeyOf(rp), rp)).To(Succeed())
			return rp.Status.Conditions
		}).Should(ContainElement(And(
			HaveField("Type", v1alpha1.ConditionOverCap), HaveField("Status", metav1.ConditionTrue), HaveField("Reason", v1alpha1.ReasonCapExceeded),
		)))
		next := w.Create(w.Pod().Request("cpu", "100m"))
		Eventually(func() string { return harness.WaitReason(w.Get(next)) }).Should(ContainSubstring("held by ResourcePolicy p"))
	})
})
