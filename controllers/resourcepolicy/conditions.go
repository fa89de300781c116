package resourcepolicy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// judgement is what the conditions of a policy that is acted on are made from.
type judgement struct {
	pods  counted
	nodes []unitNodes
	lost  []placement.Finding
}

// setRefused sets the conditions of a policy that is not acted on. What such a policy would do is not judged.
func (s *scene) setRefused(status *v1alpha1.ResourcePolicyStatus, rp *v1alpha1.ResourcePolicy) {
	setConditions(status, readyCondition(rp, s.policy.Errors), s.shadowedCondition())
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionExhausted)
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionOverCap)
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionMisconfigured)
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionPodsTolerateECI)
}

// setConditions sets the conditions of a policy that is acted on.
func (s *scene) setConditions(status *v1alpha1.ResourcePolicyStatus, rp *v1alpha1.ResourcePolicy, seen judgement) {
	setConditions(status, readyCondition(rp, s.policy.Errors), s.shadowedCondition(), s.exhaustedCondition(seen.pods),
		s.overCapCondition(seen.pods), s.misconfiguredCondition(seen), s.podsTolerateECICondition(&seen.pods.tolerant))
}

func setConditions(status *v1alpha1.ResourcePolicyStatus, conditions ...metav1.Condition) {
	for _, condition := range conditions {
		condition.ObservedGeneration = status.ObservedGeneration
		condition.Message = shorten(condition.Message, maxMessage)
		meta.SetStatusCondition(&status.Conditions, condition)
	}
}

func readyCondition(rp *v1alpha1.ResourcePolicy, errs field.ErrorList) metav1.Condition {
	condition := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAccepted,
		Message: "the scheduler acts on this policy",
	}
	if len(errs) > 0 {
		condition.Status, condition.Reason = metav1.ConditionFalse, v1alpha1.ReasonUnsupported
		if slices.ContainsFunc(errs, func(err *field.Error) bool { return err.Type == field.ErrorTypeInvalid }) {
			condition.Reason = v1alpha1.ReasonInvalid
		}
		condition.Message = v1alpha1.RefusedMessagePrefix + errs.ToAggregate().Error()
		return condition
	}
	if len(rp.Spec.Selector) == 0 {
		condition.Reason = v1alpha1.ReasonAcceptedForNamespace
		condition.Message = "the scheduler acts on this policy; without a selector it governs every pod of the namespace that no policy with a selector governs"
	}
	return condition
}

func (s *scene) shadowedCondition() metav1.Condition {
	winner, same := s.policy.ShadowedBy(s.policies.In(s.policy.Namespace))
	condition := metav1.Condition{Type: v1alpha1.ConditionShadowed, Status: metav1.ConditionTrue}
	switch {
	case winner == nil:
		condition.Status, condition.Reason = metav1.ConditionFalse, v1alpha1.ReasonNotShadowed
		condition.Message = "no other policy of the namespace is certain to take pods from this one"
	case same:
		condition.Reason = v1alpha1.ReasonSameSelector
		condition.Message = fmt.Sprintf("ResourcePolicy %s has the same selector and goes first: it governs all pods of this policy", winner.Name)
	default:
		condition.Reason = v1alpha1.ReasonMoreSpecific
		condition.Message = fmt.Sprintf("ResourcePolicy %s has this selector and more keys: it governs the pods that carry them all", winner.Name)
	}
	return condition
}

func (s *scene) exhaustedCondition(pods counted) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionExhausted, Status: metav1.ConditionFalse}
	if who := s.fullFor(pods); who != "" {
		condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonAllUnitsFull
		condition.Message = fmt.Sprintf("every unit is full for %s: more of them are held until one ends, and no new node can help", who)
		return condition
	}
	for i := range s.policy.Units {
		if unit := &s.policy.Units[i]; !unit.HasCap() {
			condition.Reason = v1alpha1.ReasonUnitWithoutCap
			condition.Message = fmt.Sprintf("unit %d (%s) has no cap: it is never full", i, unit.Title)
			return condition
		}
	}
	condition.Reason, condition.Message = v1alpha1.ReasonRoomLeft, "every group of pods has a unit that is not full"
	return condition
}

func (s *scene) overCapCondition(pods counted) metav1.Condition {
	condition := metav1.Condition{
		Type: v1alpha1.ConditionOverCap, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonWithinCaps,
		Message: "every group of pods is within its caps",
	}
	for _, group := range slices.Sorted(maps.Keys(pods.groups)) {
		for i, usage := range pods.groups[group] {
			if !s.policy.Over(i, usage) {
				continue
			}
			who := "the pods of this policy"
			if s.policy.Grouped() {
				who = "the pods with " + groupWords(group)
			}
			condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonCapExceeded
			condition.Message = fmt.Sprintf("unit %d (%s): %s have more than the caps admit, by a resize of pods or an edit of caps or labels: "+
				"nothing is added until pods end or are resized", i, s.policy.Units[i].Title, who)
			return condition
		}
	}
	return condition
}

// podsTolerateECICondition speaks of policies with an ecs unit only: nobody adds or removes virtual nodes for pods.
func (s *scene) podsTolerateECICondition(tolerant *podsFound) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionPodsTolerateECI, Status: metav1.ConditionFalse}
	switch {
	case !slices.ContainsFunc(s.policy.Units, func(unit placement.Unit) bool { return !unit.Nodes.Virtual }):
		condition.Reason, condition.Message = v1alpha1.ReasonNoECSUnit, "no unit has nodes that an autoscaler adds or removes"
	case tolerant.number == 0:
		condition.Reason, condition.Message = v1alpha1.ReasonNoToleration, "no pod tolerates the taint of virtual nodes itself"
	default:
		condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonTolerationFound
		condition.Message = fmt.Sprintf("%s tolerates the taint of virtual nodes, %s or %s: autoscalers count virtual nodes as "+
			"free room for such pods, add no nodes for them and may remove the nodes that they run on; remove the toleration "+
			"from the pod template, Spillway needs none", tolerant, eciv1alpha1.TaintProvider, eciv1alpha1.LabelVNode)
	}
	return condition
}

// fullFor returns in words for whom every unit is full (R7): a group that has held pods, or for which every unit has nothing left of its max or of one of
// its maxResources. It returns "" when there is none.
func (s *scene) fullFor(pods counted) string {
	// The smallest pod that requests some of every capped resource.
	smallest := slices.Repeat([]int64{1}, len(s.policy.Tracked()))
	full := map[string]bool{}
	maps.Copy(full, pods.heldGroups)
	for group, units := range pods.groups {
		if s.policy.FullForAll(smallest, usageOf(units)) {
			full[group] = true
		}
	}
	groups := slices.Sorted(maps.Keys(full))
	switch {
	case s.policy.FullForAll(smallest, usageOf(nil)), len(groups) > 0 && !s.policy.Grouped():
		return "the pods of this policy"
	case len(groups) == 0:
		return ""
	case len(groups) == 1:
		return "the pods with " + groupWords(groups[0])
	default:
		return fmt.Sprintf("the pods with %s, one of %d such groups", groupWords(groups[0]), len(groups))
	}
}

// groupWords names a group by the values of its matchLabelKeys, each of which ends with a slash.
func groupWords(group string) string {
	return fmt.Sprintf("the matchLabelKeys values %q", strings.TrimSuffix(group, "/"))
}
