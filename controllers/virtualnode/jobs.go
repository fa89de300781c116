package virtualnode

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// annotationSafeToEvict is the cluster autoscaler's: whether a pod may be evicted, whoever made it.
	annotationSafeToEvict = "cluster-autoscaler.kubernetes.io/safe-to-evict"
	// defaultBackoffLimit is that of a Job that sets none (batch/v1, JobSpec).
	defaultBackoffLimit = 6
	// moveIsSeen is how long it takes at most until an evicted pod is in the status of its Job.
	moveIsSeen = 30 * time.Second
)

// replacing are the controllers that are known to create a pod again that is gone.
var replacing = map[schema.GroupKind]bool{
	{Kind: "ReplicationController"}: true, {Group: "apps", Kind: "ReplicaSet"}: true, {Group: "apps", Kind: "StatefulSet"}: true,
	{Group: "batch", Kind: "Job"}: true, {Group: "apps.kruise.io", Kind: "CloneSet"}: true, {Group: "apps.kruise.io", Kind: "StatefulSet"}: true,
}

// moves are the pods that were evicted lately, by owner. The zero value is empty. It is safe for concurrent use.
type moves struct {
	mu      sync.Mutex
	byOwner map[types.UID]map[types.UID]time.Time
}

func (m *moves) note(owner, pod types.UID, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byOwner == nil {
		m.byOwner = map[types.UID]map[types.UID]time.Time{}
	}
	if m.byOwner[owner] == nil {
		m.byOwner[owner] = map[types.UID]time.Time{}
	}
	m.byOwner[owner][pod] = now
}

// of returns how many pods of an owner were evicted so lately that nobody else may know of it.
func (m *moves) of(owner types.UID, now time.Time) int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.byOwner, func(_ types.UID, pods map[types.UID]time.Time) bool {
		maps.DeleteFunc(pods, func(_ types.UID, at time.Time) bool { return now.Sub(at) > moveIsSeen })
		return len(pods) == 0
	})
	return int32(len(m.byOwner[owner]))
}

// whyStays tells why a refused pod is not evicted, in words that follow "it stays there, because"; empty when it can be.
func (c *Controller) whyStays(ctx context.Context, pod *corev1.Pod) (string, error) {
	owner := metav1.GetControllerOf(pod)
	safe := pod.Annotations[annotationSafeToEvict]
	switch {
	case owner == nil:
		return "no controller would create it again: delete it and create it anew to have it placed elsewhere", nil
	case safe == "false":
		return "its annotation " + annotationSafeToEvict + " forbids to evict it", nil
	case safe == "true":
		return "", nil
	}
	kind := schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).GroupKind()
	if !replacing[kind] {
		return fmt.Sprintf("it is not known that %s %s would create it again: annotate the pod %s=true if so", owner.Kind, owner.Name, annotationSafeToEvict), nil
	}
	if kind.Kind != "Job" {
		return "", nil
	}
	job := &batchv1.Job{}
	if err := c.reader.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: owner.Name}, job); apierrors.IsNotFound(err) || err == nil && job.UID != owner.UID {
		return "its Job is gone", nil
	} else if err != nil {
		return "", fmt.Errorf("getting Job %s/%s: %w", pod.Namespace, owner.Name, err)
	}
	if affords(job, c.memory.moves.of(owner.UID, c.options.Clock.Now())) {
		return "", nil
	}
	return "its Job would count it as a failure and has none left: let its podFailurePolicy ignore DisruptionTarget", nil
}

// affords tells whether a Job goes on when one more of its pods is evicted, beside those of which it may not know yet: an evicted pod counts as a failure
// unless the Job ignores disruptions (pkg/controller/job, isPodFailed).
func affords(job *batchv1.Job, evicted int32) bool {
	if policy := job.Spec.PodFailurePolicy; policy != nil && slices.ContainsFunc(policy.Rules, ignoresDisruption) {
		return true
	}
	if job.Spec.BackoffLimitPerIndex != nil {
		return false // How many failures an index has left only its pods tell.
	}
	failures := job.Status.Failed + ptr.Deref(job.Status.Terminating, 0) + evicted + 1
	if uncounted := job.Status.UncountedTerminatedPods; uncounted != nil {
		failures += int32(len(uncounted.Failed))
	}
	return failures <= ptr.Deref(job.Spec.BackoffLimit, defaultBackoffLimit)
}

func ignoresDisruption(rule batchv1.PodFailurePolicyRule) bool {
	return rule.Action == batchv1.PodFailurePolicyActionIgnore && slices.ContainsFunc(rule.OnPodConditions, func(p batchv1.PodFailurePolicyOnPodConditionsPattern) bool {
		return p.Type == corev1.DisruptionTarget && p.Status == corev1.ConditionTrue
	})
}
