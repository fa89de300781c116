package provider

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

// instances are what is remembered of the container groups of pods, by UID. It outlives the pods, whose container groups must go.
type instances struct {
	mu    sync.Mutex
	byPod map[types.UID]*instance
}

// instance is the container group of a pod. Only the worker that has the pod uses it.
type instance struct {
	region string
	// id is empty while there is no container group, or none that is known.
	id   string
	spec ecispec.Spec
	// unanswered is a request to create it that got no answer: ECI may have done it.
	unanswered query
	// refusedUntil is when ECI is asked again.
	refusedUntil time.Time
	// released instances have no container group any more, and get none.
	released bool
}

func newInstances() *instances { return &instances{byPod: map[types.UID]*instance{}} }

// get returns what is remembered, or nil.
func (s *instances) get(pod types.UID) *instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byPod[pod]
}

// of returns what is remembered from now on.
func (s *instances) of(pod types.UID) *instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byPod[pod] == nil {
		s.byPod[pod] = &instance{}
	}
	return s.byPod[pod]
}

func (s *instances) forget(pod types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byPod, pod)
}
