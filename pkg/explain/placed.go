package explain

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/offer"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// placed explains a pod on a node.
func (e *explanation) placed() {
	e.findUnit()
	switch {
	case !placement.IsRecorded(e.pod.Annotations):
		e.notBySpillway()
	case e.policy == nil || e.policy.Name != e.pod.Annotations[v1alpha1.AnnotationPolicy]:
		e.governedOnce()
	case e.policy.Refusal != "":
		e.line("%s is on node %s, placed by ResourcePolicy %s in its unit %q. The policy is not acted on now: %s.",
			e.name(), e.pod.Spec.NodeName, e.policy.Name, e.pod.Annotations[v1alpha1.AnnotationUnit], e.policy.Refusal)
	case e.here < 0 && e.cluster.Node == nil:
		e.line("%s is on node %s, placed by ResourcePolicy %s in its unit %q. The policy has no such unit now: %s.",
			e.name(), e.pod.Spec.NodeName, e.policy.Name, e.pod.Annotations[v1alpha1.AnnotationUnit], e.counting())
	case e.here < 0:
		e.line("%s is on node %s, placed by ResourcePolicy %s in its unit %q. No unit of the policy has that node now, so that the pod counts for none.",
			e.name(), e.pod.Spec.NodeName, e.policy.Name, e.pod.Annotations[v1alpha1.AnnotationUnit])
	default:
		but := ""
		if e.uncounted != "" {
			but = ", but does not count: " + e.uncounted
		}
		e.line("%s is on node %s, in %s of ResourcePolicy %s%s.", e.name(), e.pod.Spec.NodeName, e.unitName(e.here), e.policy.Name, but)
		e.whyNotEarlier()
	}
	e.refusedByECI()
	e.scaleIn()
}

// findUnit finds the unit that the pod is in (R3), and whether it counts there (R4).
func (e *explanation) findUnit() {
	if e.policy == nil || e.policy.Refusal != "" {
		return
	}
	var nodeLabels map[string]string
	if e.cluster.Node != nil {
		nodeLabels = e.cluster.Node.Labels
		if nodeLabels == nil {
			nodeLabels = map[string]string{}
		}
	}
	bound := placement.NewBoundPod(e.pod, nodeLabels)
	e.here = e.policy.UnitOf(&bound)
	e.uncounted = e.whyUncounted(bound)
}

// whyUncounted says why a pod on a node does not count; empty when it does.
func (e *explanation) whyUncounted(bound placement.BoundPod) string {
	if _, err := e.policy.Group(e.pod.Labels); err != nil {
		return err.Error()
	}
	if e.policy.Counts(&bound) {
		return ""
	}
	bound.Terminating = false
	if e.policy.Counts(&bound) {
		return "it is being deleted (ignoreTerminatingPod)"
	}
	return "it was on its node before the policy was created (ignorePreviousPod)"
}

// counting says for which unit the pod counts.
func (e *explanation) counting() string {
	switch {
	case e.here >= 0 && e.uncounted != "":
		return "the pod is in " + e.unitName(e.here) + ", but does not count: " + e.uncounted
	case e.here >= 0:
		return "the pod counts for " + e.unitName(e.here)
	case e.uncounted != "":
		return "the pod does not count: " + e.uncounted
	case e.cluster.Node == nil:
		return "which unit it counts for is not known, because its node was not read"
	default:
		return "its node is in none of the units, so that the pod counts for none"
	}
}

// notBySpillway explains a pod without a record.
func (e *explanation) notBySpillway() {
	e.line("%s is on node %s. No ResourcePolicy placed it there: it carries no %s.", e.name(), e.pod.Spec.NodeName, v1alpha1.AnnotationUnit)
	if e.pod.Spec.SchedulerName != e.cluster.SchedulerName {
		e.line("Its schedulerName is %q; Spillway places pods of %q.", e.pod.Spec.SchedulerName, e.cluster.SchedulerName)
	}
	e.governedNow()
}

// governedOnce explains a pod that a policy placed which does not govern it now.
func (e *explanation) governedOnce() {
	e.line("%s is on node %s, placed by ResourcePolicy %s in its unit %q. That policy does not govern the pod any more.",
		e.name(), e.pod.Spec.NodeName, e.pod.Annotations[v1alpha1.AnnotationPolicy], e.pod.Annotations[v1alpha1.AnnotationUnit])
	e.governedNow()
}

// governedNow says which policy governs a pod that it did not place, and for which unit the pod counts.
func (e *explanation) governedNow() {
	switch {
	case e.policy == nil:
		e.ungoverned()
	case e.policy.Refusal != "":
		e.line("%s.", e.policy.Refusal)
	default:
		e.line("ResourcePolicy %s governs it now: %s.", e.policy.Name, e.counting())
	}
}

// whyNotEarlier says of the units before the pod's what is the case now. What was the case when the pod was placed is recorded nowhere.
func (e *explanation) whyNotEarlier() {
	if e.here == 0 {
		e.line("That is the first unit, and it had room.")
		return
	}
	for i := range e.here {
		if i >= len(e.object.Status.Units) {
			return
		}
		switch unit := &e.object.Status.Units[i]; {
		case isFull(unit) && e.policy.Grouped():
			e.line("%s is full for at least one group of the policy.", capital(e.unitName(i)))
		case isFull(unit):
			e.line("%s is full.", capital(e.unitName(i)))
		case unit.Nodes == 0:
			e.line("%s has no node.", capital(e.unitName(i)))
		default:
			e.line("%s was full, or none of its nodes could take the pod, when the pod was placed. A placed pod is not moved when that changes.", capital(e.unitName(i)))
		}
	}
}

// refusedByECI says that ECI has not created the pod's instance.
func (e *explanation) refusedByECI() {
	created := offer.CreationOf(e.pod)
	if created == nil || created.Status != corev1.ConditionFalse || offer.IsCreated(e.pod) {
		return
	}
	e.line("ECI refused it %s ago: %s. A pod that something would create again is evicted, to be placed elsewhere.",
		e.cluster.ago(created.LastTransitionTime.Time), cmp.Or(created.Message, created.Reason))
}

// scaleIn says when a ReplicaSet removes the pod.
func (e *explanation) scaleIn() {
	cost, ok := e.pod.Annotations[corev1.PodDeletionCost]
	if !ok || e.here < 0 {
		return
	}
	words := ""
	if own, ok := e.pod.Annotations[v1alpha1.AnnotationUserDeletionCost]; ok {
		words = ", your own " + own + " among the pods of its unit"
	}
	e.line("When its ReplicaSet scales in, pods of later units go first, and those of earlier units last (%s %s%s).", corev1.PodDeletionCost, cost, words)
}

// onVirtualNode tells whether the pod is on a virtual node.
func (e *explanation) onVirtualNode() bool {
	return e.cluster.Node != nil && eciv1alpha1.IsVirtualNode(e.cluster.Node.Labels)
}
