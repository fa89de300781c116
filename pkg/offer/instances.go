package offer

import (
	"time"
)

// Instances counts what the pods on virtual nodes hold, in what ECI bills. Like ledger.Ledger it follows the scheduler's snapshot, bound and assumed pods, node by
// node as generations change. P identifies a pod in one version: a changed pod is another P.
type Instances[P comparable] struct {
	nodes map[string]*instanceNode[P]
}

// instanceNode is what the pods on one node hold.
type instanceNode[P comparable] struct {
	generation int64
	// pods are those that are counted, in the order of the snapshot; holdings what each holds.
	pods     []P
	holdings map[P]Holding

	amount Amount
	bills  map[string]Bills
	// undecided are the pods that ECI has said nothing of, by specification, and refused those that it refused.
	undecided map[string]*undecided
	refused   map[P]bool
}

// undecided are pods that ECI has said nothing of. They are counted by the time of their binding, because they count
// for a while only and nothing tells when that is over.
type undecided struct {
	pods int64
	// bound is how many pods were bound at each time, in Unix seconds; newest the latest of the times.
	bound  map[int64]int64
	newest time.Time
}

// NewInstances returns an empty count.
func NewInstances[P comparable]() *Instances[P] {
	return &Instances[P]{nodes: map[string]*instanceNode[P]{}}
}

// Sync counts the pods of a node if its generation is another one than before. The list must not change afterwards.
func (l *Instances[P]) Sync(node string, generation int64, pods []P, holding func(P) Holding) {
	n := l.nodes[node]
	if n == nil {
		n = &instanceNode[P]{
			generation: generation - 1, holdings: map[P]Holding{}, bills: map[string]Bills{}, undecided: map[string]*undecided{}, refused: map[P]bool{},
		}
		l.nodes[node] = n
	}
	if n.generation != generation {
		n.generation = generation
		n.follow(pods, holding)
	}
}

// Forget drops the nodes that are not kept.
func (l *Instances[P]) Forget(keep func(node string) bool) {
	for name := range l.nodes {
		if !keep(name) {
			delete(l.nodes, name)
		}
	}
}

// Len returns how many nodes are counted.
func (l *Instances[P]) Len() int { return len(l.nodes) }

// Held sets what the pods on the node hold; what the account holds is the caller's to add up. The maps must not be changed.
func (l *Instances[P]) Held(node string, held *Held) {
	n := l.nodes[node]
	if n == nil {
		return
	}
	held.Node, held.Bills = n.amount, n.bills
	if len(n.undecided) == 0 && len(n.refused) == 0 {
		return
	}
	held.Undecided = make(map[string]Undecided, len(n.undecided))
	for name, u := range n.undecided {
		held.Undecided[name] = Undecided{Pods: u.pods, Newest: u.newest}
	}
	for p := range n.refused {
		h := n.holdings[p]
		for _, name := range h.Trials() {
			if u := held.Undecided[name]; h.Refused.After(u.Refused) {
				u.Refused = h.Refused
				held.Undecided[name] = u
			}
		}
	}
}

// Holding returns what a pod on a node was counted as. It returns false for one that was not counted.
func (l *Instances[P]) Holding(node string, pod P) (Holding, bool) {
	n := l.nodes[node]
	if n == nil {
		return Holding{}, false
	}
	held, ok := n.holdings[pod]
	return held, ok
}

// Amount returns what the pods on the node hold.
func (l *Instances[P]) Amount(node string) Amount {
	if n := l.nodes[node]; n != nil {
		return n.amount
	}
	return Amount{}
}

// follow counts the pods that came or went. The scheduler adds at the end, and puts the last one in the place of one that goes, so that most stand where they
// stood.
func (n *instanceNode[P]) follow(pods []P, holding func(P) Holding) {
	moved := map[P]Holding{}
	for i, p := range n.pods {
		if i >= len(pods) || pods[i] != p {
			moved[p] = n.holdings[p]
			n.count(p, n.holdings[p], -1)
		}
	}
	for i, p := range pods {
		if i < len(n.pods) && n.pods[i] == p {
			continue
		}
		held, known := moved[p]
		if !known {
			held = holding(p)
		}
		n.count(p, held, 1)
	}
	n.pods = pods
}

// count adds a pod, or takes it away.
func (n *instanceNode[P]) count(p P, held Holding, sign int64) {
	each := held.Amount()
	n.amount = n.amount.Plus(Amount{MilliCPU: sign * each.MilliCPU, Memory: sign * each.Memory, Pods: sign * each.Pods, GPUs: sign * each.GPUs})
	if len(held.Stock) > 0 {
		name := held.Name()
		bills := n.bills[name]
		bills.Bill, bills.Pods = held.Bill, bills.Pods+sign
		if !held.Decided {
			bills.Uncreated += sign
		}
		if n.bills[name] = bills; bills.Pods == 0 {
			delete(n.bills, name)
		}
	}
	switch {
	case held.Decided:
	case !held.Refused.IsZero():
		if n.refused[p] = true; sign < 0 {
			delete(n.refused, p)
		}
	case len(held.Stock) > 0:
		for _, name := range held.Trials() {
			u := n.undecided[name]
			if u == nil {
				u = &undecided{bound: map[int64]int64{}}
				n.undecided[name] = u
			}
			if u.count(held.Bound, sign); u.pods == 0 {
				delete(n.undecided, name)
			}
		}
	}
	if n.holdings[p] = held; sign < 0 {
		delete(n.holdings, p)
	}
}

// count adds a pod that was bound at a time, or takes it away. A binding that is on its way has no time yet, and is the
// newest of all.
func (u *undecided) count(bound time.Time, sign int64) {
	at := bound.Unix()
	u.pods += sign
	u.bound[at] += sign
	switch {
	case sign > 0:
		if u.pods == 1 || bound.IsZero() || !u.newest.IsZero() && bound.After(u.newest) {
			u.newest = bound
		}
	case u.bound[at] == 0:
		delete(u.bound, at)
		if at == u.newest.Unix() {
			u.newest = u.latest()
		}
	}
}

func (u *undecided) latest() time.Time {
	var latest int64
	for at := range u.bound {
		if at == (time.Time{}).Unix() {
			return time.Time{}
		}
		latest = max(latest, at)
	}
	return time.Unix(latest, 0)
}
