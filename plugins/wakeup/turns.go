package wakeup

import (
	"container/heap"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
)

const (
	// maxTenantTrials is how many pods of one namespace may be on their way at once.
	maxTenantTrials = maxTrials / 4
	// maxFailures is how many attempts of a namespace may fail at once, and failuresPerSecond how many more in each second: shapes that are all different must
	// not take the scheduler's time from others.
	maxFailures       = 64
	failuresPerSecond = 10
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

// tenant is a namespace that has waves to try, in order, or pods on their way, or failed lately.
type tenant struct {
	namespace string
	waves     []*wave
	// inRing is true while it has a place in the ring.
	inRing bool
	trials int
	// failures is how many attempts failed lately, as of a moment: it sinks by failuresPerSecond.
	failures float64
	at       time.Time
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

func (t *turns) tenant(namespace string) *tenant {
	owner := t.tenants[namespace]
	if owner == nil {
		owner = &tenant{namespace: namespace}
		t.tenants[namespace] = owner
	}
	return owner
}

func (t *turns) add(v *wave) {
	owner := t.tenant(v.namespace)
	owner.waves = append(owner.waves, v)
	if !owner.inRing {
		owner.inRing = true
		t.ring = append(t.ring, owner)
	}
}

// take returns the next wave: the namespaces take turns, and so do the waves of each. Namespaces that have enough pods on their way, or failed too often, are
// passed over.
func (t *turns) take(now time.Time) *wave {
	for range len(t.ring) {
		owner := t.ring[0]
		t.ring = t.ring[1:]
		if owner.trials >= maxTenantTrials || owner.failed(now)+float64(owner.trials) >= maxFailures {
			t.ring = append(t.ring, owner)
			continue
		}
		v := owner.waves[0]
		if owner.waves = owner.waves[1:]; len(owner.waves) > 0 {
			t.ring = append(t.ring, owner)
		} else {
			owner.inRing = false
		}
		return v
	}
	return nil
}

// failed returns how many attempts failed lately.
func (o *tenant) failed(now time.Time) float64 {
	return max(o.failures-failuresPerSecond*now.Sub(o.at).Seconds(), 0)
}

// idle reports whether there is nothing to remember of the namespace.
func (o *tenant) idle(now time.Time) bool { return o.trials == 0 && !o.inRing && o.failed(now) == 0 }

// begin and end note that a pod of the namespace is on its way, and is no longer.
func (t *turns) begin(namespace string) { t.tenant(namespace).trials++ }

func (t *turns) end(namespace string, failed bool, now time.Time) {
	owner := t.tenant(namespace)
	owner.trials--
	if failed {
		owner.failures, owner.at = owner.failed(now)+1, now
	}
	if owner.idle(now) {
		delete(t.tenants, namespace)
	}
}

// expire forgets the namespaces whose failures are long past.
func (t *turns) expire(now time.Time) {
	maps.DeleteFunc(t.tenants, func(_ string, owner *tenant) bool { return owner.idle(now) })
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
		v := w.turns.take(now)
		if v == nil {
			break
		}
		v.scheduled = false
		if len(v.queue) == 0 || v.onTheWay >= v.window {
			continue
		}
		parked := heap.Pop(&v.queue).(*parkedPod)
		pod := parked.pod
		delete(w.parked, pod.UID)
		v.onTheWay++
		w.turns.begin(v.namespace)
		w.trials[pod.UID] = trial{wave: v, begun: now, failures: parked.failures}
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
			w.leave(uid, t, true)
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
		if len(t.wave.queue) > 0 || len(w.turns.ring) > 0 {
			earlier(t.begun.Add(trialExpires + time.Millisecond))
		}
	}
	for _, owner := range w.turns.ring {
		if excess := owner.failed(now) + 1 - maxFailures; excess > 0 {
			earlier(now.Add(time.Duration(excess / failuresPerSecond * float64(time.Second))))
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
