// Package offer decides whether a virtual node takes a pod: by what ECI would accept there now, in what ECI bills. It is pure.
//
//   - node.go: from the status of a VirtualNode to what its node offers.
//   - candidate.go: what a pod asks of ECI.
//   - check.go: the decision, and the sentence for a refusal (R12).
package offer

import (
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

const (
	// AnySpec names a stock-out of every specification.
	AnySpec = "*"
	// Unbounded is an amount that nothing bounds.
	Unbounded int64 = math.MaxInt64

	resourceGPU corev1.ResourceName = "nvidia.com/gpu"
)

// Amount is what pods hold, or may hold, in what ECI bills: thousandths of a vCPU, bytes, pods, and whole GPUs.
type Amount struct {
	MilliCPU, Memory, Pods, GPUs int64
}

// Node is what a virtual node offers. Immutable.
type Node struct {
	// Name is that of the Node object.
	Name string
	// Zone is where its pods run.
	Zone string
	// Region decides what is billed for a pod.
	Region string
	// Account names whose quota it is: the nodes of one account share it.
	Account string

	capacity Amount
	// bounds says in words what bounds each part of the capacity, in a sentence about a pod that does not fit.
	bounds bounds
	// quotaMilliCPU is what the pods on all nodes of the account may hold together, read at quotaAt.
	quotaMilliCPU int64
	quotaAt       time.Time
	// maxSpend is the most that the pods may cost in an hour; 0 is no limit.
	maxSpend   ecispec.Pico
	rates      ecispec.Rates
	rated      bool
	freshUntil time.Time
	stockOuts  map[string]stockOut
	lowStock   map[string]bool
}

type bounds struct{ cpu, memory, pods, gpus string }

type stockOut struct {
	reason string
	until  time.Time
}

// New returns what a VirtualNode offers by its status; nil when it has no node of its own, because another VirtualNode has the name, or when it is being
// deleted: the Node is closed then, or another virtual-kubelet's alone.
func New(vn *v1alpha1.VirtualNode) *Node {
	ready := meta.FindStatusCondition(vn.Status.Conditions, v1alpha1.ConditionReady)
	if vn.DeletionTimestamp != nil || ready != nil && ready.Reason == v1alpha1.ReasonNodeNameTaken {
		return nil
	}
	n := &Node{
		Name: vn.NodeName(), Zone: vn.Spec.Zone, Region: vn.Spec.Region, Account: vn.Account(), quotaMilliCPU: Unbounded,
		stockOuts: map[string]stockOut{}, lowStock: map[string]bool{},
	}
	status := &vn.Status
	n.capacity, n.bounds = capacityOf(vn)
	if status.QuotaCPU != nil {
		n.quotaMilliCPU = status.QuotaCPU.MilliValue()
	}
	if status.LastRefreshTime != nil {
		n.quotaAt = status.LastRefreshTime.Time
	}
	if status.FreshUntil != nil {
		n.freshUntil = status.FreshUntil.Time
	}
	n.setPrice(vn)
	for i := range status.StockOuts {
		s := &status.StockOuts[i]
		n.stockOuts[s.Spec] = stockOut{reason: s.Reason, until: s.Until.Time}
	}
	for _, spec := range status.LowStock {
		n.lowStock[spec] = true
	}
	return n
}

// capacityOf returns the published capacity and what bounds it.
func capacityOf(vn *v1alpha1.VirtualNode) (Amount, bounds) {
	amount := Amount{MilliCPU: Unbounded, Memory: Unbounded, Pods: Unbounded, GPUs: Unbounded}
	if vn.IsManaged() {
		amount.GPUs = 0
	}
	names := bounds{
		cpu: "the vCPU quota of " + vn.Spec.Region, memory: "the vCPU quota of " + vn.Spec.Region, pods: "the vCPU quota of " + vn.Spec.Region,
		gpus: "spec.limits has no " + string(resourceGPU) + ", which",
	}
	if len(vn.Spec.VSwitches) > 0 {
		names.pods = "the free IP addresses of its vSwitches"
	}
	for name, target := range map[corev1.ResourceName]*int64{
		corev1.ResourceCPU: &amount.MilliCPU, corev1.ResourceMemory: &amount.Memory, corev1.ResourcePods: &amount.Pods, resourceGPU: &amount.GPUs,
	} {
		if quantity, ok := vn.Status.Capacity[name]; ok {
			*target = quantity.Value()
			if name == corev1.ResourceCPU {
				*target = quantity.MilliValue()
			}
		}
	}
	for name, words := range map[corev1.ResourceName]*string{
		corev1.ResourceCPU: &names.cpu, corev1.ResourceMemory: &names.memory, corev1.ResourcePods: &names.pods, resourceGPU: &names.gpus,
	} {
		published := vn.Status.Capacity[name]
		if limit, ok := vn.Spec.Limits[name]; ok && limit.Cmp(published) == 0 {
			*words = "spec.limits." + string(name)
		}
	}
	return amount, names
}

// setPrice reads the published prices. Prices that cannot be read are not known.
func (n *Node) setPrice(vn *v1alpha1.VirtualNode) {
	if limit := vn.Spec.MaxSpendPerHour; limit != nil {
		n.maxSpend = 1 // A limit that cannot be read lets nothing in.
		if spend, err := ecispec.ParsePico(limit.AsDec().String()); err == nil {
			n.maxSpend = spend
		}
	}
	price := vn.Status.Price
	if price == nil {
		return
	}
	cpu, err := perSecond(price.CPUPerHour)
	if err != nil {
		return
	}
	memory, err := perSecond(price.MemoryPerHour)
	if err != nil {
		return
	}
	n.rated = true
	n.rates = ecispec.Rates{CPUSecond: cpu, GiBSecond: memory, InstanceTypes: map[string]ecispec.Pico{}}
	for i := range price.InstanceTypes {
		if rate, err := perSecond(price.InstanceTypes[i].PerHour); err == nil {
			n.rates.InstanceTypes[price.InstanceTypes[i].Type] = rate
		}
	}
}

// secondsPerHour turns the prices of the status, which people read, into those of the arithmetic, which are ECI's.
const secondsPerHour = 3600

func perSecond(perHour string) (ecispec.Pico, error) {
	p, err := ecispec.ParsePico(perHour)
	return p / secondsPerHour, err
}

// Quota returns what the pods on all nodes of the account may hold together, in thousandths of a vCPU, and when it was read.
func (n *Node) Quota() (milliCPU int64, at time.Time) { return n.quotaMilliCPU, n.quotaAt }

// Reopens returns the next moment after now at which a stock-out lets a pod try again; zero when there is none.
func (n *Node) Reopens(now time.Time) time.Time {
	var next time.Time
	for _, s := range n.stockOuts {
		if s.until.After(now) && (next.IsZero() || s.until.Before(next)) {
			next = s.until
		}
	}
	return next
}

// BetterThan tells whether a pod that was refused by the offer before may be taken by this one: something is more than it was, or known again.
func (n *Node) BetterThan(before *Node, now time.Time) bool {
	if before == nil || before.Account != n.Account || n.freshUntil.After(now) != before.freshUntil.After(now) {
		return true
	}
	a, b := &n.capacity, &before.capacity
	if a.MilliCPU > b.MilliCPU || a.Memory > b.Memory || a.Pods > b.Pods || a.GPUs > b.GPUs || n.quotaMilliCPU > before.quotaMilliCPU {
		return true
	}
	return n.maxSpend != before.maxSpend || n.rated && !before.rated || n.cheaperThan(before) || n.reopened(before)
}

// reopened tells whether a stock-out ended, or will end earlier.
func (n *Node) reopened(before *Node) bool {
	for spec, was := range before.stockOuts {
		if is, ok := n.stockOuts[spec]; !ok || is.until.Before(was.until) {
			return true
		}
	}
	return false
}

// cheaperThan tells whether a price fell or became known, so that more fits under a limit on spending.
func (n *Node) cheaperThan(before *Node) bool {
	if n.maxSpend == 0 {
		return false
	}
	if n.rates.CPUSecond < before.rates.CPUSecond || n.rates.GiBSecond < before.rates.GiBSecond {
		return true
	}
	for name, rate := range n.rates.InstanceTypes {
		if was, ok := before.rates.InstanceTypes[name]; !ok || rate < was {
			return true
		}
	}
	return false
}
