package resourcepolicy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/metrics"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
	"github.com/spillway-k8s/spillway/plugins/wakeup"
)

const (
	// walkFor is the longest that a walk through the units is remembered for the next attempt, which follows at once, or after the queue's backoff (10 s at
	// the most) while the queue is busy.
	walkFor = 30 * time.Second
	// maxReturns bounds how often a walk returns to one unit. An extender may reject a node that passes all filters, and would do so for ever.
	maxReturns = 3
)

// walk is one pod's way through the units: what its attempts have found so far. Other plugins' filters need a cycle in the unit that they judge, so that a
// walk may take two attempts; between them anything may happen. Two things make the order hold nevertheless (R5). A unit that a filter rejected is looked at
// again in the very cycle that would place the pod in a later one (returns). And an attempt that ends without a placement has looked at every unit by one
// snapshot, or knows whose events to wait for (rejectors).
type walk struct {
	// failed are the units of which no node passed the filters, by ID.
	failed sets.Set[string]
	// returns is how often the walk returned to a unit, by ID.
	returns map[string]int
	// preempted are the units in which preemption was tried in vain, by ID.
	preempted sets.Set[string]
	// rejectors are the plugins that rejected the pod in units that its present attempt does not hand to the framework.
	rejectors sets.Set[string]
	// refused is true when a virtual node refused the pod after its unit had been chosen.
	refused bool
	// since is when the walk began.
	since wakeup.Moment
	until time.Time
}

// begin prepares the walk for what an attempt finds. Most pods are placed by their first one, and need nothing of it.
func (w *walk) begin() {
	if w.failed == nil {
		w.failed, w.returns, w.preempted, w.rejectors = sets.New[string](), map[string]int{}, sets.New[string](), sets.New[string]()
	}
}

// keepWalk remembers for the next attempt what the pod has met so far. What was never taken up is dropped.
func (f *inflight) keepWalk(pod types.UID, w *walk) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for other, old := range f.walks {
		if now.After(old.until) {
			delete(f.walks, other)
		}
	}
	w.until = now.Add(walkFor)
	f.walks[pod] = w
}

// takeWalk returns the walk that the attempt before began, once, or a new one.
func (f *inflight) takeWalk(pod types.UID) *walk {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.walks[pod]
	delete(f.walks, pod)
	if w == nil || time.Now().After(w.until) {
		return &walk{}
	}
	return w
}

// earlier are units that the walk has passed over because of other plugins' filters, and that come before the one of this cycle. They are looked at in every
// cycle of a later unit: a pod that was placed meanwhile may have changed what the filters say.
type earlier struct {
	units []int
	once  sync.Once
	// open is the first of them with a node that passes now; noUnit when there is none.
	open int
}

// newEarlier returns the units to look at again before the pod is placed in a unit; nil when there are none.
func (v *view) newEarlier(unit int) *earlier {
	e := &earlier{open: noUnit}
	for i := range unit {
		if id := v.policy.Units[i].ID; v.walk.failed.Has(id) && v.walk.returns[id] < maxReturns {
			e.units = append(e.units, i)
		}
	}
	if len(e.units) == 0 {
		return nil
	}
	return e
}

// isOpen reports whether an earlier unit has a node that passes all filters. The framework calls Filter in several goroutines; one of them finds out.
func (e *earlier) isOpen(ctx context.Context, state fwk.CycleState, s *cycleState) bool {
	e.once.Do(func() {
		for _, unit := range e.units {
			if s.view.mayEnter(unit) && s.view.pl.passesIn(ctx, state, s.view.pod, unit) {
				e.open = unit
				return
			}
		}
	})
	return e.open != noUnit
}

// mayEnter reports whether a unit that the filters rejected has room for the pod, as far as the policy and the index of nodes tell.
func (v *view) mayEnter(unit int) bool {
	u := &v.policy.Units[unit]
	return v.Barred(unit) == "" && !v.policy.Full(unit, v.Usage(unit), v.requests) && v.roomOn(u, v.pl.index.members(u.Nodes)) == placement.RoomYes
}

// passesIn reports whether a node of the unit passes the filters of all plugins for the pod of this cycle. If none does, it notes which plugins rejected it. A
// filter that fails rejects nothing: the unit is taken for one that passes, and the attempt there ends with the error. A node is judged once in a cycle, in
// however many units it is.
func (pl *ResourcePolicy) passesIn(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, unit int) bool {
	trial := state.Clone()
	s := stateOf(trial)
	s.enter(unit)
	virtualnode.Tolerate(trial, s.view.asking(s.unit))

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var passes atomic.Bool
	var mu sync.Mutex
	nodes := s.view.unjudged(s.nodes)
	pl.handle.Parallelizer().Until(ctx, len(nodes), func(i int) {
		status := pl.handle.RunFilterPluginsWithNominatedPods(ctx, trial, pod, nodes[i])
		if status.IsSuccess() || status.Code() == fwk.Error {
			passes.Store(true)
			cancel()
			return
		}
		mu.Lock()
		defer mu.Unlock()
		s.view.judge(s.unit, nodes[i].Node().Name, status, s.view.walk.rejectors)
	}, metrics.Filter)
	return passes.Load()
}

// unjudged returns the nodes that no plugin has rejected in this cycle yet.
func (v *view) unjudged(m *members) []fwk.NodeInfo {
	nodes := make([]fwk.NodeInfo, 0, len(m.positions))
	for _, at := range m.positions {
		if node := v.pl.index.nodes[at]; !v.judged.Has(node.Node().Name) {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// judge adds the plugin that rejected the pod on a node to a set. What others say of an ECS node is the same in every unit; on a virtual node it depends on the
// unit's annotations.
func (v *view) judge(unit *placement.Unit, node string, status *fwk.Status, rejectors sets.Set[string]) {
	plugin := status.Plugin()
	switch {
	case plugin == "" && len(v.pl.handle.Extenders()) > 0:
		plugin = framework.ExtenderName // The framework leaves it out.
	case plugin == "":
		return // The framework has not looked at the node.
	}
	rejectors.Insert(plugin)
	if plugin == Name || unit.Nodes.Virtual {
		return
	}
	if v.judged == nil {
		v.judged = sets.New[string]()
	}
	v.judged.Insert(node)
}

// judgeUnit returns the plugins that rejected the nodes which the framework has looked at in this cycle. The queue knows of them if the walk ends here, and
// would ask them twice if they were among the rejectors of the walk.
func (s *cycleState) judgeUnit(statuses fwk.NodeToStatusReader) sets.Set[string] {
	rejectors := sets.New[string]()
	if statuses == nil || s.nodes == nil {
		return rejectors
	}
	for name := range s.nodes.names {
		s.view.judge(s.unit, name, statuses.Get(name), rejectors)
	}
	return rejectors
}
