package equivalence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler"
	internalqueue "k8s.io/kubernetes/pkg/scheduler/backend/queue"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// turnstile is the scheduling queue of the scheduler under test. It lets one pod through at a time, and only when the test
// says so: the test does when nothing else happens. The order of attempts then follows from the scene and not from the
// speed of goroutines.
type turnstile struct {
	internalqueue.SchedulingQueue
	tokens chan struct{}

	mu sync.Mutex
	// waiting reports whether the scheduler has finished a cycle and waits for the next pod.
	waiting bool
	// handled is the resourceVersion of each object at which the scheduler's event handlers have seen it.
	handled map[string]string
	record  *record
}

// record is what the scheduler did since the last call of take.
type record struct {
	// Attempts counts the scheduling attempts by pod.
	Attempts map[string]int
	// Wakes has the pods that an event moved, and the failures, in order. It explains Attempts, and is not compared: the
	// goroutines of informers write it.
	Wakes []string
	// Reached counts what has happened by kind: which plugins have rejected pods, and for which rejections others were
	// preempted.
	Reached map[string]int
}

// newTurnstile puts a turnstile before the queue of a scheduler that does not run yet.
func newTurnstile(sched *scheduler.Scheduler) *turnstile {
	q := &turnstile{
		SchedulingQueue: sched.SchedulingQueue, tokens: make(chan struct{}), handled: map[string]string{}, record: newRecord(),
	}
	sched.SchedulingQueue, sched.NextEntity = q, q.Pop
	for _, profile := range sched.Profiles {
		profile.SetPodActivator(q)
	}
	fail := sched.FailureHandler
	sched.FailureHandler = func(
		ctx context.Context, f framework.Framework, pod *framework.QueuedPodInfo, status *fwk.Status, nominating *fwk.NominatingInfo,
		start time.Time,
	) {
		nominated := ""
		if nominating != nil {
			nominated = nominating.NominatedNodeName
		}
		var by []string
		if fit := (*framework.FitError)(nil); errors.As(status.AsError(), &fit) {
			by = sets.List(fit.Diagnosis.UnschedulablePlugins)
		}
		q.reached(by, nominated != "")
		q.note("%s failed, nominated %q, rejected by %v: %s", pod.Pod.Name, nominated, by, status.Message())
		fail(ctx, f, pod, status, nominating, start)
	}
	return q
}

func newRecord() *record { return &record{Attempts: map[string]int{}, Reached: map[string]int{}} }

// Pop waits until the test admits the next pod.
func (q *turnstile) Pop(logger klog.Logger) (framework.QueuedEntityInfo, error) {
	q.setWaiting(true)
	if _, open := <-q.tokens; !open {
		return nil, nil
	}
	entity, err := q.SchedulingQueue.Pop(logger)
	if err == nil && entity != nil {
		q.mu.Lock()
		q.record.Attempts[entity.GetName()]++
		q.mu.Unlock()
	}
	return entity, err
}

// Close ends Pop.
func (q *turnstile) Close() {
	close(q.tokens)
	q.SchedulingQueue.Close()
}

// MoveAllToActiveOrBackoffQueue notes which pods the event has moved.
func (q *turnstile) MoveAllToActiveOrBackoffQueue(
	logger klog.Logger, event fwk.ClusterEvent, oldObj, newObj any, check internalqueue.PreEnqueueCheck,
) {
	before := q.asleep()
	q.SchedulingQueue.MoveAllToActiveOrBackoffQueue(logger, event, oldObj, newObj, check)
	q.noteWoken(before, fmt.Sprintf("%s of %s", event.Label(), keyOf(oldObj, newObj)))
	if accessor, err := meta.Accessor(newObj); err == nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.handled[handledKey(newObj, accessor.GetNamespace(), accessor.GetName())] = accessor.GetResourceVersion()
	}
}

// Activate notes which pods a plugin has moved.
func (q *turnstile) Activate(logger klog.Logger, pods map[string]*corev1.Pod) {
	before := q.asleep()
	q.SchedulingQueue.Activate(logger, pods)
	q.noteWoken(before, "a plugin")
}

// Update notes whether an edit of the pod itself has moved it.
func (q *turnstile) Update(ctx context.Context, oldPod, newPod *corev1.Pod) {
	before := q.asleep()
	q.SchedulingQueue.Update(ctx, oldPod, newPod)
	q.noteWoken(before, "its update")
}

// admit lets the next pod through.
func (q *turnstile) admit() {
	q.setWaiting(false)
	q.tokens <- struct{}{}
}

// ready reports whether a pod is to be tried.
func (q *turnstile) ready() bool { return len(q.PodsInActiveQ())+len(q.PodsInBackoffQ()) > 0 }

// idle reports whether no pod is in a cycle.
func (q *turnstile) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting && len(q.InFlightPods()) == 0
}

// take returns the record, and begins the next one.
func (q *turnstile) take() *record {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.record
	q.record = newRecord()
	return taken
}

// hasHandled reports whether the event handlers have seen an object at a resourceVersion.
func (q *turnstile) hasHandled(obj any, namespace, name, version string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.handled[handledKey(obj, namespace, name)] == version
}

func (q *turnstile) setWaiting(waiting bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = waiting
}

// asleep returns the pods that no event has moved yet.
func (q *turnstile) asleep() []*corev1.Pod { return q.UnschedulablePods() }

// noteWoken notes which pods are not asleep any more.
func (q *turnstile) noteWoken(before []*corev1.Pod, by string) {
	after := map[types.UID]bool{}
	for _, pod := range q.asleep() {
		after[pod.UID] = true
	}
	for _, pod := range before {
		if !after[pod.UID] {
			q.note("%s woken by %s", pod.Name, by)
		}
	}
}

func (q *turnstile) note(format string, args ...any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.record.Wakes = append(q.record.Wakes, fmt.Sprintf(format, args...))
}

// reached counts a failed attempt.
func (q *turnstile) reached(by []string, preempted bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, plugin := range by {
		if q.record.Reached["rejection by "+plugin]++; preempted {
			q.record.Reached["preemption after rejection by "+plugin]++
		}
	}
}

func handledKey(obj any, namespace, name string) string {
	return fmt.Sprintf("%T/%s/%s", obj, namespace, name)
}

// keyOf returns the name of the object of an event.
func keyOf(oldObj, newObj any) string {
	for _, obj := range []any{newObj, oldObj} {
		if accessor, err := meta.Accessor(obj); err == nil {
			return strings.TrimPrefix(fmt.Sprintf("%T %s", obj, accessor.GetName()), "*")
		}
	}
	return "?"
}
