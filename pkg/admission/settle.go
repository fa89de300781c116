package admission

import (
	"container/heap"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/pkg/placement"
)

// settle takes the claims of waiting pods back where the counts leave no room for them, then lets held pods through while slots are free.
func (t *Tickets) settle() Moves {
	var moves Moves
	if t.counts != nil {
		t.claimLate()
		moves.Held = t.takeBack()
	}
	if t.counts == nil && t.trying > 0 {
		return moves
	}
	full := t.isFullForAll()
	for first := t.firstOfShapes(); len(first) > 0; {
		pod := first[0]
		switch {
		case t.admit(pod):
			moves.Free = append(moves.Free, pod.UID)
			if next := t.held[pod.Shape]; next != nil {
				first[0] = next.tickets[0]
				heap.Fix(&first, 0)
				continue
			}
		case full && (!t.hasLowest || pod.Priority <= t.lowest):
			return moves // Nobody who comes behind it has a slot, or may make one.
		}
		heap.Pop(&first) // Its younger likes would be refused, too.
	}
	return moves
}

// isFullForAll reports whether no pod has a slot, whatever it requests.
func (t *Tickets) isFullForAll() bool {
	none := make([]int64, t.policy.VectorLen())
	return t.counts != nil && t.policy.FullForAll(none, func(unit int) placement.Usage { return t.counts[unit].Merge(t.tried[unit]) })
}

// firstOfShapes returns the held pod of each shape that goes first, as a heap.
func (t *Tickets) firstOfShapes() firstPods {
	first := make(firstPods, 0, len(t.held))
	for _, pods := range t.held {
		first = append(first, pods.tickets[0])
	}
	heap.Init(&first)
	return first
}

// admit lets a held pod through if it may be tried.
func (t *Tickets) admit(pod *ticket) bool {
	unit := noUnit
	if t.counts == nil {
		if t.trying > 0 {
			return false
		}
	} else if unit = t.open(pod); unit == noUnit && !t.mayPreempt(pod) {
		return false
	}
	t.takeOut(pod)
	t.claim(pod, stateTried, unit)
	return true
}

// mayPreempt tells whether the pod goes before one that is counted.
func (t *Tickets) mayPreempt(pod *ticket) bool {
	return pod.MayPreempt && !pod.vain && t.hasLowest && pod.Priority > t.lowest
}

// open returns the first unit with a slot for the pod that neither a counted pod, nor one that is being tried, nor a waiting one of its shape has;
// noUnit when there is none.
func (t *Tickets) open(pod *ticket) int {
	waiting := t.waiting[pod.Shape]
	return t.policy.FirstOpen(pod.Requests, func(unit int) placement.Usage {
		usage := t.counts[unit].Merge(t.tried[unit])
		if waiting != nil {
			usage = usage.Merge(waiting[unit])
		}
		return usage
	})
}

// claimLate gives the pods that have no claim one, now that the counts are known. A pod that is being tried and may preempt can go without.
func (t *Tickets) claimLate() {
	for _, pod := range slices.Collect(maps.Values(t.unclaimed)) {
		s := pod.state
		t.release(pod)
		t.claim(pod, s, t.open(pod))
	}
}

// takeBack holds the waiting pods that have no slot left, youngest first.
func (t *Tickets) takeBack() []types.UID {
	var held []types.UID
	for _, pod := range slices.Collect(maps.Values(t.unclaimed)) {
		if pod.state == stateWaiting {
			held = append(held, t.hold(pod))
		}
	}
	for _, shape := range slices.Collect(maps.Keys(t.waiting)) {
		for unit := range t.policy.Units {
			for t.overclaimed(shape, unit) {
				held = append(held, t.takeSlot(shape, unit))
			}
		}
	}
	return held
}

// overclaimed reports whether the waiting pods of a shape claim more of a unit than the counts leave. It reads the claims anew each time: takeSlot replaces
// them when it moves the last one.
func (t *Tickets) overclaimed(shape string, unit int) bool {
	claims := t.waiting[shape]
	return claims != nil && claims[unit].Pods > 0 && t.policy.Over(unit, t.counts[unit].Merge(claims[unit]))
}

// hold makes a waiting pod a held one.
func (t *Tickets) hold(pod *ticket) types.UID {
	t.release(pod)
	delete(t.pods, pod.UID)
	// Its attempt has ended: it is not tried for its priority again and again.
	t.add(pod.Applicant).vain = pod.vain
	return pod.UID
}

// takeSlot takes one slot in the unit from the waiting pods of a shape: the youngest of them all is held, and its slot is another's from now on. They
// request the same.
func (t *Tickets) takeSlot(shape string, unit int) types.UID {
	youngest, here := t.youngestWaiting(shape, noUnit), t.youngestWaiting(shape, unit)
	free := youngest.unit
	uid := t.hold(youngest)
	if here != youngest {
		t.release(here)
		t.claim(here, stateWaiting, free)
	}
	return uid
}

// youngestWaiting returns the last of the pods of a shape that wait with a claim in the unit, or in any for noUnit. There is one.
func (t *Tickets) youngestWaiting(shape string, unit int) *ticket {
	var last *ticket
	for _, pod := range t.pods {
		if pod.state == stateWaiting && pod.Shape == shape && (unit == noUnit || pod.unit == unit) && (last == nil || goesFirst(last, pod)) {
			last = pod
		}
	}
	return last
}

// add adds a pod as held.
func (t *Tickets) add(a Applicant) *ticket {
	pod := &ticket{Applicant: a, state: stateHeld, unit: noUnit}
	t.pods[a.UID] = pod
	pods := t.held[a.Shape]
	if pods == nil {
		pods = &heldPods{}
		t.held[a.Shape] = pods
	}
	heap.Push(pods, pod)
	return pod
}

// takeOut takes a held pod out of the held ones.
func (t *Tickets) takeOut(pod *ticket) {
	pods := t.held[pod.Shape]
	heap.Remove(pods, pod.index)
	if pods.Len() == 0 {
		delete(t.held, pod.Shape)
	}
}

// claim gives a pod that is not held a new state, with a claim in the unit.
func (t *Tickets) claim(pod *ticket, s state, unit int) {
	pod.state, pod.unit = s, unit
	if s == stateTried {
		t.trying++
	}
	switch {
	case unit == noUnit:
		t.unclaimed[pod.UID] = pod
	case s == stateTried:
		t.tried[unit] = t.tried[unit].Add(pod.Requests)
	default:
		if t.waiting[pod.Shape] == nil {
			t.waiting[pod.Shape] = make([]placement.Usage, len(t.policy.Units))
		}
		t.waiting[pod.Shape][unit] = t.waiting[pod.Shape][unit].Add(pod.Requests)
	}
}

// release takes back what a pod has.
func (t *Tickets) release(pod *ticket) {
	if pod.state == stateTried {
		t.trying--
	}
	switch {
	case pod.state == stateHeld:
		t.takeOut(pod)
	case pod.unit == noUnit:
		delete(t.unclaimed, pod.UID)
	case pod.state == stateTried:
		t.tried[pod.unit] = without(t.tried[pod.unit], pod)
	default:
		claims := t.waiting[pod.Shape]
		claims[pod.unit] = without(claims[pod.unit], pod)
		for unit := range claims {
			if claims[unit].Pods > 0 {
				return
			}
		}
		delete(t.waiting, pod.Shape)
	}
}

// without returns the claims of a unit without that of the pod. The last one leaves nothing behind: sums that had reached the largest number have lost a
// part.
func without(claims placement.Usage, pod *ticket) placement.Usage {
	if claims.Pods == 1 {
		return placement.Usage{}
	}
	return claims.Minus(placement.Usage{}.Add(pod.Requests))
}
