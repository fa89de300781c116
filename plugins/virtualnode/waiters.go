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
)

// eciAnnotations is how the annotations begin by which a pod tells ECI what it wants.
const eciAnnotations = "k8s.aliyun.com/eci-"

// waiters are the pods that virtual nodes refused in their last attempt, until ECI would accept more.
type waiters struct {
	mu   sync.Mutex
	pods map[types.UID]*corev1.Pod
	// version is that of the catalog by which pods were woken last.
	version int64
	// reopens wakes pods when the next stock-out lets one try again; nil when there is none.
	reopens *time.Timer
}

func newWaiters() *waiters { return &waiters{pods: map[types.UID]*corev1.Pod{}} }

// Wait notes that virtual nodes refused a pod. If more has been offered since the cycle began the pod is woken at once.
func (o *Offers) Wait(a *Asking, pod *corev1.Pod) {
	w := o.waiters
	w.mu.Lock()
	late := w.version > a.catalog.version
	if !late {
		w.pods[pod.UID] = pod
	}
	w.mu.Unlock()
	if late {
		o.handle.Activate(o.logger, map[string]*corev1.Pod{string(pod.UID): pod})
	}
}

// wake retries the pods that wait.
func (o *Offers) wake() {
	w := o.waiters
	w.mu.Lock()
	waiting := make(map[string]*corev1.Pod, len(w.pods))
	for uid, pod := range w.pods {
		waiting[string(uid)] = pod
	}
	clear(w.pods)
	w.version = o.current().version
	w.mu.Unlock()
	if len(waiting) > 0 {
		o.handle.Activate(o.logger, waiting)
	}
}

// watch follows the VirtualNodes, and the pods that wait.
func (o *Offers) watch(informer, pods cache.SharedIndexInformer) error {
	o.store, o.synced = informer.GetStore(), informer.HasSynced
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
			if pod, ok := obj.(*corev1.Pod); ok {
				o.forget(pod.UID)
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
	var next time.Time
	for _, node := range o.current().nodes {
		if at := node.Reopens(now); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	w := o.waiters
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reopens != nil {
		w.reopens.Stop()
		w.reopens = nil
	}
	if !next.IsZero() {
		w.reopens = time.AfterFunc(next.Sub(now), func() {
			o.wake()
			o.reopenLater(time.Now())
		})
	}
}

// podUpdated wakes a pod that waits when what it tells ECI changes: the scheduling queue does not look at annotations.
func (o *Offers) podUpdated(before, after *corev1.Pod) {
	if after.Spec.NodeName != "" || after.DeletionTimestamp != nil {
		o.forget(after.UID)
		return
	}
	o.waiters.mu.Lock()
	_, waits := o.waiters.pods[after.UID]
	o.waiters.mu.Unlock()
	if waits && !maps.Equal(wishes(before), wishes(after)) {
		o.forget(after.UID)
		o.handle.Activate(o.logger, map[string]*corev1.Pod{string(after.UID): after})
	}
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

func (o *Offers) forget(pod types.UID) {
	o.waiters.mu.Lock()
	defer o.waiters.mu.Unlock()
	delete(o.waiters.pods, pod)
}
