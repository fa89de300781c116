package resourcepolicy

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
)

const stateKey fwk.StateKey = "PreFilter" + Name

// cycleState is the decision for the pod of this cycle. It never changes after PreFilter. A cycle without it is that of a pod without a policy.
type cycleState struct {
	policy *placement.Policy
	// unit is where the pod is placed in this cycle; nil when no unit can take it.
	unit *placement.Unit
	// nodes are the nodes of the unit.
	nodes *members
	// view and requests are what the decision was made from, for PostFilter.
	view     *view
	requests []int64
}

// Clone returns the state itself: it never changes.
func (s *cycleState) Clone() fwk.StateData { return s }

// view answers the questions of a decision from the scheduler's snapshot. It belongs to the scheduling goroutine.
type view struct {
	pl        *ResourcePolicy
	policy    *placement.Policy
	group     string
	candidate *candidate
	// unfit are the units whose nodes failed the pod in this walk through the units; see unfitUnits.
	unfit map[string]int64
}

// Usage returns what the pod's group has in the unit, bound and assumed.
func (v *view) Usage(unit int) placement.Usage {
	return v.pl.counts.Usage(ledger.Key{Policy: v.policy.UID, Group: v.group, Unit: unit})
}

// Room tells whether a node of the unit can take the pod.
func (v *view) Room(unit int) placement.Room {
	u := &v.policy.Units[unit]
	nodes := v.pl.index.members(u.Nodes)
	if freed, failed := v.unfit[u.ID]; failed && (freed == nodes.freed || freed == whateverIsFreed) {
		return placement.RoomUnfit
	}
	return v.candidate.room(nodes, v.pl.index.nodes)
}

// PreFilter chooses the unit of a governed pod (R4, R5) and hands over the nodes of that unit only. It skips pods without a policy.
func (pl *ResourcePolicy) PreFilter(
	ctx context.Context, state fwk.CycleState, pod *corev1.Pod, nodes []fwk.NodeInfo,
) (*fwk.PreFilterResult, *fwk.Status) {
	policies := pl.policies.Policies()
	policy := policies.Governing(pod.Namespace, pod.Labels)
	if policy == nil {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	s := &cycleState{policy: policy}
	state.Write(stateKey, s)
	if policy.Refusal != "" {
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, policy.Refusal)
	}
	group, err := policy.Group(pod.Labels)
	if err != nil {
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, err.Error())
	}
	pl.follow(state, policies, nodes)

	s.requests = vector(policy, pod)
	s.view = &view{pl: pl, policy: policy, group: group, candidate: newCandidate(klog.FromContext(ctx), pod), unfit: pl.inflight.takeUnfit(pod.UID)}
	decision := policy.Decide(s.requests, s.view)
	if decision.Unit < 0 && len(s.view.unfit) > 0 {
		// The last unit that was left is full. Try the others again, so that the filters that refuse the pod there are recorded, and their events wake it.
		s.view.unfit = nil
		decision = policy.Decide(s.requests, s.view)
	}
	if decision.Unit < 0 {
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, decision.Message())
	}
	s.unit = &policy.Units[decision.Unit]
	s.nodes = pl.index.members(s.unit.Nodes)
	if s.unit.Nodes.Virtual {
		virtualnode.Tolerate(state)
	}
	return &fwk.PreFilterResult{NodeNames: s.nodes.names}, nil
}

// PreFilterExtensions returns nil: the decision does not change when pods are added to or removed from a node in a simulation.
func (*ResourcePolicy) PreFilterExtensions() fwk.PreFilterExtensions { return nil }

// follow brings the counts and the node index up to date with the snapshot of this cycle.
func (pl *ResourcePolicy) follow(state fwk.CycleState, policies *placement.Policies, nodes []fwk.NodeInfo) {
	group := state.IsPodGroupSchedulingCycle()
	if group || pl.afterGroup {
		// A pod group's cycle changes the snapshot, and changes it back, without new generations (backend/cache/snapshot.go): count from scratch.
		pl.counts, pl.index = ledger.New(), newNodeIndex()
	}
	pl.afterGroup = group
	change := pl.counts.Sync(policies.Epoch, &snapshot{
		nodes: nodes, departed: pl.departed.follow(pl.index.nodes, nodes), policies: policies, inflight: pl.inflight,
	})
	pl.index.follow(policies.Epoch, nodes, change)
}

// stateOf returns the decision of this cycle, or nil for a pod without a policy.
func stateOf(state fwk.CycleState) *cycleState {
	data, err := state.Read(stateKey)
	if err != nil {
		return nil
	}
	return data.(*cycleState)
}
