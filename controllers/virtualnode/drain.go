package virtualnode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
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
)

// drain carries out the deletion of a VirtualNode: it closes the Node, evicts its pods, removes those whose grace
// period is over, and when none is left deletes the Node and its Lease, which the heartbeat renews until then. Pods of
// a DaemonSet and pods that have ended go with the Node.
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
	return ctrl.Result{}, nil
}

// drainNode evicts the pods of the Node, and deletes it and returns true when there are none.
func (c *Controller) drainNode(ctx context.Context, vn *v1alpha1.VirtualNode, node *corev1.Node) (bool, error) {
	before := vn.DeepCopy()
	wasClosed := slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == v1alpha1.TaintDraining })
	if err := c.updateSpec(ctx, vn, node, v1alpha1.TaintDraining); err != nil {
		// While the Node is open its pods would only make room for others.
		c.setNodeFailed(before, vn, err)
		return false, errors.Join(err, c.patchStatus(ctx, before, vn))
	}
	// The status is not needed to drain.
	nodeErr := c.updateStatus(ctx, vn, node)
	c.memory.noteNode(vn.UID, nil, c.options.Clock.Now())
	left, evictErr := c.evictPods(ctx, vn, node)
	err := errors.Join(evictErr, nodeErr)
	// A node that was closed just now may still get pods whose binding is on its way.
	if evictErr != nil || len(left) > 0 || !wasClosed {
		setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonDraining, drainMessage(left, err))
		return false, errors.Join(err, c.patchStatus(ctx, before, vn))
	}
	if err := c.client.Delete(ctx, node, client.Preconditions{UID: &node.UID}); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("deleting the Node: %w", err)
	}
	return true, nil
}

// evictPods evicts the pods of the Node, as many as a pass allows, and returns those that are left, in words. A pod
// that cannot be evicted does not keep the others.
func (c *Controller) evictPods(ctx context.Context, vn *v1alpha1.VirtualNode, node *corev1.Node) ([]string, error) {
	list := &corev1.PodList{}
	if err := c.reader.List(ctx, list, client.MatchingFields{"spec.nodeName": node.Name}); err != nil {
		return nil, fmt.Errorf("listing the pods of the Node: %w", err)
	}
	var pods []*corev1.Pod
	for i := range list.Items {
		pod := &list.Items[i]
		if pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed && !ownedByDaemonSet(pod) {
			pods = append(pods, pod)
		}
	}
	var failed []error
	c.evictInTurn(ctx, vn, pods, func(ctx context.Context, pod *corev1.Pod) bool {
		asked, err := c.evict(ctx, pod)
		why := ""
		switch {
		case errors.Is(err, errHeldBack):
			why = " (held back by a PodDisruptionBudget)"
		case errors.Is(err, errNoAnswer):
			why = " (" + err.Error() + ")"
		case err != nil:
			failed = append(failed, fmt.Errorf("evicting pod %s: %w", nameOf(pod), err))
		}
		c.memory.keep(vn.UID, pod, why)
		return asked
	})
	return c.namesOf(vn, pods), errors.Join(failed...)
}

// namesOf returns the names of pods, in order, each with the reason why it was not evicted when its turn came last.
func (c *Controller) namesOf(vn *v1alpha1.VirtualNode, pods []*corev1.Pod) []string {
	kept := c.memory.keptOf(vn.UID, pods)
	names := make([]string, 0, len(pods))
	for _, pod := range inTurn(pods, "") {
		names = append(names, nameOf(pod)+kept[pod.UID])
	}
	return names
}

// evict asks for the eviction of a pod, or removes it when its grace period is over: a virtual node has no kubelet that
// would. It returns false when there is nothing to ask for yet. The errors are those of evictIf.
func (c *Controller) evict(ctx context.Context, pod *corev1.Pod) (asked bool, err error) {
	if pod.DeletionTimestamp == nil {
		_, err := c.evictIf(ctx, pod, metav1.Preconditions{UID: &pod.UID})
		return true, err
	}
	if c.options.Clock.Now().Before(pod.DeletionTimestamp.Time) {
		return false, nil
	}
	bounded, cancel := context.WithTimeout(ctx, evictTimeout)
	defer cancel()
	err = c.client.Delete(bounded, pod, client.Preconditions{UID: &pod.UID}, client.GracePeriodSeconds(0))
	if err = client.IgnoreNotFound(err); err != nil && bounded.Err() != nil {
		return true, errNoAnswer
	}
	return true, err
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
