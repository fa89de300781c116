package placement

import (
	"fmt"
	"time"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// View is what a decision needs to know about the cluster and the pod. Asking may cost something, so a decision asks in order and stops early.
type View interface {
	// Usage returns what the pod's group has in the unit now.
	Usage(unit int) Usage
	// Terminating returns how many pods of the policy, of all groups, are terminating in the unit.
	Terminating(unit int) int64
	// Room tells whether a node of the unit can take the pod now.
	Room(unit int) Room
	// Closed returns why no virtual node of the unit takes the pod now, after Room has answered RoomClosed. It has no moving numbers.
	Closed(unit int) (string, Passed)
	// Barred returns why the pod can never be placed in the unit, in words that follow the unit's name; empty when it can.
	Barred(unit int) string
	// Since returns when the pod first failed in the unit (R6), in whole seconds. If the clock does not run, it is started, or the result is zero.
	Since(unit int, start bool) time.Time
	// Preempt tells whether preemption has still to be tried in the unit before the pod goes on (R8, BeforeNextUnit).
	Preempt(unit int) bool
	// Nominated tells whether the pod has preempted others in the unit and they have not all ended yet (R8).
	Nominated(unit int) bool
}

// Outcome says what happens to a pod.
type Outcome int

const (
	// Placed means that the pod is placed on a node of the unit, if the filters of other plugins let it.
	Placed Outcome = iota
	// Waiting means that the pod stays where it is: for a node, a timeout, or pods that terminate (R6).
	Waiting
	// Preempting means that preemption is tried in the unit before the pod goes on (R8, BeforeNextUnit).
	Preempting
	// Failed means that no unit can take the pod, and at least one is not full.
	Failed
	// Held means that every unit is full (R7).
	Held
)

// Decision is what happens to a pod, and why the units before the chosen one were passed over.
type Decision struct {
	Outcome Outcome
	// Unit is the index of the unit that the outcome is about; -1 for Failed and Held.
	Unit int
	// Until is when the wait ends by itself; zero when only an event ends it.
	Until time.Time

	policy                                      *Policy
	verdicts                                    []verdict
	needsRoom, passedFull, leaving, terminating bool
	victimsRemain                               bool
}

type verdict struct {
	unit   int
	why    string
	passed Passed
}

// Decide picks the first unit that is not full (R4) and has a node with room (R5), as far as whenTryNextUnits allows (R6). requests is the pod's
// Vector.
func (p *Policy) Decide(requests []int64, view View, now time.Time) Decision {
	d := Decision{Outcome: Held, Unit: -1, policy: p}
	for i := range p.Units {
		unit := &p.Units[i]
		if why := view.Barred(i); why != "" {
			// Nothing that could happen in the unit would help the pod there: it goes on.
			d.Outcome = Failed
			d.add(i, PassedBarred, why)
			continue
		}
		why := p.fullWords(i, view.Usage(i), requests)
		full, passed := why != "", PassedFull
		if !full {
			d.Outcome = Failed
			var room Room
			if room, why, passed = look(view, i); room == RoomYes {
				d.Outcome, d.Unit = Placed, i
				return d
			}
			d.needsRoom = d.needsRoom || room != RoomUnfit
			if passed == PassedBarred {
				d.add(i, passed, why)
				continue
			}
			if room == RoomLeaving {
				d.Outcome, d.Unit, d.leaving = Waiting, i, true
				d.add(i, passed, why)
				return d
			}
		}
		d.passedFull = d.passedFull || full
		if words, stops := d.stops(unit, view); stops {
			d.add(i, passed, why+words)
			return d
		}
		wait := p.wait(unit, full, view, now)
		if wait.words != "" {
			why += ", " + wait.words
		}
		d.add(i, passed, why)
		if wait.stays {
			d.Outcome, d.Unit, d.Until = Waiting, i, wait.until
			d.terminating = p.tryNext == v1alpha1.TryNextLackResourceAndNoTerminating
			return d
		}
	}
	return d
}

// look returns whether a unit that is not full has room for the pod, and why not.
func look(view View, unit int) (room Room, why string, passed Passed) {
	if room = view.Room(unit); room == RoomClosed {
		why, passed = view.Closed(unit)
		return room, why, passed
	}
	return room, room.String(), room.passed()
}

// stops tells whether preemption ends the walk in a unit that cannot take the pod: its victims have still to end, or it has still to be tried there.
func (d *Decision) stops(unit *Unit, view View) (words string, stops bool) {
	switch {
	case view.Nominated(unit.Index):
		d.Outcome, d.Unit, d.victimsRemain = Waiting, unit.Index, true
		return ", waits for the pods that it preempted to end", true
	case d.policy.preemptFirst && !unit.noPreemption && view.Preempt(unit.Index):
		d.Outcome, d.Unit = Preempting, unit.Index
		return "", true
	default:
		return "", false
	}
}

func (d *Decision) add(unit int, passed Passed, why string) {
	d.verdicts = append(d.verdicts, verdict{unit: unit, passed: passed, why: why})
}

// wait is what whenTryNextUnits says about a unit that cannot take a pod.
type wait struct {
	// stays is true when the pod may not go on.
	stays bool
	// until is when it may; zero when only an event can tell.
	until time.Time
	words string
}

// wait applies whenTryNextUnits to a unit that cannot take the pod (R6; source: ACK, whenTryNextUnits). Behind the last unit there is nothing to wait
// for: the pod has failed.
func (p *Policy) wait(unit *Unit, full bool, view View, now time.Time) wait {
	if unit.Index == len(p.Units)-1 {
		return wait{}
	}
	switch p.tryNext {
	case v1alpha1.TryNextExceedMax:
		if !full && unit.HasCap() {
			return wait{stays: true, words: "waits for a node"}
		}
	case v1alpha1.TryNextTimeoutOrExceedMax:
		if !p.hasClock(unit) {
			return wait{}
		}
		since := view.Since(unit.Index, !full)
		until := since.Add(p.timeout)
		switch {
		case since.IsZero():
		case !full && now.Before(until):
			return wait{stays: true, until: until, words: clockWords(waitsSince, since, p.timeout)}
		default:
			return wait{words: clockWords(waitedSince, since, p.timeout)}
		}
	case v1alpha1.TryNextLackResourceAndNoTerminating:
		if view.Terminating(unit.Index) > 0 {
			return wait{stays: true, words: "waits for its terminating pods"}
		}
	}
	return wait{}
}

// NeedsRoom tells whether a unit that is not full lacks a node with room for the pod, so that a new node may help it.
func (d *Decision) NeedsRoom() bool { return d.needsRoom }

// PassedFull tells whether a full unit was in the pod's way, so that a slot that becomes free may help it.
func (d *Decision) PassedFull() bool { return d.passedFull }

// Passed tells why the unit before the one of a Placed decision was passed over; empty when it is the first.
func (d *Decision) Passed() Passed {
	if len(d.verdicts) == 0 {
		return ""
	}
	return d.verdicts[len(d.verdicts)-1].passed
}

// Leaving tells whether the pod waits for one that has ended to leave a node, which is a matter of moments.
func (d *Decision) Leaving() bool { return d.leaving }

// Terminating reports whether the pod waits for the terminating pods of its policy (R6, LackResourceAndNoTerminating).
func (d *Decision) Terminating() bool { return d.terminating }

// VictimsRemain reports whether the pod waits for the pods that it has preempted to leave their node.
func (d *Decision) VictimsRemain() bool { return d.victimsRemain }

// hasClock tells whether pods wait in the unit for the timeout (source: ACK, whenTryNextUnits TimeoutOrExceedMax).
func (p *Policy) hasClock(unit *Unit) bool {
	return p.tryNext == v1alpha1.TryNextTimeoutOrExceedMax && p.timeout > 0 && !unit.noWait && (unit.HasCap() || unit.waitLabel) && unit.Index < len(p.Units)-1
}

// Message explains in one sentence why each unit before the chosen one was passed over (R12), such as
// "unit 0 (ecs, paidtype=subscription): full, max 2; unit 1 (eci): no node has room for the pod". It has no moving numbers, so that it stays the
// same while the situation is the same.
func (d *Decision) Message() string {
	var words string
	for _, v := range d.verdicts {
		if words != "" {
			words += "; "
		}
		words += fmt.Sprintf("unit %d (%s): %s", v.unit, d.policy.Units[v.unit].Title, v.why)
	}
	return words
}

// FullForAll tells whether every unit is full for a pod with these requests, given what its group has in each (R7).
func (p *Policy) FullForAll(requests []int64, usage func(unit int) Usage) bool {
	return p.FirstOpen(requests, usage) < 0
}

// FirstOpen returns the first unit that is not full for a pod with these requests, or -1.
func (p *Policy) FirstOpen(requests []int64, usage func(unit int) Usage) int {
	for i := range p.Units {
		if !p.Full(i, usage(i), requests) {
			return i
		}
	}
	return -1
}

// HeldMessage explains why a pod with these requests is held (R7, R12). since returns when the pod first failed in a unit, or zero: the message keeps its
// clocks.
func (p *Policy) HeldMessage(requests []int64, since func(unit int) time.Time) string {
	d := Decision{policy: p}
	for i := range p.Units {
		why := p.fullWords(i, p.filled(&p.Units[i]), requests)
		if begin := since(i); p.hasClock(&p.Units[i]) && !begin.IsZero() {
			why += ", " + clockWords(waitedSince, begin, p.timeout)
		}
		d.add(i, PassedFull, why)
	}
	return d.Message()
}

// filled returns a usage that reaches all caps of the unit.
func (p *Policy) filled(unit *Unit) Usage {
	usage := Usage{Pods: unit.maxPods}
	for _, limit := range unit.maxRequests {
		usage.Requests = append(usage.Requests, max(limit, 0))
	}
	return usage
}

// PreemptsFirst tells whether preemption is tried in each unit before going on (R8, BeforeNextUnit).
func (p *Policy) PreemptsFirst() bool { return p.preemptFirst }

// WaitsUntilFull tells whether pods wait in a unit with a cap until it is full, and then go on (R6, ExceedMax and TimeoutOrExceedMax).
func (p *Policy) WaitsUntilFull() bool {
	return p.tryNext == v1alpha1.TryNextExceedMax || p.tryNext == v1alpha1.TryNextTimeoutOrExceedMax
}

// VectorLen is the length of the placement vectors of the policy.
func (p *Policy) VectorLen() int { return len(p.tracked) }

// HasCaps tells whether a unit of the policy has a cap.
func (p *Policy) HasCaps() bool {
	for i := range p.Units {
		if p.Units[i].HasCap() {
			return true
		}
	}
	return false
}

// CanHold tells whether pods of the policy can be held: every unit has a cap.
func (p *Policy) CanHold() bool {
	for i := range p.Units {
		if !p.Units[i].HasCap() {
			return false
		}
	}
	return true
}
