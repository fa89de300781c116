package resourcepolicy

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/governing"
)

var (
	// podCounts lets through what can change for which unit a pod counts, how much, or why it waits: not the many updates of a running pod's status.
	podCounts = predicate.Funcs{CreateFunc: governing.Later.CreateFunc, UpdateFunc: func(e event.UpdateEvent) bool {
		before, isPod := e.ObjectOld.(*corev1.Pod)
		after, stillPod := e.ObjectNew.(*corev1.Pod)
		return isPod && stillPod && countsDifferently(before, after)
	}}
	// nodeMoves lets through what can change in which units a node is, or what resources it has: not its heartbeats.
	nodeMoves = predicate.Funcs{CreateFunc: governing.Later.CreateFunc, UpdateFunc: func(e event.UpdateEvent) bool {
		before, isNode := e.ObjectOld.(*corev1.Node)
		after, stillNode := e.ObjectNew.(*corev1.Node)
		return isNode && stillNode && (!maps.Equal(before.Labels, after.Labels) || !sameResources(before, after))
	}}
)

// countsDifferently tells whether an update of a pod can change the status of a policy.
func countsDifferently(before, after *corev1.Pod) bool {
	return before.UID != after.UID ||
		before.Spec.NodeName != after.Spec.NodeName ||
		before.Status.Phase != after.Status.Phase ||
		(before.DeletionTimestamp == nil) != (after.DeletionTimestamp == nil) ||
		len(before.Spec.SchedulingGates) != len(after.Spec.SchedulingGates) ||
		!maps.Equal(before.Labels, after.Labels) ||
		!maps.Equal(before.Annotations, after.Annotations) ||
		toleratesVirtualNodes(before) != toleratesVirtualNodes(after) ||
		verdictOn(before) != verdictOn(after) ||
		!equality.Semantic.DeepEqual(requestsOf(before), requestsOf(after))
}

// verdict is what the PodScheduled condition says, without its message.
type verdict struct {
	status corev1.ConditionStatus
	reason string
	// since is when the status last changed, in seconds: pods that were scheduled before the policy may not count.
	since int64
}

func verdictOn(pod *corev1.Pod) verdict {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodScheduled {
			return verdict{status: c.Status, reason: c.Reason, since: c.LastTransitionTime.Unix()}
		}
	}
	return verdict{}
}

// sameResources tells whether two states of a node have some of the same resources.
func sameResources(a, b *corev1.Node) bool {
	for _, list := range []corev1.ResourceList{a.Status.Capacity, a.Status.Allocatable, b.Status.Capacity, b.Status.Allocatable} {
		for name := range list {
			if hasSome(a, name) != hasSome(b, name) {
				return false
			}
		}
	}
	return true
}

// policyOfPod returns a request for the policy that governs a pod. It is asked about a pod before and after an update.
func (c *Controller) policyOfPod(ctx context.Context, pod client.Object) []reconcile.Request {
	policy, err := c.options.Policies.Governing(ctx, pod)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Finding the policy of a pod", "namespace", pod.GetNamespace(), "pod", pod.GetName())
		return nil
	}
	if policy == nil {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: policy.Namespace, Name: policy.Name}}}
}

// policiesOfNamespace returns a request for every policy in the namespace of another one: an edit can shadow them, or do so no longer.
func (c *Controller) policiesOfNamespace(ctx context.Context, policy client.Object) []reconcile.Request {
	return c.requests(ctx, client.InNamespace(policy.GetNamespace()))
}

// allPolicies returns a request for every policy, because a node has changed.
func (c *Controller) allPolicies(ctx context.Context, _ client.Object) []reconcile.Request {
	c.fleets.forget()
	return c.requests(ctx)
}

func (c *Controller) requests(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	policies := &v1alpha1.ResourcePolicyList{}
	if err := c.client.List(ctx, policies, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing policies")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(policies.Items))
	for i := range policies.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&policies.Items[i])})
	}
	return requests
}
