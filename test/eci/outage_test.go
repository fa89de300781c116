package eci

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
		script(`{"accessKeys":{"first-id":"first-secret"}}`)
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "spillway-system", Name: "rotated"}, StringData: map[string]string{
			"accessKeyID": "first-id", "accessKeySecret": "first-secret",
		}}
		Expect(api.Create(ctx, secret)).To(Succeed())
		DeferCleanup(func() { Expect(api.Delete(context.Background(), secret)).To(Succeed()) })
		z := wrappers.MakeZone(zoneJ)
		z.Spec.Credentials.SecretName = "rotated"
		w := newWorld(ctx, z)
		script(`{"accessKeys":{"first-id":null,"second-id":"second-secret"}}`)
		Eventually(ready).WithArguments(zoneJ).Should(Equal("False CapacityUnknown"))
		w.deploy("web", 3)
		Eventually(w.count).Should(Equal(map[string]int{ecs: 2, "waiting": 1}))
		secret.StringData = map[string]string{"accessKeyID": "second-id", "accessKeySecret": "second-secret"}
		Expect(api.Update(ctx, secret)).To(Succeed())
		Eventually(w.count).Should(Equal(map[string]int{ecs: 2, zoneJ: 1}))
	})
})
