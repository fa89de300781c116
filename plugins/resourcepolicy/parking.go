package resourcepolicy

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
	"github.com/spillway-k8s/spillway/plugins/wakeup"
)

// park keeps a pod whose attempt failed until something happens that may let it be placed and that the scheduling queue does not hear of: an edit of a policy,
// a slot that becomes free, a unit that becomes full while the pod waits in it, or more that ECI would accept. decision is nil for a pod that its policy
// cannot place at all. Held pods are woken by their tickets.
func (pl *ResourcePolicy) park(s *cycleState, pod *corev1.Pod, decision *placement.Decision) {
	if _, held := pl.admission.isHeld(pod.UID); held {
		return
	}
	topics := []string{wakeup.NamespaceTopic(pod.Namespace)}
	if decision != nil {
		key := groupKey{s.policy.UID, s.view.group}
		if decision.PassedFull() {
			topics = append(topics, slotTopic(key))
		}
		if isConcernedByGrowth(s.policy) {
			topics = append(topics, grownTopic(key))
		}
		if len(topics) > 1 {
			topics = append(topics, policyTopic(s.policy))
		}
		if s.view.refusedByECI() {
			topics = append(topics, virtualnode.TopicECI)
		}
	}
	pl.waker.Park(wakeup.Parking{Pod: pod, Shape: wakeup.ShapeOf(pod), Topics: topics, Since: s.since})
	pl.offers.RetryIfChanged(pod)
}

// slotTopic is what the pods of a group wait for that found a unit full.
func slotTopic(key groupKey) string { return "slot/" + string(key.policy) + "/" + key.group }

// policyTopic is what the pods of all groups of a policy wait for that found a unit full, or whom a full unit concerns: that the nodes of its units are others.
func policyTopic(policy *placement.Policy) string { return "policy/" + string(policy.UID) }

// grownTopic is what the pods of a group wait for whom it concerns that a unit becomes full without a placement by this scheduler.
func grownTopic(key groupKey) string { return "grown/" + string(key.policy) + "/" + key.group }

// isConcernedByGrowth reports whether a unit that becomes full changes anything for the pods of a policy that are not placed: they may go on to the next unit
// (R6), or are held if it was the last one, and must not look unschedulable (R7).
func isConcernedByGrowth(policy *placement.Policy) bool {
	return policy.WaitsUntilFull() || policy.CanHold()
}
