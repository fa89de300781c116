package resourcepolicy

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

const (
	// noticeDelay is how long a pod is held before users are told: most are held only until the attempt of another one has brought the counts.
	noticeDelay = time.Second
	// noticeRetry is the wait before a write to the API server is tried again. It doubles, up to noticeRetryMax.
	noticeRetry    = time.Second
	noticeRetryMax = time.Minute
	// noticeTimeout bounds one write: an API server that does not answer for one pod must not keep the notices of others.
	noticeTimeout = 5 * time.Second
	// noticeWorkers is how many writes are on their way at once.
	noticeWorkers = 4
	// maxNote is the longest note of an event (k8s.io/api/events/v1).
	maxNote = 1024
	// EventHeld is the reason of the event that tells that a pod is held.
	EventHeld = "Held"
)

// notices tell users that a pod is held (R7, R12): by an event, and by its PodScheduled condition, which has the reason SchedulingGated, not Unschedulable,
// so that no autoscaler buys a node for it. They write in goroutines of their own, never in the scheduling loop.
type notices struct {
	queue workqueue.TypedRateLimitingInterface[types.NamespacedName]
	// timeout is noticeTimeout.
	timeout time.Duration
}

func newNotices() *notices {
	return &notices{timeout: noticeTimeout, queue: workqueue.NewTypedRateLimitingQueue(
		workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](noticeRetry, noticeRetryMax),
	)}
}

// add looks at a pod that is held now; at once if it looks unschedulable.
func (n *notices) add(pod *corev1.Pod) {
	key := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	if looksUnschedulable(pod) {
		n.queue.Add(key)
		return
	}
	n.queue.AddAfter(key, noticeDelay)
}

// run gives the notices until the context ends.
func (n *notices) run(ctx context.Context, pl *ResourcePolicy) {
	for range noticeWorkers {
		go func() {
			for n.next(ctx, pl) {
			}
		}()
	}
	<-ctx.Done()
	n.queue.ShutDown()
}

// next gives one notice. It returns false when there will be no more.
func (n *notices) next(ctx context.Context, pl *ResourcePolicy) bool {
	key, shutdown := n.queue.Get()
	if shutdown {
		return false
	}
	defer n.queue.Done(key)
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	n.give(ctx, pl, key)
	return true
}

// give tells that a pod is held, if it still is. A scheduler that does not schedule yet, because another one is the leader, has nothing to say.
func (n *notices) give(ctx context.Context, pl *ResourcePolicy, key types.NamespacedName) {
	if !pl.active.Load() {
		return
	}
	logger := klog.FromContext(ctx)
	pod, err := pl.podLister.Pods(key.Namespace).Get(key.Name)
	if err != nil || pod.Spec.NodeName != "" {
		n.queue.Forget(key)
		return
	}
	held, ok := pl.admission.isHeld(pod.UID)
	if !ok {
		n.queue.Forget(key)
		pl.inflight.setTold(pod.UID, false)
		return
	}
	if rest := noticeDelay - time.Since(held.since); rest > 0 && !looksUnschedulable(pod) {
		n.queue.AddAfter(key, rest) // It was let go and is held again.
		return
	}
	message := held.message(pl, pod)
	if !pl.inflight.setTold(pod.UID, true) {
		metrics.Decided(metrics.OutcomeHeld, metrics.NoUnit, false)
		note := message
		if len(note) > maxNote {
			note = note[:maxNote-3] + "..."
		}
		pl.handle.EventRecorder().WithLogger(logger).Eventf(pod, nil, corev1.EventTypeNormal, EventHeld, "Scheduling", "%s", note)
	}
	if scheduledMessage(pod) == message && !looksUnschedulable(pod) {
		n.queue.Forget(key)
		return
	}
	err = pl.patchHeld(ctx, pod, message)
	switch {
	case err == nil, apierrors.IsNotFound(err):
		n.queue.Forget(key)
	case apierrors.IsConflict(err) || !isAnswer(err):
		// After a conflict the informer is about to show the newer pod.
		n.queue.AddRateLimited(key)
	default:
		n.queue.Forget(key)
		logger.Error(err, "Telling that a pod is held", "pod", klog.KObj(pod))
	}
}

// message explains why a pod is held.
func (h *heldPod) message(pl *ResourcePolicy, pod *corev1.Pod) string {
	if h.full {
		return pl.heldMessage(h.policy, pod)
	}
	return v1alpha1.HeldMessagePrefix + h.policy.Name + ": every slot that is free is kept for a pod that is being tried, or waits for a node"
}

// heldMessage explains why a pod is held that finds every unit full.
func (pl *ResourcePolicy) heldMessage(policy *placement.Policy, pod *corev1.Pod) string {
	return v1alpha1.HeldMessagePrefix + policy.Name + ": " + policy.HeldMessage(vector(policy, pod), func(unit int) time.Time {
		return pl.inflight.clock(pod, &policy.Units[unit], time.Time{})
	})
}

// patchHeld makes a held pod look held. The version in the patch keeps it from touching a pod that was bound meanwhile.
func (pl *ResourcePolicy) patchHeld(ctx context.Context, pod *corev1.Pod, message string) error {
	condition := corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonSchedulingGated,
		Message: message, LastTransitionTime: metav1.Now(), ObservedGeneration: pod.Generation,
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID, "resourceVersion": pod.ResourceVersion},
		"status":   map[string]any{"conditions": []corev1.PodCondition{condition}},
	})
	if err != nil {
		return fmt.Errorf("encoding the condition of a held pod: %w", err)
	}
	_, err = pl.handle.ClientSet().CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// looksUnschedulable tells whether an autoscaler takes the pod for one that a new node helps.
func looksUnschedulable(pod *corev1.Pod) bool {
	for i := range pod.Status.Conditions {
		condition := &pod.Status.Conditions[i]
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return condition.Reason == corev1.PodReasonUnschedulable
		}
	}
	return false
}
