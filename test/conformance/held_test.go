package conformance

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/plugins/resourcepolicy"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// held waits until the pod says that it is held, and checks that no autoscaler takes it for one that a new node helps.
func held(w *harness.World, pod *corev1.Pod) {
	GinkgoHelper()
	w.WaitsWith(pod, "held by ResourcePolicy")
	Expect(harness.LooksUnschedulable(pod)).To(BeFalse())
	// Ages are whole seconds: what is created next is younger.
	Eventually(func() int64 { return time.Now().Unix() }).Should(BeNumerically(">", pod.CreationTimestamp.Unix()))
}

var _ = Describe("Held pods (R7)", func() {
	var w *harness.World

	BeforeEach(func() {
		w = harness.NewWorld()
		w.Node(wrappers.MakeNode("big").Label("unit", "first").Capacity(corev1.ResourceCPU, "64"))
		w.VirtualNode()
	})

	It("never look unschedulable while every unit is full, and say why by condition and event", func(ctx SpecContext) {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(2)).Unit(w.ECI().Max(1)))
		watcher, err := client.NewWithWatch(harness.RestConfig, client.Options{Scheme: harness.API.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		seen, err := watcher.Watch(ctx, &corev1.PodList{}, client.InNamespace(w.Namespace))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(seen.Stop)
		for range 8 {
			w.Create(w.Pod())
		}
		w.Settles(map[string]int{"first": 2, "eci": 1, "waiting": 5})
		last := w.Create(w.Pod())
		held(w, last)
		Expect(harness.WaitReason(last)).To(HavePrefix("held by ResourcePolicy p: unit 0 (ecs, "))
		Expect(harness.WaitReason(last)).To(And(ContainSubstring("): full, max 2; unit 1 (eci, "), HaveSuffix("): full, max 1")))
		events := &eventsv1.EventList{}
		Eventually(func(g Gomega) {
			g.Expect(harness.API.List(ctx, events, client.InNamespace(w.Namespace), client.MatchingFields{"reason": resourcepolicy.EventHeld})).To(Succeed())
			g.Expect(events.Items).To(ContainElement(HaveField("Regarding.Name", last.Name)))
		}).Should(Succeed())
		for {
			select {
			case event := <-seen.ResultChan():
				pod := event.Object.(*corev1.Pod)
				Expect(harness.LooksUnschedulable(pod)).To(BeFalse(), "pod %s looked unschedulable: %s", pod.Name, harness.WaitReason(pod))
			default:
				return
			}
		}
	})

	It("a freed slot wakes as many as fit, the oldest first, whether a pod terminates or is gone", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(3)))
		var placed, waiting []*corev1.Pod
		for range 3 {
			placed = append(placed, w.Create(w.Pod()))
		}
		w.Settles(map[string]int{"first": 3})
		for range 4 {
			waiting = append(waiting, w.Create(w.Pod()))
			held(w, waiting[len(waiting)-1])
		}
		w.Terminate(placed[0])
		w.Remove(placed[1])
		Expect(w.UnitOf(waiting[0])).To(Equal("first"))
		Expect(w.UnitOf(waiting[1])).To(Equal("first"))
		held(w, waiting[2])
		held(w, waiting[3])
		By("the end of the pod that had terminated frees nothing more")
		w.Remove(placed[0])
		w.Create(w.Pod())
		w.Settles(map[string]int{"first": 3, "waiting": 3})
	})

	It("a higher priority goes before age", func() {
		priorityClass("spillway-test-high", 1000)
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(1)))
		first := w.Create(w.Pod().Class("spillway-test-high"))
		Expect(w.UnitOf(first)).To(Equal("first"))
		old, important := w.Create(w.Pod()), w.Create(w.Pod().Class("spillway-test-high"))
		held(w, old)
		held(w, important)
		w.Remove(first)
		Expect(w.UnitOf(important)).To(Equal("first"))
		held(w, old)
	})

	It("a pod that waits for a node looks unschedulable, and is held once others have the slots", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(1)))
		giant := w.Create(w.Pod().Request(corev1.ResourceCPU, "1000"))
		w.WaitsWith(giant, "no node has room for the pod")
		Expect(harness.LooksUnschedulable(giant)).To(BeTrue())
		By("one that fits is not kept back by it")
		small := w.Create(w.Pod())
		Expect(w.UnitOf(small)).To(Equal("first"))
		held(w, giant)
		By("and it waits for a node again when the slot is free")
		w.Remove(small)
		Eventually(func() bool { return harness.LooksUnschedulable(w.Get(giant)) }).Should(BeTrue())
	})

	It("no more pods look unschedulable than the caps have slots", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(3)))
		for range 6 {
			pod := w.Pod().Request(corev1.ResourceCPU, "1000")
			pod.OwnedBy("apps/v1", "ReplicaSet", "rs")
			w.Create(pod)
		}
		w.Settles(map[string]int{"waiting": 6})
		pods := &corev1.PodList{}
		Eventually(func(g Gomega) {
			unschedulable, heldPods := 0, 0
			g.Expect(harness.API.List(context.Background(), pods, client.InNamespace(w.Namespace))).To(Succeed())
			for i := range pods.Items {
				if harness.LooksUnschedulable(&pods.Items[i]) {
					unschedulable++
				} else {
					heldPods++
				}
			}
			g.Expect([]int{unschedulable, heldPods}).To(Equal([]int{3, 3}))
		}).Should(Succeed())
	})

	It("are let go by an edit of the caps, a deleted policy, and a label that makes them another policy's", func(ctx SpecContext) {
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(0)))
		a := w.Create(w.Pod())
		held(w, a)
		b := w.Create(w.Pod())
		held(w, b)
		c := w.Create(w.Pod())
		held(w, c)
		setMax(rp, 1)
		Expect(w.UnitOf(a)).To(Equal("first"))
		before := c.DeepCopy()
		c.Labels["app"] = "none"
		Expect(harness.API.Patch(ctx, c, client.MergeFrom(before))).To(Succeed())
		Expect(w.UnitOf(c)).To(Equal("first"))
		held(w, b)
		Expect(harness.API.Delete(ctx, rp)).To(Succeed())
		Expect(w.UnitOf(b)).To(Equal("first"))
	})

	It("stay held over a restart of the scheduler, and are woken by the new one", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(1)))
		first := w.Create(w.Pod())
		Expect(w.UnitOf(first)).To(Equal("first"))
		second := w.Create(w.Pod())
		held(w, second)
		third := w.Create(w.Pod())
		held(w, third)
		harness.Scheduler.Stop()
		harness.Scheduler = harness.StartScheduler()
		fourth := w.Create(w.Pod())
		held(w, fourth)
		w.Remove(first)
		Expect(w.UnitOf(second)).To(Equal("first"))
		held(w, third)
	})

	It("a node that leaves the unit lets them in", func(ctx SpecContext) {
		w.Node(wrappers.MakeNode("other").Label("unit", "first").Capacity(corev1.ResourceCPU, "64"))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(1)))
		first := w.Create(w.Pod())
		Expect(w.UnitOf(first)).To(Equal("first"))
		second := w.Create(w.Pod())
		held(w, second)
		node := &corev1.Node{}
		Expect(harness.API.Get(ctx, client.ObjectKey{Name: first.Spec.NodeName}, node)).To(Succeed())
		before := node.DeepCopy()
		node.Labels["unit"] = "gone"
		Expect(harness.API.Patch(ctx, node, client.MergeFrom(before))).To(Succeed())
		Expect(w.UnitOf(second)).To(Equal("first"))
	})

	It("an evicted burst is placed again to the last slot", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(5)).Unit(w.ECI().Max(5)))
		for range 30 {
			w.Create(w.Pod())
		}
		w.Settles(map[string]int{"first": 5, "eci": 5, "waiting": 20})
		pods := &corev1.PodList{}
		Expect(harness.API.List(context.Background(), pods, client.InNamespace(w.Namespace))).To(Succeed())
		for i := range pods.Items {
			if pods.Items[i].Spec.NodeName != "" {
				w.Remove(&pods.Items[i])
			}
		}
		Eventually(w.Count).WithTimeout(30 * time.Second).Should(Equal(map[string]int{"first": 5, "eci": 5, "waiting": 10}))
	})
})
