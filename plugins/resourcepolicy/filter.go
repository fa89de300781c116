package resourcepolicy

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

// ReasonOtherUnit is the reason for a node outside the unit in which the pod is placed.
const ReasonOtherUnit = "node(s) are not in the unit of the ResourcePolicy that the pod is placed in"

// Filter holds a governed pod to the nodes of its unit (R5). PreFilter's choice alone is no guarantee: the framework tries a nominated node before it
// applies the node names that PreFilter returned (schedule_one.go).
func (*ResourcePolicy) Filter(_ context.Context, state fwk.CycleState, _ *corev1.Pod, nodeInfo fwk.NodeInfo) *fwk.Status {
	s := stateOf(state)
	if s == nil || s.unit != nil && s.nodes.names.Has(nodeInfo.Node().Name) {
		return nil
	}
	return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ReasonOtherUnit)
}
