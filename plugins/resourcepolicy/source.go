package resourcepolicy

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/crd"
)

var policyResource = crd.Resource{
	GroupVersion: v1alpha1.GroupVersion, Plural: "resourcepolicies", AddToScheme: v1alpha1.AddToScheme,
	Object: &v1alpha1.ResourcePolicy{}, NewList: func() runtime.Object { return &v1alpha1.ResourcePolicyList{} },
	Missing: "The ResourcePolicy CRD is not installed: every pod is scheduled as if it had no policy. Install the CRDs of Spillway",
}

// source holds the policies of the cluster, compiled.
type source struct {
	informer cache.SharedIndexInformer
	// keys are those that units may write on pods.
	keys *placement.PodKeys

	// current is what the scheduling loop reads, while stale is false.
	current atomic.Pointer[placement.Policies]
	stale   atomic.Bool

	// mu guards what a recompilation needs. Only computation happens under it (R11).
	mu      sync.Mutex
	dirty   sets.Set[string]
	started bool
	// compiled are the compilations of the policies of each namespace.
	compiled map[string]map[types.UID]compiledPolicy
}

// compiledPolicy remembers a compilation, so that an edit costs only the compilation of what was edited.
type compiledPolicy struct {
	resourceVersion string
	policy          *placement.Policy
}

var _ policySource = &source{}

// newSource adds an informer of ResourcePolicies to the scheduler's factory. keys are those that units may write on pods. onChange is called after an edit
// with the namespace of the policy.
func newSource(ctx context.Context, handle fwk.Handle, keys *placement.PodKeys, onChange func(klog.Logger, string)) (*source, error) {
	informer, err := crd.NewInformer(ctx, handle, &policyResource)
	if err != nil {
		return nil, err
	}
	logger := klog.FromContext(ctx)
	s := &source{informer: informer, keys: keys, dirty: sets.New[string](), compiled: map[string]map[types.UID]compiledPolicy{}}
	s.current.Store(placement.NewPolicies())
	s.stale.Store(true)
	changed := func(obj any) {
		key, err := cache.DeletionHandlingObjectToName(obj)
		if err != nil {
			logger.Error(err, "Reading the name of a changed ResourcePolicy")
			return
		}
		s.markDirty(key.Namespace)
		onChange(logger, key.Namespace)
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: changed,
		UpdateFunc: func(before, after any) {
			// The status is written by Spillway's own controller and decides nothing. A policy that was deleted and created again while the watch was
			// interrupted comes as an update, too.
			was, is := before.(*v1alpha1.ResourcePolicy), after.(*v1alpha1.ResourcePolicy)
			if was.Generation != is.Generation || was.UID != is.UID {
				changed(after)
			}
		},
		DeleteFunc: changed,
	})
	if err != nil {
		return nil, fmt.Errorf("adding an event handler: %w", err)
	}
	return s, nil
}

// Policies returns the policies as the informer knows them now.
func (s *source) Policies() *placement.Policies {
	if s.stale.Load() {
		s.recompile()
	}
	return s.current.Load()
}

// Synced tells whether the policies have been read once.
func (s *source) Synced() bool { return s.informer.HasSynced() }

func (s *source) markDirty(namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty.Insert(namespace)
	s.stale.Store(true)
}

// recompile publishes a new value for the namespaces whose policies changed. The first time it reads all namespaces from the informer's store, which
// is complete before the handlers have been told of every policy.
func (s *source) recompile() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started && s.informer.HasSynced() {
		s.started = true
		for _, obj := range s.informer.GetStore().List() {
			s.dirty.Insert(obj.(*v1alpha1.ResourcePolicy).Namespace)
		}
	}
	next := s.current.Load()
	for namespace := range s.dirty {
		next = next.WithNamespace(namespace, s.compileNamespace(namespace))
	}
	s.dirty.Clear()
	s.current.Store(next)
	s.stale.Store(!s.started)
}

// compileNamespace compiles the policies of a namespace that changed and reuses the rest.
func (s *source) compileNamespace(namespace string) []*placement.Policy {
	objects, err := s.informer.GetIndexer().ByIndex(cache.NamespaceIndex, namespace)
	if err != nil {
		// The only possible error is an index that does not exist, and newSource created it.
		panic(err)
	}
	policies := make([]*placement.Policy, 0, len(objects))
	compiled := make(map[types.UID]compiledPolicy, len(objects))
	for _, obj := range objects {
		rp := obj.(*v1alpha1.ResourcePolicy)
		known := s.compiled[namespace][rp.UID]
		if known.policy == nil || known.resourceVersion != rp.ResourceVersion {
			known = compiledPolicy{resourceVersion: rp.ResourceVersion, policy: placement.CompileWith(rp, s.keys)}
		}
		compiled[rp.UID] = known
		policies = append(policies, known.policy)
	}
	s.compiled[namespace] = compiled
	if len(compiled) == 0 {
		delete(s.compiled, namespace)
	}
	return policies
}
