package resourcepolicy

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

const (
	// ReasonOtherUnit is the reason for a node outside the unit in which the pod is placed.
	ReasonOtherUnit = "node(s) are not in the unit of the ResourcePolicy that the pod is placed in"
	// ReasonFull is the reason for a node of a unit that is full, in a simulation of preemption.
	ReasonFull = "the unit of the ResourcePolicy is full"
	// ReasonEarlierUnit is the reason for a node of a unit when an earlier one, which the filters had rejected, can take the pod by now.
	ReasonEarlierUnit = "an earlier unit of the ResourcePolicy can take the pod by now"
)

var errNoPreFilter = errors.New("PreFilter of plugin " + Name + " did not run: enable it in the profile")

// Filter holds a governed pod to the nodes of its unit (R5) and to the caps (R4). PreFilter's choice alone is no guarantee: the framework tries a
// nominated node before it applies the node names that PreFilter returned (schedule_one.go), and a simulation of preemption changes the counts.
func (*ResourcePolicy) Filter(ctx context.Context, state fwk.CycleState, _ *corev1.Pod, nodeInfo fwk.NodeInfo) *fwk.Status {
	s := stateOf(state)
	if s == nil {
		// The framework does not call Filter after PreFilter has skipped the pod: without a state nobody has looked at the policies.
		return fwk.AsStatus(errNoPreFilter)
	}
	if s.unit == nil || !s.nodes.names.Has(nodeInfo.Node().Name) {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ReasonOtherUnit)
	}
	if s.policy.Full(s.unit.Index, s.usage, s.view.requests) {
		return fwk.NewStatus(fwk.Unschedulable, ReasonFull)
	}
	if s.earlier != nil && s.earlier.isOpen(ctx, state, s) {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ReasonEarlierUnit)
	}
	return nil
}
