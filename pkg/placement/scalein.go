package placement

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

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

// UserCost returns the cost that the user gave a pod with these annotations, and whether there is one: the present one unless Spillway wrote it,
// otherwise the one that was kept. A user who removes the cost has none any more.
func UserCost(current map[string]string) (string, bool) {
	key := corev1.PodDeletionCost
	if IsOurCost(current) {
		key = v1alpha1.AnnotationUserDeletionCost
	}
	cost, ok := current[key]
	return cost, ok
}

// IsOurCost tells whether Spillway wrote the present cost: what it wrote last is noted on the pod. On a pod with a record whose note has been removed, a
// cost that some unit gives is taken for ours.
func IsOurCost(current map[string]string) bool {
	cost, ok := current[corev1.PodDeletionCost]
	if !ok {
		return false
	}
	if wrote, noted := current[v1alpha1.AnnotationDeletionCost]; noted {
		return wrote != "" && wrote == cost
	}
	return IsRecorded(current) && IsDeletionCost(cost, current[v1alpha1.AnnotationUserDeletionCost])
}

// IsRecorded tells whether the scheduler placed a pod with these annotations by a policy.
func IsRecorded(current map[string]string) bool {
	_, ok := current[v1alpha1.AnnotationUnit]
	return ok
}
