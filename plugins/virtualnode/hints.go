package virtualnode

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/util"

	"github.com/spillway-k8s/spillway/plugins/profile"
)

// needs is where the plugin has to be enabled. TaintToleration's Filter would keep every governed pod off virtual nodes.
var needs = profile.Needs{
	Plugin: Name, Points: []profile.Point{profile.PreFilter, profile.Filter, profile.PostFilter, profile.Reserve},
	Without: map[profile.Point]string{profile.Filter: "TaintToleration"},
}

// EventsToRegister returns the events that can make a node acceptable for a pod that this plugin refused. What ECI would accept changes without an event of
// the cluster: the plugin then activates the pods itself (watch.go).
func (pl *VirtualNode) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	if err := profile.Check(pl.handle, &needs); err != nil {
		return nil, err
	}
	return []fwk.ClusterEventWithHint{
		// A node without the taint appears, or a taint goes away, for example when the capacity of a virtual node is known again.
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeTaint}, QueueingHintFn: isSchedulableAfterNodeChange},
		// A pod leaves a virtual node: what it held is free on the node and in the quota of the account.
		{Event: fwk.ClusterEvent{Resource: fwk.AssignedPod, ActionType: fwk.Delete}, QueueingHintFn: pl.isSchedulableAfterPodGone},
		// The pod itself gets a toleration, or asks for less.
		{Event: fwk.ClusterEvent{Resource: fwk.TargetPod, ActionType: fwk.UpdatePodToleration | fwk.UpdatePodScaleDown}},
	}, nil
}

// isSchedulableAfterNodeChange queues the pod when the node keeps it away no longer. Whether the pod tolerates virtual nodes is not known here: it is
// taken to do so now and not to have done so before, and may then be tried once in vain.
func isSchedulableAfterNodeChange(logger klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := util.As[*corev1.Node](oldObj, newObj)
	if err != nil {
		return fwk.Queue, err
	}
	if after == nil || HasUntoleratedTaint(logger, after, pod, true) {
		return fwk.QueueSkip, nil
	}
	if before != nil && !HasUntoleratedTaint(logger, before, pod, false) {
		return fwk.QueueSkip, nil
	}
	return fwk.Queue, nil
}

// isSchedulableAfterPodGone queues the pod when the other one was on a node that a VirtualNode describes.
func (pl *VirtualNode) isSchedulableAfterPodGone(_ klog.Logger, _ *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	gone, _, err := util.As[*corev1.Pod](oldObj, newObj)
	if err != nil {
		return fwk.Queue, err
	}
	node := gone.Spec.NodeName
	if node == "" {
		node = gone.Status.NominatedNodeName // It was nominated, and is no longer.
	}
	if !pl.offers.Describes(node) {
		return fwk.QueueSkip, nil
	}
	return fwk.Queue, nil
}
