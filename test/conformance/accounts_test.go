package conformance

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// createSecret creates a Secret with an access key for the rest of the test.
func createSecret(name, keyID string) {
	GinkgoHelper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: harness.SecretNamespace, Name: name},
		StringData: map[string]string{"accessKeyID": keyID, "accessKeySecret": "simulator-secret"},
	}
	Expect(harness.API.Create(GinkgoT().Context(), secret)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(harness.API.Delete(ctx, secret))).To(Succeed()) })
}

var _ = Describe("Credentials and accounts of virtual nodes", Ordered, func() {
	BeforeAll(func(ctx SpecContext) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: harness.SecretNamespace}}
		Expect(client.IgnoreAlreadyExists(harness.API.Create(ctx, namespace))).To(Succeed())
	})

	DescribeTable("two Secrets", func(account string, placed int) {
		script(fmt.Sprintf(`{"accessKeys":{"second-id":"simulator-secret"},"accountIDs":{"second-id":%q},"regions":{"cn-beijing":{"maxCPU":4}}}`, account))
		createSecret("first", "simulator-id")
		createSecret("second", "second-id")
		first, second := createZone(wrappers.MakeZone(zoneJ).Secret("first")), createZone(wrappers.MakeZone(zoneK).Secret("second"))
		Expect(vnStatus(first).AccountID).To(Equal(wrappers.AccountID))
		Expect(vnStatus(second).AccountID).To(Equal(account))
		w := harness.NewWorld()
		w.Policy(wrappers.MakePolicy("p").Unit(wrappers.ECI()))
		for range 5 {
			w.Create(w.Pod().Request("memory", "4Gi"))
		}
		w.Settles(map[string]int{"": placed, "waiting": 5 - placed})
	},
		Entry("of one account share its quota", wrappers.AccountID, 2),
		Entry("of two accounts have a quota each", "1000000000000002", 4),
	)

	It("that do not work show on their own virtual node", func() {
		script(`{"regions":{"cn-beijing":{"maxCPU":4}}}`)
		createSecret("first", "simulator-id")
		createSecret("second", "withdrawn-id")
		createZone(wrappers.MakeZone(zoneJ).Secret("first"))
		z := wrappers.MakeZone(zoneK).Secret("second")
		z.UID = ""
		broken := createVirtualNode(z.Obj())
		Eventually(capacityKnown(broken)).Should(Equal("False CredentialsRefused"))
		_, message := condition(broken, eciv1alpha1.ConditionCapacityKnown)
		Expect(message).To(And(ContainSubstring("GetCallerIdentity"), ContainSubstring("Secret second")))
		Expect(vnStatus(broken).AccountID).To(BeEmpty())
	})

	It("are closed to new pods while STS does not say whose they are", func() {
		script(`{"actions":{"GetCallerIdentity":{"failWith":"ServiceUnavailable"}}}`)
		createSecret("first", "simulator-id")
		z := wrappers.MakeZone(zoneJ).Secret("first")
		z.UID = ""
		vn := createVirtualNode(z.Obj())
		Eventually(capacityKnown(vn)).Should(Equal("False EndpointFailed"))
		Expect(ready(vn)()).To(Equal("False CapacityUnknown"))
		script(`{"actions":null}`)
		Eventually(ready(vn)).Should(Equal("True NodeReady"))
	})
})
