package resourcepolicy

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// TestLife lives through random lives of a scheduler: pods of two priorities arrive, preempt, end, are deleted, relabelled and resized, nodes come and go,
// policies with caps on pods and on resources are edited, ECI accepts more or less, bindings are slow or fail, the handlers of the informer run late and in any order, and the scheduler is restarted. After every step the counts
// equal a recount from scratch; at every placement the caps and the order hold; and when nothing moves any more, no pod is left waiting that could be
// placed. SIMULATION_SEEDS sets the number of lives, 200 by default; SIMULATION_SEED runs one.
func TestLife(t *testing.T) {
	first, n := uint64(0), uint64(wrappers.Seeds())
	if seed, err := strconv.ParseUint(os.Getenv("SIMULATION_SEED"), 10, 64); err == nil {
		first, n = seed, 1
	}
	for seed := first; seed < first+n; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			l := newLife(t, seed)
			for step := range 150 {
				l.seedStep = fmt.Sprintf("seed %d, step %d", seed, step)
				l.step()
				l.checkCounts()
			}
			l.settleDown()
			l.checkNobodyIsForgotten()
		})
	}
}

// checkCounts compares the counts that the last decision was made from with a recount of what the scheduler can know.
func (l *life) checkCounts() {
	if l.counted == nil {
		return
	}
	for unit := range l.policy.Units {
		for _, group := range groups {
			key := ledger.Key{Policy: l.policy.UID, Group: group + "/", Unit: unit}
			usage, want := l.pl.counts.Usage(key), l.counted[key]
			got := tally{pods: usage.Pods, milliCPU: want.milliCPU}
			if l.policy.TracksResources() && len(usage.Requests) > 0 {
				got.milliCPU = usage.Requests[0]
			}
			if got != want {
				l.fatalf("unit %d, group %s: %+v is counted, a recount finds %+v", unit, group, got, want)
			}
		}
	}
	l.counted = nil
}

// checkPlacement checks R4 and R5 for a pod that is about to be placed.
func (l *life) checkPlacement(pod *v1Pod, unit int) {
	group := pod.Labels["version"] + "/"
	truth := l.countTruth()
	if has := truth[ledger.Key{Policy: l.policy.UID, Group: group, Unit: unit}]; l.isFull(unit, has, pod) {
		l.fatalf("pod %s is placed in unit %d, whose cap is reached: it has %+v", pod.Name, unit, has)
	}
	if l.tryNext != v1alpha1.TryNextLackResourceOrExceedMax || len(l.pl.inflight.nominations) > 0 {
		return
	}
	for earlier := range unit {
		full := l.isFull(earlier, l.counted[ledger.Key{Policy: l.policy.UID, Group: group, Unit: earlier}], pod)
		if !full && l.hasRoom(earlier, pod) {
			l.fatalf("pod %s is placed in unit %d although unit %d is not full and has room", pod.Name, unit, earlier)
		}
	}
}

// checkZone checks that a pod is placed on a virtual node only if ECI would accept it there.
func (l *life) checkZone(pod *v1Pod, node string) {
	if !l.offered(node, pod) {
		l.fatalf("pod %s is placed on %s, where ECI would not accept it", pod.Name, node)
	}
}

// checkNobodyIsForgotten checks that no pod waits that could be placed: no wake-up is lost, and no slot is leaked.
func (l *life) checkNobodyIsForgotten() {
	l.probe()
	l.bill()
	counts := l.countTruth()
	for _, pod := range l.unbound() {
		for unit := range l.policy.Units {
			if l.tryNext == v1alpha1.TryNextLackResourceAndNoTerminating && unit > 0 && l.hasTerminating(unit-1) {
				break
			}
			// A slot that is kept for another pod, which has preempted others and waits for its node, is none for this one.
			key := ledger.Key{Policy: l.policy.UID, Group: pod.Labels["version"] + "/", Unit: unit}
			if kept := l.kept(pod, key); l.isFull(unit, tally{counts[key].pods + kept.pods, counts[key].milliCPU + kept.milliCPU}, pod) {
				continue
			}
			if l.hasRoom(unit, pod) {
				l.fatalf("at the end pod %s waits (held: %v) although unit %d has a slot and room", pod.Name, l.gated[pod.UID], unit)
			}
			if l.tryNext == v1alpha1.TryNextExceedMax && l.policy.Units[unit].HasCap() {
				break // It waits for a node there.
			}
		}
	}
	if len(l.pl.fresh.pods) > 0 && len(l.list) > 0 {
		l.fatalf("%d pods are remembered although the snapshot has caught up", len(l.pl.fresh.pods))
	}
}

// kept returns what is kept in a unit for other pods of at least the priority.
func (l *life) kept(pod *v1Pod, key ledger.Key) tally {
	usage := l.pl.inflight.nominatedIn(nomination{
		pod: pod, policy: string(key.Policy), group: key.Group, unit: l.policy.Units[key.Unit].ID, priority: corev1helpers.PodPriority(pod),
	})
	kept := tally{pods: usage.Pods}
	if len(usage.Requests) > 0 {
		kept.milliCPU = usage.Requests[0]
	}
	return kept
}

// probe lets the plugin see the last snapshot by a pod that fits nowhere.
func (l *life) probe() {
	l.pl.PreFilter(l.ctx, framework.NewCycleState(), wrappers.MakePod("probe").Label("app", "web").Label("version", "0").Request("cpu", "1000").Obj(), l.list)
}
