package virtualnode

import (
	"maps"

	"github.com/spillway-k8s/spillway/pkg/offer"
)

// change is what a simulation has done to a node: a pod that it added, or with a sign of -1 took away.
type change struct {
	held offer.Holding
	sign int64
}

// changes are those of all virtual nodes, by name.
type changes map[string][]change

// with returns the changes with one more on a node. The others are shared.
func (c changes) with(node string, one change) changes {
	next := maps.Clone(c)
	if next == nil {
		next = changes{}
	}
	before := next[node]
	next[node] = append(before[:len(before):len(before)], one)
	return next
}

// apply changes what is held on a node and in its account.
func (c changes) apply(current *catalog, node *offer.Node, held *offer.Held) {
	for name, all := range c {
		other := current.nodes[name]
		if other == nil || other.Account != node.Account {
			continue
		}
		if name == node.Name {
			held.Bills = maps.Clone(held.Bills)
		}
		for i := range all {
			each := all[i].held.Amount()
			held.Account += all[i].sign * each.MilliCPU
			if name == node.Name {
				all[i].applyTo(held, each)
			}
		}
	}
}

// applyTo changes what is held on the node of the change.
func (c *change) applyTo(held *offer.Held, each offer.Amount) {
	held.Node = held.Node.Plus(offer.Amount{MilliCPU: c.sign * each.MilliCPU, Memory: c.sign * each.Memory, Pods: c.sign, GPUs: c.sign * each.GPUs})
	if held.Bills == nil {
		held.Bills = map[string]offer.Bills{}
	}
	if name := c.held.Name(); name != "" {
		bills := held.Bills[name]
		bills.Bill, bills.Pods = c.held.Bill, bills.Pods+c.sign
		if !c.held.Decided {
			bills.Uncreated += c.sign
		}
		held.Bills[name] = bills
	}
}
