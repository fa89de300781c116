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

// dueLabels returns the labels of the unit that a pod has still to get, and the note to write with them. Only pods that
// the scheduler placed in this unit by this policy get them, and, as at their placement, only labels that neither give
// the pod to another policy nor take it from its owner.
//
// Labels belong to whoever changes them after the placement, such as an operator that keeps the role of the pod in one.
// A key that was on the pod once, or that was written once, is not written again: what was seen is remembered until the
// controller ends, what was written is noted on the pod.
func (c *Controller) dueLabels(
	ctx context.Context, pod *corev1.Pod, in lookup,
) (due map[string]string, note string, err error) {
	if pod.Annotations[v1alpha1.AnnotationPolicy] != in.policy.Name || pod.Annotations[v1alpha1.AnnotationUnit] != in.unit.ID {
		return nil, "", nil
	}
	seen, _ := c.seen.Get(pod.UID)
	notes := []string{pod.Annotations[v1alpha1.AnnotationPodLabels]}
	if text, ok := seen.(string); ok {
		notes = append(notes, text)
	}
	due, note = in.unit.DueLabels(pod.Labels, notes...)
	switch {
	case note == "":
		return nil, "", nil
	case len(due) == 0:
		c.seen.Add(pod.UID, note)
		return nil, "", nil
	case in.policies.Takes(in.policy, pod.Labels, due) != nil:
		return nil, "", nil
	}
	owner, err := c.options.Owners.Loses(ctx, pod, due)
	if err != nil || owner != "" {
		return nil, "", err
	}
	return due, note, nil
}
