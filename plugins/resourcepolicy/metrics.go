package resourcepolicy

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// unitWait is that of a pod in a unit.
type unitWait struct {
	unit  string
	since time.Time
}

// decided counts what became of an attempt, where that is about a unit.
func decided(outcome string, unit *placement.Unit) {
	metrics.Decided(outcome, unit.Index, unit.Nodes.Virtual)
}

// state is what is read when the metrics are scraped.
func (pl *ResourcePolicy) state() *metrics.SchedulerState {
	state := &metrics.SchedulerState{Policies: pl.policies.Policies().Len()}
	var held metrics.Since
	state.Tickets, held = pl.admission.sizes(time.Now())
	if pl.active.Load() {
		waiting := pl.inflight.waitingPods()
		state.Held, state.Waiting = &held, &waiting
	}
	return state
}

// beginHold notes that a pod is held: it does not wait any more, only its ticket wakes it, and its user is told. It may be called with the lock of the queue.
func (pl *ResourcePolicy) beginHold(pod *corev1.Pod) {
	pl.inflight.stopWait(pod.UID)
	pl.waker.Forget(pod.UID)
	pl.notices.add(pod)
}

// holdEnded records a hold. A scheduler that does not schedule yet holds what the leader may have placed long ago.
func (pl *ResourcePolicy) holdEnded(took time.Duration) {
	if took >= noticeDelay && pl.active.Load() {
		metrics.HeldFor(took)
	}
}

// sizes returns how many pods have a ticket, and those that have been held for as long as users are told of.
func (a *gate) sizes(now time.Time) (tickets int, held metrics.Since) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, since := range a.heldAt {
		if now.Sub(since) >= noticeDelay {
			held.Add(since)
		}
	}
	return len(a.members), held
}

// waitingPods returns the pods that wait for a node, or for pods that they preempt.
func (f *inflight) waitingPods() metrics.Since {
	f.mu.Lock()
	defer f.mu.Unlock()
	var waiting metrics.Since
	for _, w := range f.waiting {
		waiting.Add(w.since)
	}
	return waiting
}

// beginWait remembers since when the pod waits. A wait that goes on in another unit is one.
func (f *inflight) beginWait(pod *corev1.Pod, unit string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.waits(pod) {
		return
	}
	w, waits := f.waiting[pod.UID]
	if w.unit = unit; !waits {
		w.since = time.Now()
	}
	f.waiting[pod.UID] = w
	f.someWait.Store(true)
}

// stopWait ends the wait of a pod that is not placed, if it waits. Pods without a policy come here, too; while no pod waits that costs them no lock.
func (f *inflight) stopWait(pod types.UID) {
	if !f.someWait.Load() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endWait(pod, "")
}

// endWait records the wait of a pod that is placed in a unit, or in none. The caller has the lock.
func (f *inflight) endWait(pod types.UID, unit string) {
	w, waits := f.waiting[pod]
	if !waits {
		return
	}
	delete(f.waiting, pod)
	f.someWait.Store(len(f.waiting) > 0)
	end := metrics.EndUnplaced
	switch unit {
	case w.unit:
		end = metrics.EndPlaced
	case "":
	default:
		end = metrics.EndElsewhere
	}
	metrics.Waited(end, time.Since(w.since))
}
