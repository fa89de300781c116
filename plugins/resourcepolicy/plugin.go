// Package resourcepolicy is the scheduler plugin that keeps the order and the caps of ResourcePolicies.
//
//   - prefilter.go chooses the unit of a governed pod before any node is looked at, and hands only the nodes of that unit to the framework.
//   - filter.go holds the pod to that unit.
//   - postfilter.go moves the pod on when no node of the unit passes the other plugins' filters.
//   - bind.go binds the pod, with the placement written on it by the same call (R9).
//   - hints.go wakes pods that were refused.
//   - source.go is where the policies come from; nodes.go, counts.go and departed.go read the scheduler's snapshot; inflight.go is what the plugin
//     remembers.
//
// A pod without a policy is skipped: the plugin costs it one look-up.
package resourcepolicy

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

const (
	// Name is the name of the plugin in a KubeSchedulerConfiguration.
	Name = "ResourcePolicy"

	// indexWaiting is an index of the pods that are not bound, by namespace. The scheduler's informer has no index by namespace, and an edit of a
	// policy must not look at every pod of the cluster.
	indexWaiting = "spillway-waiting-by-namespace"
)

// ResourcePolicy is the plugin.
type ResourcePolicy struct {
	handle   fwk.Handle
	policies policySource
	nodes    corelisters.NodeLister
	pods     cache.SharedIndexInformer
	inflight *inflight

	// What follows the scheduler's snapshot belongs to the scheduling goroutine: PreFilter brings it up to date, PostFilter reads it.
	counts   *ledger.Ledger
	index    *nodeIndex
	departed *departed
	// afterGroup is true when the last cycle was one of a pod group.
	afterGroup bool
}

// policySource is where the policies come from.
type policySource interface {
	// Policies returns the policies now. It does no I/O.
	Policies() *placement.Policies
}

var (
	_ fwk.PreFilterPlugin   = &ResourcePolicy{}
	_ fwk.FilterPlugin      = &ResourcePolicy{}
	_ fwk.PostFilterPlugin  = &ResourcePolicy{}
	_ fwk.ReservePlugin     = &ResourcePolicy{}
	_ fwk.BindPlugin        = &ResourcePolicy{}
	_ fwk.EnqueueExtensions = &ResourcePolicy{}
	_ fwk.SignPlugin        = &ResourcePolicy{}
)

// New returns the plugin. It takes no arguments.
func New(ctx context.Context, _ runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
	pl := newPlugin(handle)
	if _, ok := pl.pods.GetIndexer().GetIndexers()[indexWaiting]; ok {
		return nil, errors.New("the plugin ResourcePolicy is enabled in two profiles: enable it in one, because profiles do not see which unit the other's pods in flight are in")
	}
	if err := pl.pods.AddIndexers(cache.Indexers{indexWaiting: waitingNamespace, indexNode: boundNode}); err != nil {
		return nil, fmt.Errorf("indexing pods: %w", err)
	}
	source, err := newSource(ctx, handle, pl.activateNamespace)
	if err != nil {
		return nil, fmt.Errorf("watching ResourcePolicies: %w", err)
	}
	pl.policies = source
	if err := pl.inflight.forgetDeletedPods(pl.pods); err != nil {
		return nil, fmt.Errorf("watching pods: %w", err)
	}
	return pl, nil
}

// newPlugin returns the plugin without a source of policies.
func newPlugin(handle fwk.Handle) *ResourcePolicy {
	core := handle.SharedInformerFactory().Core().V1()
	return &ResourcePolicy{
		handle:   handle,
		nodes:    core.Nodes().Lister(),
		pods:     core.Pods().Informer(),
		inflight: newInflight(),
		counts:   ledger.New(),
		index:    newNodeIndex(),
		departed: &departed{pods: core.Pods().Informer().GetIndexer()},
	}
}

// Name returns the name of the plugin.
func (*ResourcePolicy) Name() string { return Name }

// SignPod lets pods without a policy be batched and refuses governed ones, whose result depends on counts that every placement changes.
func (pl *ResourcePolicy) SignPod(_ context.Context, pod *corev1.Pod) ([]fwk.SignFragment, *fwk.Status) {
	if pl.policies.Policies().Governing(pod.Namespace, pod.Labels) != nil {
		return nil, fwk.NewStatus(fwk.Unschedulable, "governed pods are placed one by one")
	}
	return nil, nil
}

// activateNamespace retries the waiting pods of a namespace after its policies changed: an edit can make room, lift a refusal or free a pod from its
// policy. It is called by the informer of the policies, never by the scheduling loop.
func (pl *ResourcePolicy) activateNamespace(logger klog.Logger, namespace string) {
	objects, err := pl.pods.GetIndexer().ByIndex(indexWaiting, namespace)
	if err != nil {
		logger.Error(err, "Listing waiting pods after an edit of a ResourcePolicy", "namespace", namespace)
		return
	}
	waiting := map[string]*corev1.Pod{}
	for _, obj := range objects {
		if pod := obj.(*corev1.Pod); pod.Spec.SchedulerName == pl.handle.ProfileName() {
			waiting[string(pod.UID)] = pod
		}
	}
	if len(waiting) > 0 {
		pl.handle.Activate(logger, waiting)
	}
}

// waitingNamespace is the function of indexWaiting.
func waitingNamespace(obj any) ([]string, error) {
	if pod, ok := obj.(*corev1.Pod); ok && pod.Spec.NodeName == "" {
		return []string{pod.Namespace}, nil
	}
	return nil, nil
}

// boundNode is the function of indexNode.
func boundNode(obj any) ([]string, error) {
	if pod, ok := obj.(*corev1.Pod); ok && pod.Spec.NodeName != "" {
		return []string{pod.Spec.NodeName}, nil
	}
	return nil, nil
}
