package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	highPriority = "spillway-load-high"
	// lowPods is how many pods of low priority fill a node.
	lowPods = 4
)

// preemption is a cluster of full nodes in two units, for many rounds.
type preemption struct {
	w *harness.World
	j *journal
	r *rand.Rand
	// nodes are all, and first are those of the first unit.
	nodes []string
	first map[string]bool
}

var _ = Describe("Preemption (R8)", func() {
	It("never sleeps, and preempts no more pods than it needs", func() {
		rounds, nodes := amount("LOAD_ROUNDS", 2, 20), amount("LOAD_NODES", 100, 500)
		class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: highPriority}, Value: 1000}
		Expect(harness.API.Create(context.Background(), class)).To(Succeed())
		DeferCleanup(func() { Expect(harness.API.Delete(context.Background(), class)).To(Succeed()) })
		p := newPreemption(nodes)
		for n := range rounds {
			p.round(n)
		}
	})
})

// newPreemption creates the nodes.
func newPreemption(n int) *preemption {
	GinkgoHelper()
	p := &preemption{w: harness.NewWorld(), r: chance(3), first: map[string]bool{}}
	var nodes []*wrappers.Node
	for i := range n {
		unit := "first"
		if i >= n/2 {
			unit = "second"
		}
		node := wrappers.MakeNode(fmt.Sprintf("%s-%d", unit, i)).Label("unit", unit).Capacity(corev1.ResourceCPU, fmt.Sprint(lowPods))
		name := p.w.Namespace + "-" + node.Name
		p.nodes, p.first[name] = append(p.nodes, name), unit == "first"
		nodes = append(nodes, node)
	}
	p.w.Fleet(nodes)
	p.j = follow(p.w.Namespace, nil)
	return p
}

// round fills the nodes with pods of low priority, lets as many preemptors come as there are nodes, and checks who had to go.
func (p *preemption) round(n int) {
	GinkgoHelper()
	label := fmt.Sprint(n)
	low := func(pod *corev1.Pod) bool { return pod.Labels["low"] == label }
	high := func(pod *corev1.Pod) bool { return pod.Labels["high"] == label }
	policy := wrappers.MakePolicy("p-" + label).Unit(p.w.ECS("first")).Unit(p.w.ECS("second"))
	if n%2 == 1 {
		policy.PreemptFirst()
	}
	rp := p.w.Policy(policy)
	governed := n%4 == 1 || n%4 == 2
	p.fill(label, governed)
	p.j.comes(func(g Gomega) { g.Expect(p.j.count(and(low, isBound))).To(Equal(lowPods * len(p.nodes))) })
	p.run(p.j.which(low))

	preemptors, needed := p.preemptors(label)
	began := time.Now()
	p.w.CreateAll(preemptors)
	p.j.comes(func(g Gomega) {
		g.Expect(reasons(p.j.which(and(high, isWaiting)))).To(BeEmpty())
		g.Expect(p.j.count(and(high, isBound))).To(Equal(len(preemptors)))
	})
	took := time.Since(began)
	victims := func() int { return lowPods*len(p.nodes) - p.j.count(low) }
	say("preemption round %d (%s, low pods governed: %v): %d preemptors bound in %v, %d victims, %d needed",
		n, rp.Spec.PreemptPolicy, governed, len(preemptors), took.Round(time.Millisecond), victims(), needed)
	// Evictions are asynchronous: one too many may come late.
	Consistently(victims).Should(Equal(needed))
	p.checkVictims(low)
	// The first unit has room for all preemptors, and it is the first to preempt in with either policy.
	Expect(p.j.count(and(high, on(p.first)))).To(Equal(len(preemptors)))
	p.clear(rp)
}

// fill puts four pods of low priority on each node: by the policy, or where it does not govern them.
func (p *preemption) fill(label string, governed bool) {
	GinkgoHelper()
	var pods []*wrappers.Pod
	for _, node := range p.nodes {
		for range lowPods {
			pod := p.w.Pod().Label("low", label).Request(corev1.ResourceCPU, "1").NoGrace()
			if !governed {
				pod.Label("app", "other").Node(node)
			}
			pods = append(pods, pod)
		}
	}
	p.w.CreateAll(pods)
}

// run gives pods a start, as their kubelets do, each another one: preemption takes the youngest, and between pods that have not started whichever it asks
// last.
func (p *preemption) run(pods []*corev1.Pod) {
	GinkgoHelper()
	began := time.Now().Add(-time.Hour)
	harness.Parallel(len(pods), func(i int) error {
		running := pods[i].DeepCopy()
		running.Status.Phase, running.Status.StartTime = corev1.PodRunning, &metav1.Time{Time: began.Add(time.Duration(i) * time.Second)}
		return harness.API.Status().Patch(context.Background(), running, client.MergeFrom(pods[i]))
	})
}

// preemptors returns pods that need one or two victims each, and how many that makes.
func (p *preemption) preemptors(label string) (pods []*wrappers.Pod, victims int) {
	for range p.nodes {
		n := 1 + p.r.IntN(2)
		victims += n
		pods = append(pods, p.w.Pod().Label("high", label).Request(corev1.ResourceCPU, fmt.Sprint(n)).Class(highPriority).NoGrace())
	}
	return pods, victims
}

// checkVictims checks that whoever went was told by whom.
func (p *preemption) checkVictims(low func(*corev1.Pod) bool) {
	GinkgoHelper()
	for _, l := range p.j.history() {
		if l.gone == 0 || !low(l.pod) {
			continue
		}
		Expect(l.pod.Status.Conditions).To(ContainElement(And(
			HaveField("Type", corev1.DisruptionTarget), HaveField("Reason", corev1.PodReasonPreemptionByScheduler),
		)), l.pod.Name)
	}
}

// clear ends a round.
func (p *preemption) clear(policy client.Object) {
	GinkgoHelper()
	Expect(harness.API.Delete(context.Background(), policy)).To(Succeed())
	Expect(harness.API.DeleteAllOf(context.Background(), &corev1.Pod{}, client.InNamespace(p.w.Namespace), client.GracePeriodSeconds(0))).To(Succeed())
	p.j.comes(func(g Gomega) { g.Expect(p.j.count(func(*corev1.Pod) bool { return true })).To(BeZero()) })
}

// and tells whether a pod meets both.
func and(a, b func(*corev1.Pod) bool) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool { return a(pod) && b(pod) }
}
