package wakeup

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/resource"
)

// ShapeOf returns the same for pods that request the same and fit on the same nodes: the pods of one controller have one template, but for its edits.
func ShapeOf(pod *corev1.Pod) string {
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

// NamespaceTopic is what every pod of a namespace waits for: an edit of the policies there.
func NamespaceTopic(namespace string) string { return "namespace/" + namespace }
