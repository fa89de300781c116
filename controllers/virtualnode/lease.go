package virtualnode

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
)

const (
	// leaseDuration, renewInterval: those of the kubelet. The cluster's node lifecycle controller takes a Node for dead
	// whose Lease is older.
	leaseDuration = 40 * time.Second
	renewInterval = leaseDuration / 4
	// renewRetry is how soon a renewal is tried again that failed, and how soon a new Node gets its Lease at most, with
	// beatInterval.
	renewRetry = 2 * time.Second
	// renewTimeout bounds one renewal: longer than the API server waits for a webhook by default (10 s), and short
	// enough for two more attempts.
	renewTimeout = 12 * time.Second
	// beatInterval is how often the heartbeat looks which Leases are due. It looks into the cache only.
	beatInterval = time.Second
)

// heartbeat renews the Leases of the Nodes that Managed VirtualNodes own. A Lease says one thing: the controller that
// writes the Node lives. That its capacity is old is for a taint to say. So nothing that a reconciliation does may hold
// it up, and no Lease waits for another one: each is renewed in a goroutine of its own, by calls that are bounded in
// time.
type heartbeat struct {
	*Controller
	running sync.WaitGroup
}

var (
	_ manager.Runnable               = &heartbeat{}
	_ manager.LeaderElectionRunnable = &heartbeat{}
)

// NeedLeaderElection returns true: the Lease would otherwise outlive the controller that writes the Node.
func (*heartbeat) NeedLeaderElection() bool { return true }

// Start renews Leases until the context ends.
func (h *heartbeat) Start(ctx context.Context) error {
	ticker := time.NewTicker(beatInterval)
	defer ticker.Stop()
	defer h.running.Wait()
	for {
		h.beat(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// beat begins to renew each Lease that is due, and forgets VirtualNodes that are gone.
func (h *heartbeat) beat(ctx context.Context) {
	all, err := h.virtualNodes(ctx)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Finding the Leases to renew")
		return
	}
	exists := map[types.UID]bool{}
	for _, vn := range all {
		exists[vn.UID] = true
		// There is no Node before its capacity has been known once.
		hasNode := vn.IsManaged() && vn.Status.LastRefreshTime != nil
		if hasNode && h.memory.beginRenewal(vn.UID, h.options.Clock.Now()) {
			h.running.Go(func() { h.renew(ctx, vn) })
		}
	}
	h.memory.forgetOthers(exists)
}

// renew renews the Lease of one VirtualNode, as far as it owns its Node.
func (h *heartbeat) renew(ctx context.Context, vn *v1alpha1.VirtualNode) {
	bounded, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	renewed, err := h.renewLease(bounded, vn)
	if err != nil && ctx.Err() != nil {
		// The controller ends, which says nothing of the Lease.
		h.memory.endRenewal(vn.UID, false, h.memory.leaseOf(vn.UID).err, h.options.Clock.Now())
		return
	}
	h.memory.endRenewal(vn.UID, renewed, err, h.options.Clock.Now())
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Renewing the Lease of a Node", "virtualNode", vn.Name, "node", vn.NodeName())
	}
}

// renewLease renews the Lease, or creates it. It returns false when the VirtualNode has no Node.
func (c *Controller) renewLease(ctx context.Context, vn *v1alpha1.VirtualNode) (bool, error) {
	if exists, err := c.ownsNode(ctx, c.client, vn); err != nil || !exists {
		return false, err
	}
	lease := &coordinationv1.Lease{}
	err := c.reader.Get(ctx, client.ObjectKey{Namespace: corev1.NamespaceNodeLease, Name: vn.NodeName()}, lease)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return false, fmt.Errorf("getting the Lease: %w", err)
	}
	if missing {
		// The cache may still have a Node that the drain has just deleted, with its Lease. Should the drain do so after
		// this look, the Lease goes with its owner.
		if exists, err := c.ownsNode(ctx, c.reader, vn); err != nil || !exists {
			return false, err
		}
	}
	lease.Namespace, lease.Name = corev1.NamespaceNodeLease, vn.NodeName()
	lease.Spec.HolderIdentity = ptr.To(vn.NodeName())
	lease.Spec.LeaseDurationSeconds = ptr.To(int32(leaseDuration.Seconds()))
	lease.Spec.RenewTime = &metav1.MicroTime{Time: c.options.Clock.Now()}
	if err := controllerutil.SetControllerReference(vn, lease, c.client.Scheme()); err != nil {
		return false, fmt.Errorf("setting the owner of the Lease: %w", err)
	}
	if missing {
		err = c.client.Create(ctx, lease)
	} else if err = c.client.Update(ctx, lease); apierrors.IsNotFound(err) {
		return false, nil // Deleted in this moment: if the Node is still there, the next attempt creates it again.
	}
	if err != nil {
		return false, fmt.Errorf("renewing the Lease: %w", err)
	}
	return true, nil
}

// ownsNode reports whether the Node exists and is the VirtualNode's own.
func (c *Controller) ownsNode(ctx context.Context, from client.Reader, vn *v1alpha1.VirtualNode) (bool, error) {
	node := &corev1.Node{}
	err := from.Get(ctx, client.ObjectKey{Name: vn.NodeName()}, node)
	if apierrors.IsNotFound(err) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("getting the Node of the Lease: %w", err)
	}
	return owns(vn, node), nil
}

// deleteLease deletes the Lease if it is the VirtualNode's own. The Node is gone by then, so that it is not renewed any
// more.
func (c *Controller) deleteLease(ctx context.Context, vn *v1alpha1.VirtualNode) error {
	lease := &coordinationv1.Lease{}
	err := c.reader.Get(ctx, client.ObjectKey{Namespace: corev1.NamespaceNodeLease, Name: vn.NodeName()}, lease)
	if err == nil && metav1.IsControlledBy(lease, vn) {
		err = c.client.Delete(ctx, lease)
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the Lease: %w", err)
	}
	return nil
}
