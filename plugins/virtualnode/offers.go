package virtualnode

import (
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
	"github.com/spillway-k8s/spillway/plugins/wakeup"
)

// Offers is what the virtual nodes of the cluster offer, and what pods hold there. One is made for a scheduler; the plugins of all its profiles share it.
type Offers struct {
	logger klog.Logger
	handle fwk.Handle
	// store has the VirtualNodes, and synced tells whether it has been filled once.
	store  cache.Store
	synced func() bool
	// pods is the scheduler's store of pods.
	pods cache.Store
	// building is held while a catalog is made. Only computation happens under it (R11).
	building sync.Mutex
	// catalog is what the VirtualNodes say, replaced as a whole when one changes; nil before it was made once.
	catalog atomic.Pointer[catalog]
	bills   *bills
	// Waker retries the pods of this scheduler that failed.
	Waker     *wakeup.Waker
	reopening reopening
	// deciding is true while a wake-up of wakeWhenDecided is due, after decideWithin.
	deciding     atomic.Bool
	decideWithin time.Duration
	// As returns a bound or assumed pod as its unit will have it once the binding has come back, with the unit's annotations. The ResourcePolicy plugin
	// sets it; nil changes nothing.
	As func(pod *corev1.Pod) *corev1.Pod

	// What follows the scheduler's snapshot belongs to the scheduling goroutine: Follow changes it before any node of a cycle is looked at.
	counts *offer.Instances[fwk.PodInfo]
	// accounts is what the pods on all nodes of each account hold, in thousandths of a vCPU.
	accounts map[string]int64
	// pinned is the catalog of the cycle: one decision is made from one version of the world.
	pinned *catalog
	// afterGroup is true when the last cycle was one of a pod group.
	afterGroup bool
}

// NewOffers returns an Offers that knows of no virtual node until its New has been called.
func NewOffers() *Offers {
	o := &Offers{
		counts: offer.NewInstances[fwk.PodInfo](), accounts: map[string]int64{}, pinned: &catalog{},
		store: cache.NewStore(cache.MetaNamespaceKeyFunc), pods: cache.NewStore(cache.MetaNamespaceKeyFunc), synced: func() bool { return false },
		decideWithin: offer.UndecidedFor,
	}
	o.bills = newBills(o.exists)
	o.Waker = wakeup.New(clock.RealClock{}, func(pods map[string]*corev1.Pod) { o.handle.Activate(o.logger, pods) })
	return o
}

// Connect gives the offers a scheduler to read the snapshot of and whose pods to wake, and the informer's store of its pods.
func (o *Offers) Connect(logger klog.Logger, handle fwk.Handle, pods cache.Store) {
	o.logger, o.handle, o.pods = logger, handle, pods
}

// current returns what the VirtualNodes say. Until it knows all it reads the informer's store, which is complete before the handlers have been told of all.
func (o *Offers) current() *catalog {
	c := o.catalog.Load()
	if (c == nil || !c.complete) && o.synced() {
		if o.rebuild(time.Now()) {
			o.Waker.Wake(TopicECI)
		}
		c = o.catalog.Load()
	}
	if c == nil {
		return &catalog{}
	}
	return c
}

// freshness returns until when the capacity of each virtual node is taken for known, by the name of the Node.
func (o *Offers) freshness() *map[string]time.Time {
	fresh := map[string]time.Time{}
	for name, node := range o.current().nodes {
		fresh[name] = node.FreshUntil()
	}
	return &fresh
}

// rebuild publishes what the VirtualNodes say now. It returns true when one offers more than before.
func (o *Offers) rebuild(now time.Time) bool {
	o.building.Lock()
	defer o.building.Unlock()
	complete := o.synced()
	return o.publish(o.store.List(), complete, now)
}

// publish publishes what these VirtualNodes say. The caller has building.
func (o *Offers) publish(objects []any, complete bool, now time.Time) bool {
	before := o.catalog.Load()
	if before == nil {
		before = &catalog{}
	}
	next := newCatalog(objects)
	next.complete = complete
	better := false
	for name, node := range next.nodes {
		better = better || node.BetterThan(before.nodes[name], now)
	}
	for name := range before.nodes {
		better = better || next.nodes[name] == nil // A node that nobody describes takes any pod.
	}
	for account, quota := range next.quotas {
		better = better || quota > before.quotas[account]
	}
	o.catalog.Store(next)
	return better
}

// Follow brings what pods hold up to date with the snapshot of this cycle, once. It costs a look-up for each virtual node.
func (o *Offers) Follow(state fwk.CycleState) {
	if _, err := state.Read(catalogKey); err == nil {
		return
	}
	current := o.current()
	o.pinned = current
	state.Write(catalogKey, current)
	if len(current.nodes) == 0 {
		return
	}
	group := state.IsPodGroupSchedulingCycle()
	if group || o.afterGroup {
		// A pod group's cycle changes the snapshot, and changes it back, without new generations (backend/cache/snapshot.go): count from scratch.
		o.counts = offer.NewInstances[fwk.PodInfo]()
	}
	o.afterGroup = group
	clear(o.accounts)
	lister := o.handle.SnapshotSharedLister().NodeInfos()
	followed := map[string]bool{}
	for name, node := range current.nodes {
		info, err := lister.Get(name)
		if err != nil {
			continue // The Node does not exist, or is not in the snapshot yet.
		}
		key := countKey(node)
		followed[key] = true
		o.counts.Sync(key, info.GetGeneration(), info.GetPods(), func(pod fwk.PodInfo) offer.Holding { return o.holding(pod.GetPod(), node) })
		o.accounts[node.Account] += o.counts.Amount(key).MilliCPU
	}
	if o.counts.Len() > len(followed) {
		o.counts.Forget(func(key string) bool { return followed[key] })
	}
}

// countKey names a node in the counts: what pods hold depends on the region.
func countKey(node *offer.Node) string { return node.Region + " " + node.Name }

// holding returns what a pod holds on a node: a bound or assumed one what it was billed at its binding, and one that is nominated what it asks for.
func (o *Offers) holding(pod *corev1.Pod, node *offer.Node) offer.Holding {
	if o.As != nil {
		pod = o.As(pod)
	}
	if pod.Spec.NodeName != "" {
		held := offer.NewHolding(pod, o.bills.of(pod, node.Region))
		if held.Bound.IsZero() && !o.isAssumed(pod) {
			held.Bound = pod.CreationTimestamp.Time // It was created with a node, or its status does not say.
		}
		return held
	}
	bill, err := ecispec.For(pod, node.Region)
	if err != nil {
		bill, _ = ecispec.Bound(pod, node.Region)
	}
	return offer.NewHolding(pod, bill)
}

// counted returns what a pod holds on a node as it is counted in this cycle, so that a simulation takes away what the counts have.
func (o *Offers) counted(pod fwk.PodInfo, node *offer.Node) offer.Holding {
	if held, ok := o.counts.Holding(countKey(node), pod); ok {
		return held
	}
	return o.holding(pod.GetPod(), node)
}

// StillAsks reports whether a pod that was reserved for a virtual node still asks ECI for what it was reserved as, with the annotations of its unit.
func (o *Offers) StillAsks(pod *corev1.Pod) bool {
	if o.As != nil {
		pod = o.As(pod)
	}
	return o.bills.stillAsks(pod)
}

// Record returns what a pod is billed that was reserved for a virtual node, as it is recorded in its Binding; "" for other pods.
func (o *Offers) Record(pod types.UID) string { return o.bills.record(pod) }

// exists reports whether the informer's store has the pod.
func (o *Offers) exists(pod *corev1.Pod) bool { return o.shown(pod) != nil }

// shown returns the pod as the informer's store has it; nil when it does not exist any more.
func (o *Offers) shown(pod *corev1.Pod) *corev1.Pod {
	obj, exists, err := o.pods.GetByKey(cache.NewObjectName(pod.Namespace, pod.Name).String())
	if err != nil || !exists || obj.(*corev1.Pod).UID != pod.UID {
		return nil
	}
	return obj.(*corev1.Pod)
}

// check tells whether a node takes the pod; changed is what a simulation has changed. It returns false when no VirtualNode describes the node.
func (o *Offers) check(a *Asking, name string, changed changes) (offer.Verdict, bool) {
	node := a.catalog.nodes[name]
	if node == nil {
		return offer.Verdict{}, false
	}
	// Pods on nodes whose account is not known may hold a part of any account of the region.
	unknown := o.accounts[eciv1alpha1.UnknownAccount(node.Region)]
	held := offer.Held{Account: o.accounts[node.Account] + unknown, Quota: offer.Unbounded}
	if quota, known := a.catalog.quotas[node.Account]; known {
		held.Quota = quota
	}
	o.counts.Held(countKey(node), &held)
	for other, milliCPU := range a.nominated {
		// The framework itself adds those that are nominated to this node.
		if other != name && a.catalog.nodes[other].Account == node.Account {
			held.Account += milliCPU
		}
	}
	changed.apply(a.catalog, node, &held)
	verdict := node.Check(a.candidate(node.Region), &held, a.now)
	if verdict.SoldOut && len(held.Undecided) > 0 {
		o.wakeWhenDecided()
	}
	return verdict, true
}

// nominatedFor returns what other pods of at least this priority, which have preempted others on virtual nodes, will hold on each, in thousandths of a vCPU.
func (o *Offers) nominatedFor(pod *corev1.Pod, current *catalog) map[string]int64 {
	var nominated map[string]int64
	for name, node := range current.nodes {
		for _, info := range o.handle.NominatedPodsForNode(name) {
			other := info.GetPod()
			if other.UID == pod.UID || corev1helpers.PodPriority(other) < corev1helpers.PodPriority(pod) {
				continue
			}
			if nominated == nil {
				nominated = map[string]int64{}
			}
			held := o.holding(other, node)
			nominated[name] += held.Amount().MilliCPU
		}
	}
	return nominated
}
