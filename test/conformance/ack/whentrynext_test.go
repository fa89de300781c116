package ack

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// The table of the documentation, cell by cell. In every cell the first unit has one node with room for one pod, which is taken; what becomes of the
// second pod is in the name of the cell. Behind the first unit is ECI.
var _ = Describe("whenTryNextUnits", func() {
	const short = 3 * time.Second
	var w *harness.World

	// policy returns a policy with the first unit and ECI.
	policy := func(tryNext v1alpha1.TryNextPolicy, first *wrappers.Unit) *wrappers.Policy {
		return wrappers.MakePolicy("p").TryNext(tryNext).Unit(first).Unit(w.ECI())
	}
	// fill places the first pod.
	fill := func() *corev1.Pod {
		GinkgoHelper()
		pod := w.Create(w.Pod())
		Expect(w.UnitOf(pod)).To(Equal("first"))
		return pod
	}

	BeforeEach(func() {
		w = harness.NewWorld()
		w.Nodes(1, "first")
		w.VirtualNode()
	})

	Context("LackResourceOrExceedMax, the default", func() {
		It("max reached: goes on", func() {
			w.Nodes(2, "first2")
			w.Policy(policy("", wrappers.ECS().On("pool", w.Namespace).Max(1)))
			w.Create(w.Pod())
			w.Create(w.Pod())
			w.Settles(map[string]int{"eci": 1, w.AnyOf("first", "first2"): 1})
		})
		It("maxResources would be passed: goes on", func() {
			w.Policy(policy("", w.ECS("first").MaxResource(corev1.ResourceCPU, "3")))
			fill()
			Expect(w.Place(w.Pod())).To(Equal("eci"))
		})
		It("lack of resources: goes on", func() {
			w.Policy(policy(v1alpha1.TryNextLackResourceOrExceedMax, w.ECS("first").Max(9)))
			fill()
			Expect(w.Place(w.Pod())).To(Equal("eci"))
		})
	})

	Context("ExceedMax", func() {
		It("neither max nor maxResources, lack of resources: goes on", func() {
			w.Policy(policy(v1alpha1.TryNextExceedMax, w.ECS("first")))
			fill()
			Expect(w.Place(w.Pod())).To(Equal("eci"))
		})
		It("max reached: goes on", func() {
			w.Policy(policy(v1alpha1.TryNextExceedMax, w.ECS("first").Max(1)))
			fill()
			Expect(w.Place(w.Pod())).To(Equal("eci"))
		})
		It("max not reached, lack of resources: stays Pending in the unit until a node comes", func() {
			w.Policy(policy(v1alpha1.TryNextExceedMax, w.ECS("first").Max(2)))
			fill()
			second := w.Create(w.Pod())
			w.WaitsWith(second, "no node has room for the pod, waits for a node")
			Expect(harness.LooksUnschedulable(second)).To(BeTrue(), "an autoscaler must see it")
			w.Node(wrappers.MakeNode("new").Label("unit", "first").Capacity(corev1.ResourceCPU, "2"))
			Expect(w.UnitOf(second)).To(Equal("first"))
		})
		It("maxResources not reached, lack of resources: stays Pending in the unit", func() {
			w.Policy(policy(v1alpha1.TryNextExceedMax, w.ECS("first").MaxResource(corev1.ResourceCPU, "4")))
			first := fill()
			second := w.Create(w.Pod())
			w.WaitsWith(second, "waits for a node")
			w.Remove(first)
			Expect(w.UnitOf(second)).To(Equal("first"))
		})
		It("max is reached by others while a pod waits: it goes on then", func() {
			w.Policy(policy(v1alpha1.TryNextExceedMax, w.ECS("first").Max(2)))
			fill()
			second := w.Create(w.Pod())
			w.WaitsWith(second, "waits for a node")
			w.Create(w.Pod().Scheduler("another").Node(w.Namespace + "-first-0"))
			Expect(w.UnitOf(second)).To(Equal("eci"))
		})
	})

	Context("TimeoutOrExceedMax", func() {
		It("max reached: goes on without waiting", func() {
			w.Policy(policy(v1alpha1.TryNextTimeoutOrExceedMax, w.ECS("first").Max(1)))
			fill()
			Expect(w.Place(w.Pod())).To(Equal("eci"))
		})
		It("max not reached, lack of resources: waits for a node, and takes one that comes in time", func() {
			w.Policy(policy(v1alpha1.TryNextTimeoutOrExceedMax, w.ECS("first").Max(2)))
			fill()
			second := w.Create(w.Pod())
			w.WaitsWith(second, "for at most 15m0s")
			w.Node(wrappers.MakeNode("new").Label("unit", "first").Capacity(corev1.ResourceCPU, "2"))
			Expect(w.UnitOf(second)).To(Equal("first"))
		})
		It("max not reached, lack of resources: goes on after the timeout", func() {
			w.Policy(policy(v1alpha1.TryNextTimeoutOrExceedMax, w.ECS("first").Max(2)).Timeout(short))
			fill()
			second := w.Create(w.Pod())
			w.WaitsWith(second, "for at most 3s")
			Expect(w.UnitOf(second)).To(Equal("eci"))
		})
		It("maxResources not reached, lack of resources: waits, then goes on", func() {
			w.Policy(policy(v1alpha1.TryNextTimeoutOrExceedMax, w.ECS("first").MaxResource(corev1.ResourceCPU, "4")).Timeout(short))
			fill()
			second := w.Create(w.Pod())
			w.WaitsWith(second, "for at most 3s")
			Expect(w.UnitOf(second)).To(Equal("eci"))
		})
		It("no max and no wait label: goes on without waiting", func() {
			w.Policy(policy(v1alpha1.TryNextTimeoutOrExceedMax, w.ECS("first")))
			fill()
			Expect(w.Place(w.Pod())).To(Equal("eci"))
		})
		It("no max, the wait label: waits, then goes on; the label is not written on the pod", func() {
			w.Policy(policy(v1alpha1.TryNextTimeoutOrExceedMax, w.ECS("first").PodLabel(v1alpha1.LabelWait, "true")).Timeout(short))
			Expect(fill().Labels).NotTo(HaveKey(v1alpha1.LabelWait))
			second := w.Create(w.Pod())
			w.WaitsWith(second, "for at most 3s")
			Expect(w.UnitOf(second)).To(Equal("eci"))
		})
		It("resource elastic: as ecs with the wait label", func() {
			w.Policy(policy(v1alpha1.TryNextTimeoutOrExceedMax, wrappers.Elastic().On("pool", w.Namespace)).Timeout(short))
			fill()
			second := w.Create(w.Pod())
			w.WaitsWith(second, "for at most 3s")
			Expect(w.UnitOf(second)).To(Equal("eci"))
		})
		It("a node that is not ready yet counts as coming, and takes the pod when it is", func() {
			w.Policy(policy(v1alpha1.TryNextTimeoutOrExceedMax, w.ECS("first").Max(2)))
			fill()
			w.Node(wrappers.MakeNode("new").Label("unit", "first").Capacity(corev1.ResourceCPU, "2").Taint(corev1.TaintNodeNotReady, ""))
			second := w.Create(w.Pod())
			w.WaitsWith(second, "a node with room is not ready yet, waits since")
			w.Untaint("new")
			Expect(w.UnitOf(second)).To(Equal("first"))
		})
		It("a node that is not ready when the time is over: goes on", func() {
			w.Policy(policy(v1alpha1.TryNextTimeoutOrExceedMax, w.ECS("first").Max(2)).Timeout(short))
			fill()
			w.Node(wrappers.MakeNode("new").Label("unit", "first").Capacity(corev1.ResourceCPU, "2").Taint(corev1.TaintNodeNotReady, ""))
			Expect(w.Place(w.Pod())).To(Equal("eci"))
		})
		It("not for acs units: goes on without waiting", func() {
			w.Node(wrappers.MakeVirtualNode("acs").Label("unit", "acs").Capacity(corev1.ResourceCPU, "2"))
			w.Policy(policy(v1alpha1.TryNextTimeoutOrExceedMax, wrappers.ACS().On("unit", "acs").Max(9)))
			pod := w.Create(w.Pod())
			Expect(w.UnitOf(pod)).To(Equal("acs"))
			w.HasLabel(pod, v1alpha1.LabelComputeClass, "general-purpose")
			w.HasLabel(pod, v1alpha1.LabelComputeQoS, "default")
			Expect(w.Place(w.Pod())).To(Equal("eci"))
		})
		It("the clock survives a restart of the scheduler, and the wait ends by it", func() {
			w.Policy(policy(v1alpha1.TryNextTimeoutOrExceedMax, w.ECS("first").Max(2)).Timeout(10 * time.Second))
			fill()
			second := w.Create(w.Pod())
			w.WaitsWith(second, "waits since")
			before := harness.WaitReason(second)
			harness.Scheduler.Stop()
			harness.Scheduler = harness.StartScheduler()
			third := w.Create(w.Pod())
			w.WaitsWith(third, "waits since")
			Expect(harness.WaitReason(w.Get(second))).To(Equal(before), "the moment since when it waits must not move")
			Expect(w.UnitOf(second)).To(Equal("eci"))
		})
	})

	for _, spelling := range []v1alpha1.TryNextPolicy{v1alpha1.TryNextLackResourceAndNoTerminating, v1alpha1.TryNextLackResourceAndNoterminating} {
		Context(string(spelling), func() {
			It("lack of resources, no pod of the unit is terminating: goes on", func() {
				w.Policy(policy(spelling, w.ECS("first").Max(9)))
				fill()
				Expect(w.Place(w.Pod())).To(Equal("eci"))
			})
			It("max reached, no pod of the unit is terminating: goes on", func() {
				w.Policy(policy(spelling, w.ECS("first").Max(1)))
				fill()
				Expect(w.Place(w.Pod())).To(Equal("eci"))
			})
			It("lack of resources, a pod of the unit is terminating: waits for its end", func() {
				w.Policy(policy(spelling, w.ECS("first").Max(9)))
				first := fill()
				w.Terminate(first)
				second := w.Create(w.Pod())
				w.WaitsWith(second, "no node has room for the pod, waits for its terminating pods")
				w.Remove(first)
				Expect(w.UnitOf(second)).To(Equal("first"))
			})
			It("max reached with terminating pods counted: waits for their end", func() {
				w.Policy(policy(spelling, w.ECS("first").Max(1)).CountTerminating())
				first := fill()
				w.Terminate(first)
				second := w.Create(w.Pod())
				w.WaitsWith(second, "full, max 1, waits for its terminating pods")
				w.Remove(first)
				Expect(w.UnitOf(second)).To(Equal("first"))
			})
		})
	}
})
