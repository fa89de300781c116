package conformance

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const high = "spillway-test-high"

// priorityClass creates a priority class if it does not exist.
func priorityClass(name string, value int32) {
	GinkgoHelper()
	class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value}
	Expect(client.IgnoreAlreadyExists(harness.API.Create(context.Background(), class))).To(Succeed())
}

// gone tells whether the pod has been deleted.
func gone(pod *corev1.Pod) func() bool {
	return func() bool {
		return apierrors.IsNotFound(harness.API.Get(context.Background(), client.ObjectKeyFromObject(pod), &corev1.Pod{}))
	}
}

var _ = Describe("Preemption by governed pods (R8)", func() {
	var w *harness.World
	// low returns a pod of the policy that ends at once when it is preempted.
	low := func() *wrappers.Pod { return w.Pod().NoGrace() }
	// place places a pod and checks where.
	place := func(pod *wrappers.Pod, unit string) *corev1.Pod {
		GinkgoHelper()
		placed := w.Create(pod)
		Expect(w.UnitOf(placed)).To(Equal(unit))
		return placed
	}

	BeforeEach(func() {
		priorityClass(high, 1000)
		w = harness.NewWorld()
		w.Nodes(1, "first")
		w.Nodes(1, "second")
	})

	It("AfterAllUnits: a unit with room goes before preemption", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECS("second")))
		victim := place(low(), "first")
		place(low().Class(high), "second")
		Expect(gone(victim)()).To(BeFalse())
	})

	It("AfterAllUnits: when the last unit has failed, the first unit is preempted first", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECS("second")))
		first, second := place(low(), "first"), place(low(), "second")
		place(low().Class(high), "first")
		Expect(gone(first)()).To(BeTrue())
		Expect(gone(second)()).To(BeFalse())
	})

	It("BeforeNextUnit: a unit is preempted before the next one is used", func() {
		w.Policy(wrappers.MakePolicy("p").PreemptFirst().Unit(w.ECS("first")).Unit(w.ECS("second")))
		first := place(low(), "first")
		place(low().Class(high), "first")
		Expect(gone(first)()).To(BeTrue())
		By("and where it cannot help the pod goes on")
		place(low().Class(high), "second")
	})

	It("BeforeNextUnit: pods without a lower priority below them go on at once", func() {
		w.Policy(wrappers.MakePolicy("p").PreemptFirst().Unit(w.ECS("first")).Unit(w.ECS("second")))
		place(low(), "first")
		place(low(), "second")
	})

	It("a cap is not passed: of the group one must go, although the node has room", func() {
		w.Node(wrappers.MakeNode("big").Label("unit", "big").Capacity(corev1.ResourceCPU, "64"))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("big").Max(2)))
		place(low(), "big")
		place(low(), "big")
		other := w.Create(low().Label("app", "other").Node(w.Namespace + "-big"))
		place(low().Class(high), "big")
		w.Settles(map[string]int{"big": 3})
		Expect(gone(other)()).To(BeFalse(), "a pod that does not count for the cap was preempted for nothing")
		By("and those of the same priority are held")
		place(low().Class(high), "big")
		held(w, w.Create(low().Class(high)))
	})

	It("the slot and the room of the victims are kept for the pod that preempted them", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(1)))
		victim := place(w.Pod(), "first") // It has a grace period, and nobody ends it.
		preemptor := w.Create(low().Class(high))
		Eventually(func() bool { return w.Get(victim).DeletionTimestamp != nil }).Should(BeTrue())
		other := w.Create(low())
		held(w, other)
		w.Remove(victim)
		Expect(w.UnitOf(preemptor)).To(Equal("first"))
		held(w, other)
	})

	It("a pod that waits for its victims does not go on to another unit meanwhile", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECS("second")))
		victim, blocker := place(w.Pod(), "first"), place(low().Class(high), "second")
		preemptor := w.Create(low().Class(high))
		Eventually(func() bool { return w.Get(victim).DeletionTimestamp != nil }).Should(BeTrue())
		w.Remove(blocker)
		w.WaitsWith(preemptor, "waits for the pods that it preempted to end")
		w.Remove(victim)
		Expect(w.UnitOf(preemptor)).To(Equal("first"))
	})

	It("preemptionPolicy Never preempts nothing", func(ctx SpecContext) {
		never := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "spillway-test-never"}, Value: 1000}
		policy := corev1.PreemptNever
		never.PreemptionPolicy = &policy
		Expect(client.IgnoreAlreadyExists(harness.API.Create(ctx, never))).To(Succeed())
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")))
		victim := place(low(), "first")
		pod := w.Create(low().Class("spillway-test-never"))
		w.WaitsWith(pod, "no node has room for the pod")
		Expect(gone(victim)()).To(BeFalse())
	})

	It("not in acs units", func() {
		w.Node(wrappers.MakeVirtualNode("acs").Label("unit", "acs").Capacity(corev1.ResourceCPU, "2"))
		w.Policy(wrappers.MakePolicy("p").Unit(wrappers.ACS().On("unit", "acs")))
		victim := place(low(), "acs")
		pod := w.Create(low().Class(high))
		w.WaitsWith(pod, "no node has room for the pod")
		Expect(gone(victim)()).To(BeFalse())
	})

	It("on virtual nodes, which the pod tolerates inside the scheduler", func() {
		w.Node(wrappers.MakeVirtualNode("eci").Label("unit", "eci").Capacity(corev1.ResourceCPU, "2"))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECI()))
		victim := place(low(), "eci")
		place(low().Class(high), "eci")
		Expect(gone(victim)()).To(BeTrue())
	})

	It("pods without a policy preempt as in the stock scheduler", func() {
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")))
		victim := place(low(), "first")
		place(low().Label("app", "other"), "second")
		pod := w.Create(low().Label("app", "other").Class(high))
		Expect(w.UnitOf(pod)).To(BeElementOf("first", "second"))
		_ = victim
	})
})
