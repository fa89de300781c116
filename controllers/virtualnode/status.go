package virtualnode

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/metrics"
)

const (
	// toleratedFor is for how long an error that may pass is retried before the condition Ready tells of it: less than
	// the 40 seconds after which the cluster takes a Node for dead whose Lease is not renewed.
	toleratedFor = 30 * time.Second
	// maxMessage bounds the message of a condition. The CRD's limit is 32768, and webhooks write the messages of some
	// errors.
	maxMessage = 4096
)

// setNodeFailed sets condition Ready by the error, or nil, with which the Node was written, and by the last renewal of
// its Lease. An error that may pass leaves the condition as it was before, unless the node is closed anyway: a conflict
// is no news for anybody.
func (c *Controller) setNodeFailed(before, vn *v1alpha1.VirtualNode, err error) {
	now := c.options.Clock.Now()
	for _, f := range []failure{c.memory.noteNode(vn.UID, err, now), c.memory.leaseOf(vn.UID)} {
		if f.isReported(now) {
			setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonNodeFailed, f.err.Error())
			return
		}
	}
	if err == nil || !meta.IsStatusConditionTrue(vn.Status.Conditions, v1alpha1.ConditionReady) {
		return
	}
	meta.RemoveStatusCondition(&vn.Status.Conditions, v1alpha1.ConditionReady)
	if was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady); was != nil {
		vn.Status.Conditions = append(vn.Status.Conditions, *was)
	}
}

// isReported reports whether users are told of a failure.
func (f failure) isReported(now time.Time) bool {
	return f.err != nil && (!mayPass(f.err) || now.Sub(f.since) >= toleratedFor)
}

// mayPass reports whether the same request may succeed when it is simply repeated: the API server, or what it asks, did
// not answer, has too much to do, or has another version of the object by now. What it refuses by rights, by a rule of
// the API or by a policy, it will refuse again.
func mayPass(err error) bool {
	var answered apierrors.APIStatus
	if !errors.As(err, &answered) {
		return true // No answer.
	}
	switch status := answered.Status(); status.Code {
	case http.StatusConflict, http.StatusNotFound, http.StatusUnauthorized, http.StatusRequestTimeout,
		http.StatusTooManyRequests:
		return true
	default:
		return status.Code >= http.StatusInternalServerError
	}
}

// patchStatus writes the status when it changed.
func (c *Controller) patchStatus(ctx context.Context, before, vn *v1alpha1.VirtualNode) error {
	vn.Status.ObservedGeneration = vn.Generation
	if equality.Semantic.DeepEqual(before.Status, vn.Status) {
		return nil
	}
	for _, name := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionCapacityKnown, v1alpha1.ConditionStockAvailable} {
		was, is := meta.FindStatusCondition(before.Status.Conditions, name), meta.FindStatusCondition(vn.Status.Conditions, name)
		if is != nil && (was == nil || was.Reason != is.Reason) {
			ctrl.LoggerFrom(ctx).Info("Condition changes", "condition", name, "status", is.Status, "reason", is.Reason, "message", is.Message)
		}
	}
	// The lock keeps what was worked out from an old cache from being written over what is newer.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	err := c.client.Status().Patch(ctx, vn, patch)
	metrics.WroteStatus(metrics.KindVirtualNode, metrics.ResultOf(client.IgnoreNotFound(err), apierrors.IsConflict))
	if err != nil {
		return fmt.Errorf("patching the status: %w", err)
	}
	return nil
}

// setCondition sets a condition: True for the reason that says all is well, otherwise False.
func setCondition(vn *v1alpha1.VirtualNode, conditionType, reason, message string) {
	status := metav1.ConditionFalse
	if reason == v1alpha1.ReasonNodeReady || reason == v1alpha1.ReasonRefreshed || reason == v1alpha1.ReasonInStock {
		status = metav1.ConditionTrue
	}
	if long := []rune(message); len(long) > maxMessage {
		message = string(long[:maxMessage-1]) + "…"
	}
	meta.SetStatusCondition(&vn.Status.Conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: message, ObservedGeneration: vn.Generation,
	})
}
