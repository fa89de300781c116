package ledger

import (
	"slices"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

// Instances counts what the pods on virtual nodes hold, in what ECI bills. Like Ledger it follows the scheduler's snapshot, bound and assumed pods, node by
// node as generations change. P identifies a pod in one version: a changed pod is another P.
type Instances[P comparable] struct {
	nodes map[string]*instanceNode[P]
}

// instanceNode is what the pods on one node hold.
type instanceNode[P comparable] struct {
	generation int64
	// pods are those that are counted, in the order of the snapshot; holdings what each holds.
	pods     []P
	holdings map[P]offer.Holding

	amount    offer.Amount
	specs     map[ecispec.Spec]int64
	undecided map[string]int64
}

// NewInstances returns an empty count.
func NewInstances[P comparable]() *Instances[P] {
	return &Instances[P]{nodes: map[string]*instanceNode[P]{}}
}

// Sync counts the pods of a node if its generation is another one than before. The list must not change afterwards.
func (l *Instances[P]) Sync(node string, generation int64, pods []P, holding func(P) offer.Holding) {
	n := l.nodes[node]
	if n == nil {
		n = &instanceNode[P]{generation: generation - 1}
		l.nodes[node] = n
	}
	if n.generation == generation {
		return
	}
	n.generation = generation
	// Most often a pod was added at the end.
	if known := len(n.pods); known <= len(pods) && slices.Equal(n.pods, pods[:known]) {
		n.add(pods[known:], holding)
	} else {
		before := n.holdings
		n.clear()
		n.add(pods, func(p P) offer.Holding {
			if held, ok := before[p]; ok {
				return held
			}
			return holding(p)
		})
	}
	n.pods = pods
}

// Forget drops the nodes that are not kept.
func (l *Instances[P]) Forget(keep func(node string) bool) {
	for name := range l.nodes {
		if !keep(name) {
			delete(l.nodes, name)
		}
	}
}

// Held sets what the pods on the node hold; what the account holds is the caller's to add up. The maps must not be changed.
func (l *Instances[P]) Held(node string, held *offer.Held) {
	if n := l.nodes[node]; n != nil {
		held.Node, held.Specs, held.Undecided = n.amount, n.specs, n.undecided
	}
}

func (n *instanceNode[P]) clear() {
	n.pods, n.amount = nil, offer.Amount{}
	n.holdings, n.specs, n.undecided = nil, nil, nil
}

func (n *instanceNode[P]) add(pods []P, holding func(P) offer.Holding) {
	if n.holdings == nil {
		n.holdings, n.specs, n.undecided = map[P]offer.Holding{}, map[ecispec.Spec]int64{}, map[string]int64{}
	}
	for _, p := range pods {
		held := holding(p)
		n.holdings[p] = held
		n.amount = n.amount.Plus(offer.AmountOf(held.Spec))
		n.specs[held.Spec]++
		for _, spec := range held.Undecided {
			n.undecided[spec]++
		}
		if held.Undecided != nil {
			n.undecided[offer.AnySpec]++
		}
	}
}

// Len returns how many nodes are counted.
func (l *Instances[P]) Len() int { return len(l.nodes) }
