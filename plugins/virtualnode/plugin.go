// Package virtualnode is the scheduler plugin for virtual nodes. It takes the place of TaintToleration's Filter: pods that a ResourcePolicy places in
// an eci unit tolerate the taint that marks virtual nodes, inside the scheduler and for that cycle only; everything else is as in TaintToleration.
package virtualnode

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/util"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
)

const (
	// Name is the name of the plugin in a KubeSchedulerConfiguration.
	Name = "VirtualNode"
	// ReasonUntoleratedTaint is the reason for a node whose taints the pod does not tolerate, as TaintToleration words it.
	ReasonUntoleratedTaint = "node(s) had untolerated taint(s)"

	stateKey fwk.StateKey = "Tolerate" + Name
)

// VirtualNode is the plugin. It holds no state.
type VirtualNode struct{}

// tolerated marks a cycle in which the taint of virtual nodes is tolerated.
type tolerated struct{}

// Clone returns the mark itself: it never changes.
func (t tolerated) Clone() fwk.StateData { return t }

var (
	_ fwk.FilterPlugin      = &VirtualNode{}
	_ fwk.EnqueueExtensions = &VirtualNode{}
	_ fwk.SignPlugin        = &VirtualNode{}
)

// New returns the plugin. It takes no arguments.
func New(context.Context, runtime.Object, fwk.Handle) (fwk.Plugin, error) { return &VirtualNode{}, nil }

// Name returns the name of the plugin.
func (*VirtualNode) Name() string { return Name }

// Tolerate makes the pod of this cycle tolerate the taint of virtual nodes, or ends that. The ResourcePolicy plugin calls it with the unit that it looks
// at.
func Tolerate(state fwk.CycleState, virtual bool) {
	if virtual {
		state.Write(stateKey, tolerated{})
	} else {
		state.Delete(stateKey)
	}
}

// HasUntoleratedTaint tells whether a taint of the node keeps the pod away. With virtual, the taint of virtual nodes does not count.
func HasUntoleratedTaint(logger klog.Logger, node *corev1.Node, pod *corev1.Pod, virtual bool) bool {
	for i := range node.Spec.Taints {
		taint := &node.Spec.Taints[i]
		if taint.Effect != corev1.TaintEffectNoSchedule && taint.Effect != corev1.TaintEffectNoExecute {
			continue
		}
		if virtual && eciv1alpha1.IsVirtualNodeTaint(taint) {
			continue
		}
		// The API server admits tolerations with comparison operators only where the cluster has them switched on.
		if !corev1helpers.TolerationsTolerateTaint(logger, pod.Spec.Tolerations, taint, true) {
			return true
		}
	}
	return false
}

// Filter refuses nodes with a taint that the pod does not tolerate.
func (*VirtualNode) Filter(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, nodeInfo fwk.NodeInfo) *fwk.Status {
	node := nodeInfo.Node()
	if len(node.Spec.Taints) == 0 {
		return nil // Reading the state is not free, and most nodes have no taint.
	}
	_, err := state.Read(stateKey)
	if HasUntoleratedTaint(klog.FromContext(ctx), node, pod, err == nil) {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ReasonUntoleratedTaint)
	}
	return nil
}

// SignPod signs what the result of Filter depends on for a pod without a policy; governed pods are refused by the ResourcePolicy plugin.
func (*VirtualNode) SignPod(_ context.Context, pod *corev1.Pod) ([]fwk.SignFragment, *fwk.Status) {
	return []fwk.SignFragment{{Key: fwk.TolerationsSignerName, Value: fwk.TolerationsSigner(pod)}}, nil
}

// EventsToRegister returns the events that can make a node acceptable for a pod that this plugin refused.
func (*VirtualNode) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		// A node without the taint appears, or a taint goes away, for example when the capacity of a virtual node is known again.
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeTaint}, QueueingHintFn: isSchedulableAfterNodeChange},
		// The pod itself gets a toleration.
		{Event: fwk.ClusterEvent{Resource: fwk.TargetPod, ActionType: fwk.UpdatePodToleration}},
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
