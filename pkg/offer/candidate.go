package offer

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

// Candidate is what a pod asks of ECI in one region. Immutable.
type Candidate struct {
	bill ecispec.Bill
	// most is what must be kept free for the pod, whichever specification ECI uses.
	most ecispec.Spec
	// specs are the names of the specifications as stock-outs name them, in the order in which ECI tries them.
	specs []string
	// capabilities are those that its containers add, and that a virtual node must allow.
	capabilities []ecispec.AddedCapability
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
	return &Candidate{
		bill: bill, most: bill.Most(), specs: StockNames(pod, bill), capabilities: ecispec.AddedCapabilities(pod),
	}
}

// Never says why ECI can never run the pod; empty when it can.
func (c *Candidate) Never() string { return c.never }

// StockNames returns how stock-outs name the specifications of a pod. A restricted pod has names of its own: that ECI has none for it says nothing about
// others.
func StockNames(pod *corev1.Pod, bill ecispec.Bill) []string {
	restriction := ecispec.Restriction(pod)
	all := make([]string, 0, len(bill.Specs))
	for _, spec := range bill.Specs {
		all = append(all, spec.String()+restriction)
	}
	return all
}

// Holding is what a pod on a virtual node holds, and whether ECI has still to decide on it.
type Holding struct {
	Bill ecispec.Bill
	// Stock are the names of its specifications in stock-outs.
	Stock []string
	// Decided is true once its instance exists.
	Decided bool
	// Refused is when ECI refused it; zero when it has not.
	Refused time.Time
	// Bound is when it was bound; zero while its binding is on its way.
	Bound time.Time
}

// HoldingOf returns what a bound pod holds, as far as the pod tells. Whether ECI can run it does not matter: somebody has bound it, and it may run after all.
func HoldingOf(pod *corev1.Pod, region string) Holding {
	bill, certain := ecispec.Bound(pod, region)
	if spec, ok := Taken(pod, bill, region); ok && (certain || bill.IsLess(spec)) {
		bill = ecispec.Bill{Specs: []ecispec.Spec{spec}}
	}
	return NewHolding(pod, bill)
}

// Taken returns the specification that ECI has taken for a bound pod, of those that it was billed as at its binding. What is less than the bill may be believed
// only if it is certain that the pod was billed so. It is known once ECI has created the
// instance, which the pod's status says: users cannot write that.
func Taken(pod *corev1.Pod, atBinding ecispec.Bill, region string) (ecispec.Spec, bool) {
	if !IsCreated(pod) {
		return ecispec.Spec{}, false
	}
	return atBinding.Taken(pod, region)
}

// NewHolding returns what a bound pod with a bill holds.
func NewHolding(pod *corev1.Pod, bill ecispec.Bill) Holding {
	held := Holding{Bill: bill, Stock: StockNames(pod, bill), Decided: IsCreated(pod)}
	if c := CreationOf(pod); !held.Decided && c != nil && c.Status == corev1.ConditionFalse {
		held.Refused = c.LastTransitionTime.Time
	}
	held.Bound = boundAt(pod)
	return held
}

// boundAt returns when a pod was bound, by the condition that the API server sets with the Binding; zero when it has
// not.
func boundAt(pod *corev1.Pod) time.Time {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

// Trials are the names of the stock-outs that the pod tries while ECI has still to decide on it.
func (h *Holding) Trials() []string {
	any := AnySpec
	if len(h.Stock) > 0 {
		_, restriction := ecispec.Unrestricted(h.Stock[0])
		any += restriction
	}
	return append([]string{any}, h.Stock...)
}

// Amount is what the pod adds to what its node holds.
func (h *Holding) Amount() Amount { return AmountOf(h.Bill.Most()) }

// Name names the bill: pods whose bills have one name cost the same.
func (h *Holding) Name() string { return strings.Join(h.Stock, ",") }

// CreationOf returns the condition by which ECI tells of a pod's instance, or nil.
func CreationOf(pod *corev1.Pod) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == v1alpha1.ConditionContainerInstanceCreated {
			return c
		}
	}
	return nil
}

// IsCreated tells whether ECI has created the instance of a bound pod, by what the virtual-kubelet has written in its status. Annotations do not count:
// whoever creates a pod can write them.
func IsCreated(pod *corev1.Pod) bool {
	if pod.Status.Phase != corev1.PodPending && pod.Status.Phase != "" {
		return true
	}
	c := CreationOf(pod)
	return c != nil && c.Status == corev1.ConditionTrue
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
