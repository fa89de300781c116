package placement

import "strconv"

const (
	// costBand is the distance between the deletion costs of two units. 16 bands (the CRD's limit on units) fit into the int32 of
	// controller.kubernetes.io/pod-deletion-cost.
	costBand = 100_000_000
	// costReach is the farthest that a user's own cost moves a pod inside its band.
	costReach = costBand/2 - 1
)

// DeletionCost is the controller.kubernetes.io/pod-deletion-cost of a pod in a unit (R10): the later the unit, the lower the cost, so that the last
// unit is scaled in first. The cost that the user set moves the pod inside the band of its unit. The first unit's band is around 0, where pods
// without a cost are, so that capacity of the first unit is never given back before that of a later one.
func DeletionCost(unit int, userCost string) int32 {
	user, err := strconv.ParseInt(userCost, 10, 32)
	if err != nil {
		// As the ReplicaSet controller does: a cost that is no integer counts as none.
		user = 0
	}
	return int32(min(max(user, -costReach), costReach)) - int32(unit)*costBand
}
