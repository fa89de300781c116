package harness

import (
	"context"
	"fmt"
	"strconv"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// World is what one test has in the cluster: a namespace, and nodes that carry its name as label "pool". It is gone when the test ends.
type World struct {
	// Namespace is that of its policies and pods.
	Namespace string
	pods      int
}

// NewWorld returns an empty world.
func NewWorld() *World {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	Expect(API.Create(context.Background(), ns)).To(Succeed())
	w := &World{Namespace: ns.Name}
	DeferCleanup(func(ctx SpecContext) {
		Expect(API.DeleteAllOf(ctx, &v1alpha1.ResourcePolicy{}, client.InNamespace(w.Namespace))).To(Succeed())
		Expect(API.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(w.Namespace), client.GracePeriodSeconds(0))).To(Succeed())
		Expect(API.DeleteAllOf(ctx, &corev1.Node{}, client.MatchingLabels{"pool": w.Namespace})).To(Succeed())
	})
	return w
}

// Node creates a node of the world and waits until the scheduler knows it.
func (w *World) Node(n *wrappers.Node) {
	GinkgoHelper()
	node := n.Label("pool", w.Namespace).Obj()
	node.Name, node.UID = w.Namespace+"-"+node.Name, ""
	Expect(API.Create(context.Background(), node)).To(Succeed())
	Eventually(func() error {
		_, err := Scheduler.nodes.Get(node.Name)
		return err
	}).Should(Succeed())
}

// Nodes creates n ECS nodes with 2 vCPU each and the label unit=value.
func (w *World) Nodes(n int, unit string) {
	GinkgoHelper()
	for i := range n {
		w.Node(wrappers.MakeNode(fmt.Sprintf("%s-%d", unit, i)).Label("unit", unit).Capacity(corev1.ResourceCPU, "2"))
	}
}

// VirtualNode creates a virtual node with room for many pods.
func (w *World) VirtualNode() {
	GinkgoHelper()
	w.Node(wrappers.MakeVirtualNode("eci").Label("unit", "eci").Capacity(corev1.ResourceCPU, "1000"))
}

// ECS returns a unit with nodes of this world only.
func (w *World) ECS(unit string) *wrappers.Unit {
	return wrappers.ECS().On("pool", w.Namespace).On("unit", unit)
}

// ECI returns an eci unit with the virtual nodes of this world only.
func (w *World) ECI() *wrappers.Unit { return wrappers.ECI().On("pool", w.Namespace) }

// Policy creates a policy for the pods of the world with the label app=web, and waits until the controller has accepted or refused it and the
// scheduler acts on it.
func (w *World) Policy(p *wrappers.Policy) *v1alpha1.ResourcePolicy {
	GinkgoHelper()
	return w.Apply(p.Namespace(w.Namespace).Selector("app", "web"))
}

// probe waits until a pod of the policy that fits nowhere is refused in the words of a policy.
func (w *World) probe(rp *v1alpha1.ResourcePolicy) {
	GinkgoHelper()
	giant := w.Pod().Request(corev1.ResourceCPU, "1000000")
	for key, value := range rp.Spec.Selector {
		giant.Label(key, string(value))
	}
	for _, key := range rp.Spec.MatchLabelKeys {
		giant.Label(string(key), "probe")
	}
	pod := w.Create(giant)
	Eventually(func() string { return w.Waits(pod) }).Should(Or(ContainSubstring("unit 0 ("), ContainSubstring("ResourcePolicy "+rp.Name)))
	w.Remove(pod)
}

// Pod returns a pod with the label app=web that requests 2 vCPU: one fits on each node of nodes.
func (w *World) Pod() *wrappers.Pod {
	w.pods++
	return wrappers.MakePod(fmt.Sprintf("pod-%d", w.pods)).Namespace(w.Namespace).Label("app", "web").Request(corev1.ResourceCPU, "2")
}

// Create creates a pod.
func (w *World) Create(p *wrappers.Pod) *corev1.Pod {
	GinkgoHelper()
	pod := p.Obj()
	pod.UID = ""
	Expect(API.Create(context.Background(), pod)).To(Succeed())
	return pod
}

// Place creates a pod, waits until it is bound, and returns the label "unit" of its node.
func (w *World) Place(p *wrappers.Pod) string {
	GinkgoHelper()
	return w.UnitOf(w.Create(p))
}

// UnitOf waits until the pod is bound and returns the label "unit" of its node.
func (w *World) UnitOf(pod *corev1.Pod) string {
	GinkgoHelper()
	node := &corev1.Node{}
	Eventually(func(g Gomega) {
		g.Expect(API.Get(context.Background(), client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		g.Expect(pod.Spec.NodeName).NotTo(BeEmpty(), "pod %s waits: %s", pod.Name, WaitReason(pod))
	}).Should(Succeed())
	Expect(API.Get(context.Background(), client.ObjectKey{Name: pod.Spec.NodeName}, node)).To(Succeed())
	return node.Labels["unit"]
}

// Waits returns when the scheduler has said that the pod cannot be placed, with its reason.
func (w *World) Waits(pod *corev1.Pod) string {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(API.Get(context.Background(), client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		g.Expect(pod.Spec.NodeName).To(BeEmpty())
		g.Expect(WaitReason(pod)).NotTo(BeEmpty())
	}).Should(Succeed())
	return WaitReason(pod)
}

// WaitsWith waits until the scheduler has given this reason for the pod to wait. It may give another one first: events reach it one after the other.
func (w *World) WaitsWith(pod *corev1.Pod, reason string) {
	GinkgoHelper()
	Eventually(func() string { return w.Waits(pod) }).Should(ContainSubstring(reason))
}

// Count returns how many pods of the world are bound to nodes of each unit.
func (w *World) Count() map[string]int {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Expect(API.List(context.Background(), pods, client.InNamespace(w.Namespace))).To(Succeed())
	counts := map[string]int{}
	for i := range pods.Items {
		node := &corev1.Node{}
		if name := pods.Items[i].Spec.NodeName; name == "" {
			counts["waiting"]++
		} else if err := API.Get(context.Background(), client.ObjectKey{Name: name}, node); !apierrors.IsNotFound(err) {
			Expect(err).NotTo(HaveOccurred())
			counts[node.Labels["unit"]]++
		}
	}
	return counts
}

// Settles waits until every pod of the world is bound or has been told why it waits, and checks where they are then. Waiting for the numbers alone
// would also succeed on the way to too many.
func (w *World) Settles(want map[string]int) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		pods := &corev1.PodList{}
		g.Expect(API.List(context.Background(), pods, client.InNamespace(w.Namespace))).To(Succeed())
		for i := range pods.Items {
			g.Expect(pods.Items[i].Spec.NodeName+WaitReason(&pods.Items[i])).NotTo(BeEmpty(), pods.Items[i].Name)
		}
	}).Should(Succeed())
	Expect(w.Count()).To(Equal(want))
}

// Remove deletes a pod at once, as a kubelet does when its containers have ended.
func (w *World) Remove(pod *corev1.Pod) {
	GinkgoHelper()
	Expect(API.Delete(context.Background(), pod, client.GracePeriodSeconds(0))).To(Succeed())
}

// WaitReason returns the message of the PodScheduled condition of a pod that is not bound.
func WaitReason(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return condition.Message
		}
	}
	return ""
}

// Apply creates a policy as it is, and waits until the controller has accepted or refused it and the scheduler acts on it.
func (w *World) Apply(p *wrappers.Policy) *v1alpha1.ResourcePolicy {
	GinkgoHelper()
	rp := p.Obj()
	rp.UID = ""
	Expect(API.Create(context.Background(), rp)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(API.Get(context.Background(), KeyOf(rp), rp)).To(Succeed())
		g.Expect(meta.FindStatusCondition(rp.Status.Conditions, v1alpha1.ConditionReady)).NotTo(BeNil())
	}).Should(Succeed())
	w.probe(rp)
	return rp
}

// Get reads the pod again.
func (w *World) Get(pod *corev1.Pod) *corev1.Pod {
	GinkgoHelper()
	Expect(API.Get(context.Background(), KeyOf(pod), pod)).To(Succeed())
	return pod
}

// HasLabel expects a bound pod to have a label of its unit; an empty value stands for none. The label comes with the Binding; but API servers of 1.34 do not
// copy the labels of a Binding (PodTopologyLabelsAdmission is off there by default), and the controller writes them a moment later.
func (w *World) HasLabel(pod *corev1.Pod, key, value string) {
	GinkgoHelper()
	if Version.AtLeast(version.MajorMinor(1, 35)) {
		Expect(pod.Labels[key]).To(Equal(value))
		return
	}
	Eventually(func() string { return w.Get(pod).Labels[key] }).Should(Equal(value))
}

// Terminate makes a pod terminate, which it does until it is removed: there is no kubelet that ends it.
func (w *World) Terminate(pod *corev1.Pod) {
	GinkgoHelper()
	Expect(API.Delete(context.Background(), pod, client.GracePeriodSeconds(300))).To(Succeed())
}

// Untaint takes all taints from a node of the world.
func (w *World) Untaint(name string) {
	GinkgoHelper()
	node := &corev1.Node{}
	Expect(API.Get(context.Background(), client.ObjectKey{Name: w.Namespace + "-" + name}, node)).To(Succeed())
	before := node.DeepCopy()
	node.Spec.Taints = nil
	Expect(API.Patch(context.Background(), node, client.MergeFrom(before))).To(Succeed())
}

// AnyOf returns the first of the units that has pods: where a test does not care which node of a unit is used.
func (w *World) AnyOf(units ...string) string {
	GinkgoHelper()
	var used string
	Eventually(func() string {
		counts := w.Count()
		for _, unit := range units {
			if counts[unit] > 0 {
				used = unit
			}
		}
		return used
	}).ShouldNot(BeEmpty())
	return used
}

// KeyOf returns the name of an object.
func KeyOf(obj client.Object) client.ObjectKey { return client.ObjectKeyFromObject(obj) }

// DeletionCost returns the controller.kubernetes.io/pod-deletion-cost of a pod.
func DeletionCost(pod *corev1.Pod) int {
	GinkgoHelper()
	text, ok := pod.Annotations[corev1.PodDeletionCost]
	if !ok {
		return 0
	}
	cost, err := strconv.Atoi(text)
	Expect(err).NotTo(HaveOccurred())
	return cost
}

// LooksUnschedulable tells whether an autoscaler takes the pod for one that a new node helps.
func LooksUnschedulable(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return condition.Reason == corev1.PodReasonUnschedulable
		}
	}
	return false
}
