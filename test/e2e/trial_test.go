package e2e

import (
	"maps"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	simulatorPort = 8090
	trialSecret   = "eci-simulator"
)

var _ = Describe("A trial with the simulator of the chart", Ordered, func() {
	AfterAll(func(ctx SpecContext) {
		killAll()
		removeAll(ctx)
	})

	It("reads the capacity of the simulator that runs beside the controller", func(ctx SpecContext) {
		ports := newListeners()
		trial := ports.defaults().with("", "controller", "eciEndpoint").with(1, "controller", "replicas").
			with([]string{trialSecret}, "eci", "secretNames").with(true, "simulator", "enabled")
		Expect(mustHelm("install", release, chart, trial.file())).To(ContainSubstring("ECI is simulated"))
		installed := maps.Clone(ports.byPodPort(controller))
		installed[simulatorPort] = simulatorPort
		pods := newPods(ctx, controller, installed)
		Expect(pods).To(HaveLen(1))
		Expect(pods[0].Spec.Containers).To(HaveLen(2))
		pods[0].start(ctx)
		probe(pods[0])
		zone := wrappers.MakeZone("cn-beijing-j")
		zone.UID, zone.Spec.Credentials.SecretName = "", trialSecret
		create(ctx, zone.Obj())
		Eventually(func(g Gomega) {
			vn := zone.Obj().DeepCopy()
			g.Expect(get(ctx, vn)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(vn.Status.Conditions, eciv1alpha1.ConditionReady)).To(BeTrue(), "%v", vn.Status.Conditions)
			g.Expect(vn.Status.QuotaCPU.String()).To(Equal("1k"))
		}).Should(Succeed())
	})
})
