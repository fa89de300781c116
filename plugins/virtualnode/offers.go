package virtualnode

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

// Offers is what the virtual nodes of the cluster offer, and what pods hold there. One is made for a scheduler; the plugins of all its profiles share it.
type Offers struct {
	logger klog.Logger
	handle fwk.Handle
	// store has the VirtualNodes, and synced tells whether it has been filled once.
	store  cache.Store
	synced func() bool
	// building is held while a catalog is made. Only computation happens under it (R11).
	building sync.Mutex
	// catalog is what the VirtualNodes say, replaced as a whole when one changes; nil before it was made once.
	catalog atomic.Pointer[catalog]
	waiters *waiters
	// As returns a bound or assumed pod as its unit will have it once the binding has come back, with the unit's annotations. The ResourcePolicy plugin
	// sets it; nil changes nothing.
	As func(pod *corev1.Pod) *corev1.Pod

	// What follows the scheduler's snapshot belongs to the scheduling goroutine: Follow changes it before any node of a cycle is looked at.
	counts *ledger.Instances[fwk.PodInfo]
	// accounts is what the pods on all nodes of each account hold, in thousandths of a vCPU.
	accounts map[string]int64
	// afterGroup is true when the last cycle was one of a pod group.
	afterGroup bool
}

// catalog is what the VirtualNodes say. Immutable.
type catalog struct {
	// nodes are the offers by the name of the Node.
	nodes map[string]*offer.Node
	// quotas are what the pods on all nodes of each account may hold, in thousandths of a vCPU, as it was read last.
	quotas map[string]int64
	// version is another one after each change.
	version int64
}

// NewOffers returns an Offers that knows of no virtual node until its New has been called.
func NewOffers() *Offers {
	return &Offers{
		counts: ledger.NewInstances[fwk.PodInfo](), accounts: map[string]int64{}, waiters: newWaiters(), store: cache.NewStore(cache.MetaNamespaceKeyFunc),
		synced: func() bool { return false },
	}
}

func (o *Offers) setUp(logger klog.Logger, handle fwk.Handle) {
	o.logger, o.handle = logger, handle
}

// current returns what the VirtualNodes say. The first time it reads the informer's store, which is complete before the handlers have been told of all.
func (o *Offers) current() *catalog {
	if c := o.catalog.Load(); c != nil {
		return c
	}
	if !o.synced() {
		return &catalog{}
	}
	o.rebuild(time.Now())
	return o.catalog.Load()
}

// rebuild publishes what the VirtualNodes say now. It returns true when one offers more than before.
func (o *Offers) rebuild(now time.Time) bool {
	o.building.Lock()
	defer o.building.Unlock()
	before := o.catalog.Load()
	if before == nil {
		before = &catalog{}
	}
	next := newCatalog(o.store.List(), before.version+1)
	better := false
	for name, node := range next.nodes {
		better = better || node.BetterThan(before.nodes[name], now)
	}
	for name := range before.nodes {
		better = better || next.nodes[name] == nil // A node that nobody describes takes any pod.
	}
	o.catalog.Store(next)
	return better
}

// newCatalog returns what these VirtualNodes say. If two describe one node the older one does, then the first by name.
func newCatalog(objects []any, version int64) *catalog {
	c := &catalog{nodes: map[string]*offer.Node{}, quotas: map[string]int64{}, version: version}
	all := make([]*eciv1alpha1.VirtualNode, 0, len(objects))
	for _, obj := range objects {
		all = append(all, obj.(*eciv1alpha1.VirtualNode))
	}
	slices.SortFunc(all, func(a, b *eciv1alpha1.VirtualNode) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	read := map[string]time.Time{}
	for _, vn := range all {
		node := offer.New(vn)
		if node == nil || c.nodes[node.Name] != nil {
			continue
		}
		c.nodes[node.Name] = node
		if quota, at := node.Quota(); read[node.Account].IsZero() || at.After(read[node.Account]) {
			c.quotas[node.Account], read[node.Account] = quota, at
		}
	}
	return c
}

// Follow brings what pods hold up to date with the snapshot of this cycle. It costs a look-up for each virtual node.
func (o *Offers) Follow(state fwk.CycleState) {
	current := o.current()
	if len(current.nodes) == 0 {
		return
	}
	group := state.IsPodGroupSchedulingCycle()
	if group || o.afterGroup {
		// A pod group's cycle changes the snapshot, and changes it back, without new generations (backend/cache/snapshot.go): count from scratch.
		o.counts = ledger.NewInstances[fwk.PodInfo]()
	}
	o.afterGroup = group
	clear(o.accounts)
	lister := o.handle.SnapshotSharedLister().NodeInfos()
	known := 0
	for name, node := range current.nodes {
		info, err := lister.Get(name)
		if err != nil {
			continue // The Node does not exist, or is not in the snapshot yet.
		}
		known++
		o.counts.Sync(name, info.GetGeneration(), info.GetPods(), func(pod fwk.PodInfo) offer.Holding { return o.holding(pod.GetPod(), node) })
		var held offer.Held
		o.counts.Held(name, &held)
		o.accounts[node.Account] += held.Node.MilliCPU
	}
	if o.counts.Len() > known {
		o.counts.Forget(func(name string) bool {
			_, err := lister.Get(name)
			return err == nil && current.nodes[name] != nil
		})
	}
}

func (o *Offers) holding(pod *corev1.Pod, node *offer.Node) offer.Holding {
	if o.As != nil {
		pod = o.As(pod)
	}
	return offer.HoldingOf(pod, node.Region)
}

// check tells whether a node takes the pod; changed is what a simulation has changed. It returns false when no VirtualNode describes the node.
func (o *Offers) check(a *Asking, name string, changed changes) (offer.Verdict, bool) {
	node := a.catalog.nodes[name]
	if node == nil {
		return offer.Verdict{}, false
	}
	held := offer.Held{Account: o.accounts[node.Account], Quota: a.catalog.quotas[node.Account]}
	o.counts.Held(name, &held)
	changed.apply(a.catalog, node, &held)
	return node.Check(a.candidate(node.Region), &held, a.now), true
}

// change is what a simulation has done to a node: how many pods of each specification it added, or took away.
type change map[ecispec.Spec]int64

// changes are those of all virtual nodes, by name.
type changes map[string]change

// with returns the changes with n more pods of a specification on a node. The others are shared.
func (c changes) with(node string, spec ecispec.Spec, n int64) changes {
	next := maps.Clone(c)
	if next == nil {
		next = changes{}
	}
	specs := maps.Clone(next[node])
	if specs == nil {
		specs = change{}
	}
	specs[spec] += n
	next[node] = specs
	return next
}

// apply changes what is held on a node and in its account.
func (c changes) apply(current *catalog, node *offer.Node, held *offer.Held) {
	for name, specs := range c {
		other := current.nodes[name]
		if other == nil || other.Account != node.Account {
			continue
		}
		if name == node.Name {
			held.Specs = maps.Clone(held.Specs)
		}
		for spec, n := range specs {
			held.Account += spec.MilliCPU * n
			if name != node.Name {
				continue
			}
			held.Node = held.Node.Plus(offer.Amount{MilliCPU: spec.MilliCPU * n, Memory: spec.Memory * n, Pods: n, GPUs: spec.GPUs * n})
			if held.Specs != nil {
				held.Specs[spec] += n
			}
		}
	}
}
