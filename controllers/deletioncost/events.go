package deletioncost

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/spillway-k8s/spillway/controllers/governing"
	"github.com/spillway-k8s/spillway/controllers/podindex"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

var (
	// costChanges lets through what can change the cost of a pod: its binding, and edits of its labels and annotations.
	costChanges = predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return isBound(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool {
			return isBound(e.ObjectNew) && (!isBound(e.ObjectOld) || e.ObjectOld.GetUID() != e.ObjectNew.GetUID() || edits(e))
		},
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
	// nodeMoves lets through what can change in which units a node is: pods can be known before their node. A node that goes changes nothing: its pods
	// go with it, or it comes again.
	nodeMoves = predicate.Funcs{
		CreateFunc: governing.Later.CreateFunc,
		UpdateFunc: func(e event.UpdateEvent) bool { return !maps.Equal(e.ObjectOld.GetLabels(), e.ObjectNew.GetLabels()) },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
)

func isBound(obj client.Object) bool {
	pod, ok := obj.(*corev1.Pod)
	return ok && pod.Spec.NodeName != ""
}

func edits(e event.UpdateEvent) bool {
	return !maps.Equal(e.ObjectOld.GetLabels(), e.ObjectNew.GetLabels()) ||
		!maps.Equal(e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations())
}

// podEvents queues a pod itself. Pods that are there when the controller starts are queued after those that change, as
// handler.EnqueueRequestForObject does, and in the order of their units in Spillway 0.2: its costs are lower than every
// present one of a later unit, so that a ReplicaSet would scale in an earlier unit first while its pods are rewritten in
// any other order.
func podEvents() handler.EventHandler {
	usual := &handler.EnqueueRequestForObject{}
	return handler.Funcs{UpdateFunc: usual.Update, CreateFunc: func(
		ctx context.Context, e event.CreateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request],
	) {
		byPriority, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request])
		if !ok || !e.IsInInitialList {
			usual.Create(ctx, e, queue)
			return
		}
		priority := handler.LowPriority - placement.FormerUnit(e.Object.GetAnnotations())
		request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(e.Object)}
		byPriority.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, request)
	}}
}

// podsOfNamespace returns a request for every pod in the namespace of a policy that has a cost to keep.
func (c *Controller) podsOfNamespace(ctx context.Context, policy client.Object) []reconcile.Request {
	return c.requests(ctx, client.InNamespace(policy.GetNamespace()))
}

// podsOfNode returns a request for every pod on a node that has a cost to keep.
func (c *Controller) podsOfNode(ctx context.Context, node client.Object) []reconcile.Request {
	return c.requests(ctx, podindex.On(node.GetName()))
}

func (c *Controller) requests(ctx context.Context, which client.ListOption) []reconcile.Request {
	pods := &corev1.PodList{}
	if err := c.client.List(ctx, pods, which, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing pods")
		return nil
	}
	var requests []reconcile.Request
	for i := range pods.Items {
		if concerns(&pods.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&pods.Items[i])})
		}
	}
	return requests
}
