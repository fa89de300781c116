package placement

import (
	"fmt"
	"strings"
)

// Room says whether a unit has a node that can take the pod.
type Room int

const (
	// RoomYes means that at least one node of the unit has room, as far as a cheap look can tell.
	RoomYes Room = iota
	// RoomNoNodes means that no node of the cluster is in the unit.
	RoomNoNodes
	// RoomNone means that every node of the unit lacks room.
	RoomNone
	// RoomRefused means that the nodes with room refuse the pod: they are cordoned, or have a taint or lack a label.
	RoomRefused
	// RoomUnfit means that nodes seemed to have room, but the scheduler's other filters refused them all.
	RoomUnfit
)

// String returns the words that explain to a user why a unit was passed over.
func (r Room) String() string {
	switch r {
	case RoomYes:
		return "has room"
	case RoomNoNodes:
		return "no node is in this unit"
	case RoomNone:
		return "no node has room for the pod"
	case RoomRefused:
		return "nodes with room are closed to the pod by a cordon, a taint or their labels"
	case RoomUnfit:
		return "no node passes all filters for the pod"
	default:
		return fmt.Sprintf("Room(%d)", int(r))
	}
}

// View is what a decision needs to know about the cluster. Asking may cost something, so a decision asks in order and stops early.
type View interface {
	// Usage returns what the pod's group has in the unit now.
	Usage(unit int) Usage
	// Room tells whether a node of the unit can take the pod now.
	Room(unit int) Room
}

// Decision is the unit of a pod, and why the units before it were passed over.
type Decision struct {
	// Unit is the index of the chosen unit, or -1 when no unit can take the pod.
	Unit int

	policy   *Policy
	verdicts []verdict
}

type verdict struct {
	unit int
	why  string
}

// Decide picks the first unit that is not full (R4) and has a node with room (R5, whenTryNextUnits LackResourceOrExceedMax). requests is the pod's
// Vector.
func (p *Policy) Decide(requests []int64, view View) Decision {
	d := Decision{Unit: -1, policy: p}
	for i := range p.Units {
		why := p.full(&p.Units[i], view.Usage(i), requests)
		if why == "" {
			room := view.Room(i)
			if room == RoomYes {
				d.Unit = i
				return d
			}
			why = room.String()
		}
		d.verdicts = append(d.verdicts, verdict{unit: i, why: why})
	}
	return d
}

// Message explains in one sentence why each unit before the chosen one was passed over (R12), such as
// "unit 0 (ecs, paidtype=subscription): full, max 2; unit 1 (eci): no node has room for the pod". It has no moving numbers, so that it stays the
// same while the situation is the same.
func (d *Decision) Message() string {
	var words []string
	for _, v := range d.verdicts {
		words = append(words, fmt.Sprintf("unit %d (%s): %s", v.unit, d.policy.Units[v.unit].title, v.why))
	}
	return strings.Join(words, "; ")
}

// full tells in words which cap of the unit keeps the pod out (R4). Empty: none does.
func (p *Policy) full(unit *Unit, usage Usage, requests []int64) string {
	if unit.maxPods != NoCap && usage.Pods >= unit.maxPods {
		return fmt.Sprintf("full, max %d", unit.maxPods)
	}
	for i, limit := range unit.maxRequests {
		if limit == NoCap || requests[i] == 0 {
			continue
		}
		used := int64(0)
		if i < len(usage.Requests) {
			used = usage.Requests[i]
		}
		if Plus(used, requests[i]) > limit {
			return fmt.Sprintf("full, maxResources %s %s leaves no room for the pod", p.tracked[i], unit.maxTexts[i])
		}
	}
	return ""
}
