package conformance

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/quantity"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// status returns a policy's status as it is now.
func (w *world) status(rp *v1alpha1.ResourcePolicy) *v1alpha1.ResourcePolicyStatus {
	GinkgoHelper()
	now := &v1alpha1.ResourcePolicy{}
	Expect(api.Get(context.Background(), client.ObjectKeyFromObject(rp), now)).To(Succeed())
	return &now.Status
}

// reports waits until a condition of a policy has a reason, and returns its message.
func (w *world) reports(rp *v1alpha1.ResourcePolicy, condition, reason string) string {
	GinkgoHelper()
	var message string
	Eventually(func(g Gomega) {
		got := meta.FindStatusCondition(w.status(rp).Conditions, condition)
		g.Expect(got).NotTo(BeNil())
		g.Expect(got.Reason).To(Equal(reason), got.Message)
		message = got.Message
	}).Should(Succeed())
	return message
}

// fills waits until the fill of a policy is this one; %[1]s stands for the label of the world's nodes.
func (w *world) fills(rp *v1alpha1.ResourcePolicy, fill string) {
	GinkgoHelper()
	Eventually(func() string { return w.status(rp).Fill }).Should(Equal(fmt.Sprintf(fill, "pool="+w.namespace)))
}

// text returns a quantity as it is written.
func text(q quantity.Quantity) string { return q.String() }

// bound returns a pod of the world that another scheduler has put on a node, given by the unit and number that nodes named it by.
func (w *world) bound(node string) *wrappers.Pod {
	return w.pod().Scheduler("default-scheduler").Node(w.namespace + "-" + node)
}

var _ = Describe("The status of a policy", func() {
	var w *world

	BeforeEach(func() { w = newWorld() })

	It("shows how full the units are, and follows the pods", func(ctx SpecContext) {
		w.nodes(2, "first")
		w.virtualNode()
		rp := w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(2).MaxResource("cpu", "5")).Unit(w.eci()))
		w.fills(rp, "0/2 ecs, %[1]s, unit=first | 0 eci, %[1]s")
		pods := []*corev1.Pod{w.create(w.pod()), w.create(w.pod()), w.create(w.pod())}
		w.fills(rp, "2/2 ecs, %[1]s, unit=first | 1 eci, %[1]s")
		units := w.status(rp).Units
		Expect(units).To(HaveLen(2))
		Expect(units[0].Nodes).To(BeEquivalentTo(2))
		Expect(units[0].FreePods).To(Equal(ptr.To(int32(0))))
		Expect(units[0].Requests).To(HaveKeyWithValue(corev1.ResourceCPU, WithTransform(text, Equal("4"))))
		Expect(units[0].FreeResources).To(HaveKeyWithValue(corev1.ResourceCPU, WithTransform(text, Equal("1"))))
		Expect(units[1].MaxPods).To(BeNil())

		By("a pod that ends")
		first := pods[0]
		Expect(w.unitOf(first)).To(Equal("first"))
		before := first.DeepCopy()
		first.Status.Phase = corev1.PodSucceeded
		Expect(api.Status().Patch(ctx, first, client.MergeFrom(before))).To(Succeed())
		w.fills(rp, "1/2 ecs, %[1]s, unit=first | 1 eci, %[1]s")

		By("a pod that is removed")
		w.remove(pods[2])
		w.fills(rp, "1/2 ecs, %[1]s, unit=first | 0 eci, %[1]s")

		By("a pod of another scheduler")
		w.create(w.bound("first-0"))
		w.fills(rp, "2/2 ecs, %[1]s, unit=first | 0 eci, %[1]s")

		By("a node that leaves its unit, and one that goes")
		node := &corev1.Node{}
		Expect(api.Get(ctx, client.ObjectKey{Name: w.namespace + "-first-1"}, node)).To(Succeed())
		was := node.DeepCopy()
		node.Labels["unit"] = "other"
		Expect(api.Patch(ctx, node, client.MergeFrom(was))).To(Succeed())
		Eventually(func() int32 { return w.status(rp).Units[0].Nodes }).Should(BeEquivalentTo(1))
		Expect(api.Delete(ctx, node)).To(Succeed())
		Expect(api.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.namespace + "-first-0"}})).To(Succeed())
		Eventually(func() int32 { return w.status(rp).Units[0].Nodes }).Should(BeEquivalentTo(0))
	})

	It("follows an edit of the policy, and of the labels that lead a pod from one policy to another", func(ctx SpecContext) {
		w.nodes(2, "first")
		rp := w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(2)))
		gold := w.policy(wrappers.MakePolicy("gold").Selector("tier", "gold").Unit(w.ecs("first").Max(2)))
		pod := w.create(w.pod())
		w.fills(rp, "1/2 ecs, %[1]s, unit=first")
		before := pod.DeepCopy()
		pod.Labels["tier"] = "gold"
		Expect(api.Patch(ctx, pod, client.MergeFrom(before))).To(Succeed())
		w.fills(rp, "0/2 ecs, %[1]s, unit=first")
		w.fills(gold, "1/2 ecs, %[1]s, unit=first")

		Expect(api.Get(ctx, client.ObjectKeyFromObject(gold), gold)).To(Succeed())
		was := gold.DeepCopy()
		gold.Spec.Units[0].Max = ptr.To(int32(7))
		Expect(api.Patch(ctx, gold, client.MergeFrom(was))).To(Succeed())
		w.fills(gold, "1/7 ecs, %[1]s, unit=first")
		Expect(w.status(gold).ObservedGeneration).To(Equal(gold.Generation))
	})

	It("tells held pods from those that wait for a node (R7)", func() {
		w.nodes(1, "first")
		w.node(wrappers.MakeNode("big").Label("unit", "second").Capacity(corev1.ResourceCPU, "64"))
		rp := w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(1)).Unit(w.ecs("second").Max(1)))
		w.reports(rp, v1alpha1.ConditionExhausted, v1alpha1.ReasonRoomLeft)
		pods := []*corev1.Pod{w.create(w.pod()), w.create(w.pod())}
		for _, pod := range pods {
			w.unitOf(pod)
		}
		w.reports(rp, v1alpha1.ConditionExhausted, v1alpha1.ReasonAllUnitsFull)
		w.create(w.pod())
		Eventually(func() int32 { return w.status(rp).HeldPods }).Should(BeEquivalentTo(1))
		Expect(w.status(rp).WaitingPods).To(BeZero())

		By("a pod that leaves: the held one takes its place")
		w.remove(pods[0])
		Eventually(func() int32 { return w.status(rp).HeldPods }).Should(BeZero())
		w.remove(pods[1])
		w.reports(rp, v1alpha1.ConditionExhausted, v1alpha1.ReasonRoomLeft)

		By("a pod that no node can take")
		w.create(w.pod().Request(corev1.ResourceCPU, "1000"))
		Eventually(func() int32 { return w.status(rp).WaitingPods }).Should(BeEquivalentTo(1))
		Expect(w.status(rp).HeldPods).To(BeZero())
	})

	It("says what its author hardly means, until it is put right", func(ctx SpecContext) {
		rp := w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").MaxResource("example.com/card", "1")).Unit(w.ecs("first").PodLabel("role", "spill")))
		Expect(w.reports(rp, v1alpha1.ConditionMisconfigured, v1alpha1.ReasonNoNodes)).To(ContainSubstring("no node of the cluster is in any unit"))
		w.nodes(1, "first")
		Expect(w.reports(rp, v1alpha1.ConditionMisconfigured, v1alpha1.ReasonUnknownResource)).To(ContainSubstring("example.com/card"))

		By("a node with the resource")
		w.node(wrappers.MakeNode("card").Label("unit", "first").Capacity("example.com/card", "1"))
		w.reports(rp, v1alpha1.ConditionMisconfigured, v1alpha1.ReasonNothingFound)

		By("a pod whose ReplicaSet selects by a label that the second unit would change")
		labels := map[string]string{"app": "web", "role": "main"}
		set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "web"}, Spec: appsv1.ReplicaSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: wrappers.MakePod("x").Obj().Spec},
		}}
		Expect(api.Create(ctx, set)).To(Succeed())
		owned := w.pod().Label("role", "main").Request(corev1.ResourceCPU, "1000").OwnedBy("apps/v1", "ReplicaSet", "web")
		owned.OwnerReferences[0].UID = set.UID
		w.create(owned)
		Expect(w.reports(rp, v1alpha1.ConditionMisconfigured, v1alpha1.ReasonPodLabelsLeaveOwner)).To(ContainSubstring(
			"spec.units[1].podLabels would take the pods of ReplicaSet web from its selector"))
	})

	It("of a policy that becomes refused says nothing about its units", func(ctx SpecContext) {
		w.nodes(1, "first")
		rp := w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(1)))
		w.fills(rp, "0/1 ecs, %[1]s, unit=first")
		Expect(api.Get(ctx, client.ObjectKeyFromObject(rp), rp)).To(Succeed())
		before := rp.DeepCopy()
		rp.Spec.Units[0].SpotInstance = ptr.To(true)
		Expect(api.Patch(ctx, rp, client.MergeFrom(before))).To(Succeed())
		w.reports(rp, v1alpha1.ConditionReady, v1alpha1.ReasonUnsupported)
		status := w.status(rp)
		Expect(status.Units).To(BeEmpty())
		Expect(status.Fill).To(BeEmpty())
		Expect(meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionExhausted)).To(BeNil())
		Expect(meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionMisconfigured)).To(BeNil())
	})

	It("is written at most once a second, however many pods come", func(ctx SpecContext) {
		w.node(wrappers.MakeNode("big").Label("unit", "first").Capacity(corev1.ResourceCPU, "64"))
		rp := w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first")))
		watcher, err := client.NewWithWatch(restConfig, client.Options{Scheme: api.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		begin := time.Now()
		events, err := watcher.Watch(ctx, &v1alpha1.ResourcePolicyList{}, client.InNamespace(w.namespace))
		Expect(err).NotTo(HaveOccurred())
		defer events.Stop()
		const pods = 30
		for range pods {
			w.create(w.bound("big"))
		}
		writes := 0
		for done := false; !done; {
			var e watch.Event
			Eventually(events.ResultChan()).Should(Receive(&e))
			writes++
			units := e.Object.(*v1alpha1.ResourcePolicy).Status.Units
			done = len(units) > 0 && units[0].Pods == pods
		}
		// The first event is the policy as it was.
		Expect(writes-1).To(BeNumerically("<=", 1+int(time.Since(begin)/time.Second)+1), "writes in %s", time.Since(begin))
		w.fills(rp, fmt.Sprint(pods)+" ecs, %[1]s, unit=first")
	})

	It("is one line for kubectl get", func(ctx SpecContext) {
		rp := w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first").Max(1)).Unit(w.eci()))
		w.fills(rp, "0/1 ecs, %[1]s, unit=first | 0 eci, %[1]s")
		config := rest.CopyConfig(restConfig)
		config.GroupVersion, config.APIPath = &v1alpha1.GroupVersion, "/apis"
		config.NegotiatedSerializer = serializer.NewCodecFactory(api.Scheme()).WithoutConversion()
		server, err := rest.RESTClientFor(config)
		Expect(err).NotTo(HaveOccurred())
		table := &metav1.Table{}
		Expect(server.Get().Namespace(w.namespace).Resource("resourcepolicies").
			SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(ctx).Into(table)).To(Succeed())
		cells := map[string]any{}
		for i, column := range table.ColumnDefinitions {
			if column.Priority == 0 {
				cells[column.Name] = table.Rows[0].Cells[i]
			}
		}
		Expect(cells).To(HaveKeyWithValue("Ready", "True"))
		Expect(cells).To(HaveKeyWithValue("Fill", w.status(rp).Fill))
		Expect(cells).To(And(HaveKey("Waiting"), HaveKey("Held")))
	})
})
