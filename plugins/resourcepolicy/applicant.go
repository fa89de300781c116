package resourcepolicy

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/resource"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"

	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// applicantOf returns what the tickets need to know of a pod.
func applicantOf(policy *placement.Policy, pod *corev1.Pod) ledger.Applicant {
	return ledger.Applicant{
		UID: pod.UID, Requests: vector(policy, pod), Priority: corev1helpers.PodPriority(pod), MayPreempt: mayPreempt(pod),
		Created: pod.CreationTimestamp.Time, Shape: shapeOf(pod),
	}
}

// shapeOf returns the same for pods that request the same and fit on the same nodes: the pods of one controller have one template, but for its edits.
func shapeOf(pod *corev1.Pod) string {
	var words []any
	requests := resource.PodRequests(pod, resource.PodResourcesOptions{})
	for _, name := range slices.Sorted(maps.Keys(requests)) {
		quantity := requests[name]
		words = append(words, name, quantity.String())
	}
	if owner := metav1.GetControllerOf(pod); owner != nil {
		words = append(words, owner.UID)
	} else {
		words = append(words, pod.Spec.NodeSelector, pod.Spec.Tolerations, pod.Spec.Affinity.String())
	}
	return fmt.Sprint(words...)
}
