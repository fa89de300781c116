package placement

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// BoundPod is what decides for which unit a pod on a node counts, and whether it counts.
type BoundPod struct {
	Labels, Annotations map[string]string
	// NodeLabels are those of its node; nil when they are not known any more.
	NodeLabels map[string]string
	// Unit is the ID of the unit that was recorded at binding, and Policy the name of the policy; empty when there is no record.
	Unit, Policy string
	// ScheduledAt is when the API server bound the pod, in whole seconds; zero while that is on its way, and for a pod that was created bound.
	ScheduledAt time.Time
	// CreatedAt is when the pod was created.
	CreatedAt time.Time
	// Terminating is true once the pod has been deleted and runs on for its grace period.
	Terminating bool
}

// NewBoundPod returns what counts of a pod on a node with these labels, as it is recorded on the pod.
func NewBoundPod(pod *corev1.Pod, nodeLabels map[string]string) BoundPod {
	bound := BoundPod{
		Labels: pod.Labels, Annotations: pod.Annotations, NodeLabels: nodeLabels,
		Unit: pod.Annotations[v1alpha1.AnnotationUnit], Policy: pod.Annotations[v1alpha1.AnnotationPolicy],
		CreatedAt: pod.CreationTimestamp.Time, Terminating: pod.DeletionTimestamp != nil,
	}
	for i := range pod.Status.Conditions {
		condition := &pod.Status.Conditions[i]
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionTrue {
			bound.ScheduledAt = condition.LastTransitionTime.Time
		}
	}
	return bound
}

// UnitOf returns the index of the unit that a bound pod is in (R3): the recorded unit if the policy still has it and it still contains the node,
// otherwise the first unit that contains the node and whose podLabels and podAnnotations the pod carries. It returns -1 when no unit does.
func (p *Policy) UnitOf(pod *BoundPod) int {
	recorded := slices.IndexFunc(p.Units, func(u Unit) bool { return u.ID == pod.Unit })
	if pod.NodeLabels == nil {
		return recorded
	}
	if recorded >= 0 && p.Units[recorded].Nodes.Contains(pod.NodeLabels) {
		return recorded
	}
	return slices.IndexFunc(p.Units, func(u Unit) bool {
		return u.Nodes.Contains(pod.NodeLabels) && u.carriedBy(pod.Labels, pod.Annotations)
	})
}

// Counts tells whether a bound pod uses a part of its unit's caps (R4). Pods in a terminal phase never do and must not be asked about.
func (p *Policy) Counts(pod *BoundPod) bool {
	ignored := pod.Terminating && p.ignoreTerminating || p.ignorePrevious && p.isPrevious(pod)
	return !ignored
}

// isPrevious tells whether a pod was scheduled before the policy was created. Both times are whole seconds of the API server's clock; in the same
// second a pod with this policy's record was placed by it, and one without was not. Of a pod that was created bound, or is being bound, only the record
// and the creation can tell.
func (p *Policy) isPrevious(pod *BoundPod) bool {
	switch {
	case pod.ScheduledAt.IsZero():
		return pod.Policy != p.Name && !pod.CreatedAt.After(p.created)
	case pod.ScheduledAt.Equal(p.created):
		return pod.Policy != p.Name
	default:
		return pod.ScheduledAt.Before(p.created)
	}
}
