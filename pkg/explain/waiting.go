package explain

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// waiting explains a pod that no node has yet.
func (e *explanation) waiting() {
	verdict := scheduled(e.pod)
	switch {
	case len(e.pod.Spec.SchedulingGates) > 0:
		e.gated()
		return
	case e.pod.Spec.SchedulerName != e.cluster.SchedulerName:
		e.line("%s waits for the scheduler %q, which its schedulerName names. Spillway places pods of %q only.",
			e.name(), e.pod.Spec.SchedulerName, e.cluster.SchedulerName)
	case e.policy == nil:
		e.line("%s waits, and is scheduled as kube-scheduler does.", e.name())
		e.ungoverned()
	case e.policy.Refusal != "":
		e.line("%s waits, because its ResourcePolicy is not acted on: %s.", e.name(), e.policy.Refusal)
		return
	case e.pod.Status.NominatedNodeName != "":
		e.line("%s is nominated for node %s: it is about to be bound there, or waits for pods that it has preempted to end.", e.name(), e.pod.Status.NominatedNodeName)
	case verdict == nil || isUngated(verdict):
		e.line("%s waits. ResourcePolicy %s governs it.", e.name(), e.policy.Name)
	case isHeld(verdict):
		e.line("%s is held: it is placed when a pod of ResourcePolicy %s ends or a cap is raised. A new node would not help.", e.name(), e.policy.Name)
	default:
		e.line("%s waits for a node in a unit of ResourcePolicy %s.", e.name(), e.policy.Name)
	}
	e.verdict(verdict)
}

// verdict tells what the scheduler says of the pod. A pod that is nominated has been tried, whether it says something or not.
func (e *explanation) verdict(verdict *corev1.PodCondition) {
	nominated := e.pod.Status.NominatedNodeName != ""
	switch {
	case nominated && (verdict == nil || isUngated(verdict)):
	case verdict == nil:
		e.line("It has not been tried yet: it is very new, or no scheduler named %q runs.", e.pod.Spec.SchedulerName)
	case isUngated(verdict):
		e.line("It has not been tried since its scheduling gates were removed.")
	default:
		e.line("The scheduler says, since %s: %s", e.cluster.ago(verdict.LastTransitionTime.Time), verdict.Message)
	}
}

// gated explains a pod that no scheduler looks at.
func (e *explanation) gated() {
	var gates []string
	for i := range e.pod.Spec.SchedulingGates {
		gates = append(gates, e.pod.Spec.SchedulingGates[i].Name)
	}
	e.line("%s waits, because it has scheduling gates: %s. No scheduler looks at it until they are removed.", e.name(), strings.Join(gates, ", "))
}

// scheduled returns what the scheduler says of a pod that it has not placed, or nil.
func scheduled(pod *corev1.Pod) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c
		}
	}
	return nil
}

// isHeld tells whether the scheduler says that it holds the pod (R7).
func isHeld(verdict *corev1.PodCondition) bool {
	return verdict.Reason == corev1.PodReasonSchedulingGated && strings.HasPrefix(verdict.Message, v1alpha1.HeldMessagePrefix)
}

// isUngated tells whether the pod had scheduling gates and has not been tried since: the API server says so of a pod with gates, and leaves it when they go.
func isUngated(verdict *corev1.PodCondition) bool {
	return verdict.Reason == corev1.PodReasonSchedulingGated && !isHeld(verdict)
}
