package eci

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

var _ = Describe("When ECI does not answer", func() {
	DescribeTable("keeps what runs, places nothing new there after a while, says why, and recovers",
		func(ctx SpecContext, trouble, over, want string) {
			w := newWorld(ctx, wrappers.MakeZone(zoneJ))
			first := w.deploy("first", 4)
			Eventually(w.count).Should(Equal(map[string]int{ecs: 2, zoneJ: 2}))
			script("%s", trouble)
			Eventually(capacityKnown).WithArguments(zoneJ).Should(Equal("False " + want))
			Eventually(ready).WithArguments(zoneJ).Should(Equal("False CapacityUnknown"))
			w.deploy("second", 1)
			Eventually(w.reasons).Should(ConsistOf(ContainSubstring("unit 1 (eci): cn-beijing-j: what ECI would accept has not been known for a while")))
			Expect(w.count()).To(Equal(map[string]int{ecs: 2, zoneJ: 2, "waiting": 1}))
			By("ECS is not concerned")
			w.scale(first, 3)
			w.scale(first, 0)
			Eventually(func() int { return w.count()[ecs] }).Should(Equal(1))
			By("and everything is as before when ECI answers again")
			script("%s", over)
			Eventually(ready).WithArguments(zoneJ).Should(Equal("True NodeReady"))
			w.scale(first, 4)
			Eventually(w.count).Should(Equal(map[string]int{ecs: 2, zoneJ: 3}))
			w.judge()
		},
		Entry("because it throttles", `{"actions":{"ListUsage":{"failWith":"Throttling.User"}}}`, `{"actions":null}`, "Throttled"),
		Entry("in time", `{"actions":{"ListUsage":{"latency":"30s"}}}`, `{"actions":null}`, "EndpointUnreachable"),
		Entry("because it is broken", `{"actions":{"ListUsage":{"failWith":"ServiceUnavailable"}}}`, `{"actions":null}`, "EndpointFailed"),
		Entry("at all", `{"outage":true}`, `{"outage":false}`, "EndpointUnreachable"),
		Entry("because the access key was withdrawn", `{"accessKeys":{"simulator-id":null,"other-id":"other-secret"}}`,
			`{"accessKeys":{"simulator-id":"simulator-secret"}}`, "CredentialsRefused"),
	)

	It("goes on as soon as the Secret has new credentials", func(ctx SpecContext) {
		script(`{"accessKeys":{"first-id":"first-secret","second-id":"second-secret"}}`)
		rotate := func(id, secret string) {
			GinkgoHelper()
			credentials := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "spillway-system", Name: "eci-credentials"}}
			_, err := controllerutil.CreateOrPatch(context.Background(), api, credentials, func() error {
				credentials.Data = map[string][]byte{"accessKeyID": []byte(id), "accessKeySecret": []byte(secret)}
				return nil
			})
			Expect(err).NotTo(HaveOccurred())
		}
		DeferCleanup(rotate, "simulator-id", "simulator-secret")
		rotate("first-id", "first-secret")
		w := newWorld(ctx, wrappers.MakeZone(zoneJ))
		script(`{"accessKeys":{"first-id":null}}`)
		Eventually(ready).WithArguments(zoneJ).Should(Equal("False CapacityUnknown"))
		w.deploy("web", 3)
		Eventually(w.count).Should(Equal(map[string]int{ecs: 2, "waiting": 1}))
		rotate("second-id", "second-secret")
		Eventually(w.count).Should(Equal(map[string]int{ecs: 2, zoneJ: 1}))
	})
})
