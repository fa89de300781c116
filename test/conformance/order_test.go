package conformance

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var _ = Describe("Order of the units (R2, R5)", func() {
	var w *harness.World

	BeforeEach(func() { w = harness.NewWorld() })

	It("fills the first unit before the second and spills to ECI last", func() {
		w.Nodes(2, "subscription")
		w.Nodes(2, "pay-as-you-go")
		w.VirtualNode()
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("subscription")).Unit(w.ECS("pay-as-you-go")).Unit(w.ECI()))
		var got []string
		for range 6 {
			got = append(got, w.Place(w.Pod()))
		}
		Expect(got).To(Equal([]string{"subscription", "subscription", "pay-as-you-go", "pay-as-you-go", "eci", "eci"}))
	})

	It("keeps the order for pods that arrive at once, among many nodes that score better", func() {
		// More than 100 nodes, so that the scheduler samples; the first unit has few and full-looking ones.
		const first, others = 4, 150
		w.Nodes(first, "first")
		for i := range others {
			w.Node(wrappers.MakeNode(fmt.Sprintf("other-%d", i)).Label("unit", "other").Capacity(corev1.ResourceCPU, "64"))
		}
		w.VirtualNode()
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECI()))
		for range first + 6 {
			w.Create(w.Pod())
		}
		Eventually(w.Count).Should(Equal(map[string]int{"first": first, "eci": 6}))
	})

	It("never uses nodes outside all units, and says why the pod waits", func() {
		w.Nodes(1, "first")
		w.Nodes(1, "outside")
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECS("nowhere")))
		Expect(w.Place(w.Pod())).To(Equal("first"))
		w.WaitsWith(w.Create(w.Pod()), fmt.Sprintf("unit 0 (ecs, pool=%[1]s, unit=first): no node has room for the pod; unit 1 (ecs, pool=%[1]s, unit=nowhere): no node is in this unit", w.Namespace))
	})

	It("goes on to the next unit when other filters refuse every node of the unit", func() {
		w.Node(wrappers.MakeNode("a").Label("unit", "first").Capacity(corev1.ResourceCPU, "64"))
		w.Node(wrappers.MakeNode("b").Label("unit", "second").Capacity(corev1.ResourceCPU, "64"))
		w.Node(wrappers.MakeNode("c").Label("unit", "third").Capacity(corev1.ResourceCPU, "64"))
		w.VirtualNode()
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECS("second")).Unit(w.ECI()).Unit(w.ECS("third")))
		Expect(w.Place(w.Pod().HostPort(8080))).To(Equal("first"))
		Expect(w.Place(w.Pod().HostPort(8080))).To(Equal("second"))
		Expect(w.Place(w.Pod().HostPort(8080))).To(Equal("third"))
		By("and looks at the first unit again for the next pod")
		Expect(w.Place(w.Pod())).To(Equal("first"))
		By("and says so when no unit is left")
		last := w.Create(w.Pod().HostPort(8080))
		Eventually(func() string { return w.Waits(last) }).Should(ContainSubstring(fmt.Sprintf(
			"unit 2 (eci, pool=%[1]s): ECI cannot run pods with hostPort 8080 (container main); unit 3 (ecs, pool=%[1]s, unit=third): no node passes all filters", w.Namespace)))
	})

	It("passes over units whose nodes are cordoned, tainted or not wanted by the pod", func() {
		cordoned := wrappers.MakeNode("a").Label("unit", "cordoned").Capacity(corev1.ResourceCPU, "64")
		cordoned.Spec.Unschedulable = true
		w.Node(cordoned)
		w.Node(wrappers.MakeNode("b").Label("unit", "tainted").Capacity(corev1.ResourceCPU, "64").Taint("dedicated", "db"))
		w.Node(wrappers.MakeNode("c").Label("unit", "wrong-arch").Label("arch", "arm64").Capacity(corev1.ResourceCPU, "64"))
		w.Node(wrappers.MakeNode("d").Label("unit", "last").Label("arch", "amd64").Capacity(corev1.ResourceCPU, "64"))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("cordoned")).Unit(w.ECS("tainted")).Unit(w.ECS("wrong-arch")).Unit(w.ECS("last")))
		pod := w.Pod()
		pod.Spec.NodeSelector = map[string]string{"arch": "amd64"}
		Expect(w.Place(pod)).To(Equal("last"))
	})

	It("keeps a pod that tolerates virtual nodes by itself in its ecs unit", func() {
		w.Nodes(1, "first")
		w.VirtualNode()
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")))
		Expect(w.Place(w.Pod().Tolerate(eciv1alpha1.TaintProvider))).To(Equal("first"))
		w.WaitsWith(w.Create(w.Pod().Tolerate(eciv1alpha1.TaintProvider)), "no node has room")
	})
})

var _ = Describe("Pods without a policy", func() {
	It("are placed as by the stock scheduler, and never on a tainted virtual node", func() {
		w := harness.NewWorld()
		w.Nodes(1, "first")
		w.VirtualNode()
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECI()))
		inPool := func(p *wrappers.Pod) *wrappers.Pod {
			p.Spec.NodeSelector = map[string]string{"pool": w.Namespace}
			return p.Label("app", "other")
		}
		pod := w.Create(inPool(w.Pod()))
		Expect(w.UnitOf(pod)).To(Equal("first"))
		Expect(pod.Annotations).To(BeEmpty(), "nothing is written on a pod without a policy")
		w.WaitsWith(w.Create(inPool(w.Pod())), "untolerated taint")
		By("but may go there by a toleration of their own")
		Expect(w.Place(inPool(w.Pod()).Tolerate(eciv1alpha1.TaintProvider))).To(Equal("eci"))
	})
})

var _ = Describe("What a placement writes (R9, R10)", func() {
	It("travels in the Binding, and leaves the spec as it is", func() {
		w := harness.NewWorld()
		w.Nodes(1, "first")
		w.VirtualNode()
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECI()))
		first := w.Create(w.Pod())
		Expect(w.UnitOf(first)).To(Equal("first"))
		Expect(first.Annotations).To(Equal(map[string]string{
			v1alpha1.AnnotationPolicy: "p", v1alpha1.AnnotationUnit: "ecs pool=" + w.Namespace + " unit=first", corev1.PodDeletionCost: "0",
			v1alpha1.AnnotationDeletionCost: "0",
		}))
		tolerations := first.Spec.Tolerations
		second := w.Create(w.Pod().Annotation(corev1.PodDeletionCost, "7").Annotation("note", "mine"))
		Expect(w.UnitOf(second)).To(Equal("eci"))
		Expect(second.Annotations).To(Equal(map[string]string{
			v1alpha1.AnnotationPolicy: "p", v1alpha1.AnnotationUnit: "eci pool=" + w.Namespace,
			corev1.PodDeletionCost: "-999993", v1alpha1.AnnotationDeletionCost: "-999993", v1alpha1.AnnotationUserDeletionCost: "7", "note": "mine",
		}))
		Expect(second.Spec.Tolerations).To(Equal(tolerations))
	})

	It("costs one write of the pod, and no other", func(ctx SpecContext) {
		w := harness.NewWorld()
		w.Nodes(2, "first")
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")))
		watcher, err := client.NewWithWatch(harness.RestConfig, client.Options{Scheme: harness.API.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		events, err := watcher.Watch(ctx, &corev1.PodList{}, client.InNamespace(w.Namespace))
		Expect(err).NotTo(HaveOccurred())
		defer events.Stop()
		first, last := w.Create(w.Pod()), w.Create(w.Pod())
		Expect(w.UnitOf(first)).To(Equal("first"))
		Expect(w.UnitOf(last)).To(Equal("first"))
		last.Labels["last"] = "event"
		Expect(harness.API.Update(ctx, last)).To(Succeed())
		var writes []watch.EventType
		for event := range events.ResultChan() {
			pod := event.Object.(*corev1.Pod)
			if pod.Labels["last"] != "" {
				break
			}
			if pod.UID == first.UID {
				writes = append(writes, event.Type)
			}
		}
		Expect(writes).To(Equal([]watch.EventType{watch.Added, watch.Modified}), "the pod is created, and bound with its annotations")
	})
})
