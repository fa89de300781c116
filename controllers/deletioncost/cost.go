package deletioncost

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// noUnit stands for the unit of a pod that is in none.
const noUnit = -1

// ownKeys are the annotations that this controller keeps.
var ownKeys = []string{corev1.PodDeletionCost, v1alpha1.AnnotationUserDeletionCost, v1alpha1.AnnotationDeletionCost}

// changes returns what to change about the annotations of a bound pod so that they are right for its unit, by key; nil removes the key. It returns nil
// when they are right already.
func changes(current map[string]string, unit int) map[string]*string {
	wanted := inUnit(current, unit)
	if unit == noUnit {
		wanted = withoutUnit(current)
	}
	out := map[string]*string{}
	for _, key := range ownKeys {
		is, has := current[key]
		if want, ok := wanted[key]; !ok && has {
			out[key] = nil
		} else if ok && (!has || is != want) {
			out[key] = &want
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// inUnit returns the annotations of a pod in a unit (R10): the cost in the band of the unit, and the cost that the user gave the pod, if any.
func inUnit(current map[string]string, unit int) map[string]string {
	own, hasOwn := placement.UserCost(current)
	cost := strconv.Itoa(int(placement.DeletionCost(unit, own)))
	wanted := map[string]string{corev1.PodDeletionCost: cost}
	if hasOwn {
		wanted[v1alpha1.AnnotationUserDeletionCost] = own
	}
	_, wrote := current[v1alpha1.AnnotationDeletionCost]
	kept, hasKept := current[v1alpha1.AnnotationUserDeletionCost]
	if !wrote && placement.IsRecorded(current) && current[corev1.PodDeletionCost] == cost && hasKept == hasOwn && kept == own {
		// The scheduler has written the same: no patch is spent on saying so.
		return wanted
	}
	wanted[v1alpha1.AnnotationDeletionCost] = cost
	return wanted
}

// withoutUnit returns the annotations of a pod in no unit: the user's cost as it was.
func withoutUnit(current map[string]string) map[string]string {
	wanted := map[string]string{}
	own, hasOwn := placement.UserCost(current)
	if hasOwn && (!placement.IsOurCost(current) || isCost(own)) {
		wanted[corev1.PodDeletionCost] = own
	}
	_, wrote := current[v1alpha1.AnnotationDeletionCost]
	if placement.IsRecorded(current) && (wrote || placement.IsOurCost(current)) {
		// The record that stays on the pod must not make the user's cost look like the scheduler's.
		wanted[v1alpha1.AnnotationDeletionCost] = ""
	}
	return wanted
}

// isCost tells whether the API server takes a text for a cost. To another one the pod cannot be set back; it counted as none.
func isCost(text string) bool {
	number, err := strconv.ParseInt(text, 10, 32)
	return err == nil && strconv.FormatInt(number, 10) == text
}
