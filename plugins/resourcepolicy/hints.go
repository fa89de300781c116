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

// needs is where the plugins have to be enabled for the order and the caps to hold.
var needs = []profile.Needs{
	{
		Plugin: Name,
		Points: []profile.Point{profile.PreFilter, profile.Filter, profile.PostFilter, profile.Reserve, profile.Bind},
		// The stock plugins would bind without the record of the placement, and free claims that the pod may use in its next unit.
		Before: map[profile.Point]string{profile.Bind: "DefaultBinder", profile.PostFilter: "DynamicResources"},
	},
	{
		Plugin: PreemptionName,
		Points: []profile.Point{profile.PostFilter},
		// The stock plugin would preempt without the order of the units.
		Before: map[profile.Point]string{profile.PostFilter: "DefaultPreemption"},
		After:  map[profile.Point]string{profile.PostFilter: "DynamicResources"},
	},
}

// EventsToRegister returns the events that can help a pod that this plugin refused. Edits of policies and slots that become free are not among them: the
// plugin activates the pods itself, as many as can succeed.
func (pl *ResourcePolicy) EventsToRegister(ctx context.Context) ([]fwk.ClusterEventWithHint, error) {
	for i := range needs {
		if err := profile.Check(pl.handle, &needs[i]); err != nil {
			return nil, err
		}
	}
	pl.usePreemption()
	events := []fwk.ClusterEventWithHint{
		// A pod that ends leaves the node on which the waiting pod needs its room, or is the last terminating one of the policy, which a label edit may end, too.
		{Event: fwk.ClusterEvent{Resource: fwk.AssignedPod, ActionType: fwk.Delete | fwk.UpdatePodLabel}, QueueingHintFn: pl.isSchedulableAfterPodGone},
		// The pod itself gets the label that matchLabelKeys requires, or labels that change its policy; or fits into what a cap has left.
		{Event: fwk.ClusterEvent{Resource: fwk.TargetPod, ActionType: fwk.UpdatePodLabel | fwk.UpdatePodScaleDown}, QueueingHintFn: pl.isSchedulableAfterOwnUpdate},
		// A node joins a unit.
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeLabel}, QueueingHintFn: pl.isSchedulableAfterNodeChange},
	}
	others, err := pl.eventsOfOthers(ctx)
	return append(events, others...), err
}

// isSchedulableAfterPodGone queues a pod that waits for another one to leave a node, or for the terminating pods of its policy.
func (pl *ResourcePolicy) isSchedulableAfterPodGone(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	gone, relabelled, err := util.As[*corev1.Pod](oldObj, newObj)
	if err != nil {
		return fwk.Queue, err
	}
	policies := pl.policies.Policies()
	policy := policies.Governing(pod.Namespace, pod.Labels)
	r, ok := pl.inflight.rejection(pod.UID)
	n, _ := pl.inflight.nominated(pod.UID)
	switch {
	case policy == nil || !ok:
		return fwk.Queue, nil // It had a policy, or nothing is known of its attempt: in doubt it is tried.
	case relabelled == nil && pl.inflight.isVictimOn(n.node, gone.UID):
		return fwk.Queue, nil
	case r.terminating && policy == policies.Governing(gone.Namespace, gone.Labels), r.leaving && relabelled == nil && pl.isInUnitOf(policy, gone):
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

// isSchedulableAfterOwnUpdate queues a pod whose own labels give it another policy, group or unit, or that asks for less where a cap was in its way.
func (pl *ResourcePolicy) isSchedulableAfterOwnUpdate(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := util.As[*corev1.Pod](oldObj, newObj)
	if err != nil {
		return fwk.Queue, err
	}
	was, _ := pl.groupOf(before)
	is, grouped := pl.groupOf(after)
	r, ok := pl.inflight.rejection(pod.UID)
	if was != is || !grouped || !ok || r.full || r.barred {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

// isSchedulableAfterNodeChange queues the pod when the node joins one of its units, unless other plugins have rejected the pod there and judge a new node
// themselves.
func (pl *ResourcePolicy) isSchedulableAfterNodeChange(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := util.As[*corev1.Node](oldObj, newObj)
	if err != nil {
		return fwk.Queue, err
	}
	policy := pl.policies.Policies().Governing(pod.Namespace, pod.Labels)
	r, ok := pl.inflight.rejection(pod.UID)
	if policy == nil || !ok {
		return fwk.Queue, nil
	}
	for i := range policy.Units {
		unit := &policy.Units[i]
		joins := before == nil && r.empty.Has(unit.ID) || before != nil && !unit.Nodes.Contains(before.Labels)
		if joins && unit.Nodes.Contains(after.Labels) {
			return fwk.Queue, nil
		}
	}
	return fwk.QueueSkip, nil
}

// isInUnitOf reports whether a pod is on a node of one of the units, or was: in doubt it is.
func (pl *ResourcePolicy) isInUnitOf(policy *placement.Policy, pod *corev1.Pod) bool {
	node, err := pl.nodes.Get(pod.Spec.NodeName)
	if err != nil {
		return true // The node may be gone, and with it the answer.
	}
	for i := range policy.Units {
		if policy.Units[i].Nodes.Contains(node.Labels) {
			return true
		}
	}
	return false
}
