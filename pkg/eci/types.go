package eci

import "github.com/spillway-k8s/spillway/pkg/ecispec"

// Stock says whether ECI has a specification in a zone. It is a category, not a count (source: ECI, DescribeAvailableResource, StatusCategory).
type Stock string

const (
	// StockWithStock means that there is plenty.
	StockWithStock Stock = "WithStock"
	// StockLow means that there is some, which may soon be gone.
	StockLow Stock = "ClosedWithStock"
	// StockWithout means that there is none, and that it will be refilled.
	StockWithout Stock = "WithoutStock"
	// StockClosed means that there is none, and that it will not be refilled.
	StockClosed Stock = "ClosedWithoutStock"
	// StockNotSold means that the zone does not sell the specification. It is not a word of ECI's.
	StockNotSold Stock = "NotSold"
)

// Usage is the answer of ListUsage, in thousandths of a vCPU. MaxMilliCPU is rounded down and UsedMilliCPU up, so that rounding never promises more than
// there is.
type Usage struct {
	MaxMilliCPU  int64
	UsedMilliCPU int64
}

// Region is a region that ECI is sold in.
type Region struct {
	// ID is such as cn-beijing.
	ID string
	// Zones are the IDs of the zones that ECI sells in, without those that it reports as unavailable, in its order.
	Zones []string
}

// Zone names a zone of a region.
type Zone struct {
	Region, ID string
}

// Price is what a specification costs, after the discounts of the account, without taxes (source: ECI, DescribeContainerGroupPrice, TradePrice).
type Price struct {
	// Currency is such as CNY or USD.
	Currency string
	// PerSecond is the price of the whole specification, in 10^-12 of the currency.
	PerSecond ecispec.Pico
	// CPUPerSecond and MemoryPerSecond are the parts of PerSecond for all vCPUs and for all memory of the specification; 0 when ECI does not itemise them.
	CPUPerSecond, MemoryPerSecond ecispec.Pico
}

// GroupStatus says where a container group is in its life.
type GroupStatus struct {
	// ID is such as eci-2ze0000000000000000a.
	ID string
	// Namespace and Name are those of the pod; Namespace is empty for a group that no cluster created.
	Namespace, Name string
	// Status is Scheduling, Pending, Running, Restarting, Updating, Terminating, Succeeded, Failed, Expired or ScheduleFailed; ECI may add others.
	Status string
}

// Billed tells whether the group costs money now and uses the quota: from Pending to Terminating. Scheduling and the ends of a life are free (source: ECI,
// "Lifecycle of an elastic container instance").
func (g GroupStatus) Billed() bool {
	switch g.Status {
	case "Pending", "Running", "Restarting", "Updating", "Terminating":
		return true
	default:
		return false
	}
}

// Group is a container group, and what it consists of.
type Group struct {
	// ID is such as eci-2ze0000000000000000a, and Name that of the pod.
	ID, Name string
	// Status has the values of GroupStatus.Status.
	Status string
	// ZoneID and VSwitchID are where it runs; empty before it is scheduled.
	ZoneID, VSwitchID string
	// MilliCPU is in thousandths of a vCPU, and Memory in bytes; 0 when ECI does not say.
	MilliCPU, Memory int64
	// InstanceType is the ECS instance type; empty for a specification of vCPUs and memory.
	InstanceType string
}

// VSwitch is a subnet in a zone.
type VSwitch struct {
	// ID is such as vsw-2ze0000000000000000a, and ZoneID the zone that it is in.
	ID, ZoneID string
	// FreeIPs is how many addresses it has left, which bounds how many container groups it can take.
	FreeIPs int64
}
