package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/quantity"
	"github.com/spillway-k8s/spillway/internal/ecisim"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	nodeName = "virtual-kubelet-cn-beijing-j"
)

// script changes the state of the simulator for the rest of the test.
func script(patch string) {
	GinkgoHelper()
	send := func(body []byte) {
		GinkgoHelper()
		request, err := http.NewRequest(http.MethodPatch, harness.ECIURL+"/admin/state", strings.NewReader(string(body)))
		Expect(err).NotTo(HaveOccurred())
		response, err := http.DefaultClient.Do(request)
		Expect(err).NotTo(HaveOccurred())
		defer func() { _ = response.Body.Close() }()
		Expect(response.StatusCode).To(Equal(http.StatusOK))
	}
	send([]byte(patch))
	DeferCleanup(func() {
		state, err := json.Marshal(ecisim.DefaultState())
		Expect(err).NotTo(HaveOccurred())
		send([]byte(`{"regions":null,"actions":null,"accessKeys":null,"accountIDs":null,"securityTokens":null}`))
		send(state)
	})
}

// newVirtualNode returns a VirtualNode in cn-beijing-j that is not created yet.
func newVirtualNode(name string) *eciv1alpha1.VirtualNode {
	return &eciv1alpha1.VirtualNode{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       eciv1alpha1.VirtualNodeSpec{Region: "cn-beijing", Zone: "cn-beijing-j", Credentials: eciv1alpha1.Credentials{SecretName: "eci-credentials"}},
	}
}

// createVirtualNode creates it and removes it when the test ends.
func createVirtualNode(vn *eciv1alpha1.VirtualNode) *eciv1alpha1.VirtualNode {
	GinkgoHelper()
	Expect(harness.API.Create(context.Background(), vn)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(harness.API.Delete(ctx, vn))).To(Succeed())
		Eventually(func() bool { return apierrors.IsNotFound(harness.API.Get(ctx, client.ObjectKeyFromObject(vn), vn)) }).Should(BeTrue())
	})
	return vn
}

// condition returns a condition of the VirtualNode as "Status Reason", and its message.
func condition(vn *eciv1alpha1.VirtualNode, conditionType string) (string, string) {
	current := &eciv1alpha1.VirtualNode{}
	if err := harness.API.Get(context.Background(), client.ObjectKeyFromObject(vn), current); err != nil {
		return err.Error(), ""
	}
	c := meta.FindStatusCondition(current.Status.Conditions, conditionType)
	if c == nil {
		return "", ""
	}
	return string(c.Status) + " " + c.Reason, c.Message
}

func ready(vn *eciv1alpha1.VirtualNode) func() string {
	return func() string { s, _ := condition(vn, eciv1alpha1.ConditionReady); return s }
}

func capacityKnown(vn *eciv1alpha1.VirtualNode) func() string {
	return func() string { s, _ := condition(vn, eciv1alpha1.ConditionCapacityKnown); return s }
}

// cpuOf returns the allocatable CPU of the virtual node's Node.
func cpuOf() string {
	node := &corev1.Node{}
	if err := harness.API.Get(context.Background(), client.ObjectKey{Name: nodeName}, node); err != nil {
		return err.Error()
	}
	return node.Status.Allocatable.Cpu().String()
}

func taintKeys() []string {
	node := &corev1.Node{}
	if err := harness.API.Get(context.Background(), client.ObjectKey{Name: nodeName}, node); err != nil {
		return []string{err.Error()}
	}
	var keys []string
	for _, taint := range node.Spec.Taints {
		keys = append(keys, taint.Key)
	}
	return keys
}

var _ = Describe("VirtualNode", Ordered, func() {
	var secret *corev1.Secret

	BeforeAll(func() {
		Expect(client.IgnoreAlreadyExists(harness.API.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: harness.SecretNamespace}}))).To(Succeed())
	})

	BeforeEach(func(ctx SpecContext) {
		secret = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: harness.SecretNamespace, Name: "eci-credentials"},
			StringData: map[string]string{"accessKeyID": "simulator-id", "accessKeySecret": "simulator-secret"},
		}
		Expect(harness.API.Create(ctx, secret)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(harness.API.Delete(ctx, secret))).To(Succeed()) })
	})

	It("becomes a Node like ACK's, with the capacity that ECI answers, and follows the quota", func(ctx SpecContext) {
		vn := createVirtualNode(newVirtualNode("j"))
		Eventually(ready(vn)).Should(Equal("True NodeReady"))
		node := &corev1.Node{}
		Expect(harness.API.Get(ctx, client.ObjectKey{Name: nodeName}, node)).To(Succeed())
		Expect(node.Labels).To(HaveKeyWithValue("type", "virtual-kubelet"))
		Expect(node.Labels).To(HaveKeyWithValue(corev1.LabelTopologyZone, "cn-beijing-j"))
		Expect(node.Spec.Taints).To(Equal([]corev1.Taint{{Key: "virtual-kubelet.io/provider", Value: "alibabacloud", Effect: corev1.TaintEffectNoSchedule}}))
		Expect(node.Status.Allocatable.Cpu().String()).To(Equal("1k"))
		Expect(node.Status.Allocatable.Memory().String()).To(Equal("8000Gi"))
		Expect(node.Status.Allocatable.Pods().String()).To(Equal("4k"))

		By("renewing its Lease")
		lease := &coordinationv1.Lease{}
		key := client.ObjectKey{Namespace: corev1.NamespaceNodeLease, Name: nodeName}
		Eventually(func() error { return harness.API.Get(ctx, key, lease) }).Should(Succeed())
		renewed := lease.Spec.RenewTime.Time
		Eventually(func(g Gomega) {
			g.Expect(harness.API.Get(ctx, key, lease)).To(Succeed())
			g.Expect(lease.Spec.RenewTime.After(renewed)).To(BeTrue())
		}).Should(Succeed())

		By("following the quota down")
		script(`{"regions":{"cn-beijing":{"maxCPU":20,"usedCPU":15.5}}}`)
		Eventually(cpuOf).Should(Equal("4500m"))
		Eventually(func(g Gomega) { // The status is written after the Node.
			g.Expect(harness.API.Get(ctx, client.ObjectKeyFromObject(vn), vn)).To(Succeed())
			g.Expect(vn.Status.LimitedBy).To(Equal("vCPU quota of cn-beijing: 20, used 15.5"))
		}).Should(Succeed())
		By("to nothing, when more is used than the quota allows")
		script(`{"regions":{"cn-beijing":{"maxCPU":20,"usedCPU":25}}}`)
		Eventually(cpuOf).Should(Equal("0"))
	})

	It("shares the quota of a region and account with the other nodes there", func() {
		script(`{"regions":{"cn-beijing":{"maxCPU":20}}}`)
		createVirtualNode(newVirtualNode("j"))
		Eventually(cpuOf).Should(Equal("20"))
		second := newVirtualNode("k")
		second.Spec.Zone = "cn-beijing-k"
		createVirtualNode(second)
		Eventually(func() string {
			Expect(harness.API.Get(context.Background(), client.ObjectKeyFromObject(second), second)).To(Succeed())
			return second.Status.Capacity.Cpu().String() + " " + second.Status.LimitedBy
		}).Should(Equal("20 vCPU quota of cn-beijing: 20, used 0, shared by 2 virtual nodes"))
		w := harness.NewWorld()
		w.Policy(wrappers.MakePolicy("p").Unit(wrappers.ECI()))
		for range 14 {
			w.Create(w.Pod())
		}
		Eventually(func() int { return w.Count()["waiting"] }).Should(Equal(4), "20 vCPU take 10 pods of 2")
	})

	It("offers no more than its limits", func(ctx SpecContext) {
		limited := newVirtualNode("j")
		limited.Spec.Limits = map[corev1.ResourceName]quantity.Quantity{
			"cpu": quantity.MustParse("10"), "memory": quantity.MustParse("16Gi"), "pods": quantity.MustParse("5"),
		}
		vn := createVirtualNode(limited)
		Eventually(ready(vn)).Should(Equal("True NodeReady"))
		node := &corev1.Node{}
		Expect(harness.API.Get(ctx, client.ObjectKey{Name: nodeName}, node)).To(Succeed())
		Expect(node.Status.Allocatable.Cpu().String()).To(Equal("10"))
		Expect(node.Status.Allocatable.Memory().String()).To(Equal("16Gi"))
		Expect(node.Status.Allocatable.Pods().String()).To(Equal("5"))
		Expect(harness.API.Get(ctx, client.ObjectKeyFromObject(vn), vn)).To(Succeed())
		Expect(vn.Status.LimitedBy).To(Equal("spec.limits.memory: 16Gi"))
	})

	It("says that the endpoint is down, takes no new pods after a while, and recovers", func() {
		vn := createVirtualNode(newVirtualNode("j"))
		Eventually(ready(vn)).Should(Equal("True NodeReady"))
		script(`{"outage":true}`)
		Eventually(capacityKnown(vn)).Should(Equal("False EndpointUnreachable"))
		Eventually(ready(vn)).Should(Equal("False CapacityUnknown"))
		Eventually(taintKeys).Should(ContainElement(eciv1alpha1.TaintCapacityUnknown))
		Expect(cpuOf()).To(Equal("1k"), "the pods that are there keep their room")

		w := harness.NewWorld()
		w.Policy(wrappers.MakePolicy("p").Unit(wrappers.ECI()))
		pod := w.Create(w.Pod())
		w.WaitsWith(pod, "unit 0 (eci): cn-beijing-j: what ECI would accept has not been known for a while")
		script(`{"outage":false}`)
		Eventually(ready(vn)).Should(Equal("True NodeReady"))
		Eventually(taintKeys).ShouldNot(ContainElement(eciv1alpha1.TaintCapacityUnknown))
		w.UnitOf(pod)
	})

	DescribeTable("names what is wrong when ECI gives no capacity",
		func(prepare func(), want, wantMessage string) {
			prepare()
			vn := createVirtualNode(newVirtualNode("j"))
			Eventually(capacityKnown(vn)).Should(Equal("False " + want))
			_, message := condition(vn, eciv1alpha1.ConditionCapacityKnown)
			Expect(message).To(ContainSubstring(wantMessage))
			Expect(message).NotTo(ContainSubstring("simulator-secret"))
			Expect(ready(vn)()).To(Equal("False CapacityUnknown"))
			Expect(apierrors.IsNotFound(harness.API.Get(context.Background(), client.ObjectKey{Name: nodeName}, &corev1.Node{}))).To(BeTrue(),
				"there is no Node before its capacity was known once")
		},
		Entry("no Secret", func() { Expect(harness.API.Delete(context.Background(), secret)).To(Succeed()) },
			"CredentialsMissing", "Secret spillway-system/eci-credentials does not exist"),
		Entry("a Secret without the key", func() { setSecret(secret, map[string][]byte{"accessKeyID": []byte("simulator-id")}) },
			"CredentialsMissing", "has no key accessKeySecret"),
		Entry("a wrong secret", func() {
			setSecret(secret, map[string][]byte{"accessKeyID": []byte("simulator-id"), "accessKeySecret": []byte("wrong")})
		}, "CredentialsRefused", "SignatureDoesNotMatch"),
		Entry("throttling", func() { script(`{"failWith":"Throttling.User"}`) }, "Throttled", "Throttling.User"),
		Entry("a server error", func() { script(`{"failWith":"ServiceUnavailable"}`) }, "EndpointFailed", "ServiceUnavailable"),
		Entry("a region that does not exist", func() { script(`{"regions":{"cn-beijing":null}}`) }, "RegionUnknown", `spec.region "cn-beijing": the region is not one of ECI's: ECI is sold in ap-southeast-1, cn-hangzhou`),
	)

	It("gives the Node's name to one VirtualNode only", func(ctx SpecContext) {
		first := createVirtualNode(newVirtualNode("a"))
		Eventually(ready(first)).Should(Equal("True NodeReady"))
		second := createVirtualNode(newVirtualNode("b"))
		Eventually(ready(second)).Should(Equal("False NodeNameTaken"))
		_, message := condition(second, eciv1alpha1.ConditionReady)
		Expect(message).To(Equal("Node virtual-kubelet-cn-beijing-j belongs to VirtualNode a: delete that, or this VirtualNode"))
		Expect(ready(first)()).To(Equal("True NodeReady"))
		By("and the second one gets it when the first one goes")
		Expect(harness.API.Delete(ctx, first)).To(Succeed())
		Eventually(ready(second)).Should(Equal("True NodeReady"))
	})

	It("gives the name to the VirtualNode that the Node names, whoever goes first by age and name", func(ctx SpecContext) {
		b := createVirtualNode(newVirtualNode("b"))
		Eventually(ready(b)).Should(Equal("True NodeReady"))
		a := createVirtualNode(newVirtualNode("a")) // Within the same second it goes first by name.
		Eventually(ready(a)).Should(Equal("False NodeNameTaken"))
		_, message := condition(a, eciv1alpha1.ConditionReady)
		Expect(message).To(ContainSubstring("VirtualNode b"))
		Expect(ready(b)()).To(Equal("True NodeReady"))
		By("even without the Node's label, which is put back")
		node := &corev1.Node{}
		Expect(harness.API.Get(ctx, client.ObjectKey{Name: nodeName}, node)).To(Succeed())
		before := node.DeepCopy()
		delete(node.Labels, eciv1alpha1.LabelVirtualNode)
		delete(node.Labels, eciv1alpha1.LabelNodeType)
		Expect(harness.API.Patch(ctx, node, client.MergeFrom(before))).To(Succeed())
		Eventually(func() map[string]string {
			Expect(harness.API.Get(ctx, client.ObjectKey{Name: nodeName}, node)).To(Succeed())
			return node.Labels
		}).Should(And(HaveKeyWithValue(eciv1alpha1.LabelVirtualNode, "b"), HaveKeyWithValue("type", "virtual-kubelet")))
	})

	It("leaves a Node alone that somebody else made", func(ctx SpecContext) {
		foreign := wrappers.MakeVirtualNode(nodeName).Capacity("cpu", "7").Obj()
		foreign.UID = ""
		Expect(harness.API.Create(ctx, foreign)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(harness.API.Delete(ctx, foreign)).To(Succeed()) })
		vn := createVirtualNode(newVirtualNode("j"))
		Eventually(ready(vn)).Should(Equal("False NodeNameTaken"))
		Expect(cpuOf()).To(Equal("7"))
		By("also when the VirtualNode is deleted")
		Expect(harness.API.Delete(ctx, vn)).To(Succeed())
		Eventually(func() bool { return apierrors.IsNotFound(harness.API.Get(ctx, client.ObjectKeyFromObject(vn), vn)) }).Should(BeTrue())
		Expect(cpuOf()).To(Equal("7"))
	})

	It("creates the Node again when somebody deletes it", func(ctx SpecContext) {
		vn := createVirtualNode(newVirtualNode("j"))
		Eventually(ready(vn)).Should(Equal("True NodeReady"))
		node := &corev1.Node{}
		Expect(harness.API.Get(ctx, client.ObjectKey{Name: nodeName}, node)).To(Succeed())
		Expect(harness.API.Delete(ctx, node)).To(Succeed())
		Eventually(func(g Gomega) {
			again := &corev1.Node{}
			g.Expect(harness.API.Get(ctx, client.ObjectKey{Name: nodeName}, again)).To(Succeed())
			g.Expect(again.UID).NotTo(Equal(node.UID))
		}).Should(Succeed())
	})

	It("renews the Lease of its Node while a policy of the cluster rejects the Node's status", func(ctx SpecContext) {
		vn := createVirtualNode(newVirtualNode("j"))
		Eventually(ready(vn)).Should(Equal("True NodeReady"))
		rejectNodeStatus(ctx)
		Eventually(func() string {
			// A quota that moves, so that there is something to write until the policy is in force.
			script(fmt.Sprintf(`{"regions":{"cn-beijing":{"maxCPU":%d}}}`, 20+time.Now().UnixNano()%1000))
			return ready(vn)()
		}).WithPolling(time.Second).Should(Equal("False NodeFailed"))
		_, message := condition(vn, eciv1alpha1.ConditionReady)
		Expect(message).To(ContainSubstring("no status, please"))
		renewals := func() time.Time {
			lease := &coordinationv1.Lease{}
			Expect(harness.API.Get(ctx, client.ObjectKey{Namespace: corev1.NamespaceNodeLease, Name: nodeName}, lease)).To(Succeed())
			return lease.Spec.RenewTime.Time
		}
		for range 2 {
			Eventually(renewals).Should(BeTemporally(">", renewals()))
		}
		Expect(ready(vn)()).To(Equal("False NodeFailed"))
	})

	It("is deleted with its Node and Lease, after its pods were evicted", func(ctx SpecContext) {
		vn := createVirtualNode(newVirtualNode("j"))
		Eventually(ready(vn)).Should(Equal("True NodeReady"))
		w := harness.NewWorld()
		w.Policy(wrappers.MakePolicy("p").Unit(wrappers.ECI()))
		short := w.Pod()
		short.Spec.TerminationGracePeriodSeconds = ptr.To[int64](1)
		evicted := w.Create(short)
		w.UnitOf(evicted)
		protected := w.Create(w.Pod().Label("protected", "true"))
		w.UnitOf(protected)
		before := protected.DeepCopy()
		protected.Status.Phase = corev1.PodRunning // No budget protects a pod that is pending.
		Expect(harness.API.Status().Patch(ctx, protected, client.MergeFrom(before))).To(Succeed())
		budget := &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "none-may-go"},
			Spec: policyv1.PodDisruptionBudgetSpec{
				MinAvailable: ptr.To(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"protected": "true"}},
			},
		}
		Expect(harness.API.Create(ctx, budget)).To(Succeed())
		Expect(harness.API.Delete(ctx, vn)).To(Succeed())

		By("removing the evicted pod when its grace period is over: there is no kubelet that would")
		Eventually(func() bool {
			return apierrors.IsNotFound(harness.API.Get(ctx, client.ObjectKeyFromObject(evicted), evicted))
		}).Should(BeTrue())
		By("waiting for the pod that a disruption budget protects, and saying so")
		Eventually(ready(vn)).Should(Equal("False Draining"))
		budgetBefore := budget.DeepCopy()
		budget.Status.ObservedGeneration = budget.Generation // No controller does that here; until then the API server asks to wait.
		Expect(harness.API.Status().Patch(ctx, budget, client.MergeFrom(budgetBefore))).To(Succeed())
		Eventually(func() string { _, message := condition(vn, eciv1alpha1.ConditionReady); return message }).Should(
			Equal("the VirtualNode is being deleted; pods left on its node: 1, such as " + w.Namespace + "/" + protected.Name + " (held back by a PodDisruptionBudget)"))
		Expect(taintKeys()).To(ContainElement(eciv1alpha1.TaintDraining))
		w.WaitsWith(w.Create(w.Pod()), "unit 0 (eci): cn-beijing-j: its VirtualNode is being deleted")
		w.Remove(protected)
		Eventually(func() bool { return apierrors.IsNotFound(harness.API.Get(ctx, client.ObjectKeyFromObject(vn), vn)) }).Should(BeTrue())
		Expect(apierrors.IsNotFound(harness.API.Get(ctx, client.ObjectKey{Name: nodeName}, &corev1.Node{}))).To(BeTrue())
		key := client.ObjectKey{Namespace: corev1.NamespaceNodeLease, Name: nodeName}
		Expect(apierrors.IsNotFound(harness.API.Get(ctx, key, &coordinationv1.Lease{}))).To(BeTrue())
	})
})

// rejectNodeStatus lets the API server reject each write of the status of the Node until the test ends.
func rejectNodeStatus(ctx SpecContext) {
	GinkgoHelper()
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "no-node-status"},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				ResourceNames: []string{nodeName},
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Update},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"nodes/status"}},
				},
			}}},
			Validations: []admissionv1.Validation{{Expression: "false", Message: "no status, please"}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: policy.Name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: policy.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}
	for _, object := range []client.Object{policy, binding} {
		Expect(harness.API.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(harness.API.Delete(ctx, object)).To(Succeed()) })
	}
}

func setSecret(secret *corev1.Secret, data map[string][]byte) {
	GinkgoHelper()
	secret.StringData, secret.Data = nil, data
	Expect(harness.API.Update(context.Background(), secret)).To(Succeed())
}
