// Package offer decides whether a virtual node takes a pod: by what ECI would accept there now, in what ECI bills. It is pure.
//
//   - node.go: from the status of a VirtualNode to what its node offers.
//   - candidate.go: what a pod asks of ECI.
//   - check.go: the decision, and the sentence for a refusal (R12).
//   - instances.go: what the pods on virtual nodes count for, from a snapshot.
package offer

import (
	"cmp"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

const (
	// AnySpec names a stock-out of every specification.
	AnySpec = "*"
	// MaxPriceAge is how old a price may become before it decides nothing under a limit on spending. Prices are read
	// once an hour and seldom change: a day lets an outage of ECI's prices for a night stop nothing, and bounds for how
	// long money is counted by a price that is wrong.
	MaxPriceAge = 24 * time.Hour
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
	// Account names whose quota it is: the nodes of one account share it. Of a node whose account is not known it is
	// VirtualNode's UnknownAccount.
	Account string

	// virtualNode is the name of the VirtualNode.
	virtualNode string
	// capabilities are those that containers may add, beside those that container runtimes grant.
	capabilities sets.Set[string]
	// deleted is true while the VirtualNode is being deleted, and unobserved until the status speaks of its spec and
	// says whose account it is.
	deleted, unobserved bool
	capacity            Amount
	// bounds says in words what bounds each part of the capacity, in a sentence about a pod that does not fit.
	bounds bounds
	// quotaMilliCPU is what the pods on all nodes of the account may hold together, read at quotaAt.
	quotaMilliCPU int64
	quotaAt       time.Time
	// maxSpend is the most that the pods may cost in an hour; 0 is no limit.
	maxSpend ecispec.Pico
	rates    ecispec.Rates
	rated    bool
	// pricedAt is when the rates were read; zero when that is not known.
	pricedAt   time.Time
	freshUntil time.Time
	stockOuts  map[string]stockOut
	lowStock   map[string]bool
}

type bounds struct{ cpu, memory, pods, gpus string }

type stockOut struct {
	reason             string
	until, lastFailure time.Time
}

// Describing returns the VirtualNodes that describe a Node, by its name: of several that name one the older, then the first by name, and none that has
// been told that the name is another's.
func Describing(all []*v1alpha1.VirtualNode) map[string]*v1alpha1.VirtualNode {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b *v1alpha1.VirtualNode) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	describing := map[string]*v1alpha1.VirtualNode{}
	for _, vn := range sorted {
		ready := meta.FindStatusCondition(vn.Status.Conditions, v1alpha1.ConditionReady)
		taken := ready != nil && ready.Reason == v1alpha1.ReasonNodeNameTaken
		if !taken && describing[vn.NodeName()] == nil {
			describing[vn.NodeName()] = vn
		}
	}
	return describing
}

// New returns what a VirtualNode offers by its status. One that is being deleted takes no pod, but those that are there count.
func New(vn *v1alpha1.VirtualNode) *Node {
	n := &Node{
		Name: vn.NodeName(), Zone: vn.Spec.Zone, Region: vn.Spec.Region, Account: vn.Account(), quotaMilliCPU: Unbounded,
		virtualNode: vn.Name, capabilities: sets.New(vn.AllowedCapabilities()...),
		deleted:    vn.DeletionTimestamp != nil,
		unobserved: vn.Status.ObservedGeneration < vn.Generation || vn.Status.AccountID == "",
		stockOuts:  map[string]stockOut{}, lowStock: map[string]bool{},
	}
	status := &vn.Status
	n.capacity, n.bounds = capacityOf(vn)
	if status.QuotaCPU != nil {
		n.quotaMilliCPU = status.QuotaCPU.MilliValue()
		if status.LastRefreshTime != nil {
			n.quotaAt = status.LastRefreshTime.Time
		}
	}
	if status.FreshUntil != nil {
		n.freshUntil = status.FreshUntil.Time
	}
	n.setPrice(vn)
	for i := range status.StockOuts {
		s := &status.StockOuts[i]
		n.stockOuts[s.Spec] = stockOut{reason: s.Reason, until: s.Until.Time, lastFailure: s.LastFailure.Time}
	}
	for _, spec := range status.LowStock {
		n.lowStock[spec] = true
	}
	return n
}

// capacityOf returns the published capacity, or the limits where an edit has lowered them since, and what bounds it.
func capacityOf(vn *v1alpha1.VirtualNode) (Amount, bounds) {
	amount := Amount{MilliCPU: Unbounded, Memory: Unbounded, Pods: Unbounded, GPUs: Unbounded}
	if vn.IsManaged() {
		amount.GPUs = 0
	}
	names := bounds{cpu: "the vCPU quota of " + vn.Spec.Region, gpus: "spec.limits has no " + string(resourceGPU) + ", which"}
	if quota := vn.Status.QuotaCPU; vn.Spec.MaxSpendPerHour != nil && quota != nil && quota.Cmp(vn.Status.Capacity[corev1.ResourceCPU]) > 0 {
		names.cpu = "spec.maxSpendPerHour"
	}
	take(vn, corev1.ResourceCPU, &amount.MilliCPU, &names.cpu)
	names.memory, names.pods = names.cpu, names.cpu
	if len(vn.Spec.VSwitches) > 0 {
		names.pods = "the number of free IP addresses of its vSwitches"
	}
	take(vn, corev1.ResourceMemory, &amount.Memory, &names.memory)
	take(vn, corev1.ResourcePods, &amount.Pods, &names.pods)
	take(vn, resourceGPU, &amount.GPUs, &names.gpus)
	return amount, names
}

// take takes one resource over, and names the limit on it where that is what bounds it.
func take(vn *v1alpha1.VirtualNode, name corev1.ResourceName, amount *int64, words *string) {
	value := func(quantity resource.Quantity) int64 {
		if name == corev1.ResourceCPU {
			return quantity.MilliValue()
		}
		return quantity.Value()
	}
	if published, ok := vn.Status.Capacity[name]; ok {
		*amount = value(published)
	}
	if limit, ok := vn.Spec.Limits[name]; ok && value(limit.Quantity) <= *amount {
		*amount, *words = value(limit.Quantity), "spec.limits."+string(name)
	}
}

// setPrice reads the published prices. Prices that cannot be read are not known.
func (n *Node) setPrice(vn *v1alpha1.VirtualNode) {
	if limit := vn.Spec.MaxSpendPerHour; limit != nil {
		n.maxSpend = 1 // A limit that cannot be read lets nothing in.
		if spend, err := ecispec.ParsePico(Decimal(limit.Quantity)); err == nil {
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
	if price.ReadTime != nil {
		n.pricedAt = price.ReadTime.Time
	}
	n.rates = ecispec.Rates{CPUSecond: cpu, GiBSecond: memory, InstanceTypes: map[string]ecispec.Pico{}}
	for i := range price.InstanceTypes {
		if rate, err := perSecond(price.InstanceTypes[i].PerHour); err == nil {
			n.rates.InstanceTypes[price.InstanceTypes[i].Type] = rate
		}
	}
}

// isPriced tells whether the prices are new enough to decide by.
func (n *Node) isPriced(now time.Time) bool { return n.rated && now.Sub(n.pricedAt) < MaxPriceAge }

// Decimal writes a quantity as a decimal number, without changing it.
func Decimal(quantity resource.Quantity) string { return quantity.AsDec().String() }

// secondsPerHour turns the prices of the status, which people read, into those of the arithmetic, which are ECI's.
const secondsPerHour = 3600

func perSecond(perHour string) (ecispec.Pico, error) {
	p, err := ecispec.ParsePico(perHour)
	return p / secondsPerHour, err
}

// Quota returns what the pods on all nodes of the account may hold together, in thousandths of a vCPU, and when it was read. It is not known when the status
// may speak of another account, or has dropped that of another one.
func (n *Node) Quota() (milliCPU int64, at time.Time, known bool) {
	return n.quotaMilliCPU, n.quotaAt, !n.unobserved && !n.quotaAt.IsZero() && n.quotaMilliCPU != Unbounded
}

// FreshUntil returns until when pods are placed by what is known; zero when nothing is.
func (n *Node) FreshUntil() time.Time { return n.freshUntil }

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
	if before == nil || before.Account != n.Account || n.isOpen(now) && !before.isOpen(now) ||
		!before.capabilities.IsSuperset(n.capabilities) {
		return true
	}
	a, b := &n.capacity, &before.capacity
	if a.MilliCPU > b.MilliCPU || a.Memory > b.Memory || a.Pods > b.Pods || a.GPUs > b.GPUs || n.quotaMilliCPU > before.quotaMilliCPU {
		return true
	}
	return n.maxSpend != before.maxSpend || n.isPriced(now) && !before.isPriced(now) || n.cheaperThan(before) || n.reopened(before)
}

// isOpen tells whether the node takes pods at all.
func (n *Node) isOpen(now time.Time) bool {
	return !n.deleted && !n.unobserved && n.freshUntil.After(now)
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
