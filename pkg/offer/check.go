package offer

import (
	"fmt"
	"time"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

// Held is what the pods on virtual nodes hold at the moment of a decision.
type Held struct {
	// Node is what those on the node hold.
	Node Amount
	// Specs are how many there are of each specification.
	Specs map[ecispec.Spec]int64
	// Account is what those on all nodes of the account hold, in thousandths of a vCPU.
	Account int64
	// Quota is what they may hold together; see Node.Quota.
	Quota int64
	// Undecided are how many pods on the node ECI has still to decide on, by the name of each specification; AnySpec is their number.
	Undecided map[string]int64
}

// Verdict is the answer of a node to a pod.
type Verdict struct {
	// Why says in one sentence why the node does not take the pod, without moving numbers; empty when it does.
	Why string
	// Full is true when the node takes the pod once others have gone.
	Full bool
}

// Check tells whether the node takes the pod now.
func (n *Node) Check(c *Candidate, held *Held, now time.Time) Verdict {
	switch {
	case c.never != "":
		return Verdict{Why: c.never}
	case n.freshUntil.IsZero():
		return Verdict{Why: n.Zone + ": what ECI would accept is not known yet"}
	case !now.Before(n.freshUntil):
		return Verdict{Why: n.Zone + ": what ECI would accept has not been known for a while"}
	}
	if why := n.soldOut(c, held, now); why != "" {
		return Verdict{Why: why}
	}
	return n.fit(c, held)
}

// soldOut tells why ECI has none of the pod's specifications; empty when it may have one. When the time of a stock-out is over one pod may try again,
// until ECI has decided on it.
func (n *Node) soldOut(c *Candidate, held *Held, now time.Time) string {
	if len(n.stockOuts) == 0 {
		return ""
	}
	closed := func(spec string) (stockOut, bool) {
		s, known := n.stockOuts[spec]
		return s, known && (now.Before(s.until) || held.Undecided[spec] > 0)
	}
	if all, isClosed := closed(AnySpec); isClosed {
		return fmt.Sprintf("%s: ECI refuses every pod (%s)", n.Zone, all.reason)
	}
	for _, spec := range c.specs {
		if _, isClosed := closed(spec); !isClosed {
			return ""
		}
	}
	first, _ := closed(c.specs[0])
	return fmt.Sprintf("%s: out of stock for %s (%s)", n.Zone, c.specs[0], first.reason)
}

// fit tells whether the pod fits beside what the others hold.
func (n *Node) fit(c *Candidate, held *Held) Verdict {
	after, most := held.Node.Plus(c.Amount()), &n.capacity
	full := func(bound string) Verdict {
		return Verdict{Why: fmt.Sprintf("%s: %s leaves no room for %s", n.Zone, bound, c.specs[0]), Full: true}
	}
	if held.Quota != Unbounded && plus(held.Account, c.most.MilliCPU) > held.Quota {
		return full("the vCPU quota of " + n.Region)
	}
	// Before the vCPUs of the node, which a limit on money bounds, too, but less exactly.
	if verdict := n.afford(c, held); verdict.Why != "" {
		return verdict
	}
	switch {
	case after.MilliCPU > most.MilliCPU:
		return full(n.bounds.cpu)
	case after.Memory > most.Memory:
		return full(n.bounds.memory)
	case after.Pods > most.Pods:
		return full(n.bounds.pods)
	case c.most.GPUs > 0 && after.GPUs > most.GPUs:
		return full(n.bounds.gpus)
	}
	return Verdict{}
}

// afford tells whether the pod can be paid for beside the others.
func (n *Node) afford(c *Candidate, held *Held) Verdict {
	if n.maxSpend == 0 {
		return Verdict{}
	}
	unknown := Verdict{Why: fmt.Sprintf("%s: the price of %s is not known, and spec.maxSpendPerHour is set", n.Zone, c.specs[0])}
	total, known := n.rates.Dearest(c.bill)
	if !n.rated || !known {
		return unknown
	}
	for spec, pods := range held.Specs {
		each, known := n.rates.PerHour(spec)
		if !known {
			unknown.Why = fmt.Sprintf("%s: the price of %s, which runs there, is not known, and spec.maxSpendPerHour is set", n.Zone, spec)
			return unknown
		}
		total = ecispec.Pico(plus(int64(total), times(int64(each), pods)))
	}
	if total > n.maxSpend {
		return Verdict{Why: fmt.Sprintf("%s: spec.maxSpendPerHour leaves no room for %s", n.Zone, c.specs[0]), Full: true}
	}
	return Verdict{}
}

// Rank says how good the node is for a pod that it takes: nodes whose stock is not low come first, then those with the lower price. Smaller is better.
type Rank struct {
	LowStock bool
	// Price is what the pod costs in an hour; 0 when it is not known.
	Price ecispec.Pico
}

// Rank ranks the node for the pod.
func (n *Node) Rank(c *Candidate) Rank {
	var r Rank
	if len(c.specs) > 0 {
		r.LowStock = n.lowStock[c.specs[0]] || n.lowStock[AnySpec]
	}
	if n.rated && len(c.bill.Specs) > 0 {
		r.Price, _ = n.rates.Dearest(c.bill)
	}
	return r
}
