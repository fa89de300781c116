package virtualnode

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

// eciAnnotations is how the annotations begin by which a pod tells ECI what it wants.
const eciAnnotations = "k8s.aliyun.com/eci-"

// storeSettles is how long after a handler of ours has been told of something the scheduler's own handlers are taken to know it, too.
const storeSettles = 200 * time.Millisecond

// waiters are the pods that virtual nodes refused in their last attempt, until ECI would accept more.
type waiters struct {
	mu   sync.Mutex
	pods map[types.UID]waiter
	// woken is when pods were woken last.
	woken time.Time
	// reopens wakes pods when the next stock-out lets one try again; nil when there is none.
	reopens *time.Timer
}

// waiter is a pod that waits.
type waiter struct {
	pod *corev1.Pod
	// never is true for a pod that ECI can never run as it is: only an edit of the pod helps it.
	never bool
}

func newWaiters() *waiters { return &waiters{pods: map[types.UID]waiter{}} }

// Wait notes that virtual nodes refused a pod. If more has been offered since the cycle began, or the pod asks for something else by now, it is tried again.
func (o *Offers) Wait(a *Asking, pod *corev1.Pod) {
	w := o.waiters
	w.mu.Lock()
	late := w.woken.After(a.now)
	if !late {
		w.pods[pod.UID] = waiter{pod: pod, never: a.Never() != ""}
	}
	w.mu.Unlock()
	switch {
	case late:
		o.activate(pod)
	case o.asksAnew(pod):
		// The queue may not have the new version yet: handlers run in goroutines of their own.
		time.AfterFunc(storeSettles, func() { o.activate(pod) })
	}
}

// asksAnew tells whether the pod tells ECI something else by now.
func (o *Offers) asksAnew(pod *corev1.Pod) bool {
	shown := o.shown(pod)
	return shown != nil && !maps.Equal(wishes(shown), wishes(pod))
}

func (o *Offers) activate(pod *corev1.Pod) {
	o.handle.Activate(o.logger, map[string]*corev1.Pod{string(pod.UID): pod})
}

// wake retries the pods that wait for ECI.
func (o *Offers) wake() {
	w := o.waiters
	w.mu.Lock()
	waiting := make(map[string]*corev1.Pod, len(w.pods))
	for uid, each := range w.pods {
		if !each.never {
			waiting[string(uid)] = each.pod
			delete(w.pods, uid)
		}
	}
	w.woken = time.Now()
	w.mu.Unlock()
	if len(waiting) > 0 {
		o.handle.Activate(o.logger, waiting)
	}
}

// watch follows the VirtualNodes, and the pods that wait.
func (o *Offers) watch(informer, pods cache.SharedIndexInformer) error {
	o.store, o.synced, o.pods = informer.GetStore(), informer.HasSynced, pods.GetStore()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { o.changed() },
		UpdateFunc: func(any, any) { o.changed() },
		DeleteFunc: func(any) { o.changed() },
	})
	if err != nil {
		return fmt.Errorf("adding a handler for VirtualNodes: %w", err)
	}
	_, err = pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(before, after any) { o.podUpdated(before.(*corev1.Pod), after.(*corev1.Pod)) },
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			if pod, ok := obj.(*corev1.Pod); ok {
				o.podGone(pod)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("adding a handler for pods: %w", err)
	}
	return nil
}

// changed publishes what the VirtualNodes say now, and wakes the pods that wait when they offer more than before.
func (o *Offers) changed() {
	now := time.Now()
	better := o.rebuild(now)
	o.reopenLater(now)
	if better {
		o.wake()
	}
}

// reopenLater wakes the pods that wait when the next stock-out lets one try again.
func (o *Offers) reopenLater(now time.Time) {
	w := o.waiters
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reopens != nil {
		w.reopens.Stop()
		w.reopens = nil
	}
	var next time.Time
	for _, node := range o.current().nodes {
		if at := node.Reopens(now); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if !next.IsZero() {
		w.reopens = time.AfterFunc(next.Sub(now), func() {
			o.wake()
			o.reopenLater(time.Now())
		})
	}
}

// podUpdated wakes a pod that waits when what it tells ECI changes: the scheduling queue does not look at annotations. And it wakes all when the instance of
// a bound pod turns out to be smaller than what was kept free for it.
func (o *Offers) podUpdated(before, after *corev1.Pod) {
	if before.UID != after.UID {
		o.podGone(before) // The pod was deleted and created again while the watch was interrupted.
	}
	if after.Spec.NodeName != "" || after.DeletionTimestamp != nil {
		o.forget(after.UID)
		if node := o.current().nodes[before.Spec.NodeName]; node != nil && shrinks(before, after, node.Region) {
			time.AfterFunc(storeSettles, o.wake)
		}
		return
	}
	o.waiters.mu.Lock()
	_, waits := o.waiters.pods[after.UID]
	o.waiters.mu.Unlock()
	if waits && !maps.Equal(wishes(before), wishes(after)) {
		o.forget(after.UID)
		o.activate(after)
	}
}

// shrinks tells whether what a bound pod holds has become less.
func shrinks(before, after *corev1.Pod, region string) bool {
	if before.Annotations[ecispec.AnnotationInstanceSpec] == after.Annotations[ecispec.AnnotationInstanceSpec] && offer.IsCreated(before) == offer.IsCreated(after) {
		return false
	}
	was, is := offer.HoldingOf(before, region), offer.HoldingOf(after, region)
	a, b := was.Amount(), is.Amount()
	return b.MilliCPU < a.MilliCPU || b.Memory < a.Memory || b.GPUs < a.GPUs || was.Name() != is.Name()
}

// wishes are the annotations by which a pod tells ECI what it wants.
func wishes(pod *corev1.Pod) map[string]string {
	var all map[string]string
	for key, value := range pod.Annotations {
		if strings.HasPrefix(key, eciAnnotations) {
			if all == nil {
				all = map[string]string{}
			}
			all[key] = value
		}
	}
	return all
}

// podGone forgets a pod that does not exist any more.
func (o *Offers) podGone(pod *corev1.Pod) {
	o.forget(pod.UID)
	o.bills.forget(pod.UID)
}

func (o *Offers) forget(pod types.UID) {
	o.waiters.mu.Lock()
	defer o.waiters.mu.Unlock()
	delete(o.waiters.pods, pod)
}
