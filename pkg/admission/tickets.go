// Package admission decides which pods of a group may be tried, and which are held because the caps of their policy have no slot for them (R7). It is pure: it
// knows neither pods nor the cluster, and holds no lock.
//
//   - tickets.go: what a caller asks and tells.
//   - settle.go: what follows from it.
//   - heldpods.go: the order of the held pods.
package admission

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/pkg/placement"
)

// Applicant is a pod that is not placed yet.
type Applicant struct {
	UID types.UID
	// Requests is its placement vector.
	Requests []int64
	Priority int32
	// MayPreempt is false when the pod never preempts others.
	MayPreempt bool
	Created    time.Time
	// Shape is equal for pods with the same requests that fit on the same nodes, as far as the caller can tell.
	Shape string
}

// Tickets decide which pods of one group may be tried and which are held (R7): never more than the caps of the units have room for, counted with the
// pods that are being tried. Those that are held come in order of priority, then age. It is pure and holds no lock.
//
// A pod asks before every attempt. What became of the attempt is told by Place, Wait, Fail or Hold. A pod that waits for a node keeps its slot, so that
// no more pods ask an autoscaler for nodes than the caps admit; pods of another shape may still be tried, because they may fit where it does not.
//
// The counts are told by Sync. After Doubt they are not known; until the next Sync one pod at a time is let through, whose attempt brings the counts.
type Tickets struct {
	policy *placement.Policy
	// counts are what the group has in each unit; nil while that is not known.
	counts []placement.Usage
	// version grows with every doubt.
	version int64
	// lowest is the lowest priority of a counted pod, as far as is known; a pod above it may preempt in a full unit. Without meaning if !hasLowest.
	lowest    int32
	hasLowest bool

	pods map[types.UID]*ticket
	// held are the held pods by shape.
	held map[string]*heldPods
	// tried are the claims of the pods that are being tried; waiting are those of the pods that wait for a node, by shape. Both by unit.
	tried   []placement.Usage
	waiting map[string][]placement.Usage
	// trying is how many pods are being tried.
	trying int
	// unclaimed are the pods that are not held and have no claim, because the counts were not known or because they may preempt.
	unclaimed map[types.UID]*ticket
}

// Moves are the pods for which something else holds than before.
type Moves struct {
	// Free may be tried now.
	Free []types.UID
	// Held waited for a node, or were being tried, and are held now.
	Held []types.UID
}

// ticket is the state of one pod.
type ticket struct {
	Applicant
	state state
	// unit is where the claim counts; noUnit for none.
	unit int
	// index is the place in the heap of held pods.
	index int
	// vain is true after an attempt that did not place the pod: until the pod asks again, its priority alone does not let it through.
	vain bool
}

type state int

const (
	stateHeld state = iota
	stateTried
	stateWaiting
)

const noUnit = -1

// NewTickets returns the tickets of a group of the policy. The counts are not known.
func NewTickets(policy *placement.Policy) *Tickets {
	return &Tickets{
		policy: policy, pods: map[types.UID]*ticket{}, held: map[string]*heldPods{},
		tried: make([]placement.Usage, len(policy.Units)), waiting: map[string][]placement.Usage{},
		unclaimed: map[types.UID]*ticket{},
	}
}

// Version names the state of knowledge for Sync: read it before counting.
func (t *Tickets) Version() int64 { return t.version }

// IsHeld tells whether the pod is held.
func (t *Tickets) IsHeld(uid types.UID) bool {
	pod, ok := t.pods[uid]
	return ok && pod.state == stateHeld
}

// Ask tells whether the pod may be tried. If not, it is held. A pod that asks for something else than before, because it was resized, begins anew.
func (t *Tickets) Ask(a Applicant) bool {
	pod := t.pods[a.UID]
	if pod != nil && (pod.Shape != a.Shape || !slices.Equal(pod.Requests, a.Requests)) {
		t.Forget(a.UID)
		pod = nil
	}
	if pod == nil {
		pod = t.add(a)
	}
	switch pod.state {
	case stateTried:
		return true
	case stateWaiting:
		unit := pod.unit
		t.release(pod)
		t.claim(pod, stateTried, unit)
		return true
	default:
		pod.vain = false
		return t.admit(pod)
	}
}

// Expect makes known pods that are about to ask, all at once, so that the first of them is let through first and not the one that happens to ask first.
func (t *Tickets) Expect(pods []Applicant) Moves {
	for _, a := range pods {
		if t.pods[a.UID] == nil {
			t.add(a)
		}
	}
	return t.settle()
}

// Keep makes known a pod that has a slot in a unit whatever the others do: it has made one for itself there by preemption. The unit is negative when the
// policy has it no more; the pod then claims a slot at the next Sync.
func (t *Tickets) Keep(a Applicant, unit int) {
	pod := t.pods[a.UID]
	if pod == nil {
		pod = t.add(a)
	}
	t.release(pod)
	t.claim(pod, stateTried, max(unit, noUnit))
}

// Full tells whether the counts alone keep a held pod out, and not the claims of others. It returns false while the counts are not known.
func (t *Tickets) Full(uid types.UID) bool {
	pod, ok := t.pods[uid]
	return ok && t.counts != nil && t.policy.FullForAll(pod.Requests, func(unit int) placement.Usage { return t.counts[unit] })
}

// Sync tells the counts of the group by unit, as they were at a version. Counts of an older version are not taken.
func (t *Tickets) Sync(version int64, counts []placement.Usage) Moves {
	if version == t.version {
		t.counts = counts
	}
	return t.settle()
}

// SetLowest tells the lowest priority of the counted pods; ok is false when there are none.
func (t *Tickets) SetLowest(lowest int32, ok bool) { t.lowest, t.hasLowest = lowest, ok }

// Place tells that the pod was placed in a unit.
func (t *Tickets) Place(a Applicant, unit int) Moves {
	t.Forget(a.UID)
	if !t.hasLowest || a.Priority < t.lowest {
		// Until the next counts: Sync is told the lowest of all.
		t.lowest, t.hasLowest = a.Priority, true
	}
	if t.counts != nil {
		t.counts[unit] = t.counts[unit].Add(a.Requests)
	}
	return t.settle()
}

// Wait tells that the attempt of the pod failed, and that it waits for a node in a unit that is not full.
func (t *Tickets) Wait(a Applicant) Moves {
	t.Forget(a.UID)
	pod := t.add(a)
	t.takeOut(pod)
	pod.vain = true
	t.claim(pod, stateWaiting, noUnit)
	return t.settle()
}

// Fail tells that the attempt of the pod failed for a reason that is not the policy's: its slot is free for others. The pod may ask again.
func (t *Tickets) Fail(uid types.UID) Moves {
	t.Forget(uid)
	return t.settle()
}

// Hold tells that every unit was found full for the pod.
func (t *Tickets) Hold(a Applicant) Moves {
	t.Forget(a.UID)
	t.add(a).vain = true
	moves := t.settle()
	if t.IsHeld(a.UID) {
		moves.Held = append(moves.Held, a.UID)
	}
	return moves
}

// Doubt tells that a slot may have become free: the counts are not known any more.
func (t *Tickets) Doubt() Moves {
	t.version++
	t.counts = nil
	return t.settle()
}

// Forget drops a pod: it was bound by another scheduler, deleted, or changed its group.
func (t *Tickets) Forget(uid types.UID) {
	pod, ok := t.pods[uid]
	if !ok {
		return
	}
	t.release(pod)
	delete(t.pods, uid)
}
