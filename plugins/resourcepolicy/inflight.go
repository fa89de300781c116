package resourcepolicy

import (
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// unfitFor is the longest that a unit stays passed over for the next attempt, which follows at once, or after the queue's backoff (10 s at the most)
// while the queue is busy. It ends earlier when room is freed on a node of the unit.
const unfitFor = 30 * time.Second

// whateverIsFreed takes the place of a number in unfitUnits: the unit stays passed over even when room is freed.
const whateverIsFreed = -1

// inflight is what the plugin remembers of pods between their attempts and until their binding is seen. It may be used by any goroutine; no I/O
// happens under its lock.
type inflight struct {
	mu sync.Mutex
	// units are the units of pods that are assumed: the snapshot shows such a pod on its node before the annotation that records its unit has come
	// back from the API server.
	units map[types.UID]string
	// unfit are the units that failed a pod in this walk through its units. The next attempt takes them.
	unfit map[types.UID]unfitUnits
}

// unfitUnits are the units whose nodes all failed a pod, by ID, each with how often room had been freed on its nodes by then (members.freed), or
// whateverIsFreed.
type unfitUnits struct {
	freed map[string]int64
	until time.Time
}

func newInflight() *inflight {
	return &inflight{units: map[types.UID]string{}, unfit: map[types.UID]unfitUnits{}}
}

// place remembers the unit of a pod that was assumed.
func (f *inflight) place(pod types.UID, unitID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.units[pod] = unitID
}

// forget drops the unit of a pod: its annotation records it now.
func (f *inflight) forget(pod types.UID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.units, pod)
}

// unit returns the remembered unit of a pod, or "".
func (f *inflight) unit(pod types.UID) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.units[pod]
}

// markUnfit remembers for the next attempt that these units failed the pod. What was never taken up is dropped.
func (f *inflight) markUnfit(pod types.UID, freed map[string]int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for other, unfit := range f.unfit {
		if now.After(unfit.until) {
			delete(f.unfit, other)
		}
	}
	f.unfit[pod] = unfitUnits{freed: freed, until: now.Add(unfitFor)}
}

// takeUnfit returns the units that failed the pod in the attempt before, once.
func (f *inflight) takeUnfit(pod types.UID) map[string]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	unfit := f.unfit[pod]
	delete(f.unfit, pod)
	if time.Now().After(unfit.until) {
		return nil
	}
	return unfit.freed
}

// forgetDeletedPods keeps the memory as small as the number of pods that exist.
func (f *inflight) forgetDeletedPods(pods cache.SharedIndexInformer) error {
	_, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			pod, ok := obj.(*corev1.Pod)
			if !ok {
				return
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			delete(f.units, pod.UID)
			delete(f.unfit, pod.UID)
		},
	})
	if err != nil {
		return fmt.Errorf("adding a handler for deleted pods: %w", err)
	}
	return nil
}
