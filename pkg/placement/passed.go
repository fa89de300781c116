package placement

// Passed says in one word why a unit was passed over, for what counts; the words for a user are those of Decision.Message.
type Passed string

const (
	// PassedFull means that a cap of the unit keeps the pod out.
	PassedFull Passed = "full"
	// PassedBarred means that the pod cannot be placed in the unit, whatever happens there: never, or not before
	// somebody edits a VirtualNode. It is not waited for, and nothing is preempted for it.
	PassedBarred Passed = "barred"
	// PassedNoNodes means that no node of the cluster is in the unit.
	PassedNoNodes Passed = "no_nodes"
	// PassedNoRoom means that every node of the unit lacks room.
	PassedNoRoom Passed = "no_room"
	// PassedNotReady means that a node with room is not ready yet.
	PassedNotReady Passed = "node_not_ready"
	// PassedNodesClosed means that the nodes with room refuse the pod: they are cordoned, or have a taint or lack a label.
	PassedNodesClosed Passed = "nodes_closed"
	// PassedFilters means that the scheduler's other filters refused all nodes.
	PassedFilters Passed = "filters"
	// PassedSoldOut means that ECI has no stock for the pod.
	PassedSoldOut Passed = "eci_sold_out"
	// PassedECIFull means that a quota, the free addresses or a limit of the virtual node leave no room for the pod.
	PassedECIFull Passed = "eci_full"
	// PassedECIUnknown means that it is not known what ECI would accept, or what it costs.
	PassedECIUnknown Passed = "eci_unknown"
)

// passed returns why a unit with this room was passed over. Of RoomClosed the view knows more.
func (r Room) passed() Passed {
	switch r {
	case RoomNoNodes:
		return PassedNoNodes
	case RoomComing:
		return PassedNotReady
	case RoomRefused:
		return PassedNodesClosed
	case RoomUnfit:
		return PassedFilters
	case RoomClosed:
		return PassedECIUnknown
	default:
		return PassedNoRoom
	}
}
