package placement

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

const (
	// costBand is the distance between the deletion costs of two units: the cost of unit n is -n*costBand, moved by at most costReach.
	//
	// Karpenter reads the costs, too. It adds up 1 + cost/2^27 + priority/2^25 of the pods of a node, and deletes a node as
	// "Empty", even with consolidationPolicy WhenEmpty, when no pod adds more than 0. Source: sigs.k8s.io/karpenter v1.14.1,
	// EvictionCost in pkg/utils/disruption/disruption.go; computeRescheduleDisruptionCost and Candidate.IsEmpty in
	// pkg/controllers/disruption/types.go, from v1.14.0 on. So the lowest cost must stay above emptyCost.
	//
	// 1,000,000 leaves most of what is above emptyCost to negative priorities. A tenth of it would lower minPriority by 12 percent
	// only, from -29,679,432 to -33,166,932, and costReach to a tenth. 8,000,000, which is enough for priority 0, would raise
	// minPriority to -2,554,432.
	costBand = 1_000_000
	// costReach is the farthest that a user's own cost moves a pod inside its band, so that bands do not touch.
	costReach = costBand/2 - 1
	// maxUnits is the CRD's limit on the units of a policy.
	maxUnits = 16
	// minCost is the lowest cost that Spillway writes.
	minCost = -(maxUnits-1)*costBand - costReach
	// emptyCost is the cost at which a pod with priority 0 adds nothing for Karpenter.
	emptyCost = -1 << 27
	// minPriority is the lowest priority of pods that add more than nothing in every unit.
	minPriority = (emptyCost - minCost) / 4
	// formerBand is the costBand of Spillway 0.2 and earlier. Their pods are still there after an upgrade.
	formerBand = 100_000_000
)

// DeletionCost is the controller.kubernetes.io/pod-deletion-cost of a pod in a unit (R10): the later the unit, the lower the cost, so that the last
// unit is scaled in first. The cost that the user set moves the pod inside the band of its unit, by at most costReach. The first unit's band is around 0,
// where pods without a cost are, so that capacity of the first unit is never given back before that of a later one.
func DeletionCost(unit int, userCost string) int32 { return costIn(unit, userCost, costBand) }

// ClampedCost returns the cost that the user gave a pod with these annotations, and reports whether it is beyond the reach
// of a user's cost: then the cost counts as far as limit, with its sign.
func ClampedCost(current map[string]string) (cost, limit int64, clamped bool) {
	text, _ := UserCost(current)
	cost = parseCost(text)
	return cost, costReach, cost < -costReach || cost > costReach
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

// IsOurCost tells whether Spillway wrote the present cost: what it wrote last is noted on the pod. On a pod with a record and without a note, which Spillway
// 0.2 did not write at the placement, a cost that some unit gives is taken for ours.
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

// IsDeletionCost tells whether a cost is the one of a pod with this user's cost in some unit (R10), now or in Spillway 0.2 and earlier.
func IsDeletionCost(cost, userCost string) bool {
	for unit := range maxUnits {
		for _, band := range []int32{costBand, formerBand} {
			if cost == strconv.Itoa(int(costIn(unit, userCost, band))) {
				return true
			}
		}
	}
	return false
}

// FormerUnit returns the unit whose cost in Spillway 0.2 and earlier is nearest to a cost: 0 for every cost that Spillway writes now.
func FormerUnit(current map[string]string) int {
	cost := parseCost(current[corev1.PodDeletionCost])
	return int(min(max(formerBand/2-cost, 0)/formerBand, maxUnits-1))
}

func costIn(unit int, userCost string, band int32) int32 {
	reach := int64(band/2 - 1)
	return int32(min(max(parseCost(userCost), -reach), reach)) - int32(unit)*band
}

// parseCost reads a cost as the ReplicaSet controller does: one that is no integer counts as none.
func parseCost(text string) int64 {
	cost, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0
	}
	return cost
}
