package conformance

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var _ = Describe("Capabilities that containers add", Ordered, func() {
	var w *harness.World

	BeforeAll(func(ctx SpecContext) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: harness.SecretNamespace}}
		Expect(client.IgnoreAlreadyExists(harness.API.Create(ctx, namespace))).To(Succeed())
	})

	BeforeEach(func() { createSecret("eci-credentials", "simulator-id") })

	// begin creates a policy with an ECS unit whose one machine is full, and an eci unit to which further pods spill.
	begin := func() {
		GinkgoHelper()
		w = harness.NewWorld()
		w.Nodes(1, "ecs")
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("ecs")).Unit(wrappers.ECI()))
		w.Place(w.Pod())
	}

	// allow edits spec.allowedCapabilities.
	allow := func(vn *eciv1alpha1.VirtualNode, capabilities ...string) {
		GinkgoHelper()
		before := vn.DeepCopy()
		vn.Spec.AllowedCapabilities = append([]string{}, capabilities...)
		Expect(harness.API.Patch(GinkgoT().Context(), vn, client.MergeFrom(before))).To(Succeed())
	}

	forbids := func(zone, what string) string {
		return zone + ": VirtualNode " + zone + " does not allow to add " + what + ": if ECI grants your account that, add it to spec.allowedCapabilities"
	}

	It("let a pod of Istio spill", func() {
		vn := createZone(wrappers.MakeZone(zoneJ))
		begin()
		Expect(vn.AllowedCapabilities()).To(Equal([]string{"NET_ADMIN", "NET_RAW"}), "the default")
		Expect(zoneOf(w, w.Create(w.Pod().Init("istio-init", "NET_ADMIN", "NET_RAW")))).To(Equal(zoneJ))
	})

	It("keep a pod waiting until the VirtualNode allows them", func() {
		vn := createZone(wrappers.MakeZone(zoneJ))
		begin()
		waits := w.Create(w.Pod().Add("IPC_LOCK").Init("istio-init", "NET_ADMIN"))
		w.WaitsWith(waits, "unit 1 (eci): "+forbids(zoneJ, "IPC_LOCK of container main"))
		By("which replaces the default")
		allow(vn, "IPC_LOCK")
		w.WaitsWith(waits, "unit 1 (eci): "+forbids(zoneJ, "NET_ADMIN of container istio-init"))
		allow(vn, "IPC_LOCK", "NET_ADMIN")
		Expect(zoneOf(w, waits)).To(Equal(zoneJ))
		By("and an empty list, which forbids both again")
		allow(vn)
		Expect(vn.Spec.AllowedCapabilities).To(BeEmpty())
		w.WaitsWith(w.Create(w.Pod().Add("NET_RAW")), "unit 1 (eci): "+forbids(zoneJ, "NET_RAW of container main"))
		Expect(zoneOf(w, w.Create(w.Pod().Add("CHOWN", "NET_BIND_SERVICE")))).To(Equal(zoneJ))
	})

	It("decide on the zone", func() {
		createZone(wrappers.MakeZone(zoneJ))
		createZone(wrappers.MakeZone(zoneK).Allow("IPC_LOCK"))
		begin()
		Expect(zoneOf(w, w.Create(w.Pod().Add("IPC_LOCK")))).To(Equal(zoneK))
		Expect(zoneOf(w, w.Create(w.Pod().Init("istio-init", "NET_ADMIN")))).To(Equal(zoneJ))
	})

	It("cannot be all, whatever is allowed", func() {
		vn := createZone(wrappers.MakeZone(zoneJ))
		begin()
		waits := w.Create(w.Pod().Add("ALL"))
		want := `unit 1 (eci): ECI cannot run containers with the added capability "ALL" (container main)`
		w.WaitsWith(waits, want)
		allow(vn, "SYS_ADMIN")
		w.WaitsWith(waits, want)
	})

	It("are not waited for", func() {
		createZone(wrappers.MakeZone(zoneJ))
		w := harness.NewWorld()
		w.Nodes(1, "ecs")
		w.Policy(wrappers.MakePolicy("p").TryNext(v1alpha1.TryNextExceedMax).Unit(wrappers.ECI().Max(10)).Unit(w.ECS("ecs")))
		Expect(w.Place(w.Pod().Add("IPC_LOCK"))).To(Equal("ecs"))
	})
})
