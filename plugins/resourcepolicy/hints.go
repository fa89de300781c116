package resourcepolicy

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/util"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/profile"
)

// needs is where the plugin has to be enabled for the order and the caps to hold.
var needs = profile.Needs{
	Plugin: Name,
	Points: []profile.Point{profile.PreEnqueue, profile.PreFilter, profile.Filter, profile.PostFilter, profile.Reserve, profile.Bind},
	// The stock plugins would bind without the record of the placement, and preempt without the order of the units.
	Before: map[profile.Point]string{profile.Bind: "DefaultBinder", profile.PostFilter: "DefaultPreemption"},
}

// EventsToRegister returns the events that can help a pod that this plugin refused. Edits of policies and slots that become free without room are not
// among them: the plugin activates the pods itself.
func (pl *ResourcePolicy) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	if err := profile.Check(pl.handle, &needs); err != nil {
		return nil, err
	}
	return []fwk.ClusterEventWithHint{
		// A pod that goes, shrinks or leaves its group by a label edit leaves a slot of a cap (R4) or room on a node of a unit.
		{
			Event:          fwk.ClusterEvent{Resource: fwk.AssignedPod, ActionType: fwk.Delete | fwk.UpdatePodScaleDown | fwk.UpdatePodLabel},
			QueueingHintFn: pl.isSchedulableAfterPodGone,
		},
		// The pod itself gets the label that matchLabelKeys requires, labels that change its policy, or what makes a node acceptable that PreFilter
		// passed over: a toleration, or smaller requests.
		{Event: fwk.ClusterEvent{Resource: fwk.TargetPod, ActionType: fwk.UpdatePodLabel | fwk.UpdatePodToleration | fwk.UpdatePodScaleDown}},
		// A node joins a unit, grows, is uncordoned or loses a taint; or leaves a unit, and its pods count there no longer.
		{
			Event:          fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeAllocatable | fwk.UpdateNodeLabel | fwk.UpdateNodeTaint},
			QueueingHintFn: pl.isSchedulableAfterNodeChange,
		},
		// A pod of the policy that another scheduler has bound: the unit in which this one waits may be full now, so that it may go on.
		{Event: fwk.ClusterEvent{Resource: fwk.AssignedPod, ActionType: fwk.Add}, QueueingHintFn: pl.isSchedulableAfterPodAdded},
		// Whatever other plugins wait for, for a pod that they refused in a unit that its last attempt did not look at: they are not recorded as having
		// refused it, and the queue does not ask them.
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.UpdateNodeCondition | fwk.UpdateNodeAnnotation | fwk.UpdateNodeDeclaredFeature}, QueueingHintFn: pl.isUndecided},
		{Event: fwk.ClusterEvent{Resource: fwk.PersistentVolume, ActionType: fwk.All}, QueueingHintFn: pl.isUndecided},
		{Event: fwk.ClusterEvent{Resource: fwk.PersistentVolumeClaim, ActionType: fwk.All}, QueueingHintFn: pl.isUndecided},
		{Event: fwk.ClusterEvent{Resource: fwk.StorageClass, ActionType: fwk.All}, QueueingHintFn: pl.isUndecided},
		{Event: fwk.ClusterEvent{Resource: fwk.CSINode, ActionType: fwk.All}, QueueingHintFn: pl.isUndecided},
		{Event: fwk.ClusterEvent{Resource: fwk.CSIDriver, ActionType: fwk.All}, QueueingHintFn: pl.isUndecided},
		{Event: fwk.ClusterEvent{Resource: fwk.CSIStorageCapacity, ActionType: fwk.All}, QueueingHintFn: pl.isUndecided},
		{Event: fwk.ClusterEvent{Resource: fwk.VolumeAttachment, ActionType: fwk.All}, QueueingHintFn: pl.isUndecided},
		{Event: fwk.ClusterEvent{Resource: fwk.ResourceClaim, ActionType: fwk.All}, QueueingHintFn: pl.isUndecided},
		{Event: fwk.ClusterEvent{Resource: fwk.ResourceSlice, ActionType: fwk.All}, QueueingHintFn: pl.isUndecided},
		{Event: fwk.ClusterEvent{Resource: fwk.DeviceClass, ActionType: fwk.All}, QueueingHintFn: pl.isUndecided},
	}, nil
}

// isSchedulableAfterPodGone queues the pod when the other one counted for its policy or was on a node of one of its units.
func (pl *ResourcePolicy) isSchedulableAfterPodGone(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := util.As[*corev1.Pod](oldObj, newObj)
	if err != nil {
		return fwk.Queue, err
	}
	if after != nil && pl.helps(pod, after) == fwk.Queue {
		return fwk.Queue, nil // By a label edit it may have come into the unit in which the pod waits, and filled it.
	}
	return pl.helps(pod, before), nil
}

// isSchedulableAfterPodAdded queues the pod when the other one counts for its policy and was not placed by this scheduler; see also isUndecided.
func (pl *ResourcePolicy) isSchedulableAfterPodAdded(logger klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	_, added, err := util.As[*corev1.Pod](oldObj, newObj)
	if err != nil {
		return fwk.Queue, err
	}
	if added.Spec.SchedulerName == pod.Spec.SchedulerName || added.Namespace != pod.Namespace {
		return pl.isUndecided(logger, pod, oldObj, newObj)
	}
	policies := pl.policies.Policies()
	if policies.Governing(added.Namespace, added.Labels) == policies.Governing(pod.Namespace, pod.Labels) {
		return fwk.Queue, nil
	}
	return pl.isUndecided(logger, pod, oldObj, newObj)
}

// isSchedulableAfterNodeChange queues the pod when the node is in one of its units now, or was.
func (pl *ResourcePolicy) isSchedulableAfterNodeChange(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := util.As[*corev1.Node](oldObj, newObj)
	if err != nil {
		return fwk.Queue, err
	}
	policy := pl.policies.Policies().Governing(pod.Namespace, pod.Labels)
	if policy == nil || inAnyUnit(policy, after.Labels) || before != nil && inAnyUnit(policy, before.Labels) {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

// isUndecided queues the pod when filters of other plugins refused it in units that its last attempt did not look at.
func (pl *ResourcePolicy) isUndecided(_ klog.Logger, pod *corev1.Pod, _, _ any) (fwk.QueueingHint, error) {
	if pl.inflight.isUndecided(pod.UID) {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

// helps tells whether a waiting pod can gain from another one that was on a node and is there no longer, or is smaller.
func (pl *ResourcePolicy) helps(waiting, gone *corev1.Pod) fwk.QueueingHint {
	policies := pl.policies.Policies()
	policy := policies.Governing(waiting.Namespace, waiting.Labels)
	if policy == nil || policy == policies.Governing(gone.Namespace, gone.Labels) {
		return fwk.Queue
	}
	if pl.offers.Describes(gone.Spec.NodeName) && hasVirtualUnit(policy) {
		return fwk.Queue // What it held is free in the quota, which virtual nodes share.
	}
	node, err := pl.nodes.Get(gone.Spec.NodeName)
	if err != nil || inAnyUnit(policy, node.Labels) {
		// When in doubt the pod is tried: the node may be gone, and with it the answer.
		return fwk.Queue
	}
	return fwk.QueueSkip
}

func hasVirtualUnit(policy *placement.Policy) bool {
	for i := range policy.Units {
		if policy.Units[i].Nodes.Virtual {
			return true
		}
	}
	return false
}

// inAnyUnit tells whether a node with these labels is in a unit of the policy.
func inAnyUnit(policy *placement.Policy, nodeLabels map[string]string) bool {
	for i := range policy.Units {
		if policy.Units[i].Nodes.Contains(nodeLabels) {
			return true
		}
	}
	return false
}
