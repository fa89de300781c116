package resourcepolicy

import (
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
)

// inflight is what the plugin remembers of pods between their attempts and until their binding is seen. It may be used by any goroutine; no I/O
// happens under its lock. What a restart loses of it is read from the pods again: the unit from its record, the clocks from the PodScheduled message.
type inflight struct {
	// waits tells whether a pod still waits, by the informer's store: nothing is remembered of one whose end the handlers have seen already.
	waits func(pod *corev1.Pod) bool

	mu sync.Mutex
	// placed are pods that are assumed: the snapshot shows such a pod on its node before the annotation that records its unit has come back from the API
	// server.
	placed map[types.UID]placed
	// walks are the walks through the units that go on with the next attempt, which takes them.
	walks map[types.UID]*walk
	// clocks are when a pod first failed in a unit, by the unit's ID (R6).
	clocks map[types.UID]map[string]time.Time
	// nominations are the slots of pods that have preempted others and wait for them to end (R8).
	nominations map[types.UID]nomination
	// waiting are the pods that wait in a unit.
	waiting map[types.UID]unitWait
	// someWait tells without the lock whether there are any.
	someWait atomic.Bool
	// told are the held pods that have had their event.
	told map[types.UID]bool
	// whole are the units of which a pod is to see every node, by ID: no node of a sample passed all filters.
	whole map[types.UID]map[string]bool
	// rejections are why the last attempts of pods failed, as far as it matters for what may help them.
	rejections map[types.UID]rejection
}

// placed is where a pod was placed.
type placed struct {
	unit, node string
	pod        *corev1.Pod
	// annotations are what the unit writes on the pod.
	annotations map[string]string
	// undone is true when the binding failed: the pod counts only if the API server shows it on the node.
	undone bool
}

func newInflight(waits func(*corev1.Pod) bool) *inflight {
	return &inflight{
		waits:  waits,
		placed: map[types.UID]placed{}, walks: map[types.UID]*walk{}, clocks: map[types.UID]map[string]time.Time{},
		nominations: map[types.UID]nomination{}, told: map[types.UID]bool{}, rejections: map[types.UID]rejection{}, waiting: map[types.UID]unitWait{}, whole: map[types.UID]map[string]bool{},
	}
}

// place remembers the unit of a pod that was assumed.
func (f *inflight) place(p placed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.nominations, p.pod.UID)
	f.endWait(p.pod.UID, p.unit)
	if f.waits(p.pod) {
		f.placed[p.pod.UID] = p
	}
}

// undo remembers that the binding of a pod failed. The unit stays known: the API server may have bound the pod nevertheless.
func (f *inflight) undo(pod types.UID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, ok := f.placed[pod]; ok {
		p.undone = true
		f.placed[pod] = p
	}
}

// forget drops the unit of a pod: its annotation records it now.
func (f *inflight) forget(pod types.UID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.placed, pod)
}

// asPlaced returns a pod with the annotations that its unit writes on it, as long as its binding has not come back with them.
func (f *inflight) asPlaced(pod *corev1.Pod) *corev1.Pod {
	f.mu.Lock()
	defer f.mu.Unlock()
	return virtualnode.Annotated(pod, f.placed[pod.UID].annotations)
}

// unit returns the remembered unit of a pod, or "".
func (f *inflight) unit(pod types.UID) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.placed[pod].unit
}

// node returns the node of a pod that is assumed, or "".
func (f *inflight) node(pod types.UID) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.placed[pod].node
}

// onTheWay returns the pods whose binding is on its way, by the name of the node.
func (f *inflight) onTheWay() map[string][]*corev1.Pod {
	f.mu.Lock()
	defer f.mu.Unlock()
	var pods map[string][]*corev1.Pod
	for _, p := range f.placed {
		if p.undone {
			continue
		}
		if pods == nil {
			pods = map[string][]*corev1.Pod{}
		}
		pods[p.node] = append(pods[p.node], p.pod)
	}
	return pods
}

// clock returns when the pod first failed in the unit. It reads the pod's condition when nothing is remembered, and starts the clock at a moment that is
// not zero when that does not tell either.
func (f *inflight) clock(pod *corev1.Pod, unit *placement.Unit, start time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if since, ok := f.clocks[pod.UID][unit.ID]; ok {
		return since
	}
	since, ok := unit.ReadClock(scheduledMessage(pod))
	if !ok {
		if since = start; start.IsZero() {
			return start
		}
	}
	if !f.waits(pod) {
		return since
	}
	if f.clocks[pod.UID] == nil {
		f.clocks[pod.UID] = map[string]time.Time{}
	}
	f.clocks[pod.UID][unit.ID] = since
	return since
}

// showWhole remembers that the pod is to see every node of a unit.
func (f *inflight) showWhole(pod *corev1.Pod, unit string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.waits(pod) {
		return
	}
	if f.whole[pod.UID] == nil {
		f.whole[pod.UID] = map[string]bool{}
	}
	f.whole[pod.UID][unit] = true
}

// seesWhole tells what showWhole was told.
func (f *inflight) seesWhole(pod types.UID, unit string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.whole[pod][unit]
}

// forgetWaiting drops what matters only while the pod waits: it is bound.
func (f *inflight) forgetWaiting(pod types.UID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endWait(pod, "")
	delete(f.walks, pod)
	delete(f.clocks, pod)
	delete(f.nominations, pod)
	delete(f.rejections, pod)
	delete(f.told, pod)
	delete(f.whole, pod)
}

// setTold remembers whether a pod has had the event that tells that it is held, and returns what was remembered before.
func (f *inflight) setTold(pod types.UID, told bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.told[pod]
	if told {
		f.told[pod] = true
	} else {
		delete(f.told, pod)
	}
	return before
}

// forgetAll drops a pod that does not exist any more, so that the memory is as small as the number of pods that do.
func (f *inflight) forgetAll(pod types.UID) {
	f.forgetWaiting(pod)
	f.forget(pod)
}

// scheduledMessage returns the message of the pod's PodScheduled condition while the pod waits.
func scheduledMessage(pod *corev1.Pod) string {
	for i := range pod.Status.Conditions {
		if condition := &pod.Status.Conditions[i]; condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return condition.Message
		}
	}
	return ""
}
