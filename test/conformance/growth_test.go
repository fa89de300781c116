package conformance

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var _ = Describe("Usage that grows without this scheduler (R6)", func() {
	var w *harness.World
	var running, waiting *corev1.Pod

	// The running pod leaves no room on the only node; the other one waits there, until the unit is full.
	BeforeEach(func() {
		w = harness.NewWorld()
		w.Node(wrappers.MakeNode("n").Label("unit", "first").Capacity(corev1.ResourceCPU, "3"))
		w.VirtualNode()
		w.Policy(wrappers.MakePolicy("p").TryNext(v1alpha1.TryNextExceedMax).Unit(w.ECS("first").MaxResource("cpu", "4")).Unit(w.ECI()))
		p := w.Pod()
		p.Spec.Containers[0].Resources.Limits = nil // It may be resized.
		running = w.Create(p)
		Expect(w.UnitOf(running)).To(Equal("first"))
		waiting = w.Create(w.Pod())
		w.WaitsWith(waiting, "waits for a node")
	})

	It("lets a waiting pod go on when a running one is resized", func(ctx SpecContext) {
		resized := running.DeepCopy()
		resized.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("3")
		Expect(harness.API.SubResource("resize").Patch(ctx, resized, client.StrategicMergeFrom(running))).To(Succeed())
		Expect(w.UnitOf(waiting)).To(Equal("eci"))
	})

	It("lets a waiting pod go on when a pod is created on the node, in the name of this scheduler", func() {
		p := w.Pod()
		p.Spec.NodeName = running.Spec.NodeName
		w.Create(p.Request(corev1.ResourceCPU, "1"))
		Expect(w.UnitOf(waiting)).To(Equal("eci"))
	})

	It("lets a waiting pod go on when another scheduler binds a pod", func(ctx SpecContext) {
		other := w.Create(w.Pod().Scheduler("another").Request(corev1.ResourceCPU, "1"))
		Expect(harness.API.SubResource("binding").Create(ctx, other, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: other.Namespace, Name: other.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: running.Spec.NodeName},
		})).To(Succeed())
		Expect(w.UnitOf(waiting)).To(Equal("eci"))
	})

	It("lets a waiting pod go on when a label edit brings a pod into the policy", func(ctx SpecContext) {
		p := w.Pod().Label("app", "other").Request(corev1.ResourceCPU, "1")
		p.Spec.NodeName = running.Spec.NodeName
		other := w.Create(p)
		edited := other.DeepCopy()
		edited.Labels["app"] = "web"
		Expect(harness.API.Patch(ctx, edited, client.MergeFrom(other))).To(Succeed())
		Expect(w.UnitOf(waiting)).To(Equal("eci"))
	})

	It("lets a waiting pod go on when a node with pods of the policy joins the unit", func(ctx SpecContext) {
		w.Node(wrappers.MakeNode("outside").Label("unit", "other").Capacity(corev1.ResourceCPU, "1"))
		p := w.Pod().Request(corev1.ResourceCPU, "1")
		p.Spec.NodeName = w.Namespace + "-outside"
		w.Create(p)
		node := &corev1.Node{}
		Expect(harness.API.Get(ctx, client.ObjectKey{Name: p.Spec.NodeName}, node)).To(Succeed())
		joined := node.DeepCopy()
		joined.Labels["unit"] = "first"
		Expect(harness.API.Patch(ctx, joined, client.MergeFrom(node))).To(Succeed())
		Expect(w.UnitOf(waiting)).To(Equal("eci"))
	})
})

var _ = Describe("Pods that wait in the last unit (R7)", func() {
	It("are held when it fills without this scheduler, all of them", func() {
		w := harness.NewWorld()
		w.Node(wrappers.MakeNode("n").Label("unit", "first").Capacity(corev1.ResourceCPU, "3"))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(3)))
		running := w.Create(w.Pod())
		Expect(w.UnitOf(running)).To(Equal("first"))
		waiting := []*corev1.Pod{w.Create(w.Pod()), w.Create(w.Pod())}
		for _, pod := range waiting {
			w.WaitsWith(pod, "no node has room")
		}
		for range 2 {
			p := w.Pod().Request(corev1.ResourceCPU, "100m")
			p.Spec.NodeName = running.Spec.NodeName
			w.Create(p)
		}
		for _, pod := range waiting {
			held(w, pod)
		}
	})
})
