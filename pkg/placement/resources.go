package placement

import (
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/quantity"
)

// NoCap is the cap of a unit that has none.
const NoCap int64 = -1

// Usage is what the pods of one group have in one unit.
type Usage struct {
	// Pods is their number.
	Pods int64
	// Requests is the sum of their requests, in the order and units of Policy.Vector. Empty: no pods, or nothing is tracked.
	Requests []int64
}

// Plus adds two amounts. It stops at the largest number instead of overflowing, so that an absurd request fills a cap and never empties it.
func Plus(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Add returns the usage with one more pod of these requests.
func (u Usage) Add(requests []int64) Usage {
	if len(u.Requests)+len(requests) == 0 {
		return Usage{Pods: u.Pods + 1}
	}
	return u.Merge(Usage{Pods: 1, Requests: requests})
}

// Merge returns the sum of two usages.
func (u Usage) Merge(other Usage) Usage {
	sum := Usage{Pods: u.Pods + other.Pods, Requests: make([]int64, max(len(u.Requests), len(other.Requests)))}
	for i := range sum.Requests {
		if i < len(u.Requests) {
			sum.Requests[i] = u.Requests[i]
		}
		if i < len(other.Requests) {
			sum.Requests[i] = Plus(sum.Requests[i], other.Requests[i])
		}
	}
	return sum
}

// Minus returns the usage without other. No part of the result is below zero: what other has beyond u was not counted in it.
func (u Usage) Minus(other Usage) Usage {
	rest := Usage{Pods: max(u.Pods-other.Pods, 0), Requests: slices.Clone(u.Requests)}
	for i := range rest.Requests {
		if i < len(other.Requests) {
			rest.Requests[i] = max(rest.Requests[i]-other.Requests[i], 0)
		}
	}
	return rest
}

// Vector returns the tracked requests of a pod: milli-units of cpu, whole units of everything else, in the order of the policy's tracked resources.
// A resource that the pod does not request is 0. It returns nil when the policy tracks nothing.
func (p *Policy) Vector(requests corev1.ResourceList) []int64 {
	if len(p.tracked) == 0 {
		return nil
	}
	vector := make([]int64, len(p.tracked))
	for i, name := range p.tracked {
		if requested, ok := requests[name]; ok {
			vector[i] = quantity.Amount(name, requested)
		}
	}
	return vector
}

// TracksResources tells whether the sums of requests matter to the policy, so that computing them can be saved when they do not.
func (p *Policy) TracksResources() bool { return len(p.tracked) > 0 }
