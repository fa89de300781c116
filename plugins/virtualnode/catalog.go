package virtualnode

import (
	"time"

	fwk "k8s.io/kube-scheduler/framework"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

const catalogKey fwk.StateKey = "Catalog" + Name

// catalog is what the VirtualNodes say. Immutable.
type catalog struct {
	// complete is true when the informer had read all VirtualNodes.
	complete bool
	// nodes are the offers by the name of the Node.
	nodes map[string]*offer.Node
	// quotas are what the pods on all nodes of each account may hold, in thousandths of a vCPU, as it was read last.
	quotas map[string]int64
}

// newCatalog returns what these VirtualNodes say.
func newCatalog(objects []any) *catalog {
	c := &catalog{nodes: map[string]*offer.Node{}, quotas: map[string]int64{}}
	all := make([]*eciv1alpha1.VirtualNode, 0, len(objects))
	for _, obj := range objects {
		all = append(all, obj.(*eciv1alpha1.VirtualNode))
	}
	read := map[string]time.Time{}
	for name, vn := range offer.Describing(all) {
		node := offer.New(vn)
		c.nodes[name] = node
		quota, at, known := node.Quota()
		newest, any := read[node.Account]
		if known && (!any || at.After(newest) || at.Equal(newest) && quota < c.quotas[node.Account]) {
			c.quotas[node.Account], read[node.Account] = quota, at
		}
	}
	return c
}

// Clone returns the catalog itself: it never changes.
func (c *catalog) Clone() fwk.StateData { return c }
