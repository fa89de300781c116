package wakeup

import (
	"cmp"
	"container/heap"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
)

const (
	// firstDelay is how long the next pod of a shape waits after one has failed. It doubles with each that fails, up to maxDelay, as the backoff of the
	// scheduling queue does by default.
	firstDelay = time.Second
	maxDelay   = 10 * time.Second

	notQueued = -1
)

// wave is the pods of one shape that wait for the same topics.
type wave struct {
	key       string
	namespace string
	topics    []string
	// queue are the pods that may be tried, and rest those that have been since a topic was last woken.
	queue podQueue
	rest  map[types.UID]*parkedPod
	// window is how many pods may be on their way at once, and onTheWay how many are.
	window, onTheWay int
	// failures are how many pods failed since one was placed, and notBefore is when the next may be tried.
	failures  int
	notBefore time.Time
	// scheduled is true while the wave has a place among the turns.
	scheduled bool
}

// parkedPod is a pod that waits.
type parkedPod struct {
	pod  *corev1.Pod
	wave *wave
	// index is its place in the queue, or notQueued.
	index int
	// failures are how often it failed after it was woken.
	failures int
}

// wave returns the wave of a pod. The caller has the lock.
func (w *Waker) wave(p *Parking) *wave {
	key := strings.Join(append([]string{p.Pod.Namespace, p.Shape}, p.Topics...), "\x00")
	v := w.waves[key]
	if v == nil {
		w.expireWaves()
		v = &wave{key: key, namespace: p.Pod.Namespace, topics: p.Topics, rest: map[types.UID]*parkedPod{}, window: 1}
		w.waves[key] = v
		for _, name := range p.Topics {
			w.topic(name).waves[v] = struct{}{}
		}
	}
	return v
}

// expireWaves forgets the waves without pods whose delay has long been over. The caller has the lock.
func (w *Waker) expireWaves() {
	if len(w.waves) < 2*len(w.parked)+64 {
		return
	}
	w.turns.expire(w.clock.Now())
	for _, v := range w.waves {
		if len(v.queue)+len(v.rest)+v.onTheWay == 0 && !v.scheduled && w.clock.Since(v.notBefore) > maxDelay {
			delete(w.waves, v.key)
			for _, name := range v.topics {
				delete(w.topic(name).waves, v)
			}
		}
	}
}

// remove drops a parked pod. The caller has the lock.
func (w *Waker) remove(uid types.UID) {
	pod := w.parked[uid]
	if pod == nil {
		return
	}
	delete(w.parked, uid)
	if delete(pod.wave.rest, uid); pod.index != notQueued {
		heap.Remove(&pod.wave.queue, pod.index)
	}
}

// end notes that the attempt of a pod has ended, and returns how often the pod has failed since it was woken for the first time. The caller has the lock.
func (w *Waker) end(uid types.UID, placed bool) int {
	if placed {
		w.remove(uid)
	}
	t, ok := w.trials[uid]
	if !ok {
		if pod := w.parked[uid]; pod != nil {
			return pod.failures
		}
		return 0
	}
	v := t.wave
	if placed {
		v.failures, v.notBefore = 0, time.Time{}
		v.window = min(v.window+1, maxTrials)
	} else {
		v.failures++
		v.window, v.notBefore = 1, w.clock.Now().Add(delay(v.failures))
	}
	w.leave(uid, t, !placed)
	return t.failures + 1
}

// leave takes a pod from those on their way. The caller has the lock.
func (w *Waker) leave(uid types.UID, t trial, failed bool) {
	delete(w.trials, uid)
	t.wave.onTheWay--
	w.turns.end(t.wave.namespace, failed, w.clock.Now())
	w.schedule(t.wave)
}

// delay returns how long the next pod waits after so many have failed, at least 1.
func delay(failures int) time.Duration {
	return min(firstDelay<<min(failures-1, 10), maxDelay)
}

// refill lets every pod of the wave be tried again.
func (v *wave) refill() {
	for uid, pod := range v.rest {
		delete(v.rest, uid)
		v.queue.push(pod)
	}
}

// podQueue orders pods by priority, then by how often they failed after they were woken, then by age: of pods that look alike the same ones must not be tried
// again and again in front of one that fits. It is a heap.
type podQueue []*parkedPod

var _ heap.Interface = &podQueue{}

func (q podQueue) Len() int { return len(q) }

func (q podQueue) Less(i, j int) bool {
	a, b := q[i].pod, q[j].pod
	return cmp.Or(
		cmp.Compare(corev1helpers.PodPriority(b), corev1helpers.PodPriority(a)),
		cmp.Compare(q[i].failures, q[j].failures),
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.UID, b.UID),
	) < 0
}

func (q podQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push adds a pod, for container/heap.
func (q *podQueue) Push(x any) {
	pod := x.(*parkedPod)
	pod.index = len(*q)
	*q = append(*q, pod)
}

// Pop takes the last pod out, for container/heap.
func (q *podQueue) Pop() any {
	last := (*q)[len(*q)-1]
	(*q)[len(*q)-1] = nil
	*q = (*q)[:len(*q)-1]
	last.index = notQueued
	return last
}

func (q *podQueue) push(pod *parkedPod) { heap.Push(q, pod) }
