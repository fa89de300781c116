package placement

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

// Policies are the policies of a cluster at one moment. Immutable: an edit makes a new value (R11).
type Policies struct {
	// Epoch grows with every edit. Counts made under another epoch are void.
	Epoch int64

	byNamespace map[string]*namespacePolicies
}

// namespacePolicies are the policies of a namespace, found by the labels of a pod without a look at each.
type namespacePolicies struct {
	// ranked are all of them, in the order of R1.
	ranked []*Policy
	// byLabel are the places in ranked of the policies with a selector, in order, by the label of it that the fewest policies ask for.
	byLabel map[label][]int
	// selectsAll is the place of the first policy without a selector, or behind the last.
	selectsAll int
}

// NewPolicies returns a value without policies.
func NewPolicies() *Policies { return &Policies{} }

// Len returns how many policies there are.
func (p *Policies) Len() int {
	total := 0
	for _, n := range p.byNamespace {
		total += len(n.ranked)
	}
	return total
}

// All returns every policy.
func (p *Policies) All() iter.Seq[*Policy] {
	return func(yield func(*Policy) bool) {
		for _, n := range p.byNamespace {
			for _, policy := range n.ranked {
				if !yield(policy) {
					return
				}
			}
		}
	}
}

// WithNamespace returns a copy in which the namespace has exactly these policies.
func (p *Policies) WithNamespace(namespace string, policies []*Policy) *Policies {
	next := &Policies{Epoch: p.Epoch + 1, byNamespace: maps.Clone(p.byNamespace)}
	if next.byNamespace == nil {
		next.byNamespace = map[string]*namespacePolicies{}
	}
	delete(next.byNamespace, namespace)
	if len(policies) > 0 {
		next.byNamespace[namespace] = newNamespacePolicies(policies)
	}
	return next
}

func newNamespacePolicies(policies []*Policy) *namespacePolicies {
	n := &namespacePolicies{ranked: slices.SortedFunc(slices.Values(policies), Precedence), byLabel: map[label][]int{}, selectsAll: len(policies)}
	asked := map[label]int{}
	for _, policy := range n.ranked {
		for _, l := range policy.selector {
			asked[l]++
		}
	}
	for place, policy := range n.ranked {
		if len(policy.selector) == 0 {
			n.selectsAll = min(n.selectsAll, place)
			continue
		}
		rarest := slices.MinFunc(policy.selector, func(a, b label) int { return cmp.Compare(asked[a], asked[b]) })
		n.byLabel[rarest] = append(n.byLabel[rarest], place)
	}
	return n
}

// Governing returns the policy that governs a pod (R1), or nil.
func (p *Policies) Governing(namespace string, podLabels map[string]string) *Policy {
	n := p.byNamespace[namespace]
	if n == nil {
		return nil
	}
	first := n.selectsAll
	for key, value := range podLabels {
		for _, place := range n.byLabel[label{key, value}] {
			if place >= first {
				break
			}
			if containsAll(podLabels, n.ranked[place].selector) {
				first = place
				break
			}
		}
	}
	if first == len(n.ranked) {
		return nil
	}
	return n.ranked[first]
}

// Precedence orders the policies of a namespace by R1: most selector keys first, then oldest, then name.
func Precedence(a, b *Policy) int {
	return cmp.Or(
		cmp.Compare(len(b.selector), len(a.selector)),
		a.created.Compare(b.created),
		cmp.Compare(a.Name, b.Name),
	)
}

// ShadowedBy returns the first policy that is certain to take pods from p (R1): it goes first and its selector has all of p's labels. same tells
// that the selectors are equal, so that p governs no pod at all. It returns nil when there is none.
func (p *Policy) ShadowedBy(others []*Policy) (winner *Policy, same bool) {
	for _, other := range others {
		if other.UID == p.UID || Precedence(other, p) > 0 || !hasAll(other.selector, p.selector) {
			continue
		}
		isSame := len(other.selector) == len(p.selector)
		if winner == nil || isSame && !same || isSame == same && Precedence(other, winner) < 0 {
			winner, same = other, isSame
		}
	}
	return winner, same
}

func hasAll(set, wanted []label) bool {
	for _, l := range wanted {
		if !slices.Contains(set, l) {
			return false
		}
	}
	return true
}

// Group returns the group of a governed pod: one string for the values of its matchLabelKeys. It fails when the pod lacks one of the keys (R1).
func (p *Policy) Group(podLabels map[string]string) (string, error) {
	if len(p.groupKeys) == 0 {
		return "", nil
	}
	var group strings.Builder
	for _, key := range p.groupKeys {
		value, ok := podLabels[key]
		if !ok {
			return "", fmt.Errorf("the pod lacks the label %s, which matchLabelKeys of ResourcePolicy %s requires", key, p.Name)
		}
		// A label value cannot contain a slash, so that {a, bc} and {ab, c} are different groups.
		group.WriteString(value)
		group.WriteByte('/')
	}
	return group.String(), nil
}

// Loses tells whether a selector matches a pod now, and no longer once labels are written over its own.
func Loses(selector labels.Selector, podLabels, written map[string]string) bool {
	return selector.Matches(labels.Set(podLabels)) && !selector.Matches(labels.Set(merged(podLabels, written)))
}

// merged returns the labels of a pod with others written over them.
func merged(podLabels, written map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, podLabels)
	maps.Copy(out, written)
	return out
}

// Takes returns the policy that would govern a pod of p once labels are written on it, if that is another one (R1); otherwise nil.
func (p *Policies) Takes(from *Policy, podLabels, written map[string]string) *Policy {
	if len(written) == 0 {
		return nil
	}
	if governing := p.Governing(from.Namespace, merged(podLabels, written)); governing != nil && governing.UID != from.UID {
		return governing
	}
	return nil
}
