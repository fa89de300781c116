// Package ledger keeps exact counts of the pods that each policy has in each unit (R4). It is pure: it knows neither pods nor nodes, and holds no
// lock; its owner calls it from one goroutine.
//
// The counts follow the scheduler's own snapshot (bound and assumed pods): Sync compares each node's generation with the one it counted before and
// looks only at the pods of nodes that changed, of which it counts those that came or went. A count is therefore never adjusted by an event that may be
// lost, late or repeated.
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
}

// Contribution is what one pod adds to the counts; the zero value adds nothing.
type Contribution struct {
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
	epoch  int64
	nodes  []countedNode[P]
	totals map[Key]placement.Usage
	// pods is how many pods count for their group.
	pods int
	// priorities are how many pods of each priority are in a count.
	priorities map[Key]map[int32]int64
	// saturated are the keys whose total had reached the largest number and lost a part: what is left must be added up again.
	saturated map[Key]bool
}

// countedNode is a node as it was counted.
type countedNode[P comparable] struct {
	name       string
	generation int64
	pods       []countedPod[P]
}

type countedPod[P comparable] struct {
	pod  P
	adds Contribution
}

// Change tells what Sync found.
type Change struct {
	// Nodes are the indexes of the nodes whose generation changed. Without meaning when Realigned is true.
	Nodes []int
	// Realigned is true when the list has other nodes, or the same nodes in another order, than before.
	Realigned bool
}

// New returns an empty ledger.
func New[P comparable]() *Ledger[P] {
	return &Ledger[P]{epoch: -1, totals: map[Key]placement.Usage{}, priorities: map[Key]map[int32]int64{}, saturated: map[Key]bool{}}
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

// Sync brings the counts up to date with the snapshot. Another epoch (other policies) voids every count. It costs a comparison for each node that
// did not change, and for each pod on those that did.
func (l *Ledger[P]) Sync(epoch int64, snapshot Snapshot[P]) Change {
	if epoch != l.epoch {
		l.epoch, l.nodes, l.pods = epoch, nil, 0
		l.totals, l.priorities = map[Key]placement.Usage{}, map[Key]map[int32]int64{}
	}
	change := l.follow(snapshot)
	l.addUpSaturated()
	return change
}

// follow counts the nodes that changed.
func (l *Ledger[P]) follow(snapshot Snapshot[P]) Change {
	if snapshot.Len() != len(l.nodes) {
		l.realign(snapshot)
		return Change{Realigned: true}
	}
	var change Change
	for i := range l.nodes {
		generation := snapshot.Generation(i)
		if generation == l.nodes[i].generation {
			continue
		}
		if snapshot.Name(i) != l.nodes[i].name {
			l.realign(snapshot)
			return Change{Realigned: true}
		}
		l.nodes[i].generation = generation
		l.followNode(snapshot, i)
		change.Nodes = append(change.Nodes, i)
	}
	return change
}

// realign follows a list with other nodes, or in another order. Nodes that did not change are not looked at.
func (l *Ledger[P]) realign(snapshot Snapshot[P]) {
	known := make(map[string]countedNode[P], len(l.nodes))
	for _, n := range l.nodes {
		known[n.name] = n
	}
	l.nodes = make([]countedNode[P], snapshot.Len())
	for i := range l.nodes {
		name, generation := snapshot.Name(i), snapshot.Generation(i)
		old, ok := known[name]
		delete(known, name)
		l.nodes[i] = countedNode[P]{name: name, generation: generation, pods: old.pods}
		if !ok || old.generation != generation {
			l.followNode(snapshot, i)
		}
	}
	for _, gone := range known {
		for at := range gone.pods {
			l.subtract(&gone.pods[at].adds)
		}
	}
}

// followNode counts the pods of a node that came or went. The scheduler adds at the end, and puts the last one in the place of one that goes, so that most
// stand where they stood.
func (l *Ledger[P]) followNode(snapshot Snapshot[P], i int) {
	n, size := &l.nodes[i], snapshot.Pods(i)
	var places []int
	var moved map[P]Contribution
	for at := range n.pods {
		old := &n.pods[at]
		if at < size {
			if snapshot.Pod(i, at) == old.pod {
				continue
			}
			places = append(places, at)
		}
		if moved == nil {
			moved = map[P]Contribution{}
		}
		moved[old.pod] = old.adds
		l.subtract(&old.adds)
	}
	for at := len(n.pods); at < size; at++ {
		places = append(places, at)
		n.pods = append(n.pods, countedPod[P]{})
	}
	for _, at := range places {
		pod := snapshot.Pod(i, at)
		adds, known := moved[pod]
		if !known {
			adds = snapshot.Contribution(i, pod)
		}
		l.add(&adds)
		n.pods[at] = countedPod[P]{pod, adds}
	}
	clear(n.pods[size:])
	n.pods = n.pods[:size]
}

// add adds a pod to the totals.
func (l *Ledger[P]) add(adds *Contribution) {
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

// subtract takes a pod out of the totals. Keys without pods are forgotten, so that the ledger does not grow with every group that ever was.
func (l *Ledger[P]) subtract(adds *Contribution) {
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
		for i := range l.nodes {
			for at := range l.nodes[i].pods {
				adds := &l.nodes[i].pods[at].adds
				adds.keys(func(key Key) {
					if key == saturated {
						total = total.Add(adds.Requests)
					}
				})
			}
		}
		delete(l.totals, saturated)
		if total.Pods > 0 {
			l.totals[saturated] = total
		}
	}
	clear(l.saturated)
}
