package resourcepolicy

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// virtualNodeTaints are the taints that pods must tolerate to be placed on a virtual node by other schedulers.
var virtualNodeTaints = []corev1.Taint{
	{Key: eciv1alpha1.TaintProvider, Value: eciv1alpha1.TaintProviderValue, Effect: corev1.TaintEffectNoSchedule},
	{Key: eciv1alpha1.LabelVNode, Value: "true", Effect: corev1.TaintEffectNoSchedule},
}

// podsFound are the pods for which a condition is True. The example is the same in every look at the same pods, so that
// the message is.
type podsFound struct {
	number int
	// example is the first of them by name; nil when there is none.
	example *corev1.Pod
}

func (f *podsFound) add(pod *corev1.Pod) {
	f.number++
	if f.example == nil || pod.Name < f.example.Name {
		f.example = pod
	}
}

// String writes the pods as the subject of a message: "pod web-1", or "pod web-1, one of 3 such pods,".
func (f *podsFound) String() string {
	if f.number == 1 {
		return "pod " + f.example.Name
	}
	return fmt.Sprintf("pod %s, one of %d such pods,", f.example.Name, f.number)
}

// ToleratesVirtualNodes reports whether a toleration matches a taint of virtual nodes, as one with an empty key does.
func ToleratesVirtualNodes(toleration *corev1.Toleration) bool {
	return slices.ContainsFunc(virtualNodeTaints, func(taint corev1.Taint) bool {
		// The values of these taints are no numbers: comparison operators never match them.
		return toleration.ToleratesTaint(klog.Background(), &taint, false)
	})
}

func toleratesVirtualNodes(pod *corev1.Pod) bool {
	for i := range pod.Spec.Tolerations {
		if ToleratesVirtualNodes(&pod.Spec.Tolerations[i]) {
			return true
		}
	}
	return false
}

// clampedCosts returns a finding when pods have a deletion cost of their own that does not count in full (R10).
func clampedCosts(pods podsFound) []placement.Finding {
	if pods.number == 0 {
		return nil
	}
	cost, limit, _ := placement.ClampedCost(pods.example.Annotations)
	counts := limit
	if cost < 0 {
		counts = -limit
	}
	return []placement.Finding{{Reason: v1alpha1.ReasonDeletionCostOutOfRange, Message: fmt.Sprintf(
		"%s has the annotation %s: %d, which counts as %d: set one from -%d to %d",
		pods.String(), corev1.PodDeletionCost, cost, counts, limit, limit)}}
}
