package offer

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

// unheardFor is for how long a refusal is expected to be accounted for at most.
const unheardFor = time.Minute

// maxForbidden is how many capabilities a refusal names.
const maxForbidden = 3

// UndecidedFor is for how long after its binding a pod is taken to be the one that tries whether a stock-out is over.
// ECI decides within seconds, and within a minute or two when it is busy. A pod of which nothing is heard for longer has
// most likely never reached ECI, for example because a ConfigMap of it is missing, and must not keep others from trying.
const UndecidedFor = 3 * time.Minute

// Held is what the pods on virtual nodes hold at the moment of a decision.
type Held struct {
	// Node is what those on the node hold.
	Node Amount
	// Bills are how many of them have each bill, by its name.
	Bills map[string]Bills
	// Account is what those on all nodes of the account hold, in thousandths of a vCPU.
	Account int64
	// Quota is what they may hold together; see Node.Quota.
	Quota int64
	// Undecided are the pods on the node on which ECI has still to decide, by the name of each of their specifications, and AnySpec for all.
	Undecided map[string]Undecided
}

// Bills are pods with the same bill.
type Bills struct {
	Bill ecispec.Bill
	Pods int64
	// Uncreated is how many of them have no instance.
	Uncreated int64
}

// Undecided are pods without an instance.
type Undecided struct {
	// Pods are those of which ECI has said nothing yet.
	Pods int64
	// Newest is when the newest of them was bound; zero when a binding is on its way.
	Newest time.Time
	// Refused is when ECI refused one last, of those that are still there.
	Refused time.Time
}

// Verdict is the answer of a node to a pod.
type Verdict struct {
	// Why says in one sentence why the node does not take the pod, without moving numbers; empty when it does.
	Why string
	// Full is true when the node takes the pod once others have gone, and SoldOut when it does once ECI has stock again.
	Full, SoldOut bool
	// Deleted is true when the VirtualNode is being deleted, and Forbidden when only an edit of it would help.
	Deleted, Forbidden bool
}

// Check tells whether the node takes the pod now.
func (n *Node) Check(c *Candidate, held *Held, now time.Time) Verdict {
	switch {
	case c.never != "":
		return Verdict{Why: c.never}
	case n.deleted:
		return Verdict{Why: n.Zone + ": its VirtualNode is being deleted", Deleted: true}
	}
	// Like limits, capabilities count as soon as they are edited.
	if why := n.Forbids(c); why != "" {
		return Verdict{Why: why, Forbidden: true}
	}
	switch {
	case n.unobserved, n.freshUntil.IsZero():
		return Verdict{Why: n.Zone + ": what ECI would accept is not known yet"}
	case !now.Before(n.freshUntil):
		return Verdict{Why: n.Zone + ": what ECI would accept has not been known for a while"}
	}
	if why := n.soldOut(c, held, now); why != "" {
		return Verdict{Why: why, SoldOut: true}
	}
	return n.fit(c, held, now)
}

// Forbids returns which capabilities of the pod the VirtualNode does not allow, and what to do; empty when it allows
// all.
func (n *Node) Forbids(c *Candidate) string {
	var names []string
	for _, added := range c.capabilities {
		if !n.capabilities.Has(added.Name) {
			names = append(names, added.Name+" of container "+added.Container)
		}
	}
	if len(names) == 0 {
		return ""
	}
	if more := len(names) - maxForbidden; more > 0 {
		names = append(names[:maxForbidden], fmt.Sprintf("%d more", more))
	}
	return fmt.Sprintf("%s: VirtualNode %s does not allow to add %s: if ECI grants your account that, add it to spec.allowedCapabilities",
		n.Zone, n.virtualNode, strings.Join(names, ", "))
}

// soldOut tells why ECI has none of the pod's specifications; empty when it may have one. When the time of a stock-out is over one pod may try again,
// until ECI has decided on it.
func (n *Node) soldOut(c *Candidate, held *Held, now time.Time) string {
	if len(n.stockOuts) == 0 {
		return ""
	}
	if n.isClosed(AnySpec, held, now) {
		return fmt.Sprintf("%s: ECI refuses every pod (%s)", n.Zone, n.stockOuts[AnySpec].reason)
	}
	first := ""
	for _, name := range c.specs {
		// What nobody can have a restricted pod cannot have either.
		plain, restriction := ecispec.Unrestricted(name)
		switch {
		case restriction != "" && n.isClosed(AnySpec+restriction, held, now):
			return fmt.Sprintf("%s: ECI refuses every pod that is restricted so (%s)", n.Zone, n.stockOuts[AnySpec+restriction].reason)
		case n.isClosed(plain, held, now):
			first = cmp.Or(first, fmt.Sprintf("%s: out of stock for %s (%s)", n.Zone, plain, n.stockOuts[plain].reason))
		case n.isClosed(name, held, now):
			first = cmp.Or(first, fmt.Sprintf("%s: out of stock for %s (%s)", n.Zone, name, n.stockOuts[name].reason))
		default:
			return ""
		}
	}
	return first
}

// isClosed tells whether a stock-out keeps the pods of a specification out.
func (n *Node) isClosed(name string, held *Held, now time.Time) bool {
	s, known := n.stockOuts[name]
	if !known {
		return false
	}
	waiting := held.Undecided[name]
	// A pod that was refused just now will move until: the status is a moment behind.
	unheard := waiting.Refused.After(s.lastFailure) && now.Sub(waiting.Refused) < unheardFor
	return now.Before(s.until) || waiting.tries(now) || unheard
}

// tries reports whether one of the pods may still tell whether ECI has stock again.
func (u *Undecided) tries(now time.Time) bool {
	return u.Pods > 0 && (u.Newest.IsZero() || now.Sub(u.Newest) < UndecidedFor)
}

// fit tells whether the pod fits beside what the others hold.
func (n *Node) fit(c *Candidate, held *Held, now time.Time) Verdict {
	after, most := held.Node.Plus(c.Amount()), &n.capacity
	full := func(bound string) Verdict {
		return Verdict{Why: fmt.Sprintf("%s: %s leaves no room for %s", n.Zone, bound, c.specs[0]), Full: true}
	}
	if held.Quota != Unbounded && plus(held.Account, c.most.MilliCPU) > held.Quota {
		return full("the vCPU quota of " + n.Region)
	}
	// Before the vCPUs of the node, which a limit on money bounds, too, but less exactly.
	if verdict := n.afford(c, held, now); verdict.Why != "" {
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

// afford tells whether the pod can be paid for beside the others, by prices that are not too old.
func (n *Node) afford(c *Candidate, held *Held, now time.Time) Verdict {
	if n.maxSpend == 0 {
		return Verdict{}
	}
	unknown := Verdict{Why: fmt.Sprintf("%s: the price of %s is not known, and spec.maxSpendPerHour is set", n.Zone, c.specs[0])}
	total, known := n.rates.Dearest(c.bill)
	if !n.rated || !known {
		return unknown
	}
	if !n.isPriced(now) {
		unknown.Why = fmt.Sprintf("%s: the price of %s has not been read for a while, and spec.maxSpendPerHour is set",
			n.Zone, c.specs[0])
		return unknown
	}
	for name, bills := range held.Bills {
		each, known := n.rates.Guess(bills.Bill)
		if !known && bills.Uncreated < bills.Pods {
			unknown.Why = fmt.Sprintf("%s: the price of %s, which runs there, is not known, and spec.maxSpendPerHour is set", n.Zone, name)
			return unknown
		}
		total = ecispec.Pico(plus(int64(total), times(int64(each), bills.Pods)))
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

// PriceOf returns what a bill costs in an hour at most; 0 when that is not known.
func (n *Node) PriceOf(bill ecispec.Bill) ecispec.Pico {
	if !n.rated {
		return 0
	}
	price, _ := n.rates.Dearest(bill)
	return price
}

// Rank ranks the node for the pod.
func (n *Node) Rank(c *Candidate) Rank {
	var r Rank
	if len(c.specs) > 0 {
		plain, _ := ecispec.Unrestricted(c.specs[0])
		r.LowStock = n.lowStock[plain]
	}
	r.Price = n.PriceOf(c.bill)
	return r
}
