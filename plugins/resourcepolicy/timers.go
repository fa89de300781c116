package resourcepolicy

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
)

// timers wake pods when their wait in a unit ends (R6): one queue for all, no goroutine for each pod. They only wake; PreFilter decides.
type timers struct {
	queue workqueue.TypedDelayingInterface[types.NamespacedName]
}

func newTimers() *timers {
	return &timers{queue: workqueue.NewTypedDelayingQueue[types.NamespacedName]()}
}

// wake wakes the pod at a moment. An earlier moment that the pod waits for already stays: PreFilter then asks for the later one again.
func (t *timers) wake(pod *corev1.Pod, at time.Time) {
	t.queue.AddAfter(types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}, time.Until(at))
}

// run calls wake for every pod whose moment has come, until the context ends.
func (t *timers) run(ctx context.Context, wake func(types.NamespacedName)) {
	go func() {
		<-ctx.Done()
		t.queue.ShutDown()
	}()
	for {
		key, shutdown := t.queue.Get()
		if shutdown {
			return
		}
		wake(key)
		t.queue.Done(key)
	}
}
