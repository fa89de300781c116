// Package resourcepolicy is the scheduler plugin that keeps the order and the caps of ResourcePolicies.
//
//   - prefilter.go chooses the unit of a governed pod before any node is looked at, and hands only the nodes of that unit to the framework.
//   - filter.go holds the pod to that unit.
//   - postfilter.go moves the pod on when no node of the unit passes the other plugins' filters, by what walk.go knows of its way; preempt.go makes room by
//     preemption.
//   - bind.go binds the pod, with the placement written on it by the same call (R9).
//   - preenqueue.go keeps pods out of the queue that cannot be placed, by the tickets of gate.go; failure.go and notices.go tell users; metrics.go counts.
//   - hints.go, otherhints.go, watch.go and timers.go wake pods that were refused, by what rejection.go remembers.
//   - args.go reads the arguments of the plugin.
//   - source.go is where the policies come from; decision.go, room.go, sample.go, nodes.go, counts.go, departed.go and fresh.go read the scheduler's
//     snapshot; inflight.go and nominations.go are what the plugin remembers.
//
// A pod without a policy is skipped: the plugin costs it one look-up.
package resourcepolicy

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
	"github.com/spillway-k8s/spillway/plugins/wakeup"
)

const (
	// Name is the name of the plugin in a KubeSchedulerConfiguration.
	Name = "ResourcePolicy"

	// indexWaiting is an index of the pods that are not bound, by namespace. The scheduler's informer has no index by namespace, and an edit of a
	// policy must not look at every pod of the cluster.
	indexWaiting = "spillway-waiting-by-namespace"
)

// Set makes the plugins of this package for one scheduler: they work on one memory.
type Set struct{ pl *ResourcePolicy }

// ResourcePolicy is the plugin.
type ResourcePolicy struct {
	logger       klog.Logger
	handle       fwk.Handle
	policies     policySource
	nodes        corelisters.NodeLister
	nodeInformer cache.SharedIndexInformer
	pods         cache.SharedIndexInformer
	podLister    corelisters.PodLister
	owners       *owners
	inflight     *inflight
	fresh        *fresh
	admission    *gate
	timers       *timers
	waker        *wakeup.Waker
	notices      *notices
	// preemption makes room for governed pods; nil when the profile has no DefaultPreemption.
	preemption evictor
	// offers is what ECI would accept on the virtual nodes.
	offers *virtualnode.Offers
	// active is true from the first cycle on: of several schedulers only the leader has cycles, and the others must not write.
	active atomic.Bool
	// sampleSize is the constant, but in tests.
	sampleSize int
	// later runs a function in a goroutine of its own after a while.
	later func(time.Duration, func())

	// What follows the scheduler's snapshot belongs to the scheduling goroutine: PreFilter brings it up to date, PostFilter reads it.
	counts   *ledger.Ledger[shownPod]
	index    *nodeIndex
	departed *departed
	// countedBy are the policies by which the counts were brought up to date last.
	countedBy *placement.Policies
	// followed is when they were brought up to date last.
	followed time.Time
	// afterGroup is true when the last cycle was one of a pod group.
	afterGroup bool
	// walkers are the pods that go on to their next unit.
	walkers []*corev1.Pod
}

// policySource is where the policies come from.
type policySource interface {
	// Policies returns the policies now. It does no I/O.
	Policies() *placement.Policies
	// Synced tells whether they have been read once.
	Synced() bool
}

var (
	_ fwk.PreFilterPlugin     = &ResourcePolicy{}
	_ fwk.PreFilterExtensions = &ResourcePolicy{}
	_ fwk.FilterPlugin        = &ResourcePolicy{}
	_ fwk.PostFilterPlugin    = &ResourcePolicy{}
	_ fwk.ReservePlugin       = &ResourcePolicy{}
	_ fwk.BindPlugin          = &ResourcePolicy{}
	_ fwk.EnqueueExtensions   = &ResourcePolicy{}
	_ fwk.SignPlugin          = &ResourcePolicy{}
)

// NewSet returns a set whose plugins have still to be made. offers is what the virtual nodes of the same scheduler offer.
func NewSet(offers *virtualnode.Offers) *Set { return &Set{pl: &ResourcePolicy{offers: offers}} }

// NewAdmission returns the plugin that holds pods. It takes no arguments, and does nothing unless the ResourcePolicy plugin is enabled, too.
func (s *Set) NewAdmission(context.Context, runtime.Object, fwk.Handle) (fwk.Plugin, error) {
	return &Admission{pl: s.pl}, nil
}

// NewPreemption returns the plugin that preempts for governed pods. It takes no arguments, and does nothing unless the ResourcePolicy plugin is enabled, too.
func (s *Set) NewPreemption(context.Context, runtime.Object, fwk.Handle) (fwk.Plugin, error) {
	return &Preemption{pl: s.pl}, nil
}

// New returns the ResourcePolicy plugin.
func (s *Set) New(ctx context.Context, arguments runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
	pl := s.pl
	if pl.handle != nil {
		return nil, errors.New("the plugin ResourcePolicy is enabled in two profiles: enable it in one, because profiles do not see which unit the other's pods in flight are in")
	}
	keys, err := allowedPodKeys(arguments)
	if err != nil {
		return nil, fmt.Errorf("reading the arguments of the plugin %s: %w", Name, err)
	}
	pl.setUp(klog.FromContext(ctx), handle)
	if err := pl.pods.AddIndexers(cache.Indexers{indexWaiting: waitingNamespace, indexNode: boundNode}); err != nil {
		return nil, fmt.Errorf("indexing pods: %w", err)
	}
	source, err := newSource(ctx, handle, keys, pl.activateNamespace)
	if err != nil {
		return nil, fmt.Errorf("watching ResourcePolicies: %w", err)
	}
	pl.policies = source
	if err := pl.watch(); err != nil {
		return nil, err
	}
	go pl.wakeWhenSynced(ctx)
	go pl.timers.run(ctx, pl.wakeByName)
	go pl.notices.run(ctx, pl)
	metrics.ReadScheduler(pl.state)
	return pl, nil
}

// setUp gives the plugin all but its policies, its preemption and its goroutines.
func (pl *ResourcePolicy) setUp(logger klog.Logger, handle fwk.Handle) {
	core := handle.SharedInformerFactory().Core().V1()
	pl.logger, pl.handle, pl.sampleSize = logger, handle, sampleSize
	pl.nodes, pl.nodeInformer = core.Nodes().Lister(), core.Nodes().Informer()
	pl.pods, pl.podLister = core.Pods().Informer(), core.Pods().Lister()
	pl.owners = newOwners(handle.SharedInformerFactory())
	pl.inflight, pl.fresh, pl.admission = newInflight(pl.waits), newFresh(), newGate()
	pl.waker = pl.offers.Waker
	pl.admission.wake, pl.admission.waits = pl.wake, pl.waits
	pl.admission.retry = func(pods []*corev1.Pod) {
		for _, pod := range pods {
			pl.waker.Retry(pod.UID)
		}
	}
	pl.admission.wakeSlots = func(key groupKey) { pl.waker.Wake(slotTopic(key)) }
	pl.admission.held = func(pods []*corev1.Pod) {
		for _, pod := range pods {
			pl.beginHold(pod)
		}
	}
	pl.admission.holdEnded = pl.holdEnded
	pl.timers, pl.notices = newTimers(), newNotices()
	pl.offers.As = pl.inflight.asPlaced
	pl.admission.soon = func(f func()) { pl.later(0, f) }
	pl.later = func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	pl.counts, pl.index, pl.countedBy = ledger.New[shownPod](), newNodeIndex(), placement.NewPolicies()
	pl.departed = &departed{pods: pl.pods.GetIndexer()}
}

// wakeWhenSynced lets the pods into the queue that came before the policies had been read.
func (pl *ResourcePolicy) wakeWhenSynced(ctx context.Context) {
	if !cache.WaitForCacheSync(ctx.Done(), pl.policies.Synced) {
		return
	}
	for _, namespace := range pl.pods.GetIndexer().ListIndexFuncValues(indexWaiting) {
		waiting := pl.waiting(namespace)
		pl.expect(waiting)
		pl.wake(waiting) // All of them: those without a ticket were kept out, too.
	}
}

// becomeActive notes that this scheduler has cycles. What it kept to itself until now is told.
func (pl *ResourcePolicy) becomeActive() {
	if !pl.active.CompareAndSwap(false, true) {
		return
	}
	for _, pod := range pl.admission.heldPods() {
		pl.notices.add(pod)
	}
}

// waits tells whether a pod is neither bound nor deleted, by the informer's store.
func (pl *ResourcePolicy) waits(pod *corev1.Pod) bool {
	shown, err := pl.podLister.Pods(pod.Namespace).Get(pod.Name)
	return err == nil && shown.UID == pod.UID && shown.Spec.NodeName == "" && shown.DeletionTimestamp == nil
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
func (pl *ResourcePolicy) activateNamespace(_ klog.Logger, namespace string) {
	pl.wake(pl.expect(pl.waiting(namespace)))
	pl.waker.Wake(wakeup.NamespaceTopic(namespace))
}

// waiting returns the pods of a namespace that are not bound.
func (pl *ResourcePolicy) waiting(namespace string) []*corev1.Pod {
	objects, err := pl.pods.GetIndexer().ByIndex(indexWaiting, namespace)
	if err != nil {
		// The only possible error is an index that does not exist, and New adds it.
		panic(err)
	}
	waiting := make([]*corev1.Pod, 0, len(objects))
	for _, obj := range objects {
		waiting = append(waiting, obj.(*corev1.Pod))
	}
	return waiting
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
