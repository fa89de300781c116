// Package wakeup retries pods that failed, when something has happened that may let them be placed: as many as can succeed, and no more (R15).
//
// Nothing tells beforehand how many can: a new address, a freed slot or an edit of a policy says only that something is different. So pods are parked by
// topic, which is what they wait for, and by shape, which is what they ask for. When a topic is woken the first pod of each shape is tried. If it is placed,
// two more follow, and so on; if it fails, the others of its shape would most likely fail, too, and are tried one at a time with a growing delay, which
// takes the place of the scheduling queue's backoff. Namespaces take turns, and few pods are on their way at any moment: ten thousand pods that wait cost
// a new pod no more than a few attempts.
//
//   - wakeup.go: what the plugins tell and ask.
//   - wave.go: the pods of one shape.
//   - turns.go: which shape comes next.
package wakeup

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"
)

const stateKey fwk.StateKey = "Wakeup"

const (
	// maxTrials is how many woken pods may be on their way at once.
	maxTrials = 32
	// trialExpires is how long the end of an attempt is waited for. A pod may be deleted, bound or held instead of being tried.
	trialExpires = 10 * time.Second
	// topicExpires is how long it is remembered that a topic was woken: longer than an attempt takes.
	topicExpires = time.Minute
)

// Moment is a moment in the sequence of wake-ups.
type Moment int64

// Parking says why and how a pod is parked.
type Parking struct {
	// Pod failed.
	Pod *corev1.Pod
	// Shape is equal for pods that are likely to be placed or to fail together.
	Shape string
	// Topics are what may let it be placed.
	Topics []string
	// Since is when its attempt began: a topic that was woken later is news.
	Since Moment
}

// Waker wakes parked pods. It may be used by any goroutine, also by one that holds the lock of the scheduling queue: pods are activated by another one.
type Waker struct {
	// Exists reports whether a pod still waits, by the informer's store, which is changed before any handler runs: the end of a parked pod is seen by Park or
	// told by Forget. nil: every pod does.
	Exists func(*corev1.Pod) bool

	clock    clock.WithDelayedExecution
	activate func(map[string]*corev1.Pod)
	// kick lets the pods out that may be tried.
	kick func()
	// started is true once another goroutine activates pods, and timers run.
	started bool

	mu     sync.Mutex
	now    Moment
	topics map[string]*topic
	waves  map[string]*wave
	// parked are the pods that wait, and trials those on their way.
	parked map[types.UID]*parkedPod
	trials map[types.UID]trial
	turns  turns
}

// topic is something that pods wait for.
type topic struct {
	woken   Moment
	wokenAt time.Time
	waves   map[*wave]struct{}
}

// trial is a pod on its way.
type trial struct {
	wave  *wave
	begun time.Time
	// failures are those of the pod before.
	failures int
}

// New returns a waker that activates pods by a function, which is called without any lock.
func New(c clock.WithDelayedExecution, activate func(map[string]*corev1.Pod)) *Waker {
	w := &Waker{
		clock: c, activate: activate, topics: map[string]*topic{}, waves: map[string]*wave{},
		parked: map[types.UID]*parkedPod{}, trials: map[types.UID]trial{}, turns: newTurns(),
	}
	w.kick = w.letOut
	return w
}

// Start makes another goroutine activate pods from now on, until stop is closed. Before, whoever causes it does.
func (w *Waker) Start(stop <-chan struct{}) {
	kicked := make(chan struct{}, 1)
	w.mu.Lock()
	w.started = true
	w.kick = func() {
		select {
		case kicked <- struct{}{}:
		default: // It will look anyway.
		}
	}
	w.mu.Unlock()
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-kicked:
				w.letOut()
			}
		}
	}()
}

// Clone returns the moment itself: it never changes.
func (m Moment) Clone() fwk.StateData { return m }

// Begin notes in the state of a cycle that an attempt begins, unless that has been noted. It must be called before anything is read that decides the attempt.
func (w *Waker) Begin(state fwk.CycleState) {
	if _, err := state.Read(stateKey); err != nil {
		state.Write(stateKey, w.Now())
	}
}

// Since returns when the attempt of a cycle began. If nobody has noted that, every topic is news that was woken at all.
func Since(state fwk.CycleState) Moment {
	data, err := state.Read(stateKey)
	if err != nil {
		return 0
	}
	return data.(Moment)
}

// Now returns the present moment, for an attempt that begins.
func (w *Waker) Now() Moment {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Park keeps a pod whose attempt failed until one of its topics is woken. If one has been since the attempt began, the pod may be tried again.
func (w *Waker) Park(p Parking) {
	w.mu.Lock()
	failures := w.end(p.Pod.UID, false)
	w.remove(p.Pod.UID)
	if w.Exists == nil || w.Exists(p.Pod) {
		w.park(&p, failures)
	}
	w.mu.Unlock()
	w.Kick()
}

// Wake tells that something has happened that may let the pods of a topic be placed.
func (w *Waker) Wake(name string) {
	w.mu.Lock()
	w.now++
	t := w.topic(name)
	t.woken, t.wokenAt = w.now, w.clock.Now()
	for v := range t.waves {
		v.refill()
		w.schedule(v)
	}
	w.expireTopics()
	w.mu.Unlock()
	w.Kick()
}

// Retry tells that something has happened that may let one pod be placed, if it is parked. It reports whether it is.
func (w *Waker) Retry(uid types.UID) bool {
	w.mu.Lock()
	pod := w.parked[uid]
	if pod != nil && pod.index == notQueued {
		delete(pod.wave.rest, uid)
		pod.wave.queue.push(pod)
		w.schedule(pod.wave)
	}
	w.mu.Unlock()
	w.Kick()
	return pod != nil
}

// Ended tells that a pod was placed, or that its attempt ended in another way than by failing.
func (w *Waker) Ended(uid types.UID, placed bool) {
	w.mu.Lock()
	if placed {
		w.end(uid, true)
	} else if t, ok := w.trials[uid]; ok {
		w.leave(uid, t, false)
	}
	w.mu.Unlock()
	w.Kick()
}

// Forget drops a pod that is bound or does not exist any more.
func (w *Waker) Forget(uid types.UID) {
	w.mu.Lock()
	w.remove(uid)
	if t, ok := w.trials[uid]; ok {
		w.leave(uid, t, false)
	}
	w.mu.Unlock()
	w.Kick()
}

// Size returns how many pods are parked, and how many are on their way.
func (w *Waker) Size() (parked, trials int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.parked), len(w.trials)
}

// Kick lets the pods out that may be tried by now. A waker that was started does it by itself.
func (w *Waker) Kick() {
	w.mu.Lock()
	kick := w.kick
	w.mu.Unlock()
	kick()
}

// letOut activates the pods that may be tried now.
func (w *Waker) letOut() {
	w.mu.Lock()
	out := w.next()
	w.mu.Unlock()
	if len(out) > 0 {
		w.activate(out)
	}
}

// park gives a pod its place. The caller has the lock.
func (w *Waker) park(p *Parking, failures int) {
	v := w.wave(p)
	pod := &parkedPod{pod: p.Pod, wave: v, index: notQueued, failures: failures}
	w.parked[p.Pod.UID] = pod
	if w.isNews(p) {
		v.queue.push(pod)
	} else {
		v.rest[p.Pod.UID] = pod
	}
	w.schedule(v)
}

// isNews reports whether a topic of a pod was woken since its attempt began. The caller has the lock.
func (w *Waker) isNews(p *Parking) bool {
	for _, name := range p.Topics {
		if t := w.topics[name]; t != nil && t.woken > p.Since {
			return true
		}
	}
	return false
}

// topic returns a topic. The caller has the lock.
func (w *Waker) topic(name string) *topic {
	t := w.topics[name]
	if t == nil {
		t = &topic{waves: map[*wave]struct{}{}}
		w.topics[name] = t
	}
	return t
}

// expireTopics forgets the topics that nobody waits for, once every attempt has ended that began before they were woken. The caller has the lock.
func (w *Waker) expireTopics() {
	if len(w.topics) < 2*len(w.waves)+64 {
		return
	}
	for name, t := range w.topics {
		if len(t.waves) == 0 && w.clock.Since(t.wokenAt) > topicExpires {
			delete(w.topics, name)
		}
	}
}
