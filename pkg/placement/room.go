package placement

import "fmt"

// Room says whether a unit has a node that can take the pod.
type Room int

const (
	// RoomYes means that at least one node of the unit has room, as far as a cheap look can tell.
	RoomYes Room = iota
	// RoomNoNodes means that no node of the cluster is in the unit.
	RoomNoNodes
	// RoomNone means that every node of the unit lacks room.
	RoomNone
	// RoomComing means that a node that is not ready yet has room.
	RoomComing
	// RoomLeaving means that no node has room yet, and a pod is about to leave one: it has ended, and only the scheduler's snapshot still shows it. To go
	// on now would be to pass over a unit that has room.
	RoomLeaving
	// RoomRefused means that the nodes with room refuse the pod: they are cordoned, or have a taint or lack a label.
	RoomRefused
	// RoomClosed means that ECI would not accept the pod now on any virtual node of the unit; View.Closed says why.
	RoomClosed
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
	case RoomComing:
		return "a node with room is not ready yet"
	case RoomLeaving:
		return "a pod that has ended is about to leave a node"
	case RoomRefused:
		return "nodes with room are closed to the pod by a cordon, a taint or their labels"
	case RoomClosed:
		return "ECI would not accept the pod"
	case RoomUnfit:
		return "no node passes all filters for the pod"
	default:
		return fmt.Sprintf("Room(%d)", int(r))
	}
}
