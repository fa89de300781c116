package placement

import corev1 "k8s.io/api/core/v1"

// In returns the policies of a namespace in the order of R1. The slice is shared and must not be changed.
func (p *Policies) In(namespace string) []*Policy {
	if n := p.byNamespace[namespace]; n != nil {
		return n.ranked
	}
	return nil
}

// Tracked returns the resources with a cap in at least one unit, in the order of Vector. The slice is shared and must not be changed.
func (p *Policy) Tracked() []corev1.ResourceName { return p.tracked }

// Grouped tells whether matchLabelKeys splits the pods, so that the caps apply to each group and not to the policy.
func (p *Policy) Grouped() bool { return len(p.groupKeys) > 0 }

// MaxRequests returns the caps on the sums of requests, in the order and units of Vector, each an amount or NoCap. The slice is shared and must not be
// changed.
func (u *Unit) MaxRequests() []int64 { return u.maxRequests }
