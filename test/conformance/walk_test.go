package conformance

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// removeAll deletes the pods of the world, and waits until they have gone.
func removeAll(w *harness.World) {
	GinkgoHelper()
	Expect(harness.API.DeleteAllOf(context.Background(), &corev1.Pod{}, client.InNamespace(w.Namespace), client.GracePeriodSeconds(0))).To(Succeed())
	Eventually(w.Count).Should(BeEmpty())
}

var _ = Describe("A walk through the units (R5)", func() {
	var w *harness.World

	BeforeEach(func() { w = harness.NewWorld() })

	It("keeps the order when a pod in a later unit changes what a filter says of an earlier one", func() {
		w.Node(wrappers.MakeNode("i").Label("unit", "first").Label(corev1.LabelTopologyZone, w.Namespace+"-i").Capacity(corev1.ResourceCPU, "64"))
		w.Node(wrappers.MakeVirtualNode("j").Label("unit", "eci").Label(corev1.LabelTopologyZone, w.Namespace+"-j").Capacity(corev1.ResourceCPU, "1000"))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECI()))
		spread := func() *wrappers.Pod {
			p := w.Pod()
			p.Spec.NodeSelector = map[string]string{"pool": w.Namespace}
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
				MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule,
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			}}
			return p
		}
		By("one after the other")
		for range 3 {
			w.Place(spread())
		}
		Expect(w.Count()).To(Equal(map[string]int{"first": 2, "eci": 1}))
		By("at once")
		for range 10 {
			removeAll(w)
			for range 3 {
				w.Create(spread())
			}
			w.Settles(map[string]int{"first": 2, "eci": 1})
		}
	})

	It("lets the PostFilter of other plugins help: a claim that is allocated where the pod cannot run is freed", func(ctx SpecContext) {
		w.Nodes(1, "first")
		w.VirtualNode()
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECI().Max(0)))
		const driver = "devices.example.com"
		class := &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}
		Expect(harness.API.Create(ctx, class)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(harness.API.Delete(ctx, class)).To(Succeed()) })
		slice := &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}, Spec: resourcev1.ResourceSliceSpec{
			Driver: driver, NodeName: new(w.Namespace + "-first-0"), Pool: resourcev1.ResourcePool{Name: w.Namespace, ResourceSliceCount: 1},
			Devices: []resourcev1.Device{{Name: "one"}},
		}}
		Expect(harness.API.Create(ctx, slice)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(harness.API.Delete(ctx, slice)).To(Succeed()) })
		claim := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "claim"}, Spec: resourcev1.ResourceClaimSpec{
			Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{
				{Name: "device", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: class.Name, AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 1}},
			}},
		}}
		Expect(harness.API.Create(ctx, claim)).To(Succeed())
		claim.Status.Allocation = &resourcev1.AllocationResult{
			Devices: resourcev1.DeviceAllocationResult{Results: []resourcev1.DeviceRequestAllocationResult{
				{Request: "device", Driver: driver, Pool: "elsewhere", Device: "another"},
			}},
			NodeSelector: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
				{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"elsewhere"}},
			}}}},
		}
		Expect(harness.API.Status().Update(ctx, claim)).To(Succeed())
		p := w.Pod()
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "device", ResourceClaimName: &claim.Name}}
		Expect(w.Place(p)).To(Equal("first"))
		By("and a pod with a claim that finds every unit full is reported as held")
		w.Apply(wrappers.MakePolicy("full").Namespace(w.Namespace).Selector("app", "full").Unit(w.ECS("first").Max(0)))
		q := w.Pod().Label("app", "full")
		q.Spec.ResourceClaims = p.Spec.ResourceClaims
		held(w, w.Create(q))
	})
})
