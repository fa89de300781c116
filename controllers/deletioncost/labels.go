package deletioncost

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// lookup is a pod's unit, and where it was found.
type lookup struct {
	policies *placement.Policies
	policy   *placement.Policy
	unit     *placement.Unit
}

// missingLabels returns the labels of the unit that a pod lacks or has with another value. Only pods that the scheduler placed in this unit by this policy
// get them, and, as at their placement, only labels that neither give the pod to another policy nor take it from its owner.
func (c *Controller) missingLabels(ctx context.Context, pod *corev1.Pod, in lookup) (map[string]string, error) {
	if pod.Annotations[v1alpha1.AnnotationPolicy] != in.policy.Name || pod.Annotations[v1alpha1.AnnotationUnit] != in.unit.ID {
		return nil, nil
	}
	written := in.unit.LabelsFor(pod.Labels)
	if len(written) == 0 || in.policies.Takes(in.policy, pod.Labels, written) != nil {
		return nil, nil
	}
	owner, err := c.options.Owners.Loses(ctx, pod, written)
	if err != nil || owner != "" {
		return nil, err
	}
	return written, nil
}
