package resourcepolicy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// maxOwners is how many owners of pods one look asks about: a finding needs one example, and each owner may cost a request.
const maxOwners = 20

func (s *scene) misconfiguredCondition(seen judgement) metav1.Condition {
	found := s.policy.Findings(s.policies.In(s.policy.Namespace), placement.Cluster{
		NodesIn: func(unit *placement.Unit) int { return seen.nodes[unit.Index].number },
		HasResource: func(unit *placement.Unit, name string) bool {
			return seen.nodes[unit.Index].resources[corev1.ResourceName(name)]
		},
	})
	found = append(found, seen.lost...)
	found = append(found, clampedCosts(seen.pods.clamped)...)
	condition := metav1.Condition{Type: v1alpha1.ConditionMisconfigured, Status: metav1.ConditionFalse}
	if len(found) == 0 {
		condition.Reason, condition.Message = v1alpha1.ReasonNothingFound, "nothing was found"
		return condition
	}
	messages := make([]string, 0, len(found))
	for _, finding := range found {
		messages = append(messages, finding.Message)
	}
	condition.Status, condition.Reason, condition.Message = metav1.ConditionTrue, found[0].Reason, strings.Join(messages, "; ")
	return condition
}

// labelsThatLosePods returns a finding for every unit whose podLabels would take a pod that waits now from the selector of its owner.
func (c *Controller) labelsThatLosePods(ctx context.Context, policy *placement.Policy, unplaced []*corev1.Pod) ([]placement.Finding, error) {
	if policy.Refusal != "" {
		return nil, nil
	}
	pods := onePerOwner(unplaced)
	var found []placement.Finding
	for i := range policy.Units {
		for _, pod := range pods {
			owner, err := c.options.Owners.Loses(ctx, pod, policy.Units[i].LabelsFor(pod.Labels))
			if err != nil {
				return nil, err
			}
			if owner != "" {
				found = append(found, placement.Finding{Reason: v1alpha1.ReasonPodLabelsLeaveOwner, Message: fmt.Sprintf(
					"spec.units[%d].podLabels would take the pods of %s from its selector: such pods are not placed in the unit", i, owner)})
				break
			}
		}
	}
	return found, nil
}

// onePerOwner returns a pod of each owner, of the first maxOwners by name: the pods of one owner have the labels of one template. The order is always the
// same, so that the finding is.
func onePerOwner(pods []*corev1.Pod) []*corev1.Pod {
	owners := map[types.UID]*corev1.Pod{}
	for _, pod := range pods {
		if owner := metav1.GetControllerOf(pod); owner != nil {
			owners[owner.UID] = pod
		}
	}
	byName := func(a, b *corev1.Pod) int {
		one, other := metav1.GetControllerOf(a), metav1.GetControllerOf(b)
		return cmp.Or(cmp.Compare(one.Name, other.Name), cmp.Compare(one.Kind, other.Kind), cmp.Compare(one.UID, other.UID))
	}
	sorted := slices.SortedFunc(maps.Values(owners), byName)
	return sorted[:min(len(sorted), maxOwners)]
}
