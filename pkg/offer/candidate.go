package offer

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

// Candidate is what a pod asks of ECI in one region. Immutable.
type Candidate struct {
	// specs are the names of the specifications that ECI may use, in its order.
	specs []string
	// most is what must be kept free for the pod, whichever of them ECI uses.
	most ecispec.Spec
	// bill is kept for its price.
	bill ecispec.Bill
	// never says why ECI can never run the pod; empty when it can.
	never string
}

// NewCandidate returns what a pod asks of ECI in a region.
func NewCandidate(pod *corev1.Pod, region string) *Candidate {
	if why := ecispec.Unsupported(pod); why != "" {
		return &Candidate{never: why}
	}
	bill, err := ecispec.For(pod, region)
	if err != nil {
		return &Candidate{never: err.Error()}
	}
	c := &Candidate{bill: bill, most: bill.Most()}
	for _, spec := range bill.Specs {
		c.specs = append(c.specs, spec.String())
	}
	return c
}

// Holding is what a pod on a virtual node holds, and whether ECI has still to decide on it.
type Holding struct {
	Spec ecispec.Spec
	// Undecided are the names of the specifications that ECI may still refuse the pod for; nil once its instance exists.
	Undecided []string
}

// HoldingOf returns what a bound pod holds. A pod that ECI cannot run holds nothing but its place.
func HoldingOf(pod *corev1.Pod, region string) Holding {
	c := NewCandidate(pod, region)
	if IsCreated(pod) {
		return Holding{Spec: c.most}
	}
	return Holding{Spec: c.most, Undecided: c.specs}
}

// IsCreated tells whether ECI has created the instance of a bound pod, by what the virtual-kubelet has written on it.
func IsCreated(pod *corev1.Pod) bool {
	if pod.Status.Phase != corev1.PodPending && pod.Status.Phase != "" {
		return true
	}
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == v1alpha1.ConditionContainerInstanceCreated {
			return c.Status == corev1.ConditionTrue
		}
	}
	return pod.Annotations[v1alpha1.AnnotationInstanceID] != ""
}

// Amount is what the pod adds to what a node holds.
func (c *Candidate) Amount() Amount { return AmountOf(c.most) }

// AmountOf is what one pod of a specification adds to what a node holds.
func AmountOf(spec ecispec.Spec) Amount {
	return Amount{MilliCPU: spec.MilliCPU, Memory: spec.Memory, Pods: 1, GPUs: spec.GPUs}
}

// Plus returns the sum of two amounts. It stops at the largest number instead of overflowing.
func (a Amount) Plus(b Amount) Amount {
	return Amount{
		MilliCPU: plus(a.MilliCPU, b.MilliCPU), Memory: plus(a.Memory, b.Memory), Pods: plus(a.Pods, b.Pods), GPUs: plus(a.GPUs, b.GPUs),
	}
}

// Times returns the amount n times, n at least 0.
func (a Amount) Times(n int64) Amount {
	return Amount{MilliCPU: times(a.MilliCPU, n), Memory: times(a.Memory, n), Pods: times(a.Pods, n), GPUs: times(a.GPUs, n)}
}

func plus(a, b int64) int64 {
	if b > 0 && a > Unbounded-b {
		return Unbounded
	}
	return a + b
}

func times(a, n int64) int64 {
	if a > 0 && n > Unbounded/a {
		return Unbounded
	}
	return a * n
}

// Never says why ECI can never run the pod; empty when it can.
func (c *Candidate) Never() string { return c.never }
