package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	firstNodes = 20
	otherNodes = 1980
	// nodeRoom and nodeMilli are what one node of the first unit has room for: pods, and thousandths of a CPU.
	nodeRoom, nodeMilli = 50, 5000
	// unitRoom is how many pods of 100m the first unit has room for.
	unitRoom = firstNodes * nodeRoom
)

var _ = Describe("The strict order at 2,000 nodes (R5)", Ordered, func() {
	var (
		w              *harness.World
		j              *journal
		r              *rand.Rand
		first, virtual map[string]bool
	)

	BeforeAll(func() {
		w, r = harness.NewWorld(), chance(1)
		first, virtual = map[string]bool{}, map[string]bool{}
		w.Fleet(orderNodes(w, first, virtual))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECI()))
		j = follow(w.Namespace, func(_ *journal, changed *corev1.Pod) error {
			if node := changed.Spec.NodeName; node != "" && !first[node] && !virtual[node] {
				return fmt.Errorf("node %s is in no unit", node)
			}
			return nil
		})
	})

	// arrive creates pods of 100m at once, and waits until all are bound.
	arrive := func(n int) {
		GinkgoHelper()
		all := len(j.history()) + n
		w.CreateAll(podsOf(w, n, "100m"))
		j.comes(func(g Gomega) {
			g.Expect(j.history()).To(HaveLen(all))
			g.Expect(reasons(j.which(isWaiting))).To(BeEmpty())
		})
	}

	It("fills the first unit to the last place before the virtual node gets a pod", func() {
		began := time.Now()
		arrive(unitRoom)
		say("order: %d pods on %d nodes of %d in %v", unitRoom, firstNodes, firstNodes+otherNodes, time.Since(began).Round(time.Millisecond))
		Expect(j.count(on(virtual))).To(BeZero())
		Expect(j.count(on(first))).To(Equal(unitRoom))
	})

	It("then sends every further pod to the virtual node", func() {
		arrive(50)
		Expect(j.count(on(virtual))).To(Equal(50))
		Expect(j.count(on(first))).To(Equal(unitRoom))
	})

	It("refills exactly the places that became free", func() {
		for range 8 {
			bound := j.which(isBound)
			r.Shuffle(len(bound), func(a, b int) { bound[a], bound[b] = bound[b], bound[a] })
			left := len(bound) - r.IntN(200)
			w.RemoveAll(bound[left:])
			j.comes(func(g Gomega) { g.Expect(j.count(isBound)).To(Equal(left)) })
			used, spilled := j.count(on(first)), j.count(on(virtual))
			come := r.IntN(300)
			arrive(come)
			refilled := min(come, unitRoom-used)
			Expect(j.count(on(first))).To(Equal(used+refilled), "with %d places free, %d pods came", unitRoom-used, come)
			Expect(j.count(on(virtual))).To(Equal(spilled + come - refilled))
		}
	})

	It("spills no pod while a node of the first unit has room for it, however pods come and go", func() {
		arrivals := amount("LOAD_ARRIVALS", 1000, 5000)
		for left := arrivals; left > 0; {
			if r.IntN(2) == 0 {
				w.CreateAll(podsOf(w, 1, []string{"100m", "200m", "300m"}[r.IntN(3)]))
				left--
			} else if bound := j.which(isBound); len(bound) > 0 {
				// The journal may be behind, and show a pod that has been removed already.
				pod := bound[r.IntN(len(bound))]
				Expect(client.IgnoreNotFound(harness.API.Delete(context.Background(), pod, client.GracePeriodSeconds(0)))).To(Succeed())
			}
			if r.IntN(25) == 0 {
				j.comes(func(g Gomega) { g.Expect(reasons(j.which(isWaiting))).To(BeEmpty()) })
			}
		}
		j.comes(func(g Gomega) { g.Expect(reasons(j.which(isWaiting))).To(BeEmpty()) })
		found := judge(j.history(), first, virtual)
		say("order: %d pods came while others went; %d spilled, %d of them with nothing else on its way", arrivals, found.spills, found.sharp)
		Expect(found.early).To(BeEmpty())
		Expect(found.sharp).NotTo(BeZero(), "nothing was tested")
	})
})

// orderNodes returns the nodes of the test, and notes those of the units.
func orderNodes(w *harness.World, first, virtual map[string]bool) []*wrappers.Node {
	var nodes []*wrappers.Node
	for i := range firstNodes {
		node := wrappers.MakeNode(fmt.Sprintf("first-%d", i)).Label("unit", "first").Capacity(corev1.ResourceCPU, fmt.Sprintf("%dm", nodeMilli))
		first[w.Namespace+"-"+node.Name] = true
		nodes = append(nodes, node.Capacity(corev1.ResourcePods, fmt.Sprint(nodeRoom)))
	}
	for i := range otherNodes {
		nodes = append(nodes, wrappers.MakeNode(fmt.Sprintf("other-%d", i)).Label("unit", "other").Capacity(corev1.ResourceCPU, "64"))
	}
	node := wrappers.MakeVirtualNode("eci").Label("unit", "eci").Capacity(corev1.ResourceCPU, "100000").Capacity(corev1.ResourcePods, "100000")
	virtual[w.Namespace+"-"+node.Name] = true
	return append(nodes, node)
}

// podsOf returns n pods of the world.
func podsOf(w *harness.World, n int, cpu string) []*wrappers.Pod {
	pods := make([]*wrappers.Pod, n)
	for i := range pods {
		pods[i] = w.Pod().Request(corev1.ResourceCPU, cpu)
	}
	return pods
}
