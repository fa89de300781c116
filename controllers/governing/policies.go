// Package governing tells the controllers which ResourcePolicy governs a pod, as their cache has the policies now.
package governing

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// Edited lets through what changes the spec of a policy. A policy that was deleted and created again while the watch was interrupted comes as an update with
// another UID.
var Edited = predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool { return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() },
})

// Later holds back what was there when the controllers started. A controller begins its work when it has been told of everything, and with each object that it
// is for: what is there besides need not bring about each of them once more, thousands of times.
var Later = predicate.Funcs{CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList }}

// Source compiles the policies of a namespace once for each edit. It is safe for concurrent use.
type Source struct {
	reader client.Reader
	// keys are those that units may write on pods.
	keys *placement.PodKeys

	mu         sync.Mutex
	namespaces map[string]*compiled
}

// compiled are the policies of a namespace and the generations that they were made from.
type compiled struct {
	generations map[types.UID]int64
	policies    *placement.Policies
}

// NewSource returns a source that reads policies from a cache. keys are those that units may write on pods.
func NewSource(cache client.Reader, keys *placement.PodKeys) *Source {
	return &Source{reader: cache, keys: keys, namespaces: map[string]*compiled{}}
}

// Compile compiles one policy as the scheduler of this installation does.
func (s *Source) Compile(rp *v1alpha1.ResourcePolicy) *placement.Policy {
	return placement.CompileWith(rp, s.keys)
}

// Policies returns the policies of a namespace. They must be asked for this namespace only.
func (s *Source) Policies(ctx context.Context, namespace string) (*placement.Policies, error) {
	list := &v1alpha1.ResourcePolicyList{}
	if err := s.reader.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the policies of the namespace: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(list.Items) == 0 {
		delete(s.namespaces, namespace)
		return placement.NewPolicies(), nil
	}
	if known := s.namespaces[namespace]; known != nil && known.current(list.Items) {
		return known.policies, nil
	}
	fresh := s.compile(namespace, list.Items)
	s.namespaces[namespace] = fresh
	return fresh.policies, nil
}

// Governing returns the policy that governs a pod (R1), or nil.
func (s *Source) Governing(ctx context.Context, pod client.Object) (*placement.Policy, error) {
	policies, err := s.Policies(ctx, pod.GetNamespace())
	if err != nil {
		return nil, err
	}
	return policies.Governing(pod.GetNamespace(), pod.GetLabels()), nil
}

// current tells whether the policies are compiled from exactly these.
func (c *compiled) current(items []v1alpha1.ResourcePolicy) bool {
	if len(items) != len(c.generations) {
		return false
	}
	for i := range items {
		if generation, ok := c.generations[items[i].UID]; !ok || generation != items[i].Generation {
			return false
		}
	}
	return true
}

func (s *Source) compile(namespace string, items []v1alpha1.ResourcePolicy) *compiled {
	generations := map[types.UID]int64{}
	policies := make([]*placement.Policy, 0, len(items))
	for i := range items {
		generations[items[i].UID] = items[i].Generation
		policies = append(policies, s.Compile(&items[i]))
	}
	return &compiled{generations: generations, policies: placement.NewPolicies().WithNamespace(namespace, policies)}
}
