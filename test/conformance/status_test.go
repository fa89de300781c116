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
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// status returns a policy's status as it is now.
func status(rp *v1alpha1.ResourcePolicy) *v1alpha1.ResourcePolicyStatus {
	GinkgoHelper()
	now := &v1alpha1.ResourcePolicy{}
	Expect(harness.API.Get(context.Background(), client.ObjectKeyFromObject(rp), now)).To(Succeed())
	return &now.Status
}

// reports waits until a condition of a policy has a reason, and returns its message.
func reports(rp *v1alpha1.ResourcePolicy, condition, reason string) string {
	GinkgoHelper()
	var message string
	Eventually(func(g Gomega) {
		got := meta.FindStatusCondition(status(rp).Conditions, condition)
		g.Expect(got).NotTo(BeNil())
		g.Expect(got.Reason).To(Equal(reason), got.Message)
		message = got.Message
	}).Should(Succeed())
	return message
}

// fills waits until the fill of a policy is this one; %[1]s stands for the label of the world's nodes.
func fills(w *harness.World, rp *v1alpha1.ResourcePolicy, fill string) {
	GinkgoHelper()
	Eventually(func() string { return status(rp).Fill }).Should(Equal(fmt.Sprintf(fill, "pool="+w.Namespace)))
}

// text returns a quantity as it is written.
func text(q quantity.Quantity) string { return q.String() }

// bound returns a pod of the world that another scheduler has put on a node, given by the unit and number that nodes named it by.
func bound(w *harness.World, node string) *wrappers.Pod {
	return w.Pod().Scheduler("default-scheduler").Node(w.Namespace + "-" + node)
}

var _ = Describe("The status of a policy", func() {
	var w *harness.World

	BeforeEach(func() { w = harness.NewWorld() })

	It("shows how full the units are, and follows the pods", func(ctx SpecContext) {
		w.Nodes(2, "first")
		w.VirtualNode()
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(2).MaxResource("cpu", "5")).Unit(w.ECI()))
		fills(w, rp, "0/2 ecs, %[1]s, unit=first | 0 eci, %[1]s")
		pods := []*corev1.Pod{w.Create(w.Pod()), w.Create(w.Pod()), w.Create(w.Pod())}
		fills(w, rp, "2/2 ecs, %[1]s, unit=first | 1 eci, %[1]s")
		units := status(rp).Units
		Expect(units).To(HaveLen(2))
		Expect(units[0].Nodes).To(BeEquivalentTo(2))
		Expect(units[0].FreePods).To(Equal(ptr.To(int32(0))))
		Expect(units[0].Requests).To(HaveKeyWithValue(corev1.ResourceCPU, WithTransform(text, Equal("4"))))
		Expect(units[0].FreeResources).To(HaveKeyWithValue(corev1.ResourceCPU, WithTransform(text, Equal("1"))))
		Expect(units[1].MaxPods).To(BeNil())

		By("a pod that ends")
		first := pods[0]
		Expect(w.UnitOf(first)).To(Equal("first"))
		before := first.DeepCopy()
		first.Status.Phase = corev1.PodSucceeded
		Expect(harness.API.Status().Patch(ctx, first, client.MergeFrom(before))).To(Succeed())
		fills(w, rp, "1/2 ecs, %[1]s, unit=first | 1 eci, %[1]s")

		By("a pod that is removed")
		w.Remove(pods[2])
		fills(w, rp, "1/2 ecs, %[1]s, unit=first | 0 eci, %[1]s")

		By("a pod of another scheduler")
		w.Create(bound(w, "first-0"))
		fills(w, rp, "2/2 ecs, %[1]s, unit=first | 0 eci, %[1]s")

		By("a node that leaves its unit, and one that goes")
		node := &corev1.Node{}
		Expect(harness.API.Get(ctx, client.ObjectKey{Name: w.Namespace + "-first-1"}, node)).To(Succeed())
		was := node.DeepCopy()
		node.Labels["unit"] = "other"
		Expect(harness.API.Patch(ctx, node, client.MergeFrom(was))).To(Succeed())
		Eventually(func() int32 { return status(rp).Units[0].Nodes }).Should(BeEquivalentTo(1))
		Expect(harness.API.Delete(ctx, node)).To(Succeed())
		Expect(harness.API.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace + "-first-0"}})).To(Succeed())
		Eventually(func() int32 { return status(rp).Units[0].Nodes }).Should(BeEquivalentTo(0))
	})

	It("follows an edit of the policy, and of the labels that lead a pod from one policy to another", func(ctx SpecContext) {
		w.Nodes(2, "first")
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(2)))
		gold := w.Policy(wrappers.MakePolicy("gold").Selector("tier", "gold").Unit(w.ECS("first").Max(2)))
		pod := w.Create(w.Pod())
		fills(w, rp, "1/2 ecs, %[1]s, unit=first")
		before := pod.DeepCopy()
		pod.Labels["tier"] = "gold"
		Expect(harness.API.Patch(ctx, pod, client.MergeFrom(before))).To(Succeed())
		fills(w, rp, "0/2 ecs, %[1]s, unit=first")
		fills(w, gold, "1/2 ecs, %[1]s, unit=first")

		Expect(harness.API.Get(ctx, client.ObjectKeyFromObject(gold), gold)).To(Succeed())
		was := gold.DeepCopy()
		gold.Spec.Units[0].Max = ptr.To(int32(7))
		Expect(harness.API.Patch(ctx, gold, client.MergeFrom(was))).To(Succeed())
		fills(w, gold, "1/7 ecs, %[1]s, unit=first")
		Expect(status(gold).ObservedGeneration).To(Equal(gold.Generation))
	})

	It("tells held pods from those that wait for a node (R7)", func() {
		w.Nodes(1, "first")
		w.Node(wrappers.MakeNode("big").Label("unit", "second").Capacity(corev1.ResourceCPU, "64"))
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(1)).Unit(w.ECS("second").Max(1)))
		reports(rp, v1alpha1.ConditionExhausted, v1alpha1.ReasonRoomLeft)
		pods := []*corev1.Pod{w.Create(w.Pod()), w.Create(w.Pod())}
		for _, pod := range pods {
			w.UnitOf(pod)
		}
		reports(rp, v1alpha1.ConditionExhausted, v1alpha1.ReasonAllUnitsFull)
		w.Create(w.Pod())
		Eventually(func() int32 { return status(rp).HeldPods }).Should(BeEquivalentTo(1))
		Expect(status(rp).WaitingPods).To(BeZero())

		By("a pod that leaves: the held one takes its place")
		w.Remove(pods[0])
		Eventually(func() int32 { return status(rp).HeldPods }).Should(BeZero())
		w.Remove(pods[1])
		reports(rp, v1alpha1.ConditionExhausted, v1alpha1.ReasonRoomLeft)

		By("a pod that no node can take")
		w.Create(w.Pod().Request(corev1.ResourceCPU, "1000"))
		Eventually(func() int32 { return status(rp).WaitingPods }).Should(BeEquivalentTo(1))
		Expect(status(rp).HeldPods).To(BeZero())
	})

	It("says what its author hardly means, until it is put right", func(ctx SpecContext) {
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").MaxResource("example.com/card", "1")).Unit(w.ECS("first").PodLabel("role", "spill")))
		Expect(reports(rp, v1alpha1.ConditionMisconfigured, v1alpha1.ReasonNoNodes)).To(ContainSubstring("no node of the cluster is in any unit"))
		w.Nodes(1, "first")
		Expect(reports(rp, v1alpha1.ConditionMisconfigured, v1alpha1.ReasonUnknownResource)).To(ContainSubstring("example.com/card"))

		By("a node with the resource")
		w.Node(wrappers.MakeNode("card").Label("unit", "first").Capacity("example.com/card", "1"))
		reports(rp, v1alpha1.ConditionMisconfigured, v1alpha1.ReasonNothingFound)

		By("a pod whose ReplicaSet selects by a label that the second unit would change")
		labels := map[string]string{"app": "web", "role": "main"}
		set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "web"}, Spec: appsv1.ReplicaSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: wrappers.MakePod("x").Obj().Spec},
		}}
		Expect(harness.API.Create(ctx, set)).To(Succeed())
		owned := w.Pod().Label("role", "main").Request(corev1.ResourceCPU, "1000").OwnedBy("apps/v1", "ReplicaSet", "web")
		owned.OwnerReferences[0].UID = set.UID
		w.Create(owned)
		Expect(reports(rp, v1alpha1.ConditionMisconfigured, v1alpha1.ReasonPodLabelsLeaveOwner)).To(ContainSubstring(
			"spec.units[1].podLabels would take the pods of ReplicaSet web from its selector"))
	})

	It("says which pods have a deletion cost out of range, until it is put right", func() {
		w.Nodes(1, "first")
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("none")).Unit(w.ECS("first")))
		pod := w.Create(w.Pod().Annotation(corev1.PodDeletionCost, "-100000000"))
		Expect(w.UnitOf(pod)).To(Equal("first"))
		Expect(reports(rp, v1alpha1.ConditionMisconfigured, v1alpha1.ReasonDeletionCostOutOfRange)).To(ContainSubstring(
			"pod %s has the annotation controller.kubernetes.io/pod-deletion-cost: -100000000, which counts as -499999", pod.Name))
		costs(pod, "-1499999", "-100000000")
		annotate(pod, corev1.PodDeletionCost, ptr.To("7"))
		reports(rp, v1alpha1.ConditionMisconfigured, v1alpha1.ReasonNothingFound)
	})

	It("says which pods tolerate the taint of virtual nodes themselves", func(ctx SpecContext) {
		w.Nodes(1, "first")
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECI()))
		reports(rp, v1alpha1.ConditionPodsTolerateECI, v1alpha1.ReasonNoToleration)
		pod := w.Create(w.Pod())

		By("a toleration that the pod gets later")
		Expect(w.UnitOf(pod)).To(Equal("first"))
		Expect(harness.API.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		before := pod.DeepCopy()
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Operator: corev1.TolerationOpExists})
		Expect(harness.API.Patch(ctx, pod, client.MergeFrom(before))).To(Succeed())
		Expect(reports(rp, v1alpha1.ConditionPodsTolerateECI, v1alpha1.ReasonTolerationFound)).To(And(
			ContainSubstring("pod %s tolerates the taint of virtual nodes", pod.Name),
			ContainSubstring("remove the toleration from the pod template")))

		By("the pod is gone, and one with another toleration is there")
		w.Remove(pod)
		w.Create(w.Pod().Tolerate(corev1.TaintNodeNotReady))
		reports(rp, v1alpha1.ConditionPodsTolerateECI, v1alpha1.ReasonNoToleration)
	})

	It("of a policy that becomes refused says nothing about its units", func(ctx SpecContext) {
		w.Nodes(1, "first")
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(1)))
		fills(w, rp, "0/1 ecs, %[1]s, unit=first")
		Expect(harness.API.Get(ctx, client.ObjectKeyFromObject(rp), rp)).To(Succeed())
		before := rp.DeepCopy()
		rp.Spec.Units[0].SpotInstance = ptr.To(true)
		Expect(harness.API.Patch(ctx, rp, client.MergeFrom(before))).To(Succeed())
		reports(rp, v1alpha1.ConditionReady, v1alpha1.ReasonUnsupported)
		status := status(rp)
		Expect(status.Units).To(BeEmpty())
		Expect(status.Fill).To(BeEmpty())
		Expect(meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionExhausted)).To(BeNil())
		Expect(meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionMisconfigured)).To(BeNil())
	})

	It("is written at most once a second, however many pods come", func(ctx SpecContext) {
		w.Node(wrappers.MakeNode("big").Label("unit", "first").Capacity(corev1.ResourceCPU, "64"))
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")))
		watcher, err := client.NewWithWatch(harness.RestConfig, client.Options{Scheme: harness.API.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		begin := time.Now()
		events, err := watcher.Watch(ctx, &v1alpha1.ResourcePolicyList{}, client.InNamespace(w.Namespace))
		Expect(err).NotTo(HaveOccurred())
		defer events.Stop()
		const pods = 30
		for range pods {
			w.Create(bound(w, "big"))
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
		fills(w, rp, fmt.Sprint(pods)+" ecs, %[1]s, unit=first")
	})

	It("is one line for kubectl get", func(ctx SpecContext) {
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(1)).Unit(w.ECI()))
		fills(w, rp, "0/1 ecs, %[1]s, unit=first | 0 eci, %[1]s")
		config := rest.CopyConfig(harness.RestConfig)
		config.GroupVersion, config.APIPath = &v1alpha1.GroupVersion, "/apis"
		config.NegotiatedSerializer = serializer.NewCodecFactory(harness.API.Scheme()).WithoutConversion()
		server, err := rest.RESTClientFor(config)
		Expect(err).NotTo(HaveOccurred())
		table := &metav1.Table{}
		Expect(server.Get().Namespace(w.Namespace).Resource("resourcepolicies").
			SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(ctx).Into(table)).To(Succeed())
		cells := map[string]any{}
		for i, column := range table.ColumnDefinitions {
			if column.Priority == 0 {
				cells[column.Name] = table.Rows[0].Cells[i]
			}
		}
		Expect(cells).To(HaveKeyWithValue("Ready", "True"))
		Expect(cells).To(HaveKeyWithValue("Fill", status(rp).Fill))
		Expect(cells).To(And(HaveKey("Waiting"), HaveKey("Held")))
	})
})
