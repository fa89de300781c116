package virtualnode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/owner"
)

const (
	// drainInterval is how soon a drain looks again at the pods that are left.
	drainInterval = 2 * time.Second
	// namedPods is how many of the pods that are left the condition names.
	namedPods = 5
	// evictTimeout bounds one eviction. While a disruption budget is new the API server asks to come back after 10 seconds, and client-go does so 10 times: the
	// heartbeat of the Node must not wait for that.
	evictTimeout = time.Second
)

var errHeldBack = errors.New("a PodDisruptionBudget holds the pod back")

// drain carries out the deletion of a VirtualNode: it closes the Node, evicts its pods, removes those whose grace period is over, and when none is
// left deletes the Node and its Lease. Pods of a DaemonSet and pods that have ended go with the Node.
func (c *Controller) drain(ctx context.Context, vn *v1alpha1.VirtualNode) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(vn, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	node := &corev1.Node{}
	err := c.reader.Get(ctx, client.ObjectKey{Name: vn.NodeName()}, node)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("getting the Node: %w", err)
	}
	if err == nil && owns(vn, node) {
		gone, err := c.drainNode(ctx, vn, node)
		if err != nil || !gone {
			return ctrl.Result{RequeueAfter: drainInterval}, err
		}
	}
	if err := c.deleteLease(ctx, vn); err != nil {
		return ctrl.Result{}, err
	}
	before := vn.DeepCopy()
	controllerutil.RemoveFinalizer(vn, v1alpha1.Finalizer)
	if err := c.client.Patch(ctx, vn, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("removing the finalizer: %w", err)
	}
	c.forget(vn)
	return ctrl.Result{}, nil
}

// drainNode evicts the pods of the Node, and deletes it and returns true when there are none.
func (c *Controller) drainNode(ctx context.Context, vn *v1alpha1.VirtualNode, node *corev1.Node) (bool, error) {
	if err := c.renewLease(ctx, vn); err != nil {
		return false, err
	}
	wasClosed := slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == v1alpha1.TaintDraining })
	if err := c.updateNode(ctx, vn, node, v1alpha1.TaintDraining); err != nil {
		return false, err
	}
	left, err := c.evictPods(ctx, node)
	// A node that was closed just now may still get pods whose binding is on its way.
	if err != nil || len(left) > 0 || !wasClosed {
		before := vn.DeepCopy()
		setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonDraining, drainMessage(left, err))
		return false, errors.Join(err, c.patchStatus(ctx, before, vn))
	}
	if err := c.client.Delete(ctx, node, client.Preconditions{UID: &node.UID}); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("deleting the Node: %w", err)
	}
	return true, nil
}

// deleteLease deletes the Lease if it is the VirtualNode's own.
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

// evictPods evicts the pods of the Node and returns those that are left. A pod that cannot be evicted does not keep the others.
func (c *Controller) evictPods(ctx context.Context, node *corev1.Node) ([]string, error) {
	pods := &corev1.PodList{}
	if err := c.reader.List(ctx, pods, client.MatchingFields{"spec.nodeName": node.Name}); err != nil {
		return nil, fmt.Errorf("listing the pods of the Node: %w", err)
	}
	var left []string
	var failed []error
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || ownedByDaemonSet(pod) {
			continue
		}
		name := client.ObjectKeyFromObject(pod).String()
		if err := c.evict(ctx, pod); errors.Is(err, errHeldBack) {
			name += " (held back by a PodDisruptionBudget)"
		} else if err != nil {
			failed = append(failed, fmt.Errorf("evicting pod %s: %w", name, err))
		}
		left = append(left, name)
	}
	return left, errors.Join(failed...)
}

// evict asks for the eviction of a pod, or removes it when its grace period is over: a virtual node has no kubelet that would. The error is errHeldBack when a
// disruption budget does not let it go.
func (c *Controller) evict(ctx context.Context, pod *corev1.Pod) error {
	sameUID := client.Preconditions{UID: &pod.UID}
	if pod.DeletionTimestamp != nil {
		if c.options.Clock.Now().Before(pod.DeletionTimestamp.Time) {
			return nil
		}
		return client.IgnoreNotFound(c.client.Delete(ctx, pod, sameUID, client.GracePeriodSeconds(0)))
	}
	_, err := c.evictIf(ctx, pod, metav1.Preconditions{UID: &pod.UID})
	return err
}

// evictIf evicts a pod that is what the preconditions say. It returns false when the pod is another one by now, and errHeldBack when a disruption budget does
// not let it go: whoever wants it gone asks again.
func (c *Controller) evictIf(ctx context.Context, pod *corev1.Pod, preconditions metav1.Preconditions) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, evictTimeout)
	defer cancel()
	eviction := &policyv1.Eviction{DeleteOptions: &metav1.DeleteOptions{Preconditions: &preconditions}}
	err := c.client.SubResource("eviction").Create(ctx, pod, eviction)
	switch {
	case apierrors.IsTooManyRequests(err):
		return false, errHeldBack
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return false, nil
	}
	return err == nil, err
}

func drainMessage(left []string, err error) string {
	message := fmt.Sprintf("the VirtualNode is being deleted; pods left on its node: %d", len(left))
	if len(left) > 0 {
		message += ", such as " + strings.Join(left[:min(len(left), namedPods)], ", ")
	}
	if err != nil {
		message += fmt.Sprintf(" (%v)", err)
	}
	return message
}

func ownedByDaemonSet(pod *corev1.Pod) bool {
	return owner.IsDaemonSet(metav1.GetControllerOf(pod))
}
