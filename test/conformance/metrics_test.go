package conformance

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-base/metrics/legacyregistry"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/scrape"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var _ = Describe("Metrics", func() {
	It("tell where pods were placed and why, what is held, and what the policies are", func() {
		w := harness.NewWorld()
		w.Node(wrappers.MakeNode("big").Label("unit", "first").Capacity(corev1.ResourceCPU, "64"))
		w.VirtualNode()
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(1)).Unit(w.ECI().Max(1)))
		before := ofScheduler()
		Expect(w.Place(w.Pod())).To(Equal("first"))
		Expect(w.Place(w.Pod())).To(Equal("eci"))
		held(w, w.Create(w.Pod()))
		grown := ofScheduler().Since(before)
		Expect(grown).To(HaveKeyWithValue(`spillway_decisions_total{outcome="placed",resource="ecs",unit="0"}`, 1.0))
		Expect(grown).To(HaveKeyWithValue(`spillway_decisions_total{outcome="placed",resource="eci",unit="1"}`, 1.0))
		Expect(grown).To(HaveKeyWithValue(`spillway_spills_total{reason="full",resource="eci",unit="1"}`, 1.0))
		Eventually(func() scrape.Series { return ofScheduler().Since(before) }).Should(
			HaveKeyWithValue(`spillway_decisions_total{outcome="held",resource="none",unit="none"}`, 1.0))
		Expect(grown["spillway_decision_duration_seconds"]).To(BeNumerically(">=", 2))
		Expect(ofScheduler()["spillway_ledger_pods"]).To(BeNumerically(">=", 1))
		Eventually(func() float64 { return ofScheduler()["spillway_held_pods"] }).Should(BeNumerically(">=", 1))
		Eventually(func() float64 { return ofController()[`spillway_policies{condition="Exhausted",status="True"}`] }).Should(BeNumerically(">=", 1))
		Expect(ofController()[`spillway_status_writes_total{kind="resourcepolicy",result="written"}`]).To(BeNumerically(">=", 1))
	})
})

// ofScheduler reads what the scheduler serves.
func ofScheduler() scrape.Series {
	GinkgoHelper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	Expect(err).NotTo(HaveOccurred())
	series, err := scrape.Parse(&metrics.Scheduler, families)
	Expect(err).NotTo(HaveOccurred())
	return series
}

// ofController reads what the controller serves.
func ofController() scrape.Series {
	GinkgoHelper()
	families, err := ctrlmetrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	series, err := scrape.Parse(&metrics.Controller, families)
	Expect(err).NotTo(HaveOccurred())
	return series
}
