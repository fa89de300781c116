package load

import (
	"fmt"
	"math/rand/v2"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	// startsWithin is about as long as the scheduler takes from its start to its first bindings: half of the kills come in that time, at random.
	startsWithin = 1500 * time.Millisecond
	// bindsWithin is how long the other kills wait for their number of bindings, when the caps let no more happen.
	bindsWithin = 5 * time.Second
)

var _ = Describe("A scheduler that is killed (R4)", func() {
	It("passes no cap, loses no pod and leaks no slot", func() {
		kills, pods := amount("LOAD_KILLS", 8, 50), amount("LOAD_PODS", 400, 2000)
		// The tenants have places for about half of the pods that are there at a time.
		target := max(pods/4, 100)
		w, r := harness.NewWorld(), chance(2)
		nodes, kinds := tenantNodes(w, target/100)
		tenants := makeTenants(target / 100)
		w.Fleet(nodes)
		for _, t := range tenants {
			w.Apply(t.policy(w))
		}
		j := follow(w.Namespace, checkTenants(tenants, kinds))
		harness.WithoutScheduler(func() {
			config := harness.BinaryConfig()
			c := startChurn(w, j, tenants, target)
			killAll(j, r, config, kills, c, pods/kills)
			scheduler := harness.StartBinary(config, "scheduler-last")
			close(c.shares)
			<-c.done
			say("kill: %d pods came and %d went meanwhile, %d were bound; %d changes recounted", c.came, c.went, j.bindings(), j.changes())
			c.clear()
			fillAll(w, j, tenants)
			refill(w, j, tenants, r)
			scheduler.Kill()
		})
	})
})

// killAll starts the scheduler and kills it, again and again, while a share of the pods comes each time.
func killAll(j *journal, r *rand.Rand, config string, kills int, c *churn, share int) {
	GinkgoHelper()
	binding := 0
	for n := range kills {
		before := j.bindings()
		scheduler := harness.StartBinary(config, fmt.Sprintf("scheduler-%d", n))
		c.shares <- share
		awaitKill(j, r)
		Expect(scheduler.Running()).To(BeTrue(), "the scheduler ended by itself")
		scheduler.Kill()
		Expect(j.broken()).To(BeEmpty())
		if j.bindings() > before {
			binding++
		}
	}
	say("kill: %d kills, %d of them of a scheduler that had bound pods", kills, binding)
	Expect(binding).NotTo(BeZero(), "nothing was tested")
}

// awaitKill waits until the scheduler is to be killed: somewhere in its start, or after some bindings.
func awaitKill(j *journal, r *rand.Rand) {
	deadline, goal := time.Duration(r.Int64N(int64(startsWithin))), noLimit
	if r.IntN(2) == 0 {
		deadline, goal = bindsWithin, j.bindings()+1+r.IntN(30)
	}
	timer := time.NewTimer(deadline)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-j.changed:
			if goal != noLimit && j.bindings() >= goal {
				return
			}
		}
	}
}

// checkTenants returns the check of the journal: the caps, recounted, and the record on the pod that has changed.
func checkTenants(tenants []*tenant, kinds map[string]string) func(*journal, *corev1.Pod) error {
	byName := map[string]*tenant{}
	for _, t := range tenants {
		byName[t.name] = t
	}
	return func(j *journal, changed *corev1.Pod) error {
		t := byName[changed.Labels["app"]]
		if t == nil {
			return fmt.Errorf("whose is it? %v", changed.Labels)
		}
		if isBound(changed) {
			if err := t.checkRecord(changed, kinds); err != nil {
				return err
			}
		}
		return t.checkCaps(changed.Labels["version"], recount(j.existing()))
	}
}

// fillAll gives each group more pods than it has places, and waits until each has all that its caps and nodes give it, and what is over waits.
func fillAll(w *harness.World, j *journal, tenants []*tenant) {
	GinkgoHelper()
	var pods []*wrappers.Pod
	for _, t := range tenants {
		for _, group := range t.groups {
			for range t.places() + 5 {
				pods = append(pods, t.pod(w, group, "1"))
			}
		}
	}
	w.CreateAll(pods)
	eachGroup(j, tenants, func(g Gomega, t *tenant, group string, used map[slot]use, waiting []*corev1.Pod) {
		g.Expect(t.full(group, used)).To(BeTrue(), "%s; %d wait: %v", t.words(group, used), len(waiting), reasons(waiting))
		if t.isOpen() {
			g.Expect(reasons(waiting)).To(BeEmpty())
		}
		g.Expect(j.count(t.has(group))).To(BeNumerically(">", t.places()))
	})
	say("kill: at the end %d pods are placed and %d wait", j.count(isBound), j.count(isWaiting))
}

// refill takes half of the placed pods away, and waits until those that wait have taken the places.
func refill(w *harness.World, j *journal, tenants []*tenant, r *rand.Rand) {
	GinkgoHelper()
	placed := j.which(isBound)
	r.Shuffle(len(placed), func(a, b int) { placed[a], placed[b] = placed[b], placed[a] })
	gone := placed[:len(placed)/2]
	w.RemoveAll(gone)
	j.comes(func(g Gomega) { g.Expect(j.exist(gone)).To(BeZero()) })
	eachGroup(j, tenants, func(g Gomega, t *tenant, group string, used map[slot]use, waiting []*corev1.Pod) {
		if len(waiting) > 0 {
			g.Expect(t.full(group, used)).To(BeTrue(), "%s; %d wait: %v", t.words(group, used), len(waiting), reasons(waiting))
		}
	})
}

// eachGroup waits until the assertions hold for all groups of all tenants.
func eachGroup(
	j *journal, tenants []*tenant, assertions func(g Gomega, t *tenant, group string, used map[slot]use, waiting []*corev1.Pod),
) {
	GinkgoHelper()
	j.comes(func(g Gomega) {
		used := recount(j.which(isBound))
		for _, t := range tenants {
			for _, group := range t.groups {
				assertions(g, t, group, used, j.which(and(t.has(group), isWaiting)))
			}
		}
	})
}

var _ = Describe("The recount of the caps", func() {
	var t *tenant
	kinds := map[string]string{"node": "first", "eci": "eci"}
	placed := func(unit, node string) *corev1.Pod {
		return wrappers.MakePod("pod").Label("app", t.name).Request(corev1.ResourceCPU, "2").Node(node).Recorded(t.name, unit).
			Annotation(corev1.PodDeletionCost, "0").Obj()
	}

	It("sees a cap that is passed", func() {
		t = makeTenants(1)[0]
		var pods []*corev1.Pod
		for range 8 {
			pods = append(pods, placed("ecs", "node"))
		}
		Expect(t.checkCaps("", recount(pods))).To(Succeed())
		Expect(t.checkCaps("", recount(append(pods, placed("ecs", "node"))))).To(MatchError(ContainSubstring("a cap is passed")))
	})

	It("sees requests that pass a cap", func() {
		t = makeTenants(1)[3]
		var pods []*corev1.Pod
		for range 4 {
			pods = append(pods, placed("ecs", "node"))
		}
		Expect(t.checkCaps("", recount(pods))).To(Succeed())
		Expect(t.checkCaps("", recount(append(pods, placed("ecs", "node"))))).To(MatchError(ContainSubstring("a cap is passed")))
	})

	It("sees a placement without its record", func() {
		t = makeTenants(1)[0]
		Expect(t.checkRecord(placed("ecs", "node"), kinds)).To(Succeed())
		Expect(t.checkRecord(placed("", "node"), kinds)).To(MatchError(ContainSubstring("the record")))
		Expect(t.checkRecord(placed("ecs", "eci"), kinds)).To(MatchError(ContainSubstring("is not in unit")))
		Expect(t.checkRecord(placed("eci", "eci"), kinds)).To(MatchError(ContainSubstring("deletion cost")))
	})
})
