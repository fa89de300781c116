package wakeup

import (
	"container/heap"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
)

// turns are the waves that have a pod to try: those whose delay is over by namespace, which take turns, and the others by the end of their delay.
type turns struct {
	ring    []*tenant
	tenants map[string]*tenant
	delayed delayedWaves
	// timer lets the first of the delayed waves go on, at the moment that timerAt says.
	timer   clock.Timer
	timerAt time.Time
}

// tenant is a namespace that has waves to try, in order.
type tenant struct {
	namespace string
	waves     []*wave
}

func newTurns() turns { return turns{tenants: map[string]*tenant{}} }

// schedule gives a wave a place among the turns if it has a pod to try and may have one more on its way. The caller has the lock.
func (w *Waker) schedule(v *wave) {
	if v.scheduled || len(v.queue) == 0 || v.onTheWay >= v.window {
		return
	}
	v.scheduled = true
	if w.clock.Now().Before(v.notBefore) {
		heap.Push(&w.turns.delayed, v)
		return
	}
	w.turns.add(v)
}

func (t *turns) add(v *wave) {
	owner := t.tenants[v.namespace]
	if owner == nil {
		owner = &tenant{namespace: v.namespace}
		t.tenants[v.namespace] = owner
		t.ring = append(t.ring, owner)
	}
	owner.waves = append(owner.waves, v)
}

// take returns the next wave: the namespaces take turns, and so do the waves of each.
func (t *turns) take() *wave {
	if len(t.ring) == 0 {
		return nil
	}
	owner := t.ring[0]
	t.ring = t.ring[1:]
	v := owner.waves[0]
	if owner.waves = owner.waves[1:]; len(owner.waves) == 0 {
		delete(t.tenants, owner.namespace)
	} else {
		t.ring = append(t.ring, owner)
	}
	return v
}

// next returns the pods that may be tried now. The caller has the lock.
func (w *Waker) next() map[string]*corev1.Pod {
	now := w.clock.Now()
	w.expireTrials(now)
	for len(w.turns.delayed) > 0 && !now.Before(w.turns.delayed[0].notBefore) {
		w.turns.add(heap.Pop(&w.turns.delayed).(*wave))
	}
	out := map[string]*corev1.Pod{}
	for len(w.trials) < maxTrials {
		v := w.turns.take()
		if v == nil {
			break
		}
		v.scheduled = false
		if len(v.queue) == 0 || v.onTheWay >= v.window {
			continue
		}
		pod := heap.Pop(&v.queue).(*parkedPod).pod
		delete(w.parked, pod.UID)
		v.onTheWay++
		w.trials[pod.UID] = trial{wave: v, begun: now}
		out[string(pod.UID)] = pod
		w.schedule(v)
	}
	w.setTimer(now)
	return out
}

// expireTrials gives up on pods whose attempt should have ended long ago. The caller has the lock.
func (w *Waker) expireTrials(now time.Time) {
	for uid, t := range w.trials {
		if now.Sub(t.begun) > trialExpires {
			w.leave(uid, t)
		}
	}
}

// setTimer makes the waker look again when the first delay is over, or when the first trial expires that keeps others from being tried. The caller has
// the lock.
func (w *Waker) setTimer(now time.Time) {
	var at time.Time
	earlier := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if len(w.turns.delayed) > 0 {
		earlier(w.turns.delayed[0].notBefore)
	}
	for _, t := range w.trials {
		if len(t.wave.queue) > 0 || len(w.trials) >= maxTrials {
			earlier(t.begun.Add(trialExpires + time.Millisecond))
		}
	}
	if !w.started || at.Equal(w.turns.timerAt) {
		return
	}
	if w.turns.timer != nil {
		w.turns.timer.Stop()
		w.turns.timer = nil
	}
	if w.turns.timerAt = at; !at.IsZero() {
		w.turns.timer = w.clock.AfterFunc(at.Sub(now), func() {
			w.mu.Lock()
			w.turns.timerAt = time.Time{}
			w.mu.Unlock()
			w.Kick()
		})
	}
}

// delayedWaves are waves by the end of their delay. It is a heap.
type delayedWaves []*wave

var _ heap.Interface = &delayedWaves{}

func (d delayedWaves) Len() int           { return len(d) }
func (d delayedWaves) Less(i, j int) bool { return d[i].notBefore.Before(d[j].notBefore) }
func (d delayedWaves) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }

// Push adds a wave, for container/heap.
func (d *delayedWaves) Push(x any) { *d = append(*d, x.(*wave)) }

// Pop takes the last wave out, for container/heap.
func (d *delayedWaves) Pop() any {
	last := (*d)[len(*d)-1]
	(*d)[len(*d)-1] = nil
	*d = (*d)[:len(*d)-1]
	return last
}
