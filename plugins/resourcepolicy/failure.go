package resourcepolicy

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/util"
)

// FailureHandler returns the failure handler of a scheduler with these plugins. The stock handler reports every pod that was not placed as Unschedulable, which
// makes an autoscaler buy a node. Here a pod whose attempt found every unit full is reported as held from the start (R7), and one that goes on to its next unit
// is not reported at all. Everything else is as in the stock handler, which next is.
func (s *Set) FailureHandler(next scheduler.FailureHandlerFn) scheduler.FailureHandlerFn {
	return func(
		ctx context.Context, profile framework.Framework, pod *framework.QueuedPodInfo, status *fwk.Status, nominating *fwk.NominatingInfo, start time.Time,
	) {
		// Without a FitError no plugin was asked in this attempt: what is remembered is of an older one.
		fit := (*framework.FitError)(nil)
		if r, ok := s.pl.inflight.rejection(pod.Pod.UID); ok && errors.As(status.AsError(), &fit) && (r.held != "" || r.moving) {
			profile = reporter{Framework: profile, ctx: ctx, rejection: r}
		}
		next(ctx, profile, pod, status, nominating, start)
	}
}

// reporter is the profile as the stock handler sees it: the handler writes the pod's status through its APICacher.
type reporter struct {
	framework.Framework
	ctx       context.Context //nolint:containedctx // An APICacher is not given the context of the handler that calls it.
	rejection rejection
}

// APICacher returns what writes the status of the pod.
func (r reporter) APICacher() fwk.APICacher {
	return statusWriter{APICacher: r.Framework.APICacher(), reporter: r}
}

// statusWriter writes what the pod's status is to say. Without asynchronous API calls it has no APICacher of the scheduler, and only PatchPodStatus is called.
type statusWriter struct {
	fwk.APICacher
	reporter reporter
}

// PatchPodStatus writes the conditions of a pod that is held, and none of one that goes on to its next unit.
func (w statusWriter) PatchPodStatus(pod *corev1.Pod, conditions []*corev1.PodCondition, nominating *fwk.NominatingInfo) (<-chan error, error) {
	var reported []*corev1.PodCondition
	for _, condition := range conditions {
		if w.reporter.rejection.moving {
			break
		}
		condition := condition.DeepCopy()
		condition.Reason, condition.Message = corev1.PodReasonSchedulingGated, w.reporter.rejection.held
		reported = append(reported, condition)
	}
	if w.APICacher != nil {
		return w.APICacher.PatchPodStatus(pod, reported, nominating)
	}
	return nil, w.patch(pod, reported, nominating)
}

// patch writes the status as the stock handler does.
func (w statusWriter) patch(pod *corev1.Pod, conditions []*corev1.PodCondition, nominating *fwk.NominatingInfo) error {
	status, changed := pod.Status.DeepCopy(), false
	for _, condition := range conditions {
		changed = podutil.UpdatePodCondition(status, condition) || changed
	}
	if nominating.Mode() == fwk.ModeOverride && status.NominatedNodeName != nominating.NominatedNodeName {
		status.NominatedNodeName, changed = nominating.NominatedNodeName, true
	}
	if !changed {
		return nil
	}
	if err := util.PatchPodStatus(w.reporter.ctx, w.reporter.ClientSet(), pod.Name, pod.Namespace, &pod.Status, status); err != nil {
		return fmt.Errorf("writing the status of a pod that is not placed: %w", err)
	}
	return nil
}
