package virtualnode

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
)

const (
	// evictTimeout bounds one eviction. While a disruption budget is new the API server asks to come back after 10
	// seconds, and client-go does so 10 times; a webhook may take 30 seconds.
	evictTimeout = time.Second
	// maxEvictions and passTimeout bound one pass over the pods of a Node: its worker has the status and the Node to
	// keep up to date, and other VirtualNodes.
	maxEvictions = 100
	passTimeout  = 5 * time.Second
)

var (
	errHeldBack = errors.New("a PodDisruptionBudget holds the pod back")
	errNoAnswer = errors.New("the API server did not answer the eviction in time")
)

// evictInTurn calls evict for one pod after the other until the pass has taken its time or its number of evictions;
// evict reports whether it has asked for one. It returns true when pods are left, with which the next pass begins:
// those whose evictions take long do not keep the others.
func (c *Controller) evictInTurn(
	ctx context.Context, vn *v1alpha1.VirtualNode, pods []*corev1.Pod, evict func(context.Context, *corev1.Pod) bool,
) bool {
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	asked := 0
	for _, pod := range inTurn(pods, c.memory.turnOf(vn.UID)) {
		if asked == maxEvictions || ctx.Err() != nil {
			c.memory.setTurn(vn.UID, nameOf(pod))
			return true
		}
		if evict(ctx, pod) {
			asked++
		}
	}
	c.memory.setTurn(vn.UID, "")
	return false
}

// inTurn returns the pods by namespace and name, beginning with a name and ending with those before it.
func inTurn(pods []*corev1.Pod, first string) []*corev1.Pod {
	byName := func(a, b *corev1.Pod) int { return cmp.Compare(nameOf(a), nameOf(b)) }
	sorted := slices.SortedFunc(slices.Values(pods), byName)
	at := slices.IndexFunc(sorted, func(pod *corev1.Pod) bool { return nameOf(pod) >= first })
	if at < 0 {
		return sorted
	}
	return slices.Concat(sorted[at:], sorted[:at])
}

// nameOf returns the namespace and name of a pod.
func nameOf(pod *corev1.Pod) string { return client.ObjectKeyFromObject(pod).String() }

// evictIf evicts a pod that is what the preconditions say. It returns false when the pod is another one by now. The
// error is errHeldBack when a disruption budget does not let it go, and errNoAnswer when nothing was said in time:
// whoever wants it gone asks again.
func (c *Controller) evictIf(ctx context.Context, pod *corev1.Pod, preconditions metav1.Preconditions) (bool, error) {
	bounded, cancel := context.WithTimeout(ctx, evictTimeout)
	defer cancel()
	eviction := &policyv1.Eviction{DeleteOptions: &metav1.DeleteOptions{Preconditions: &preconditions}}
	err := c.client.SubResource("eviction").Create(bounded, pod, eviction)
	switch {
	case apierrors.IsTooManyRequests(err):
		return false, errHeldBack
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return false, nil
	case err != nil && bounded.Err() != nil, apierrors.IsTimeout(err), apierrors.IsServerTimeout(err):
		return false, errNoAnswer
	}
	return err == nil, err
}
