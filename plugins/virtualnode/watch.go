package virtualnode

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

// eciAnnotations is how the annotations begin by which a pod tells ECI what it wants.
const eciAnnotations = "k8s.aliyun.com/eci-"

// storeSettles is how long after a handler of ours has been told of something the scheduler's own handlers are taken to know it, too.
const storeSettles = 200 * time.Millisecond

// TopicECI is what pods wait for that ECI would not accept: that it accepts more.
const TopicECI = "eci"

// reopening wakes pods when the next stock-out lets one try again; its timer is nil when there is none.
type reopening struct {
	mu    sync.Mutex
	timer *time.Timer
}

// RetryIfChanged retries a parked pod that tells ECI something else by now than in its attempt: the scheduling queue does not look at annotations.
func (o *Offers) RetryIfChanged(pod *corev1.Pod) {
	if shown := o.shown(pod); shown != nil && !maps.Equal(wishes(shown), wishes(pod)) {
		// The queue may not have the new version yet: handlers run in goroutines of their own.
		time.AfterFunc(storeSettles, func() { o.Waker.Retry(pod.UID) })
	}
}

// watch follows the VirtualNodes, and the pods that wait.
func (o *Offers) watch(informer, pods cache.SharedIndexInformer) error {
	o.store, o.synced = informer.GetStore(), informer.HasSynced
	o.Waker.Exists = func(pod *corev1.Pod) bool {
		shown := o.shown(pod)
		return shown != nil && shown.Spec.NodeName == "" && shown.DeletionTimestamp == nil
	}
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
		o.Waker.Wake(TopicECI)
	}
}

// Say publishes what the VirtualNodes say, and wakes the pods that wait when they offer more than before. A plugin that follows them does it by itself.
func (o *Offers) Say(all []*eciv1alpha1.VirtualNode) {
	objects := make([]any, len(all))
	for i := range all {
		objects[i] = all[i]
	}
	o.building.Lock()
	better := o.publish(objects, true, time.Now())
	o.building.Unlock()
	if better {
		o.Waker.Wake(TopicECI)
	}
}

// reopenLater wakes the pods that wait when the next stock-out lets one try again.
func (o *Offers) reopenLater(now time.Time) {
	o.reopening.mu.Lock()
	defer o.reopening.mu.Unlock()
	if o.reopening.timer != nil {
		o.reopening.timer.Stop()
		o.reopening.timer = nil
	}
	var next time.Time
	for _, node := range o.current().nodes {
		if at := node.Reopens(now); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if !next.IsZero() {
		o.reopening.timer = time.AfterFunc(next.Sub(now), func() {
			o.Waker.Wake(TopicECI)
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
		o.Waker.Forget(after.UID)
		if node := o.current().nodes[before.Spec.NodeName]; node != nil && shrinks(before, after, node.Region) {
			time.AfterFunc(storeSettles, func() { o.Waker.Wake(TopicECI) })
		}
		return
	}
	if !maps.Equal(wishes(before), wishes(after)) {
		o.Waker.Retry(after.UID)
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
	o.Waker.Forget(pod.UID)
	o.bills.forget(pod.UID)
}
