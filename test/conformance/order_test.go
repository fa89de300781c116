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
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var _ = Describe("Order of the units (R2, R5)", func() {
	var w *world

	BeforeEach(func() { w = newWorld() })

	It("fills the first unit before the second and spills to ECI last", func() {
		w.nodes(2, "subscription")
		w.nodes(2, "pay-as-you-go")
		w.virtualNode()
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("subscription")).Unit(w.ecs("pay-as-you-go")).Unit(w.eci()))
		var got []string
		for range 6 {
			got = append(got, w.place(w.pod()))
		}
		Expect(got).To(Equal([]string{"subscription", "subscription", "pay-as-you-go", "pay-as-you-go", "eci", "eci"}))
	})

	It("keeps the order for pods that arrive at once, among many nodes that score better", func() {
		// More than 100 nodes, so that the scheduler samples; the first unit has few and full-looking ones.
		const first, others = 4, 150
		w.nodes(first, "first")
		for i := range others {
			w.node(wrappers.MakeNode(fmt.Sprintf("other-%d", i)).Label("unit", "other").Capacity(corev1.ResourceCPU, "64"))
		}
		w.virtualNode()
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first")).Unit(w.eci()))
		for range first + 6 {
			w.create(w.pod())
		}
		Eventually(w.count).Should(Equal(map[string]int{"first": first, "eci": 6}))
	})

	It("never uses nodes outside all units, and says why the pod waits", func() {
		w.nodes(1, "first")
		w.nodes(1, "outside")
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first")).Unit(w.ecs("nowhere")))
		Expect(w.place(w.pod())).To(Equal("first"))
		w.waitsWith(w.create(w.pod()), fmt.Sprintf("unit 0 (ecs, pool=%[1]s, unit=first): no node has room for the pod; unit 1 (ecs, pool=%[1]s, unit=nowhere): no node is in this unit", w.namespace))
	})

	It("goes on to the next unit when other filters refuse every node of the unit", func() {
		w.node(wrappers.MakeNode("a").Label("unit", "first").Capacity(corev1.ResourceCPU, "64"))
		w.node(wrappers.MakeNode("b").Label("unit", "second").Capacity(corev1.ResourceCPU, "64"))
		w.virtualNode()
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first")).Unit(w.ecs("second")).Unit(w.eci()))
		Expect(w.place(w.pod().HostPort(8080))).To(Equal("first"))
		Expect(w.place(w.pod().HostPort(8080))).To(Equal("second"))
		Expect(w.place(w.pod().HostPort(8080))).To(Equal("eci"))
		By("and looks at the first unit again for the next pod")
		Expect(w.place(w.pod())).To(Equal("first"))
		By("and says so when no unit is left")
		last := w.create(w.pod().HostPort(8080))
		Eventually(func() string { return w.waits(last) }).Should(ContainSubstring("unit 2 (eci, pool=" + w.namespace + "): no node passes all filters"))
	})

	It("passes over units whose nodes are cordoned, tainted or not wanted by the pod", func() {
		cordoned := wrappers.MakeNode("a").Label("unit", "cordoned").Capacity(corev1.ResourceCPU, "64")
		cordoned.Spec.Unschedulable = true
		w.node(cordoned)
		w.node(wrappers.MakeNode("b").Label("unit", "tainted").Capacity(corev1.ResourceCPU, "64").Taint("dedicated", "db"))
		w.node(wrappers.MakeNode("c").Label("unit", "wrong-arch").Label("arch", "arm64").Capacity(corev1.ResourceCPU, "64"))
		w.node(wrappers.MakeNode("d").Label("unit", "last").Label("arch", "amd64").Capacity(corev1.ResourceCPU, "64"))
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("cordoned")).Unit(w.ecs("tainted")).Unit(w.ecs("wrong-arch")).Unit(w.ecs("last")))
		pod := w.pod()
		pod.Spec.NodeSelector = map[string]string{"arch": "amd64"}
		Expect(w.place(pod)).To(Equal("last"))
	})

	It("keeps a pod that tolerates virtual nodes by itself in its ecs unit", func() {
		w.nodes(1, "first")
		w.virtualNode()
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first")))
		Expect(w.place(w.pod().Tolerate(eciv1alpha1.TaintProvider))).To(Equal("first"))
		w.waitsWith(w.create(w.pod().Tolerate(eciv1alpha1.TaintProvider)), "no node has room")
	})
})

var _ = Describe("Pods without a policy", func() {
	It("are placed as by the stock scheduler, and never on a tainted virtual node", func() {
		w := newWorld()
		w.nodes(1, "first")
		w.virtualNode()
		w.policy(wrappers.MakePolicy("p").Unit(w.eci()))
		inPool := func(p *wrappers.Pod) *wrappers.Pod {
			p.Spec.NodeSelector = map[string]string{"pool": w.namespace}
			return p.Label("app", "other")
		}
		pod := w.create(inPool(w.pod()))
		Expect(w.unitOf(pod)).To(Equal("first"))
		Expect(pod.Annotations).To(BeEmpty(), "nothing is written on a pod without a policy")
		w.waitsWith(w.create(inPool(w.pod())), "untolerated taint")
		By("but may go there by a toleration of their own")
		Expect(w.place(inPool(w.pod()).Tolerate(eciv1alpha1.TaintProvider))).To(Equal("eci"))
	})
})

var _ = Describe("What a placement writes (R9, R10)", func() {
	It("travels in the Binding, and leaves the spec as it is", func() {
		w := newWorld()
		w.nodes(1, "first")
		w.virtualNode()
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first")).Unit(w.eci()))
		first := w.create(w.pod())
		Expect(w.unitOf(first)).To(Equal("first"))
		Expect(first.Annotations).To(Equal(map[string]string{
			v1alpha1.AnnotationPolicy: "p", v1alpha1.AnnotationUnit: "ecs pool=" + w.namespace + " unit=first", corev1.PodDeletionCost: "0",
		}))
		tolerations := first.Spec.Tolerations
		second := w.create(w.pod().Annotation(corev1.PodDeletionCost, "7").Annotation("note", "mine"))
		Expect(w.unitOf(second)).To(Equal("eci"))
		Expect(second.Annotations).To(Equal(map[string]string{
			v1alpha1.AnnotationPolicy: "p", v1alpha1.AnnotationUnit: "eci pool=" + w.namespace,
			corev1.PodDeletionCost: "-99999993", v1alpha1.AnnotationUserDeletionCost: "7", "note": "mine",
		}))
		Expect(second.Spec.Tolerations).To(Equal(tolerations))
	})

	It("costs one write of the pod, and no other", func(ctx SpecContext) {
		w := newWorld()
		w.nodes(2, "first")
		w.policy(wrappers.MakePolicy("p").Unit(w.ecs("first")))
		watcher, err := client.NewWithWatch(restConfig, client.Options{Scheme: api.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		events, err := watcher.Watch(ctx, &corev1.PodList{}, client.InNamespace(w.namespace))
		Expect(err).NotTo(HaveOccurred())
		defer events.Stop()
		first, last := w.create(w.pod()), w.create(w.pod())
		Expect(w.unitOf(first)).To(Equal("first"))
		Expect(w.unitOf(last)).To(Equal("first"))
		last.Labels["last"] = "event"
		Expect(api.Update(ctx, last)).To(Succeed())
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
