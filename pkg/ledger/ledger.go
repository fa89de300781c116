// Package ledger keeps exact counts of the pods that each policy has in each unit (R4). It is pure: it knows neither pods nor nodes, and holds no
// lock; its owner calls it from one goroutine.
//
// The counts follow the scheduler's own snapshot (bound and assumed pods): Sync compares each node's generation with the one it counted before and
// looks only at the pods of nodes that changed, of which it counts those that came or went. A count is therefore never adjusted by an event that may be
// lost, late or repeated. An edit of a policy costs what the pods cost that it may count differently (R15): Sync counts those anew and no others.
//
//   - ledger.go: the counts.
//   - follow.go: the nodes and pods that changed in the snapshot.
//   - edits.go: the pods that an edit of a policy concerns.
package ledger

import (
	"math"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/pkg/placement"
)

// Key names one count: the pods of one group in one unit of one policy.
type Key struct {
	Policy types.UID
	Group  string
	Unit   int
	// Terminating names the count of the terminating pods of all groups instead; Group is empty then.
	Terminating bool
}

// Snapshot is the list of nodes to count. P identifies a pod as it counts: when anything changes by which it counts, a label of its node included, it is
// another P.
type Snapshot[P comparable] interface {
	// Len is the number of nodes.
	Len() int
	// Generation returns a number that no two states of any nodes share.
	Generation(node int) int64
	// Name returns the name of a node.
	Name(node int) string
	// Pods is the number of pods on a node, and Pod returns one of them.
	Pods(node int) int
	Pod(node, at int) P
	// Contribution returns what a pod on a node adds to the counts.
	Contribution(node int, pod P) Contribution
	// Owner returns the namespace and the labels by which policies select a pod.
	Owner(pod P) (namespace string, labels map[string]string)
}

// Contribution is what one pod adds to the counts; the zero value adds nothing.
type Contribution struct {
	// Policy governs the pod, also when it adds nothing; empty when no policy does.
	Policy types.UID
	Group  string
	Unit   int
	// Counts is true when the pod is one of its group in the unit, and Terminating when it is one of those that terminate there. It may be both.
	Counts, Terminating bool
	// Requests is its placement vector.
	Requests []int64
	// Priority is its priority.
	Priority int32
}

// Key returns the count of the group that the pod is in.
func (c *Contribution) Key() Key { return Key{Policy: c.Policy, Group: c.Group, Unit: c.Unit} }

// keys calls f with every count that the pod is in.
func (c *Contribution) keys(f func(Key)) {
	if c.Terminating {
		f(Key{Policy: c.Policy, Unit: c.Unit, Terminating: true})
	}
	if c.Counts {
		f(c.Key())
	}
}

// Ledger is the counts. The zero value is not usable: call New.
type Ledger[P comparable] struct {
	nodes []*countedNode[P]
	// generations are those in which the nodes were counted, side by side: each cycle compares all of them.
	generations []int64
	byName      map[string]*countedNode[P]
	totals      map[Key]placement.Usage
	// pods is how many pods count for their group.
	pods int
	// priorities are how many pods of each priority are in a count.
	priorities map[Key]map[int32]int64
	// saturated are the keys whose total had reached the largest number and lost a part: what is left must be added up again.
	saturated map[Key]bool
	// governed are the pods of each policy, and namespaces those of each namespace.
	governed   map[types.UID]podSet[P]
	namespaces map[string]podSet[P]
}

// countedNode is a node as it was counted.
type countedNode[P comparable] struct {
	name string
	// place is where the node stands in the list.
	place int
	pods  []*countedPod[P]
}

// countedPod is a pod as it was counted.
type countedPod[P comparable] struct {
	pod       P
	node      *countedNode[P]
	namespace string
	adds      Contribution
}

type podSet[P comparable] map[*countedPod[P]]struct{}

// Change tells what Sync found.
type Change struct {
	// Nodes are the indexes of the nodes whose generation changed. Without meaning when Realigned is true.
	Nodes []int
	// Realigned is true when the list has other nodes, or the same nodes in another order, than before.
	Realigned bool
}

// New returns an empty ledger.
func New[P comparable]() *Ledger[P] {
	return &Ledger[P]{
		byName: map[string]*countedNode[P]{}, totals: map[Key]placement.Usage{}, priorities: map[Key]map[int32]int64{},
		saturated: map[Key]bool{}, governed: map[types.UID]podSet[P]{}, namespaces: map[string]podSet[P]{},
	}
}

// Size returns how many pods count for their group, and how many counts there are.
func (l *Ledger[P]) Size() (pods, counts int) { return l.pods, len(l.totals) }

// Usage returns the count of a key. The result must not be changed.
func (l *Ledger[P]) Usage(key Key) placement.Usage { return l.totals[key] }

// Lowest returns the lowest priority of the pods in a count. It returns false when there are no pods.
func (l *Ledger[P]) Lowest(key Key) (int32, bool) {
	lowest, found := int32(0), false
	for priority := range l.priorities[key] {
		if !found || priority < lowest {
			lowest, found = priority, true
		}
	}
	return lowest, found
}

// Counted returns what a pod on a node was counted as by the last Sync, so that a simulation takes away exactly what the counts have. It returns false for
// a pod that was not on the node then. It may be called by several goroutines, but not during Sync.
func (l *Ledger[P]) Counted(node string, is func(P) bool) (Contribution, bool) {
	n := l.byName[node]
	if n == nil {
		return Contribution{}, false
	}
	for _, counted := range n.pods {
		if is(counted.pod) {
			return counted.adds, true
		}
	}
	return Contribution{}, false
}

// Sync brings the counts up to date with the snapshot, and with the edits of policies since the last Sync. It costs a comparison for each node that did not
// change, and for each pod on those that did.
func (l *Ledger[P]) Sync(edits []placement.Edit, snapshot Snapshot[P]) Change {
	change := l.follow(snapshot)
	for i := range edits {
		l.recount(&edits[i], snapshot)
	}
	l.addUpSaturated()
	return change
}

// add counts a pod.
func (l *Ledger[P]) add(counted *countedPod[P]) {
	insert(l.namespaces, counted.namespace, counted)
	adds := &counted.adds
	if adds.Policy != "" {
		insert(l.governed, adds.Policy, counted)
	}
	if adds.Counts {
		l.pods++
	}
	adds.keys(func(key Key) {
		l.totals[key] = l.totals[key].Add(adds.Requests)
		if l.priorities[key] == nil {
			l.priorities[key] = map[int32]int64{}
		}
		l.priorities[key][adds.Priority]++
	})
}

// subtract takes a pod out of the counts. Keys without pods are forgotten, so that the ledger does not grow with every group that ever was.
func (l *Ledger[P]) subtract(counted *countedPod[P]) {
	remove(l.namespaces, counted.namespace, counted)
	adds := &counted.adds
	remove(l.governed, adds.Policy, counted)
	if adds.Counts {
		l.pods--
	}
	adds.keys(func(key Key) {
		if l.priorities[key][adds.Priority]--; l.priorities[key][adds.Priority] == 0 {
			delete(l.priorities[key], adds.Priority)
		}
		if slices.Contains(l.totals[key].Requests, math.MaxInt64) {
			l.saturated[key] = true
		}
		rest := l.totals[key].Minus(placement.Usage{Pods: 1, Requests: adds.Requests})
		if rest.Pods == 0 {
			delete(l.totals, key)
			delete(l.priorities, key)
			return
		}
		l.totals[key] = rest
	})
}

// addUpSaturated adds up afresh the totals that subtract could not know.
func (l *Ledger[P]) addUpSaturated() {
	for saturated := range l.saturated {
		var total placement.Usage
		for counted := range l.governed[saturated.Policy] {
			counted.adds.keys(func(key Key) {
				if key == saturated {
					total = total.Add(counted.adds.Requests)
				}
			})
		}
		delete(l.totals, saturated)
		if total.Pods > 0 {
			l.totals[saturated] = total
		}
	}
	clear(l.saturated)
}

func insert[K, P comparable](sets map[K]podSet[P], key K, counted *countedPod[P]) {
	set := sets[key]
	if set == nil {
		set = podSet[P]{}
		sets[key] = set
	}
	set[counted] = struct{}{}
}

func remove[K, P comparable](sets map[K]podSet[P], key K, counted *countedPod[P]) {
	set := sets[key]
	if delete(set, counted); len(set) == 0 {
		delete(sets, key)
	}
}
