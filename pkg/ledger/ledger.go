// Package ledger keeps exact counts of the pods that each policy has in each unit (R4). It is pure: it knows neither pods nor nodes, and holds no
// lock; its owner calls it from one goroutine.
//
// The counts follow the scheduler's own snapshot (bound and assumed pods): Sync compares each node's generation with the one it counted before and
// recounts only the nodes that changed. A count is therefore never adjusted by an event that may be lost, late or repeated.
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

// Snapshot is the list of nodes to count. A generation is a number that no two states of any nodes share.
type Snapshot interface {
	// Len is the number of nodes.
	Len() int
	// Node returns the name and the generation of node i.
	Node(i int) (name string, generation int64)
	// Count calls add for every pod on node i that counts.
	Count(i int, add func(key Key, pod Pod))
}

// Pod is what one pod adds to a count.
type Pod struct {
	// Requests is its placement vector.
	Requests []int64
	// Priority is its priority.
	Priority int32
}

// Ledger is the counts. The zero value is not usable: call New.
type Ledger struct {
	epoch  int64
	nodes  []nodeCount
	totals map[Key]placement.Usage
	// priorities are how many pods of each priority are in a count.
	priorities map[Key]map[int32]int64
	// saturated are the keys whose total had reached the largest number and lost a part: what is left must be added up again.
	saturated []Key
}

// nodeCount is what one node adds to the totals.
type nodeCount struct {
	name       string
	generation int64
	usages     map[Key]placement.Usage
	// priorities are how many pods of each priority are in a count.
	priorities map[Key]map[int32]int64
}

// Change tells what Sync found.
type Change struct {
	// Nodes are the indexes of the nodes whose generation changed. Without meaning when Realigned is true.
	Nodes []int
	// Realigned is true when the list has other nodes, or the same nodes in another order, than before.
	Realigned bool
}

// New returns an empty ledger.
func New() *Ledger {
	return &Ledger{epoch: -1, totals: map[Key]placement.Usage{}, priorities: map[Key]map[int32]int64{}}
}

// Usage returns the count of a key. The result must not be changed.
func (l *Ledger) Usage(key Key) placement.Usage { return l.totals[key] }

// Lowest returns the lowest priority of the pods in a count. It returns false when there are no pods.
func (l *Ledger) Lowest(key Key) (int32, bool) {
	lowest, found := int32(0), false
	for priority := range l.priorities[key] {
		if !found || priority < lowest {
			lowest, found = priority, true
		}
	}
	return lowest, found
}

// Sync brings the counts up to date with the snapshot. Another epoch (other policies) voids every count. It costs a comparison for each node that
// did not change.
func (l *Ledger) Sync(epoch int64, snapshot Snapshot) Change {
	if epoch != l.epoch {
		l.epoch, l.nodes = epoch, nil
		l.totals, l.priorities = map[Key]placement.Usage{}, map[Key]map[int32]int64{}
	}
	change := l.follow(snapshot)
	l.addUpSaturated()
	return change
}

// follow recounts the nodes that changed.
func (l *Ledger) follow(snapshot Snapshot) Change {
	if snapshot.Len() != len(l.nodes) {
		l.realign(snapshot)
		return Change{Realigned: true}
	}
	var change Change
	for i := range l.nodes {
		name, generation := snapshot.Node(i)
		if generation == l.nodes[i].generation {
			continue
		}
		if name != l.nodes[i].name {
			l.realign(snapshot)
			return Change{Realigned: true}
		}
		l.subtract(&l.nodes[i])
		l.nodes[i] = l.count(snapshot, i)
		change.Nodes = append(change.Nodes, i)
	}
	return change
}

// realign follows a list with other nodes, or in another order. Nodes that did not change keep their count.
func (l *Ledger) realign(snapshot Snapshot) {
	known := make(map[string]nodeCount, len(l.nodes))
	for _, n := range l.nodes {
		known[n.name] = n
	}
	l.nodes = make([]nodeCount, snapshot.Len())
	for i := range l.nodes {
		name, generation := snapshot.Node(i)
		old, ok := known[name]
		delete(known, name)
		if ok && old.generation == generation {
			l.nodes[i] = old
			continue
		}
		l.subtract(&old)
		l.nodes[i] = l.count(snapshot, i)
	}
	for _, gone := range known {
		l.subtract(&gone)
	}
}

// count counts node i afresh and adds it to the totals.
func (l *Ledger) count(snapshot Snapshot, i int) nodeCount {
	name, generation := snapshot.Node(i)
	n := nodeCount{name: name, generation: generation}
	snapshot.Count(i, func(key Key, pod Pod) {
		if n.usages == nil {
			n.usages, n.priorities = map[Key]placement.Usage{}, map[Key]map[int32]int64{}
		}
		if n.priorities[key] == nil {
			n.priorities[key] = map[int32]int64{}
		}
		n.priorities[key][pod.Priority]++
		n.usages[key] = n.usages[key].Add(pod.Requests)
	})
	for key, usage := range n.usages {
		l.totals[key] = l.totals[key].Merge(usage)
		if l.priorities[key] == nil {
			l.priorities[key] = map[int32]int64{}
		}
		for priority, pods := range n.priorities[key] {
			l.priorities[key][priority] += pods
		}
	}
	return n
}

// subtract takes what a node had added out of the totals. Keys without pods are forgotten, so that the ledger does not grow with every group that
// ever was.
func (l *Ledger) subtract(n *nodeCount) {
	for key, usage := range n.usages {
		for priority, pods := range n.priorities[key] {
			if l.priorities[key][priority] -= pods; l.priorities[key][priority] == 0 {
				delete(l.priorities[key], priority)
			}
		}
		if slices.Contains(l.totals[key].Requests, math.MaxInt64) {
			l.saturated = append(l.saturated, key)
		}
		rest := l.totals[key].Minus(usage)
		if rest.Pods == 0 {
			delete(l.totals, key)
			delete(l.priorities, key)
			continue
		}
		l.totals[key] = rest
	}
}

// addUpSaturated adds up afresh the totals that subtract could not know.
func (l *Ledger) addUpSaturated() {
	for _, key := range l.saturated {
		var total placement.Usage
		for i := range l.nodes {
			if usage, ok := l.nodes[i].usages[key]; ok {
				total = total.Merge(usage)
			}
		}
		delete(l.totals, key)
		if total.Pods > 0 {
			l.totals[key] = total
		}
	}
	l.saturated = nil
}
