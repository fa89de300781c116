package resourcepolicy

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// nodeIndex knows which nodes of the scheduler's snapshot are in which node set. It follows the snapshot by the changes that the ledger finds, and
// belongs to the scheduling goroutine.
type nodeIndex struct {
	epoch    int64
	nodes    []fwk.NodeInfo
	objects  []*corev1.Node
	nodeSets map[string]*members
}

// members are the nodes of one node set.
type members struct {
	set   placement.NodeSet
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
	return &nodeIndex{epoch: -1, nodeSets: map[string]*members{}}
}

// follow brings the index up to date with the snapshot. Another epoch (other policies) empties it: node sets are indexed when they are asked for.
func (x *nodeIndex) follow(epoch int64, nodes []fwk.NodeInfo, change ledger.Change) {
	if epoch != x.epoch {
		x.epoch, x.nodeSets = epoch, map[string]*members{}
	}
	x.nodes = nodes
	if change.Realigned {
		x.objects = make([]*corev1.Node, len(nodes))
		for i := range nodes {
			x.objects[i] = nodes[i].Node()
		}
		for _, m := range x.nodeSets {
			m.rebuild(nodes)
		}
		return
	}
	for _, i := range change.Nodes {
		x.followNode(i)
	}
}

// followNode brings one changed node up to date.
func (x *nodeIndex) followNode(i int) {
	before, after := x.objects[i], x.nodes[i].Node()
	x.objects[i] = after
	relabelled := before != after && !maps.Equal(before.Labels, after.Labels)
	for _, m := range x.nodeSets {
		switch {
		case relabelled && m.names.Has(after.Name) != m.set.Contains(after.Labels):
			m.rebuild(x.nodes)
		case m.names.Has(after.Name):
			m.version++
		}
	}
}

// members returns the nodes of a set.
func (x *nodeIndex) members(set placement.NodeSet) *members {
	m, ok := x.nodeSets[set.Key]
	if !ok {
		m = &members{set: set}
		m.rebuild(x.nodes)
		x.nodeSets[set.Key] = m
	}
	return m
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
