package placement

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Edit is what changed among the policies of one namespace, as far as it changes for what pods count (R3, R4). Caps and waiting rules do not.
type Edit struct {
	Namespace string
	// Recount are the policies whose pods may count differently now: they were deleted, or count in other ways.
	Recount []types.UID

	// claims are the selectors of policies that may govern pods now that they did not govern before.
	claims [][]label
}

// Claims reports whether a policy may govern pods now that it did not govern before.
func (e *Edit) Claims() bool { return len(e.claims) > 0 }

// MayGovern reports whether a pod with these labels may be governed now by a policy that did not govern it before.
func (e *Edit) MayGovern(podLabels map[string]string) bool {
	return slices.ContainsFunc(e.claims, func(selector []label) bool { return containsAll(podLabels, selector) })
}

// EditsSince returns what changed since an earlier value, by namespace. It costs a comparison for each namespace, and for each policy of those that changed.
func (p *Policies) EditsSince(before *Policies) []Edit {
	if p == before {
		return nil
	}
	var edits []Edit
	for namespace, was := range before.byNamespace {
		if is := p.byNamespace[namespace]; is != was {
			edits = appendEdit(edits, namespace, was, is)
		}
	}
	for namespace, is := range p.byNamespace {
		if before.byNamespace[namespace] == nil {
			edits = appendEdit(edits, namespace, nil, is)
		}
	}
	return edits
}

func appendEdit(edits []Edit, namespace string, was, is *namespacePolicies) []Edit {
	edit := Edit{Namespace: namespace}
	old := was.byUID()
	if is != nil {
		for _, policy := range is.ranked {
			before := old[policy.UID]
			delete(old, policy.UID)
			switch {
			case before == nil:
				edit.claims = append(edit.claims, policy.selector)
			case before == policy || policy.countsAs(before):
			default:
				edit.Recount = append(edit.Recount, policy.UID)
				if !slices.Equal(before.selector, policy.selector) {
					edit.claims = append(edit.claims, policy.selector)
				}
			}
		}
	}
	for gone := range old {
		edit.Recount = append(edit.Recount, gone)
	}
	if len(edit.Recount)+len(edit.claims) == 0 {
		return edits
	}
	return append(edits, edit)
}

func (n *namespacePolicies) byUID() map[types.UID]*Policy {
	policies := map[types.UID]*Policy{}
	if n != nil {
		for _, policy := range n.ranked {
			policies[policy.UID] = policy
		}
	}
	return policies
}

// countsAs reports whether every pod counts for the policy as it does for another version of it.
func (p *Policy) countsAs(other *Policy) bool {
	return slices.Equal(p.selector, other.selector) && slices.Equal(p.groupKeys, other.groupKeys) && slices.Equal(p.tracked, other.tracked) &&
		p.Name == other.Name && p.created.Equal(other.created) &&
		p.ignorePrevious == other.ignorePrevious && p.ignoreTerminating == other.ignoreTerminating &&
		slices.EqualFunc(p.Units, other.Units, func(a, b Unit) bool { return a.countsAs(&b) })
}

// countsAs reports whether the same pods count for the unit as for another version of it, by the same place in the order.
func (u *Unit) countsAs(other *Unit) bool {
	return u.ID == other.ID && u.Nodes.Key == other.Nodes.Key &&
		slices.Equal(u.podLabels, other.podLabels) && slices.Equal(u.podAnnotations, other.podAnnotations)
}
