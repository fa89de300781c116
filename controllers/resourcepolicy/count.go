package resourcepolicy

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"github.com/spillway-k8s/spillway/pkg/placement"
)

// scene is what the status of a policy is computed from. Nothing in it is changed.
type scene struct {
	policy *placement.Policy
	// policies are those of the policy's namespace.
	policies *placement.Policies
	// pods are those of the policy's namespace that it selects; another policy may govern them (R1).
	pods []corev1.Pod
	// fleet are the nodes of the cluster.
	fleet *fleet
}

// counted is how many pods of a policy are where.
type counted struct {
	// groups have what the pods of each group use in each unit.
	groups map[string][]placement.Usage
	// unplaced are the pods that no node has yet.
	unplaced []*corev1.Pod
	// waiting and held are how many of them wait and are held (R7).
	waiting, held int32
	// heldGroups are the groups with held pods.
	heldGroups map[string]bool
	// clamped are the pods with a deletion cost of the user's that does not count in full (R10).
	clamped podsFound
	// tolerant are the pods of Spillway's scheduler that tolerate the taint of virtual nodes themselves.
	tolerant podsFound
}

// count counts the pods of the policy the way the scheduler does (R3, R4). Pods of other schedulers can count for a unit but neither wait nor be held.
func (s *scene) count(schedulerName string) counted {
	out := counted{groups: map[string][]placement.Usage{}, heldGroups: map[string]bool{}}
	for i := range s.pods {
		pod := &s.pods[i]
		if isTerminal(pod) || !s.governs(pod) {
			continue
		}
		ours, inUnit := pod.Spec.SchedulerName == schedulerName, false
		switch {
		case pod.Spec.NodeName != "":
			inUnit = s.countBound(pod, s.fleet.labels[pod.Spec.NodeName], out.groups)
		case ours && pod.DeletionTimestamp == nil:
			inUnit = true // It will be, unless it is refused.
			if len(pod.Spec.SchedulingGates) == 0 {
				out.unplaced = append(out.unplaced, pod)
			}
		}
		if pod.DeletionTimestamp == nil {
			out.find(pod, ours, inUnit)
		}
	}
	for _, pod := range out.unplaced {
		if group, full := s.holds(pod, out.groups); full {
			out.held++
			out.heldGroups[group] = true
		} else if saysHeld(pod) {
			out.held++
		} else if isUnschedulable(pod) {
			out.waiting++
		}
	}
	return out
}

// find adds a pod to those that conditions speak of. ours tells whether it is a pod of Spillway's scheduler.
func (c *counted) find(pod *corev1.Pod, ours, inUnit bool) {
	if ours && toleratesVirtualNodes(pod) {
		c.tolerant.add(pod)
	}
	if _, _, clamped := placement.ClampedCost(pod.Annotations); clamped && inUnit {
		c.clamped.add(pod)
	}
}

// governs tells whether the policy governs a pod (R1).
func (s *scene) governs(pod *corev1.Pod) bool {
	governing := s.policies.Governing(pod.Namespace, pod.Labels)
	return governing != nil && governing.UID == s.policy.UID
}

// countBound adds a bound pod to its group and unit if it counts (R3, R4), and reports whether it is in a unit. nil labels
// are those of a node that does not exist any more.
func (s *scene) countBound(pod *corev1.Pod, nodeLabels map[string]string, groups map[string][]placement.Usage) bool {
	bound := placement.NewBoundPod(pod, nodeLabels)
	unit := s.policy.UnitOf(&bound)
	if unit < 0 {
		return false
	}
	group, err := s.policy.Group(pod.Labels)
	if err != nil || !s.policy.Counts(&bound) {
		// A pod without a group cannot have been placed by the policy and counts for none of its groups.
		return true
	}
	if groups[group] == nil {
		groups[group] = make([]placement.Usage, len(s.policy.Units))
	}
	groups[group][unit] = groups[group][unit].Add(s.vector(pod))
	return true
}

// holds tells whether every unit is full for a pod that no node has yet, and returns its group (R7). A refused policy and a pod without a group are
// refused for that, not held.
func (s *scene) holds(pod *corev1.Pod, groups map[string][]placement.Usage) (string, bool) {
	group, err := s.policy.Group(pod.Labels)
	if err != nil || s.policy.Refusal != "" {
		return "", false
	}
	return group, s.policy.FullForAll(s.vector(pod), usageOf(groups[group]))
}

// saysHeld tells whether the scheduler says that it holds the pod, also while the last slots are kept for pods that wait for a node. A pod with scheduling
// gates, of which the API server says the same, is not counted at all.
func saysHeld(pod *corev1.Pod) bool {
	said := verdictOn(pod)
	return said.status == corev1.ConditionFalse && said.reason == corev1.PodReasonSchedulingGated
}

// usageOf returns a group's usage by unit. nil: the group has no pods.
func usageOf(units []placement.Usage) func(unit int) placement.Usage {
	return func(unit int) placement.Usage {
		if units == nil {
			return placement.Usage{}
		}
		return units[unit]
	}
}

// vector returns the requests of a pod as the policy tracks them. A pod that is being resized in place counts with what it holds.
func (s *scene) vector(pod *corev1.Pod) []int64 {
	if !s.policy.TracksResources() {
		return nil
	}
	return s.policy.Vector(requestsOf(pod))
}

func requestsOf(pod *corev1.Pod) corev1.ResourceList {
	return resource.PodRequests(pod, resource.PodResourcesOptions{UseStatusResources: true})
}

// isTerminal tells whether a pod has ended: it uses nothing any more.
func isTerminal(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// isUnschedulable tells whether the scheduler has tried the pod and found no place.
func isUnschedulable(pod *corev1.Pod) bool {
	said := verdictOn(pod)
	return said.status == corev1.ConditionFalse && said.reason == corev1.PodReasonUnschedulable
}
