package virtualnode

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

const (
	// memoryPerCPU is the most memory that ECI sells with a vCPU: 8 GiB (ECI, "Specify the number of vCPUs and memory size": 2-16, 4-32, 64-512).
	// ECI has a quota on vCPUs and none on memory, so this bounds the memory.
	memoryPerCPU = 8 << 30
	// smallestMilliCPU is the smallest instance: 0.25 vCPU (same page). It bounds the number of pods.
	smallestMilliCPU = 250
	// storage is more ephemeral storage than anybody asks for: ECI bounds it by pod (pkg/ecispec), not by zone, and a node without any takes no pod that asks.
	storage = 1 << 60

	resourceGPU corev1.ResourceName = "nvidia.com/gpu"
)

// use is what pods hold of what ECI sells.
type use struct {
	// ownMilliCPU is what the pods on all nodes of the account hold in the quota, by ECI's own word.
	ownMilliCPU int64
	// ownPods are how many pods on the node have an instance, and so an address.
	ownPods int64
	// held is what all pods on the node hold, with those whose instance does not exist yet.
	held offer.Amount
	// bills are theirs.
	bills []ecispec.Bill
	// nodes is how many nodes are known to share the quota.
	nodes int
}

// bound is one thing that bounds the capacity.
type bound struct {
	words string
	// left is how many more pods of the default specification it admits.
	left float64
}

// capacity is what a node offers.
type capacity struct {
	resources corev1.ResourceList
	quotaCPU  resource.Quantity
	limitedBy string
}

// capacityOf returns what the pods on the node may hold in total: the smallest of the account's quota without what others use of it, the free addresses with
// those that pods of the node have, and the limits. What pods of ours hold already is theirs: Kubernetes subtracts it again.
func capacityOf(vn *v1alpha1.VirtualNode, reading *account.Reading, u *use) capacity {
	usage := reading.Usage
	// What is counted as our own is never more than what is used.
	others := max(usage.UsedMilliCPU-u.ownMilliCPU, 0)
	quota := max(usage.MaxMilliCPU-others, 0)
	milliCPU, bounds := quota, []bound{}
	add := func(words string, left, each float64) { bounds = append(bounds, bound{words, max(left, 0) / each}) }
	reference := ecispec.Default()
	limits := vn.Spec.Limits
	if limit, ok := limits[corev1.ResourceCPU]; ok {
		milliCPU = min(milliCPU, limit.MilliValue())
		add("spec.limits.cpu: "+limit.String(), float64(limit.MilliValue()-u.held.MilliCPU), float64(reference.MilliCPU))
	}
	if words, limit, left, ok := spendBound(vn, reading, u); ok {
		milliCPU = min(milliCPU, limit)
		add(words, left, 1)
	}
	memory := milliCPU/1000*memoryPerCPU + milliCPU%1000*memoryPerCPU/1000
	if limit, ok := limits[corev1.ResourceMemory]; ok {
		memory = min(memory, limit.Value())
		add("spec.limits.memory: "+limit.String(), float64(limit.Value()-u.held.Memory), float64(reference.Memory))
	}
	pods := milliCPU / smallestMilliCPU
	if limit, ok := limits[corev1.ResourcePods]; ok {
		pods = min(pods, limit.Value())
		add("spec.limits.pods: "+limit.String(), float64(limit.Value()-u.held.Pods), 1)
	}
	if len(vn.Spec.VSwitches) > 0 {
		free := freeIPs(vn, reading)
		pods = min(pods, free+u.ownPods)
		add(vSwitchWords(vn, free), float64(free+u.ownPods-u.held.Pods), 1)
	}
	add(quotaWords(vn, reading, u), float64(usage.MaxMilliCPU-usage.UsedMilliCPU), float64(reference.MilliCPU))
	out := capacity{
		resources: corev1.ResourceList{
			corev1.ResourceCPU:              *cpu(milliCPU),
			corev1.ResourceMemory:           *resource.NewQuantity(memory, resource.BinarySI),
			corev1.ResourcePods:             *resource.NewQuantity(pods, resource.DecimalSI),
			corev1.ResourceEphemeralStorage: *resource.NewQuantity(storage, resource.BinarySI),
		},
		quotaCPU: *cpu(quota), limitedBy: closest(bounds),
	}
	if limit, ok := limits[resourceGPU]; ok {
		out.resources[resourceGPU] = *resource.NewQuantity(limit.Value(), resource.DecimalSI)
	}
	return out
}

// closest returns the bound that leaves the fewest pods, the first of equals.
func closest(bounds []bound) string {
	least := bound{left: math.Inf(1)}
	for _, b := range bounds {
		if b.left < least.left {
			least = b
		}
	}
	return least.words
}

func quotaWords(vn *v1alpha1.VirtualNode, reading *account.Reading, u *use) string {
	words := fmt.Sprintf("vCPU quota of %s: %s, used %s", vn.Spec.Region, cores(reading.Usage.MaxMilliCPU), cores(reading.Usage.UsedMilliCPU))
	if u.nodes > 1 {
		words += fmt.Sprintf(", shared by %d virtual nodes", u.nodes)
	}
	return words
}

// freeIPs returns how many addresses the vSwitches of a VirtualNode have left.
func freeIPs(vn *v1alpha1.VirtualNode, reading *account.Reading) int64 {
	var free int64
	for _, id := range vn.Spec.VSwitches {
		free += max(reading.VSwitches[id].FreeIPs, 0)
	}
	return free
}

func vSwitchWords(vn *v1alpha1.VirtualNode, free int64) string {
	name := "vSwitch "
	if len(vn.Spec.VSwitches) > 1 {
		name = "vSwitches "
	}
	return fmt.Sprintf("%s%s, %d free IPs", name, strings.Join(vn.Spec.VSwitches, ", "), free)
}

// spendBound returns what the limit on spending bounds: the vCPUs, by the lowest price that any may have, and how many more pods of the default
// specification can be paid for. The scheduler knows the price of each pod. It returns false without a limit or a price.
func spendBound(vn *v1alpha1.VirtualNode, reading *account.Reading, u *use) (words string, milliCPU int64, left float64, ok bool) {
	limit := vn.Spec.MaxSpendPerHour
	prices, known := reading.Prices[vn.Spec.Zone]
	if limit == nil || !known {
		return "", 0, 0, false
	}
	spend, err := ecispec.ParsePico(offer.Decimal(limit.Quantity))
	each, priced := prices.Rates.PerHour(ecispec.Default())
	perCPU := cheapestCPU(&prices.Rates)
	if err != nil || !priced || each <= 0 || perCPU <= 0 {
		return "", 0, 0, false
	}
	rest := float64(spend)
	for _, bill := range u.bills {
		cost, _ := prices.Rates.Dearest(bill)
		rest -= float64(cost)
	}
	words = fmt.Sprintf("spec.maxSpendPerHour: %s %s", offer.Decimal(limit.Quantity), prices.Currency)
	return words, int64(min(float64(spend)/perCPU*1000, math.MaxInt64/2)), rest / float64(each), true
}

// cheapestCPU returns the lowest price of a vCPU for an hour, by itself or in an instance type.
func cheapestCPU(rates *ecispec.Rates) float64 {
	alone, _ := rates.PerHour(ecispec.Spec{MilliCPU: 1000})
	lowest := float64(alone)
	for name := range rates.InstanceTypes {
		spec, err := ecispec.Parse(name)
		price, known := rates.PerHour(ecispec.Spec{InstanceType: name})
		if err == nil && known && spec.MilliCPU > 0 {
			lowest = min(lowest, float64(price)*1000/float64(spec.MilliCPU))
		}
	}
	return lowest
}

func cpu(milli int64) *resource.Quantity { return resource.NewMilliQuantity(milli, resource.DecimalSI) }

// cores writes thousandths of a vCPU as vCPUs.
func cores(milli int64) string { return strconv.FormatFloat(float64(milli)/1000, 'f', -1, 64) }
