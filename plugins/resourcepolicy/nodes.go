package resourcepolicy

import (
	"maps"
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// turnsPerSweep is how many cycles there are between two sweeps at least: it bounds the node sets that a policy which is edited all the time leaves behind.
const turnsPerSweep = 100

// nodeIndex knows which nodes of the scheduler's snapshot are in which node set. It follows the snapshot by the changes that the ledger finds, and
// belongs to the scheduling goroutine.
type nodeIndex struct {
	nodes    []fwk.NodeInfo
	seen     []seenNode
	nodeSets map[string]*members
	// turn counts the cycles, and swept is the turn of the last sweep.
	turn, swept int64
	// reported is on how many nodes there is something of a resource that not every node has.
	reported map[corev1.ResourceName]int
}

// seenNode is what a node was when it was last looked at.
type seenNode struct {
	object *corev1.Node
	// frame is the node as its pods see it; nil until they are counted anew.
	frame *nodeFrame
	// lowest is the lowest priority of its pods; it is found when it is asked for.
	lowest   int32
	searched bool
}

func newSeenNode(info fwk.NodeInfo) seenNode {
	return seenNode{object: info.Node()}
}

// members are the nodes of one node set.
type members struct {
	set placement.NodeSet
	// used is the turn in which they were asked for last.
	used  int64
	names sets.Set[string]
	// positions are the members' places in the snapshot.
	positions []int
	// next is where the last search for room ended: the next one starts there, so that filling a unit node by node costs no full search for each pod.
	next int
	// version grows with every change of a member or of the membership.
	version int64
	// tooBig is the smallest request for which a full search found no room on any member at tooBigVersion.
	tooBig        request
	tooBigVersion int64
}

func newNodeIndex() *nodeIndex {
	return &nodeIndex{nodeSets: map[string]*members{}, reported: map[corev1.ResourceName]int{}}
}

// follow brings the index up to date with the snapshot. Node sets are indexed when they are asked for; edited tells that policies were edited, so that some
// may never be asked for again.
func (x *nodeIndex) follow(edited bool, nodes []fwk.NodeInfo, change ledger.Change) {
	x.turn++
	if edited {
		x.sweep()
	}
	x.nodes = nodes
	// The ledger's list goes on with departed nodes: one that comes back may stand where it stood there, which is no change of the ledger's list.
	if change.Realigned || len(nodes) != len(x.seen) {
		x.seen = make([]seenNode, len(nodes))
		clear(x.reported)
		for i := range nodes {
			x.seen[i] = newSeenNode(nodes[i])
			x.report(x.seen[i].object, 1)
		}
		for _, m := range x.nodeSets {
			m.rebuild(nodes)
		}
		return
	}
	for _, i := range change.Nodes {
		if i < len(nodes) { // Behind them the ledger counts departed nodes, which can take no pod.
			x.followNode(i)
		}
	}
}

// sweep forgets the node sets that nobody has asked for since the last sweep. It does so once in a while: an edit of one policy must not cost the others
// their node sets (R15).
func (x *nodeIndex) sweep() {
	if x.turn-x.swept < turnsPerSweep {
		return
	}
	maps.DeleteFunc(x.nodeSets, func(_ string, m *members) bool { return m.used < x.swept })
	x.swept = x.turn
}

// followNode brings one changed node up to date.
func (x *nodeIndex) followNode(i int) {
	before, after := x.seen[i], newSeenNode(x.nodes[i])
	name, labels := after.object.Name, after.object.Labels
	edited := before.object != after.object
	relabelled := edited && !maps.Equal(before.object.Labels, labels)
	after.frame = before.frame
	x.seen[i] = after
	if edited && x.reportEdit(before.object, after.object) {
		// What is nowhere, or is somewhere now, changes what fits where it is not reported.
		for _, m := range x.nodeSets {
			m.version++
		}
	}
	for _, m := range x.nodeSets {
		if relabelled && m.names.Has(name) != m.set.Contains(labels) {
			m.rebuild(x.nodes)
			continue
		}
		if m.names.Has(name) {
			m.version++
		}
	}
}

// reportEdit follows an edit of a node; see report.
func (x *nodeIndex) reportEdit(before, after *corev1.Node) bool {
	came := x.report(after, 1)
	went := x.report(before, -1)
	return came || went
}

// report counts what a node has, or had with a sign of -1, that not every node has. It tells whether a resource is anywhere now that was not, or the other
// way round.
func (x *nodeIndex) report(node *corev1.Node, sign int) bool {
	changed := false
	for name, amount := range node.Status.Allocatable {
		switch name {
		case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage, corev1.ResourcePods:
			continue
		}
		if amount.IsZero() {
			continue
		}
		before := x.reported[name]
		x.reported[name] += sign
		changed = changed || (before == 0) != (x.reported[name] == 0)
	}
	return changed
}

// members returns the nodes of a set.
func (x *nodeIndex) members(set placement.NodeSet) *members {
	m, ok := x.nodeSets[set.Key]
	if !ok {
		m = &members{set: set}
		m.rebuild(x.nodes)
		x.nodeSets[set.Key] = m
	}
	m.used = x.turn
	return m
}

// node returns a node of the set by name; nil when there is none.
func (x *nodeIndex) node(m *members, name string) fwk.NodeInfo {
	for _, i := range m.positions {
		if x.seen[i].object.Name == name {
			return x.nodes[i]
		}
	}
	return nil
}

// hasBelow tells whether a pod on a node of the set has a lower priority.
func (x *nodeIndex) hasBelow(m *members, priority int32) bool {
	for _, i := range m.positions {
		seen := &x.seen[i]
		if !seen.searched {
			seen.searched, seen.lowest = true, math.MaxInt32
			for _, info := range x.nodes[i].GetPods() {
				seen.lowest = min(seen.lowest, corev1helpers.PodPriority(info.GetPod()))
			}
		}
		if seen.lowest < priority {
			return true
		}
	}
	return false
}

// rebuild finds the members among all nodes.
func (m *members) rebuild(nodes []fwk.NodeInfo) {
	m.names, m.positions, m.next = sets.New[string](), nil, 0
	m.version++
	for i := range nodes {
		node := nodes[i].Node()
		if m.set.Contains(node.Labels) {
			m.names.Insert(node.Name)
			m.positions = append(m.positions, i)
		}
	}
}
