package eci

import (
	"context"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
)

// journal follows the pods of a namespace and knows how long each stayed where ECI refused it.
type journal struct {
	mu      sync.Mutex
	refused map[types.UID]time.Time
	longest time.Duration
	// moves is how many pods left where they were refused, by being evicted.
	moves int
}

// follow starts a journal that ends with the test.
func follow(namespace string) *journal {
	GinkgoHelper()
	ctx, cancel := context.WithCancel(context.Background())
	DeferCleanup(cancel)
	watcher, err := api.Watch(ctx, &corev1.PodList{}, client.InNamespace(namespace))
	Expect(err).NotTo(HaveOccurred())
	j := &journal{refused: map[types.UID]time.Time{}}
	go func() {
		for event := range watcher.ResultChan() {
			if pod, ok := event.Object.(*corev1.Pod); ok {
				j.note(pod, event.Type == watch.Deleted)
			}
		}
	}()
	return j
}

func (j *journal) note(pod *corev1.Pod, gone bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	since, known := j.refused[pod.UID]
	switch {
	case known && (gone || pod.DeletionTimestamp != nil):
		j.moves++
		fallthrough
	case known && !isRefused(pod):
		j.longest = max(j.longest, now.Sub(since))
		delete(j.refused, pod.UID)
	case !known && !gone && pod.DeletionTimestamp == nil && isRefused(pod):
		j.refused[pod.UID] = now
	}
}

// result returns the longest time that a pod stayed where ECI refused it, how many were moved, and how many are there still.
func (j *journal) result() (longest time.Duration, moves, left int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.longest, j.moves, len(j.refused)
}

func isRefused(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == eciv1alpha1.ConditionContainerInstanceCreated {
			return c.Status == corev1.ConditionFalse
		}
	}
	return false
}

// judge checks that no pod stayed where ECI refused it for longer than the bound, and says what was measured.
func (w *world) judge() {
	GinkgoHelper()
	longest, moves, left := w.journal.result()
	say("ECI refused and Spillway moved %d pods; the longest stay was %.2f s", moves, longest.Seconds())
	Expect(left).To(BeZero(), "pods are left where ECI refuses them")
	Expect(longest).To(BeNumerically("<", movedWithin))
}
