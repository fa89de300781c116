package resourcepolicy

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/preemption"

	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/pkg/offer"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
	"github.com/spillway-k8s/spillway/plugins/wakeup"
)

const stateKey fwk.StateKey = "PreFilter" + Name

// cycleState is the decision for the pod of this cycle. A cycle without it is that of a pod without a policy.
type cycleState struct {
	policy *placement.Policy
	// view and now are what decisions are made from; nil for a pod that the policy cannot place at all.
	view *view
	now  time.Time
	// since is when the walk of the pod through the units began: what happened later may let it be placed where it failed.
	since wakeup.Moment
	// outcome is what PreFilter decided.
	outcome placement.Outcome
	// passed is why the unit before that of a Placed outcome was passed over; empty when it is the first.
	passed placement.Passed
	// unit is where the pod is placed in this cycle, or where preemption is being tried; nil when no unit can take it.
	unit *placement.Unit
	// nodes are the nodes of the unit.
	nodes *members
	// earlier are units before this one that are looked at again before the pod is placed; nil when there are none.
	earlier *earlier
	// sampled is true when the framework looks at a sample of them.
	sampled bool
	// waits is true when the attempt has ended with a pod that waits, and mayPreempt when the Preemption plugin may try to make room.
	waits, mayPreempt bool
	// failed is true when it has ended with a pod that no unit can take.
	failed bool
	// why is the reason for the user, unless PreFilter has given it.
	why string
	// usage is what the group has in the unit. A simulation changes it as it adds and removes pods.
	usage placement.Usage
}

// Clone returns a copy whose usage can be changed: a Usage is never changed in place, so that the copy may share it.
func (s *cycleState) Clone() fwk.StateData {
	clone := *s
	return &clone
}

// decide decides anew, with what the view knows now.
func (s *cycleState) decide() placement.Decision {
	return s.policy.Decide(s.view.requests, s.view, s.now)
}

// enter makes the unit the one that Filter holds the pod to.
func (s *cycleState) enter(unit int) {
	s.unit = &s.policy.Units[unit]
	s.nodes = s.view.pl.index.members(s.unit.Nodes)
	s.usage, s.earlier = s.view.Usage(unit), nil
}

// stateOf returns the decision of this cycle, or nil for a pod without a policy.
func stateOf(state fwk.CycleState) *cycleState {
	data, err := state.Read(stateKey)
	if err != nil {
		return nil
	}
	return data.(*cycleState)
}

// view answers the questions of a decision from the scheduler's snapshot. It belongs to the scheduling goroutine.
type view struct {
	pl        *ResourcePolicy
	policies  *placement.Policies
	policy    *placement.Policy
	pod       *corev1.Pod
	group     string
	requests  []int64
	candidate *candidate
	started   time.Time
	// walk is what the pod has met in the units so far.
	walk *walk
	// noRoom are the units that were passed over because no node has room, without asking the filters.
	noRoom []int
	// judged are the ECS nodes that another plugin has rejected in this cycle, by name.
	judged sets.Set[string]
	// askings are what the pod asks of ECI in each virtual unit, and closed why the virtual nodes there do not take it.
	askings map[int]*virtualnode.Asking
	closed  map[int]closure
}

// closure is why the virtual nodes of a unit do not take a pod.
type closure struct {
	why    string
	passed placement.Passed
}

var _ placement.View = &view{}

// Usage returns what the pod's group has in the unit: bound, assumed, and kept for pods of at least its priority that have preempted others.
func (v *view) Usage(unit int) placement.Usage {
	usage := v.counted(unit)
	if kept := v.pl.inflight.nominatedIn(v.slot(unit)); kept.Pods > 0 {
		return usage.Merge(kept)
	}
	return usage
}

// counted returns what the pod's group has in the unit, bound and assumed.
func (v *view) counted(unit int) placement.Usage {
	return v.pl.counts.Usage(ledger.Key{Policy: v.policy.UID, Group: v.group, Unit: unit})
}

// Terminating returns how many pods of the policy are terminating in the unit.
func (v *view) Terminating(unit int) int64 {
	return v.pl.counts.Usage(ledger.Key{Policy: v.policy.UID, Unit: unit, Terminating: true}).Pods
}

// Room tells whether a node of the unit can take the pod.
func (v *view) Room(unit int) placement.Room {
	u := &v.policy.Units[unit]
	nodes := v.pl.index.members(u.Nodes)
	room := placement.RoomUnfit
	if !v.walk.failed.Has(u.ID) {
		if room = v.roomOn(u, nodes); room == placement.RoomYes {
			return room
		}
		v.noRoom = append(v.noRoom, unit)
	}
	if v.pl.fresh.isLeaving(nodes.positions) {
		return placement.RoomLeaving
	}
	return room
}

// roomOn looks for room on the nodes of a unit.
func (v *view) roomOn(unit *placement.Unit, nodes *members) placement.Room {
	if !unit.Nodes.Virtual {
		return v.candidate.room(nodes, v.pl.index.nodes)
	}
	asking := v.asking(unit)
	room, refusals := v.candidate.virtualRoom(nodes, v.pl.index.nodes, func(node string) (offer.Verdict, bool) { return v.pl.offers.Takes(asking, node) })
	if len(refusals) > 0 {
		v.closed[unit.Index] = newClosure(refusals)
	}
	return room
}

// asking returns what the pod asks of ECI in a virtual unit; nil in another one.
func (v *view) asking(unit *placement.Unit) *virtualnode.Asking {
	if !unit.Nodes.Virtual {
		return nil
	}
	a := v.askings[unit.Index]
	if a == nil {
		a = v.pl.offers.Ask(v.pod, unit.Annotations())
		v.askings[unit.Index] = a
	}
	return a
}

// refusedByECI reports whether ECI would not accept the pod in a unit, in this cycle or earlier in its walk, and may do so later.
func (v *view) refusedByECI() bool {
	if v.walk.refused {
		return true
	}
	for unit, asking := range v.askings {
		if v.closed[unit].why != "" && asking.Never() == "" {
			return true
		}
	}
	return false
}

// Closed tells why the virtual nodes of the unit do not take the pod.
func (v *view) Closed(unit int) (string, placement.Passed) {
	closed := v.closed[unit]
	return closed.why, closed.passed
}

// newClosure returns why no node takes the pod. What would help first is what counts: others that go, then stock.
func newClosure(refusals []offer.Verdict) closure {
	c := closure{why: virtualnode.Reasons(refusals), passed: placement.PassedECIUnknown}
	switch {
	case slices.ContainsFunc(refusals, func(v offer.Verdict) bool { return v.Full }):
		c.passed = placement.PassedECIFull
	case slices.ContainsFunc(refusals, func(v offer.Verdict) bool { return v.SoldOut }):
		c.passed = placement.PassedSoldOut
	case !slices.ContainsFunc(refusals, func(v offer.Verdict) bool { return !v.Deleted }):
		c.passed = placement.PassedNodesClosed
	case !slices.ContainsFunc(refusals, func(v offer.Verdict) bool { return !v.Deleted && !v.Forbidden }):
		c.passed = placement.PassedBarred
	}
	return c
}

// Barred tells what keeps the pod out of the unit for ever: ECI cannot run it; or the labels that the unit would write on it would give it to another
// policy (R1), or take it from its owner, which would make another pod in its place, and another, and another.
func (v *view) Barred(unit int) string {
	if u := &v.policy.Units[unit]; u.ECI {
		if why := v.asking(u).Never(); why != "" {
			return why
		}
	}
	written := v.policy.Units[unit].LabelsFor(v.pod.Labels)
	if written == nil {
		return ""
	}
	if taker := v.policies.Takes(v.policy, v.pod.Labels, written); taker != nil {
		return fmt.Sprintf("its podLabels would give the pod to ResourcePolicy %s", taker.Name)
	}
	if owner := v.pl.owners.leaves(v.pod, written); owner != "" {
		return fmt.Sprintf("its podLabels would take the pod from the selector of its %s", owner)
	}
	return ""
}

// Since returns when the pod first failed in the unit.
func (v *view) Since(unit int, start bool) time.Time {
	var begin time.Time
	if start {
		begin = v.started
	}
	return v.pl.inflight.clock(v.pod, &v.policy.Units[unit], begin)
}

// Preempt tells whether preemption has still to be tried in the unit.
func (v *view) Preempt(unit int) bool {
	return !v.walk.preempted.Has(v.policy.Units[unit].ID) && v.mayPreemptIn(unit)
}

// Nominated tells whether pods have still to leave the node on which this one has preempted others in the unit: its own victims, and those of pods that
// were nominated there after it. The framework counts such a pod together with its victims, so that this one does not fit until they have gone; to preempt
// somewhere else then would be for nothing.
func (v *view) Nominated(unit int) bool {
	n, ok := v.pl.inflight.nominated(v.pod.UID)
	if !ok {
		// After a restart only the pod itself tells.
		n.node = v.pod.Status.NominatedNodeName
	}
	if n.node == "" || ok && n.unit != v.policy.Units[unit].ID {
		return false
	}
	node := v.pl.index.node(v.pl.index.members(v.policy.Units[unit].Nodes), n.node)
	if node == nil {
		return false
	}
	for _, info := range node.GetPods() {
		other := info.GetPod()
		if ok && v.pl.inflight.isVictimOn(n.node, other.UID) || !ok && preemption.PodTerminatingByPreemption(other) && corev1helpers.PodPriority(other) < corev1helpers.PodPriority(v.pod) {
			return true
		}
	}
	return false
}

// mayPreemptIn tells whether the unit has a pod that this one could preempt.
func (v *view) mayPreemptIn(unit int) bool {
	u := &v.policy.Units[unit]
	return v.pl.preemption != nil && !u.NoPreemption() && mayPreempt(v.pod) && v.Barred(unit) == "" && v.pl.index.hasBelow(v.pl.index.members(u.Nodes), corev1helpers.PodPriority(v.pod))
}

// mayPreemptAnywhere tells whether a unit has a pod that this one could preempt.
func (v *view) mayPreemptAnywhere() bool {
	for i := range v.policy.Units {
		if v.mayPreemptIn(i) {
			return true
		}
	}
	return false
}

// slot describes the pod's place in a unit, without what it uses.
func (v *view) slot(unit int) nomination {
	return nomination{
		pod:    v.pod,
		policy: string(v.policy.UID), group: v.group, unit: v.policy.Units[unit].ID,
		priority: corev1helpers.PodPriority(v.pod),
	}
}

// mayPreempt tells whether the pod may preempt others at all.
func mayPreempt(pod *corev1.Pod) bool {
	return pod.Spec.PreemptionPolicy == nil || *pod.Spec.PreemptionPolicy != corev1.PreemptNever
}
