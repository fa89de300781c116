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

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

// eciAnnotations is how the annotations begin by which a pod tells ECI what it wants.
const eciAnnotations = "k8s.aliyun.com/eci-"

// waiters are the pods that virtual nodes refused in their last attempt, until ECI would accept more.
type waiters struct {
	mu   sync.Mutex
	pods map[types.UID]*corev1.Pod
	// version is that of the catalog by which pods were woken last.
	version int64
	// reopens are the timers that wake pods when a stock-out lets one try again, by VirtualNode.
	reopens map[string]*time.Timer
}

func newWaiters() *waiters {
	return &waiters{pods: map[types.UID]*corev1.Pod{}, reopens: map[string]*time.Timer{}}
}

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
	w.version = o.catalog.Load().version
	w.mu.Unlock()
	if len(waiting) > 0 {
		o.handle.Activate(o.logger, waiting)
	}
}

// watch follows the VirtualNodes, and the pods that wait.
func (o *Offers) watch(informer, pods cache.SharedIndexInformer) error {
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { o.changed(nil, obj.(*eciv1alpha1.VirtualNode)) },
		UpdateFunc: func(before, after any) {
			o.changed(before.(*eciv1alpha1.VirtualNode), after.(*eciv1alpha1.VirtualNode))
		},
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			if vn, ok := obj.(*eciv1alpha1.VirtualNode); ok {
				o.changed(vn, nil)
			}
		},
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

// changed publishes what a VirtualNode says now, and wakes the pods that wait when it offers more than before.
func (o *Offers) changed(before, after *eciv1alpha1.VirtualNode) {
	current, now := o.catalog.Load(), time.Now()
	next := current
	var node *offer.Node
	if after != nil {
		node = offer.New(after)
	}
	better := false
	if before != nil && (node == nil || before.NodeName() != node.Name) && o.describes(current, before) {
		next, better = next.with(before.NodeName(), nil), true
	}
	if node != nil {
		better = better || node.BetterThan(current.nodes[node.Name], now)
		next = next.with(node.Name, node)
	}
	o.catalog.Store(next)
	o.reopenLater(before, after, node, now)
	if better {
		o.wake()
	}
}

// describes tells whether the catalog's offer for a node is that of the VirtualNode.
func (o *Offers) describes(current *catalog, vn *eciv1alpha1.VirtualNode) bool {
	return offer.New(vn) != nil && current.nodes[vn.NodeName()] != nil
}

// reopenLater wakes the pods that wait when the next stock-out of a VirtualNode lets one try again.
func (o *Offers) reopenLater(before, after *eciv1alpha1.VirtualNode, node *offer.Node, now time.Time) {
	w := o.waiters
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, vn := range []*eciv1alpha1.VirtualNode{before, after} {
		if vn != nil && w.reopens[vn.Name] != nil {
			w.reopens[vn.Name].Stop()
			delete(w.reopens, vn.Name)
		}
	}
	if node == nil {
		return
	}
	if at := node.Reopens(now); !at.IsZero() {
		w.reopens[after.Name] = time.AfterFunc(at.Sub(now), func() {
			o.wake()
			o.reopenLater(nil, after, node, time.Now())
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
