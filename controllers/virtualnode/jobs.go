package virtualnode

import (
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// defaultBackoffLimit is that of a Job that sets none (batch/v1, JobSpec).
const defaultBackoffLimit = 6

// whyStays tells why a refused pod is not evicted, in words that follow "it stays there, because"; empty when it can be. moved are the pods of each owner that
// have been evicted just now.
func (c *Controller) whyStays(ctx context.Context, pod *corev1.Pod, moved map[string]int32) (string, error) {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return "no controller would create it again", nil
	}
	if owner.Kind != "Job" {
		return "", nil
	}
	job := &batchv1.Job{}
	if err := c.reader.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: owner.Name}, job); err != nil {
		return "", fmt.Errorf("getting Job %s/%s: %w", pod.Namespace, owner.Name, err)
	}
	if affords(job, moved[string(owner.UID)]) {
		return "", nil
	}
	return "its Job would count it as a failure and has none left: let its podFailurePolicy ignore DisruptionTarget", nil
}

// affords tells whether a Job goes on when one more of its pods is evicted: an evicted pod counts as a failure unless the Job ignores disruptions
// (pkg/controller/job, isPodFailed).
func affords(job *batchv1.Job, evicted int32) bool {
	if policy := job.Spec.PodFailurePolicy; policy != nil && slices.ContainsFunc(policy.Rules, ignoresDisruption) {
		return true
	}
	if job.Spec.BackoffLimitPerIndex != nil {
		return false // How many failures an index has left only its pods tell.
	}
	failures := job.Status.Failed + ptr.Deref(job.Status.Terminating, 0) + evicted + 1
	return failures <= ptr.Deref(job.Spec.BackoffLimit, defaultBackoffLimit)
}

func ignoresDisruption(rule batchv1.PodFailurePolicyRule) bool {
	return rule.Action == batchv1.PodFailurePolicyActionIgnore && slices.ContainsFunc(rule.OnPodConditions, func(p batchv1.PodFailurePolicyOnPodConditionsPattern) bool {
		return p.Type == corev1.DisruptionTarget && p.Status == corev1.ConditionTrue
	})
}
