package resourcepolicy

import (
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// nodeSettles is how long after an edit of a node's labels the slots that it may have freed are looked for: the scheduler's cache sees the edit by a
// handler of its own, and nothing tells when.
const nodeSettles = 500 * time.Millisecond

// watch follows the pods and nodes for what frees slots. Held pods hear of nothing else (R7), and the scheduling queue tells of a pod that begins to
// terminate only by an event that comes for every update of every bound pod.
func (pl *ResourcePolicy) watch() error {
	_, err := pl.pods.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, initial bool) {
			if !initial { // No pod has been tried before, and the first cycle has all of them in its snapshot.
				pl.podAdded(obj.(*corev1.Pod))
			}
		},
		UpdateFunc: func(before, after any) { pl.podUpdated(before.(*corev1.Pod), after.(*corev1.Pod)) },
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			if pod, ok := obj.(*corev1.Pod); ok {
				pl.podDeleted(pod)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("adding a handler for pods: %w", err)
	}
	_, err = pl.nodeInformer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { pl.nodeAdded(obj.(*corev1.Node)) },
		UpdateFunc: func(before, after any) { pl.nodeUpdated(before.(*corev1.Node), after.(*corev1.Node)) },
	})
	if err != nil {
		return fmt.Errorf("adding a handler for nodes: %w", err)
	}
	return nil
}

func (pl *ResourcePolicy) podAdded(pod *corev1.Pod) {
	if pod.Spec.NodeName != "" {
		pl.fresh.update(pod, false)
		pl.boundElsewhere(pod)
	}
}

func (pl *ResourcePolicy) podUpdated(before, after *corev1.Pod) {
	switch {
	case before.UID != after.UID:
		// The pod was deleted and created again while the watch was interrupted.
		pl.podDeleted(before)
		pl.podAdded(after)
	case after.Spec.NodeName == "":
		pl.waitingPodUpdated(before, after)
	case before.Spec.NodeName == "":
		pl.fresh.update(after, false)
		pl.inflight.forgetWaiting(after.UID)
		pl.admission.forget(after.UID)
		pl.waker.Forget(after.UID)
		pl.boundElsewhere(after)
	default:
		pl.fresh.update(after, false)
		pl.usageChanged(before, after)
	}
}

// boundElsewhere follows a pod that this scheduler has not placed: another one has, or its user.
func (pl *ResourcePolicy) boundElsewhere(pod *corev1.Pod) {
	if pl.inflight.unit(pod.UID) != "" {
		return
	}
	if _, counts := pl.slotOf(pod); counts {
		pl.fresh.add(pod, false)
		pl.wakeWaiting(pod)
	}
}

// usageChanged follows an update of a bound pod: what it counted for less wakes the pods that a full unit keeps out, and what it counts for more wakes those
// that wait until their unit is full (R6).
func (pl *ResourcePolicy) usageChanged(before, after *corev1.Pod) {
	was, counted := pl.slotOf(before)
	is, counts := pl.slotOf(after)
	fell, grew := counted, counts
	if counted && counts && was == is && maps.Equal(before.Labels, after.Labels) &&
		before.Annotations[v1alpha1.AnnotationUnit] == after.Annotations[v1alpha1.AnnotationUnit] {
		fell, grew = pl.requestsChanged(before, after)
	}
	if fell || grew {
		pl.fresh.add(after, false)
	}
	if fell {
		pl.admission.freed(was)
	}
	if grew {
		pl.wakeWaiting(after)
	}
}

// requestsChanged reports whether a pod requests less of a resource that its policy has a cap for than before, and whether it requests more of one.
func (pl *ResourcePolicy) requestsChanged(before, after *corev1.Pod) (less, more bool) {
	policy := pl.policies.Policies().Governing(after.Namespace, after.Labels)
	if policy == nil || !policy.TracksResources() {
		return false, false
	}
	requested := vector(policy, after)
	for i, amount := range vector(policy, before) {
		less, more = less || requested[i] < amount, more || requested[i] > amount
	}
	return less, more
}

// wakeWaiting retries pods of the same group that are not placed: a unit may be full for them now.
func (pl *ResourcePolicy) wakeWaiting(grown *corev1.Pod) {
	policy := pl.policies.Policies().Governing(grown.Namespace, grown.Labels)
	key, ok := pl.groupOf(grown)
	if ok && isConcernedByGrowth(policy) {
		pl.waker.Wake(grownTopic(key))
	}
}

// waitingPodUpdated follows a pod that is not bound.
func (pl *ResourcePolicy) waitingPodUpdated(before, after *corev1.Pod) {
	if after.DeletionTimestamp != nil {
		pl.podGone(after)
		return
	}
	if pl.relabelled(before, after) {
		// It may have another policy now, or another group. The queue looks again at a pod that is held, but it may
		// have done so before this handler ran: a pod it held once more would lose its ticket here and never be woken.
		_, held := pl.admission.isHeld(after.UID)
		pl.admission.forget(after.UID)
		pl.inflight.forgetWaiting(after.UID)
		if !pl.waker.Retry(after.UID) && held {
			pl.wake([]*corev1.Pod{after})
		}
	}
	if looksUnschedulable(after) && !looksUnschedulable(before) {
		if _, held := pl.admission.isHeld(after.UID); held {
			pl.notices.add(after)
		}
	}
}

// relabelled reports whether an edit of its labels may give a waiting pod another policy, group or unit.
func (pl *ResourcePolicy) relabelled(before, after *corev1.Pod) bool {
	if maps.Equal(before.Labels, after.Labels) {
		return false
	}
	policies := pl.policies.Policies()
	if policies.Governing(before.Namespace, before.Labels) == nil && policies.Governing(after.Namespace, after.Labels) == nil {
		return false
	}
	was, _ := pl.groupOf(before)
	is, grouped := pl.groupOf(after)
	r, _ := pl.inflight.rejection(after.UID)
	return was != is || !grouped || r.barred
}

func (pl *ResourcePolicy) podDeleted(pod *corev1.Pod) {
	if pod.Spec.NodeName == "" {
		pl.podGone(pod)
		pl.inflight.forgetAll(pod.UID)
		return
	}
	pl.inflight.forgetAll(pod.UID)
	pl.fresh.update(pod, true)
	if key, ok := pl.slotOf(pod); ok {
		pl.fresh.add(pod, true)
		pl.admission.freed(key)
	}
}

// podGone follows a pod that is deleted before it is bound. It may have been assumed already.
func (pl *ResourcePolicy) podGone(pod *corev1.Pod) {
	pl.admission.forget(pod.UID)
	pl.waker.Forget(pod.UID)
	pl.inflight.stopWait(pod.UID)
	nominated := pl.inflight.dropNomination(pod.UID)
	node := pl.inflight.node(pod.UID)
	if node == "" && !nominated {
		return
	}
	if node != "" {
		assumed := pod.DeepCopy()
		assumed.Spec.NodeName = node
		pl.fresh.add(assumed, true)
	}
	if key, ok := pl.groupOf(pod); ok {
		pl.admission.freed(key)
	}
}

// nodeUpdated looks for slots when a node enters or leaves a unit: its pods count there, or no longer.
func (pl *ResourcePolicy) nodeUpdated(before, after *corev1.Node) {
	if maps.Equal(before.Labels, after.Labels) {
		return
	}
	pl.later(nodeSettles, func() {
		pl.freedIn(func(policy *placement.Policy) bool {
			for i := range policy.Units {
				if policy.Units[i].Nodes.Contains(before.Labels) != policy.Units[i].Nodes.Contains(after.Labels) {
					return true
				}
			}
			return false
		})
	})
}

// freedIn tells that slots of all groups of the policies that match may have become free.
func (pl *ResourcePolicy) freedIn(matches func(*placement.Policy) bool) {
	pl.admission.freedIn(matches)
	for policy := range pl.policies.Policies().All() {
		if matches(policy) {
			pl.waker.Wake(policyTopic(policy))
		}
	}
}

// nodeAdded looks for slots when a node comes back while its pods run: they count by its labels again.
func (pl *ResourcePolicy) nodeAdded(node *corev1.Node) {
	pods, err := pl.pods.GetIndexer().IndexKeys(indexNode, node.Name)
	if err != nil || len(pods) > 0 {
		pl.later(nodeSettles, func() { pl.freedIn(func(*placement.Policy) bool { return true }) })
	}
}

// slotOf returns the group of a bound pod that counts for a cap.
func (pl *ResourcePolicy) slotOf(pod *corev1.Pod) (groupKey, bool) {
	policy := pl.policies.Policies().Governing(pod.Namespace, pod.Labels)
	if policy == nil || !policy.HasCaps() {
		return groupKey{}, false
	}
	if bound := placement.NewBoundPod(pod, nil); !policy.Counts(&bound) {
		return groupKey{}, false
	}
	return pl.groupOf(pod)
}

// groupOf returns the group of a governed pod.
func (pl *ResourcePolicy) groupOf(pod *corev1.Pod) (groupKey, bool) {
	policy := pl.policies.Policies().Governing(pod.Namespace, pod.Labels)
	if policy == nil {
		return groupKey{}, false
	}
	name, err := policy.Group(pod.Labels)
	return groupKey{policy.UID, name}, err == nil
}

// wake retries waiting pods of this scheduler. It must not be called with the lock of the queue, as PreEnqueue and the hints are.
func (pl *ResourcePolicy) wake(pods []*corev1.Pod) {
	waiting := make(map[string]*corev1.Pod, len(pods))
	for _, pod := range pods {
		if pod.Spec.SchedulerName == pl.handle.ProfileName() {
			waiting[string(pod.UID)] = pod
		}
	}
	if len(waiting) > 0 {
		pl.handle.Activate(pl.logger, waiting)
	}
}

// wakeByName is wake for a pod that is looked up.
func (pl *ResourcePolicy) wakeByName(key types.NamespacedName) {
	if pod, err := pl.podLister.Pods(key.Namespace).Get(key.Name); err == nil && pod.Spec.NodeName == "" {
		pl.wake([]*corev1.Pod{pod})
	}
}
