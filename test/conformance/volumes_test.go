package conformance

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const diskDriver = "diskplugin.csi.alibabacloud.com"

// diskIn returns a PersistentVolume of ACK's disk driver that is bound to a claim and selects nodes by a label, as the
// driver writes it.
func diskIn(claim *corev1.PersistentVolumeClaim, label, value string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: claim.Namespace + "-" + claim.Name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("20Gi")},
			AccessModes: claim.Spec.AccessModes, StorageClassName: *claim.Spec.StorageClassName,
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: diskDriver, VolumeHandle: "d-" + claim.Name}},
			ClaimRef:               &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: label, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}},
			}}}},
		},
	}
}

// createClaim creates a claim of a class.
func createClaim(namespace, class string) *corev1.PersistentVolumeClaim {
	GinkgoHelper()
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: &class,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("20Gi")}},
		},
	}
	Expect(harness.API.Create(GinkgoT().Context(), claim)).To(Succeed())
	return claim
}

// bind creates the volume and binds it to the claim, as the controllers of a cluster do.
func bind(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) {
	GinkgoHelper()
	ctx := GinkgoT().Context()
	Expect(harness.API.Create(ctx, volume)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(harness.API.Delete(ctx, volume))).To(Succeed()) })
	volume.Status.Phase = corev1.VolumeBound
	Expect(harness.API.Status().Update(ctx, volume)).To(Succeed())
	before := claim.DeepCopy()
	claim.Spec.VolumeName = volume.Name
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, "pv.kubernetes.io/bind-completed", "yes")
	Expect(harness.API.Patch(ctx, claim, client.MergeFrom(before))).To(Succeed())
	before = claim.DeepCopy()
	claim.Status.Phase = corev1.ClaimBound
	Expect(harness.API.Status().Patch(ctx, claim, client.MergeFrom(before))).To(Succeed())
}

// mounting makes a pod mount a claim.
func mounting(p *wrappers.Pod, claim *corev1.PersistentVolumeClaim) *wrappers.Pod {
	p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name},
	}}}
	return p
}

// createClass creates a StorageClass of ACK's disk driver for the zones with this value of its label.
func createClass(name, zone string) {
	GinkgoHelper()
	class := &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: diskDriver, VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer),
		AllowedTopologies: []corev1.TopologySelectorTerm{{
			MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: eciv1alpha1.LabelDiskZone, Values: []string{zone}}},
		}},
	}
	Expect(harness.API.Create(GinkgoT().Context(), class)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(harness.API.Delete(ctx, class)).To(Succeed()) })
}

var _ = Describe("Disks of ACK", Ordered, func() {
	BeforeAll(func(ctx SpecContext) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: harness.SecretNamespace}}
		Expect(client.IgnoreAlreadyExists(harness.API.Create(ctx, namespace))).To(Succeed())
	})

	BeforeEach(func() { createSecret("eci-credentials", "simulator-id") })

	// begin returns a world with a policy for ECS and then ECI, and no machine.
	begin := func() *harness.World {
		GinkgoHelper()
		w := harness.NewWorld()
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("ecs")).Unit(wrappers.ECI()))
		return w
	}

	DescribeTable("let a pod spill to the zone of its disk", func(label, value string) {
		createZone(wrappers.MakeZone(zoneJ))
		createZone(wrappers.MakeZone(zoneK))
		w := begin()
		claim := createClaim(w.Namespace, "disk")
		bind(claim, diskIn(claim, label, value))
		Expect(zoneOf(w, w.Create(mounting(w.Pod(), claim)))).To(HavePrefix(value))
	},
		Entry("by the label of the driver", eciv1alpha1.LabelDiskZone, zoneK),
		Entry("by the label of the driver for regional disks", eciv1alpha1.LabelDiskRegion, "cn-beijing"),
		Entry("by the label of Kubernetes", corev1.LabelTopologyZone, zoneK),
		Entry("by the label of Kubernetes before 1.17", corev1.LabelFailureDomainBetaZone, zoneK),
	)

	It("keep a pod from other zones", func() {
		createZone(wrappers.MakeZone(zoneJ))
		w := begin()
		claim := createClaim(w.Namespace, "disk")
		bind(claim, diskIn(claim, eciv1alpha1.LabelDiskZone, zoneK))
		waits := w.Create(mounting(w.Pod().NoGrace(), claim)) // The second zone goes before it does.
		w.WaitsWith(waits, "unit 1 (eci): no node passes all filters")
		By("until there is a virtual node in theirs")
		createZone(wrappers.MakeZone(zoneK))
		Expect(zoneOf(w, waits)).To(Equal(zoneK))
	})

	It("are created in the zone in which the pod is placed, among those that the class allows", func(ctx SpecContext) {
		createZone(wrappers.MakeZone(zoneJ))
		createZone(wrappers.MakeZone(zoneK))
		w := begin()
		createClass(w.Namespace, zoneK)
		claim := createClaim(w.Namespace, w.Namespace)
		pod := w.Create(mounting(w.Pod(), claim))
		By("which the scheduler tells the driver")
		Eventually(func(g Gomega) {
			g.Expect(harness.API.Get(ctx, client.ObjectKeyFromObject(claim), claim)).To(Succeed())
			g.Expect(claim.Annotations).To(HaveKeyWithValue("volume.kubernetes.io/selected-node", "virtual-kubelet-"+zoneK))
		}).Should(Succeed())
		bind(claim, diskIn(claim, eciv1alpha1.LabelDiskZone, zoneK))
		Expect(zoneOf(w, pod)).To(Equal(zoneK))
	})

	It("stay on machines when their driver asks for nodes with a CSINode", func(ctx SpecContext) {
		driver := &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: diskDriver}, Spec: storagev1.CSIDriverSpec{PreventPodSchedulingIfMissing: ptr.To(true)}}
		Expect(harness.API.Create(ctx, driver)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(harness.API.Delete(ctx, driver))).To(Succeed()) })
		if driver.Spec.PreventPodSchedulingIfMissing == nil {
			Skip("drivers cannot ask for that before Kubernetes 1.37")
		}
		createZone(wrappers.MakeZone(zoneJ))
		w := begin()
		claim := createClaim(w.Namespace, "disk")
		bind(claim, diskIn(claim, eciv1alpha1.LabelDiskZone, zoneJ))
		w.WaitsWith(w.Create(mounting(w.Pod(), claim)), "unit 1 (eci): no node passes all filters")
	})

	It("need the label on the Node of another virtual-kubelet, too", func(ctx SpecContext) {
		foreign := wrappers.MakeVirtualNode(nodeName).Label(corev1.LabelTopologyZone, zoneJ).Capacity("cpu", "100").Capacity("memory", "1Ti").Obj()
		foreign.UID = ""
		Expect(harness.API.Create(ctx, foreign)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(harness.API.Delete(ctx, foreign)).To(Succeed()) })
		createZone(wrappers.MakeZone(zoneJ).External())
		w := begin()
		claim := createClaim(w.Namespace, "disk")
		bind(claim, diskIn(claim, eciv1alpha1.LabelDiskZone, zoneJ))
		waits := w.Create(mounting(w.Pod(), claim))
		w.WaitsWith(waits, "unit 1 (eci): no node passes all filters")
		By("which its owner sets")
		before := foreign.DeepCopy()
		metav1.SetMetaDataLabel(&foreign.ObjectMeta, eciv1alpha1.LabelDiskZone, zoneJ)
		Expect(harness.API.Patch(ctx, foreign, client.MergeFrom(before))).To(Succeed())
		Expect(zoneOf(w, waits)).To(Equal(zoneJ))
	})
})
