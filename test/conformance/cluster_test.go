package conformance

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// world is what one test has in the cluster: a namespace, and nodes that carry its name as label "pool". It is gone when the test ends.
type world struct {
	namespace string
	pods      int
}

// newWorld returns an empty world.
func newWorld() *world {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	Expect(api.Create(context.Background(), ns)).To(Succeed())
	w := &world{namespace: ns.Name}
	DeferCleanup(func(ctx SpecContext) {
		Expect(api.DeleteAllOf(ctx, &v1alpha1.ResourcePolicy{}, client.InNamespace(w.namespace))).To(Succeed())
		Expect(api.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(w.namespace), client.GracePeriodSeconds(0))).To(Succeed())
		Expect(api.DeleteAllOf(ctx, &corev1.Node{}, client.MatchingLabels{"pool": w.namespace})).To(Succeed())
	})
	return w
}

// node creates a node of the world and waits until the scheduler knows it.
func (w *world) node(n *wrappers.Node) {
	GinkgoHelper()
	node := n.Label("pool", w.namespace).Obj()
	node.Name, node.UID = w.namespace+"-"+node.Name, ""
	Expect(api.Create(context.Background(), node)).To(Succeed())
	Eventually(func() error {
		_, err := scheduler.nodes.Get(node.Name)
		return err
	}).Should(Succeed())
}

// nodes creates n ECS nodes with 2 vCPU each and the label unit=value.
func (w *world) nodes(n int, unit string) {
	GinkgoHelper()
	for i := range n {
		w.node(wrappers.MakeNode(fmt.Sprintf("%s-%d", unit, i)).Label("unit", unit).Capacity(corev1.ResourceCPU, "2"))
	}
}

// virtualNode creates a virtual node with room for many pods.
func (w *world) virtualNode() {
	GinkgoHelper()
	w.node(wrappers.MakeVirtualNode("eci").Label("unit", "eci").Capacity(corev1.ResourceCPU, "1000"))
}

// ecs and eci return units with nodes of this world only.
func (w *world) ecs(unit string) *wrappers.Unit {
	return wrappers.ECS().On("pool", w.namespace).On("unit", unit)
}

func (w *world) eci() *wrappers.Unit { return wrappers.ECI().On("pool", w.namespace) }

// policy creates a policy for the pods of the world with the label app=web, and waits until the controller has accepted or refused it and the
// scheduler acts on it.
func (w *world) policy(p *wrappers.Policy) *v1alpha1.ResourcePolicy {
	GinkgoHelper()
	rp := p.Namespace(w.namespace).Selector("app", "web").Obj()
	rp.UID = ""
	Expect(api.Create(context.Background(), rp)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(api.Get(context.Background(), client.ObjectKeyFromObject(rp), rp)).To(Succeed())
		g.Expect(meta.FindStatusCondition(rp.Status.Conditions, v1alpha1.ConditionReady)).NotTo(BeNil())
	}).Should(Succeed())
	w.probe(rp)
	return rp
}

// probe waits until a pod of the policy that fits nowhere is refused in the words of a policy.
func (w *world) probe(rp *v1alpha1.ResourcePolicy) {
	GinkgoHelper()
	giant := w.pod().Request(corev1.ResourceCPU, "1000000")
	for key, value := range rp.Spec.Selector {
		giant.Label(key, string(value))
	}
	pod := w.create(giant)
	Eventually(func() string { return w.waits(pod) }).Should(Or(ContainSubstring("unit 0 ("), ContainSubstring("ResourcePolicy "+rp.Name)))
	w.remove(pod)
}

// pod returns a pod with the label app=web that requests 2 vCPU: one fits on each node of nodes.
func (w *world) pod() *wrappers.Pod {
	w.pods++
	return wrappers.MakePod(fmt.Sprintf("pod-%d", w.pods)).Namespace(w.namespace).Label("app", "web").Request(corev1.ResourceCPU, "2")
}

// create creates a pod.
func (w *world) create(p *wrappers.Pod) *corev1.Pod {
	GinkgoHelper()
	pod := p.Obj()
	pod.UID = ""
	Expect(api.Create(context.Background(), pod)).To(Succeed())
	return pod
}

// place creates a pod, waits until it is bound, and returns the label "unit" of its node.
func (w *world) place(p *wrappers.Pod) string {
	GinkgoHelper()
	return w.unitOf(w.create(p))
}

// unitOf waits until the pod is bound and returns the label "unit" of its node.
func (w *world) unitOf(pod *corev1.Pod) string {
	GinkgoHelper()
	node := &corev1.Node{}
	Eventually(func(g Gomega) {
		g.Expect(api.Get(context.Background(), client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		g.Expect(pod.Spec.NodeName).NotTo(BeEmpty(), "pod %s waits: %s", pod.Name, waitReason(pod))
	}).Should(Succeed())
	Expect(api.Get(context.Background(), client.ObjectKey{Name: pod.Spec.NodeName}, node)).To(Succeed())
	return node.Labels["unit"]
}

// waits returns when the scheduler has said that the pod cannot be placed, with its reason.
func (w *world) waits(pod *corev1.Pod) string {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(api.Get(context.Background(), client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		g.Expect(pod.Spec.NodeName).To(BeEmpty())
		g.Expect(waitReason(pod)).NotTo(BeEmpty())
	}).Should(Succeed())
	return waitReason(pod)
}

// waitsWith waits until the scheduler has given this reason for the pod to wait. It may give another one first: events reach it one after the other.
func (w *world) waitsWith(pod *corev1.Pod, reason string) {
	GinkgoHelper()
	Eventually(func() string { return w.waits(pod) }).Should(ContainSubstring(reason))
}

// count returns how many pods of the world are bound to nodes of each unit.
func (w *world) count() map[string]int {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Expect(api.List(context.Background(), pods, client.InNamespace(w.namespace))).To(Succeed())
	counts := map[string]int{}
	for i := range pods.Items {
		node := &corev1.Node{}
		if name := pods.Items[i].Spec.NodeName; name == "" {
			counts["waiting"]++
		} else if err := api.Get(context.Background(), client.ObjectKey{Name: name}, node); !apierrors.IsNotFound(err) {
			Expect(err).NotTo(HaveOccurred())
			counts[node.Labels["unit"]]++
		}
	}
	return counts
}

// settles waits until every pod of the world is bound or has been told why it waits, and checks where they are then. Waiting for the numbers alone
// would also succeed on the way to too many.
func (w *world) settles(want map[string]int) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		pods := &corev1.PodList{}
		g.Expect(api.List(context.Background(), pods, client.InNamespace(w.namespace))).To(Succeed())
		for i := range pods.Items {
			g.Expect(pods.Items[i].Spec.NodeName+waitReason(&pods.Items[i])).NotTo(BeEmpty(), pods.Items[i].Name)
		}
	}).Should(Succeed())
	Expect(w.count()).To(Equal(want))
}

// remove deletes a pod at once, as a kubelet does when its containers have ended.
func (w *world) remove(pod *corev1.Pod) {
	GinkgoHelper()
	Expect(api.Delete(context.Background(), pod, client.GracePeriodSeconds(0))).To(Succeed())
}

func waitReason(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return condition.Message
		}
	}
	return ""
}
