package resourcepolicy

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/util"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/wakeup"
)

// AdmissionName is the name of the plugin that holds pods in a KubeSchedulerConfiguration.
const AdmissionName = Name + "Admission"

// Admission is the plugin that keeps pods out of the scheduling queue while every unit of their policy is full (R7). It is one of its own, because the
// queue shows a pod that a plugin holds all events of that plugin, and there may be very many held pods: this one has none but the pod's own.
type Admission struct{ pl *ResourcePolicy }

var (
	_ fwk.PreEnqueuePlugin  = &Admission{}
	_ fwk.EnqueueExtensions = &Admission{}
)

// Name returns the name of the plugin.
func (*Admission) Name() string { return AdmissionName }

// PreEnqueue holds a governed pod while every unit is full, counted with the pods that are being tried. It does no I/O: the queue is locked.
func (p *Admission) PreEnqueue(ctx context.Context, pod *corev1.Pod) *fwk.Status {
	if p.pl.policies != nil && !p.pl.policies.Synced() {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "the ResourcePolicies have not been read yet")
	}
	if pod.Spec.NodeName != "" {
		return nil // It is bound, and comes back for a resize that its node has deferred.
	}
	if p.pl.policies == nil || othersMayKeepOut(pod) || p.pl.isPreempting(ctx, pod) {
		// A pod that another plugin keeps out must not have a ticket.
		return nil
	}
	policy := p.pl.policies.Policies().Governing(pod.Namespace, pod.Labels)
	if policy == nil || policy.Refusal != "" || !policy.CanHold() {
		p.pl.admission.leave(pod.UID)
		return nil
	}
	groupName, err := policy.Group(pod.Labels)
	if err != nil || p.pl.admission.ask(policy, groupName, pod) {
		return nil
	}
	p.pl.beginHold(pod)
	return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, fmt.Sprintf("every unit of ResourcePolicy %s is full: the pod is held", policy.Name))
}

// othersMayKeepOut tells whether another plugin may keep the pod out of the queue: for a gate, a resource claim that does not exist yet, or its pod group.
// The plugins are asked in any order. They get no ticket: they are tried, and reported as held when every unit is full.
func othersMayKeepOut(pod *corev1.Pod) bool {
	return len(pod.Spec.SchedulingGates) > 0 || len(pod.Spec.ResourceClaims) > 0 || pod.Spec.SchedulingGroup != nil
}

// isPreempting reports whether the pods that this one preempts are being evicted: DefaultPreemption keeps it out of the queue meanwhile.
func (pl *ResourcePolicy) isPreempting(ctx context.Context, pod *corev1.Pod) bool {
	return pl.preemption != nil && !pl.preemption.PreEnqueue(ctx, pod).IsSuccess()
}

// expect tells the tickets of the waiting pods of a namespace after an edit, and they wake as many as there are slots. It returns the pods that are held by
// none of the policies any more: they must ask again.
func (pl *ResourcePolicy) expect(pods []*corev1.Pod) []*corev1.Pod {
	var ask []*corev1.Pod
	type key struct {
		policy *placement.Policy
		group  string
	}
	policies := pl.policies.Policies()
	groups := map[key][]*corev1.Pod{}
	for _, pod := range pods {
		policy := policies.Governing(pod.Namespace, pod.Labels)
		if policy == nil || policy.Refusal != "" || !policy.CanHold() || !pl.isWaiting(pod) {
			ask = pl.appendIfHeld(ask, pod)
			continue
		}
		group, err := policy.Group(pod.Labels)
		if err != nil {
			ask = pl.appendIfHeld(ask, pod)
			continue
		}
		groups[key{policy, group}] = append(groups[key{policy, group}], pod)
	}
	for k, pods := range groups {
		pl.admission.expect(k.policy, k.group, pods)
	}
	return ask
}

// appendIfHeld appends a pod that is held. Others are parked or on their way: the topic of their namespace wakes them.
func (pl *ResourcePolicy) appendIfHeld(pods []*corev1.Pod, pod *corev1.Pod) []*corev1.Pod {
	if _, held := pl.admission.isHeld(pod.UID); held {
		return append(pods, pod)
	}
	return pods
}

// isWaiting tells whether a pod that is not bound will ask when it is woken: it is this scheduler's, not assumed, and no gate keeps it out.
func (pl *ResourcePolicy) isWaiting(pod *corev1.Pod) bool {
	return pod.Spec.SchedulerName == pl.handle.ProfileName() && !othersMayKeepOut(pod) && pl.inflight.node(pod.UID) == ""
}

// EventsToRegister returns the edits of the pod itself after which it may be tried: of its labels, because it may have another policy now, or another group,
// and of its requests, because a smaller pod may fit into what maxResources has left. No other event concerns a held pod; it is woken by the
// ResourcePolicy plugin when a slot is free.
func (*Admission) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{{
		Event:          fwk.ClusterEvent{Resource: fwk.TargetPod, ActionType: fwk.UpdatePodLabel | fwk.UpdatePodScaleDown},
		QueueingHintFn: isHeldPodEdited,
	}}, nil
}

// isHeldPodEdited queues a held pod when its own labels or requests changed: PreEnqueue asks again.
func isHeldPodEdited(_ klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := util.As[*corev1.Pod](oldObj, newObj)
	if err != nil {
		return fwk.Queue, err
	}
	if after == nil || after.UID != pod.UID {
		return fwk.QueueSkip, nil
	}
	if maps.Equal(before.Labels, after.Labels) && wakeup.ShapeOf(before) == wakeup.ShapeOf(after) {
		return fwk.QueueSkip, nil
	}
	return fwk.Queue, nil
}
