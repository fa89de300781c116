package virtualnode

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

var (
	// nodeComesOrGoes lets through that a Node appears, which another virtual-kubelet may have created, or is deleted, so that whoever deletes a Managed one
	// gets it back. Everything else on a Node is looked at when the refresh interval is over.
	nodeComesOrGoes = predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}
	// accountChanges lets through that the account of a VirtualNode becomes known or is another one.
	accountChanges = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.(*v1alpha1.VirtualNode).Account() != e.ObjectNew.(*v1alpha1.VirtualNode).Account()
	}}
	// eciDecides lets through that ECI has created or refused the instance of a pod.
	eciDecides = predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return decided(e.Object) != (decision{}) },
		UpdateFunc: func(e event.UpdateEvent) bool { return decided(e.ObjectOld) != decided(e.ObjectNew) },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
)

// decision is what ECI has decided on a bound pod.
type decision struct {
	created bool
	refused string
}

func decided(obj client.Object) decision {
	pod, ok := obj.(*corev1.Pod)
	if !ok || pod.Spec.NodeName == "" {
		return decision{}
	}
	if c := offer.CreationOf(pod); c != nil && c.Status == corev1.ConditionFalse {
		return decision{refused: c.Reason}
	}
	return decision{created: offer.IsCreated(pod)}
}

// byNode returns a request for the VirtualNodes that name a Node.
func (c *Controller) byNode(ctx context.Context, node client.Object) []reconcile.Request {
	return c.requests(ctx, func(vn *v1alpha1.VirtualNode) bool { return vn.NodeName() == node.GetName() })
}

// byPod returns a request for the VirtualNode of a pod's node when ECI refuses the pod; or when it has created the instance while something was sold out.
func (c *Controller) byPod(ctx context.Context, obj client.Object) []reconcile.Request {
	pod := obj.(*corev1.Pod)
	refused := decided(pod).refused != ""
	return c.requests(ctx, func(vn *v1alpha1.VirtualNode) bool {
		return vn.NodeName() == pod.Spec.NodeName && (refused || len(vn.Status.StockOuts) > 0)
	})
}

// bySibling returns a request for the other VirtualNodes of the region when one comes, goes, is edited or turns out to
// be of another account: what its pods hold may count in their quota, or no more.
func (c *Controller) bySibling(ctx context.Context, obj client.Object) []reconcile.Request {
	changed := obj.(*v1alpha1.VirtualNode)
	return c.requests(ctx, func(vn *v1alpha1.VirtualNode) bool {
		return vn.UID != changed.UID && vn.Spec.Region == changed.Spec.Region
	})
}

func (c *Controller) requests(ctx context.Context, concerned func(*v1alpha1.VirtualNode) bool) []reconcile.Request {
	all := &v1alpha1.VirtualNodeList{}
	if err := c.client.List(ctx, all, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing VirtualNodes")
		return nil
	}
	var requests []reconcile.Request
	for i := range all.Items {
		if concerned(&all.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
		}
	}
	return requests
}
