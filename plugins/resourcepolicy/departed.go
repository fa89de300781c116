package resourcepolicy

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"
	fwk "k8s.io/kube-scheduler/framework"
)

// indexNode is an index of the pods that are bound, by the name of their node.
const indexNode = "spillway-bound-by-node"

// departed are the nodes that have gone from the scheduler's snapshot while pods are bound to them: the Node object was deleted, perhaps to come back
// at once. Their pods still run and still count (R4). It belongs to the scheduling goroutine.
type departed struct {
	pods cache.Indexer
	// nodes are the departed nodes with pods, by name, with the labels they had; nil labels are unknown, after a restart.
	nodes map[string]map[string]string
	// generation counts down, so that it is never that of a node in the snapshot.
	generation int64
	started    bool
	// known are the labels that nodes had when what was held of the snapshot was let go.
	known map[string]map[string]string
}

// departedNode is a departed node and the pods that are bound to it now.
type departedNode struct {
	name       string
	generation int64
	labels     map[string]string
	pods       []*corev1.Pod
}

// follow returns the departed nodes that still have pods, or are about to get them. before and now are the nodes of the last cycle and of this one;
// inflight knows the pods whose binding is on its way.
func (d *departed) follow(before, now []fwk.NodeInfo, inflight *inflight) []departedNode {
	same := d.started && sameList(before, now)
	if same && len(d.nodes) == 0 {
		return nil
	}
	onTheWay := inflight.onTheWay()
	if !same {
		d.started = true
		d.find(before, now, onTheWay)
	}
	var nodes []departedNode
	for _, name := range slices.Sorted(maps.Keys(d.nodes)) {
		pods := d.podsOn(name, onTheWay[name])
		if len(pods) == 0 {
			delete(d.nodes, name)
			continue
		}
		// A fresh generation each time: departed nodes are few, and their pods change without one.
		d.generation--
		nodes = append(nodes, departedNode{name: name, generation: d.generation, labels: d.nodes[name], pods: pods})
	}
	return nodes
}

// find looks for the names of nodes that pods are bound to and that are not in the snapshot.
func (d *departed) find(before, now []fwk.NodeInfo, onTheWay map[string][]*corev1.Pod) {
	present := sets.New[string]()
	for i := range now {
		present.Insert(now[i].Node().Name)
	}
	labels := map[string]map[string]string{}
	maps.Copy(labels, d.known)
	d.known = nil
	for i := range before {
		// The snapshot drops a NodeInfo that has gone and does not change it any more.
		if node := before[i].Node(); node != nil && !present.Has(node.Name) {
			labels[node.Name] = node.Labels
		}
	}
	found := map[string]map[string]string{}
	for _, name := range append(d.pods.ListIndexFuncValues(indexNode), slices.Collect(maps.Keys(onTheWay))...) {
		if present.Has(name) {
			continue
		}
		found[name] = labels[name]
		if found[name] == nil {
			found[name] = d.nodes[name]
		}
	}
	d.nodes = found
}

// remember keeps the labels of nodes whose list is let go.
func (d *departed) remember(nodes []fwk.NodeInfo) {
	d.known = make(map[string]map[string]string, len(nodes))
	for i := range nodes {
		if node := nodes[i].Node(); node != nil {
			d.known[node.Name] = node.Labels
		}
	}
}

// podsOn returns the pods that the informer knows on a node, and those that are on the way there.
func (d *departed) podsOn(name string, onTheWay []*corev1.Pod) []*corev1.Pod {
	objects, err := d.pods.ByIndex(indexNode, name)
	if err != nil {
		// The only possible error is an index that does not exist, and New adds it.
		panic(err)
	}
	pods := make([]*corev1.Pod, 0, len(objects))
	known := sets.New[types.UID]()
	for _, obj := range objects {
		pod := obj.(*corev1.Pod)
		known.Insert(pod.UID)
		pods = append(pods, pod)
	}
	for _, pod := range onTheWay {
		if !known.Has(pod.UID) {
			pods = append(pods, pod)
		}
	}
	return pods
}

// sameList tells whether two snapshots are one list of nodes. The scheduler makes a new list whenever a node comes or goes.
func sameList(a, b []fwk.NodeInfo) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
