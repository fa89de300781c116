package metrics

import (
	"strings"
	"time"
)

// The resources of a virtual node.
const (
	ResourceCPU    = "cpu"
	ResourceMemory = "memory"
	ResourcePods   = "pods"
	ResourceGPU    = "gpu"
)

// What becomes of a pod that ECI refuses.
const (
	ActionMoved = "moved"
	ActionStays = "stays"
)

// The kinds of objects that the controller writes, and the results of writes.
const (
	KindResourcePolicy = "resourcepolicy"
	KindVirtualNode    = "virtualnode"

	ResultWritten  = "written"
	ResultConflict = "conflict"
	ResultFailed   = "failed"
)

// CodeOK is the code of a call of ECI that succeeded.
const CodeOK = "OK"

const (
	reasonQuota = "Quota"
	reasonOther = "Other"
)

// stockReasons are ECI's own words for a refusal, but for quotas, of which it has several.
var stockReasons = []string{"NoStock", "StockClose", "IpNotEnough", "WithoutStock", "ClosedWithoutStock", "NotSold", reasonQuota, reasonOther}

// Controller is the metrics of spillway-controller.
var Controller = Binary{Name: "spillway-controller"}

var (
	virtualNodeLabel = Label{Name: "virtualnode", Any: "the name of the VirtualNode"}
	amountLabel      = Label{Name: "resource", Values: []string{ResourceCPU, ResourceMemory, ResourcePods, ResourceGPU}}
	currencyLabel    = Label{Name: "currency", Any: "that of the account, such as CNY or USD"}
	reasonLabel      = Label{Name: "reason", Values: stockReasons}
	sourceLabel      = Label{Name: "source", Values: []string{"Inventory", "Pod"}}
	resultLabel      = Label{Name: "result", Values: []string{ResultWritten, ResultConflict, ResultFailed}}
	actionLabel      = Label{Name: "action", Values: []string{
		"DescribeAvailableResource", "DescribeContainerGroupPrice", "DescribeContainerGroupStatus", "DescribeContainerGroups", "DescribeRegions",
		"DescribeVSwitches", "GetCallerIdentity", "ListUsage",
	}}
	codeLabel = Label{Name: "code", Values: []string{CodeOK, "Credentials", "Throttled", "NoStock", "Quota", "NotFound", "Server", "Network"}}
)

var (
	refusedPods = Controller.counter(Metric{
		Name: "spillway_eci_refused_pods_total", Labels: []Label{virtualNodeLabel, reasonLabel, {Name: "action", Values: []string{ActionMoved, ActionStays}}},
		Help: "Pods on the virtual node that ECI refused for want of room, by ECI's reason and by what became of them: moved, evicted to be placed again, or stays, " +
			"because nothing would create it anew.",
		Watch: "moved is the price of a stock-out that came without warning. stays needs somebody: see the event of the pod.",
	})
	stockOuts = Controller.counter(Metric{
		Name: "spillway_virtualnode_stock_outs_total", Labels: []Label{virtualNodeLabel, sourceLabel, reasonLabel},
		Help:  "Stock-outs that began, each of one specification, by how they became known and by ECI's reason.",
		Watch: "A zone with many: add a VirtualNode in another one.",
	})
	calls = Controller.counter(Metric{
		Name: "spillway_eci_calls_total", Labels: []Label{actionLabel, codeLabel},
		Help:  "HTTP requests to ECI, VPC and STS, by action and by OK or the kind of failure.",
		Watch: "Credentials: the Secret or the RAM role. Throttled: too many callers in the account. Server and Network pass, or are an outage.",
	})
	callTook = Controller.histogram(Metric{
		Name: "spillway_eci_call_duration_seconds", Labels: []Label{actionLabel},
		Help:    "How long HTTP requests to ECI, VPC and STS took, without the wait for their turn.",
		Watch:   "Near 5 s calls time out, and the capacity becomes old.",
		Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
	})
	costWrites = Controller.counter(Metric{
		Name: "spillway_deletion_cost_writes_total", Labels: []Label{resultLabel},
		Help:  "Patches of the deletion cost, or of labels, of pods that were placed before their policy or an edit of it.",
		Watch: "At most 100 a second. Steady failed: see the log of the controller.",
	})
	statusWrites = Controller.counter(Metric{
		Name: "spillway_status_writes_total", Labels: []Label{{Name: "kind", Values: []string{KindResourcePolicy, KindVirtualNode}}, resultLabel},
		Help:  "Patches of the status of ResourcePolicies and VirtualNodes.",
		Watch: "Steady failed: the status is old. A few conflicts are usual.",
	})

	virtualNodes = newSource(&Controller,
		gauge[[]VirtualNode]{Metric{
			Name: "spillway_virtualnode_capacity", Labels: []Label{virtualNodeLabel, amountLabel},
			Help:  "What the pods on the virtual node may hold in total, as read last: vCPUs, bytes of memory, pods, and GPUs where spec.limits has them.",
			Watch: "A fall means that quota, addresses or a limit are used elsewhere; status.limitedBy says which.",
		}, eachNode(func(vn *VirtualNode, set setter) { setAmounts(vn.Capacity, vn.Name, set) })},
		gauge[[]VirtualNode]{Metric{
			Name: "spillway_virtualnode_used", Labels: []Label{virtualNodeLabel, amountLabel},
			Help:  "What the pods on the virtual node hold, in what ECI bills, in the units of the capacity.",
			Watch: "Near the capacity the next pods go to the next unit.",
		}, eachNode(func(vn *VirtualNode, set setter) { setAmounts(vn.Used, vn.Name, set) })},
		gauge[[]VirtualNode]{Metric{
			Name: "spillway_virtualnode_last_refresh_timestamp_seconds", Labels: []Label{virtualNodeLabel},
			Help:  "When the capacity was read from ECI last, in Unix time; 0 before it was read once.",
			Watch: "time() minus this is its age: about 10 s is usual.",
		}, eachNode(func(vn *VirtualNode, set setter) { set(unix(vn.LastRefresh), vn.Name) })},
		gauge[[]VirtualNode]{Metric{
			Name: "spillway_virtualnode_fresh_until_timestamp_seconds", Labels: []Label{virtualNodeLabel},
			Help:  "Until when pods are placed by the capacity that was read last, in Unix time; 0 before it was read once.",
			Watch: "Below time(): the node gets no new pods.",
		}, eachNode(func(vn *VirtualNode, set setter) { set(unix(vn.FreshUntil), vn.Name) })},
		gauge[[]VirtualNode]{Metric{
			Name: "spillway_virtualnode_condition",
			Labels: []Label{
				virtualNodeLabel, {Name: "condition", Values: []string{"Ready", "CapacityKnown", "StockAvailable"}}, {Name: "status", Values: statuses},
				{Name: "reason", Any: "the reason of the condition; the API lists them. Unknown before there is one"},
			},
			Help:  "1 for the status and the reason that each condition of the VirtualNode has now; there are no series for the others.",
			Watch: "status False: the reason says what to do, in the runbook.",
		}, eachNode(func(vn *VirtualNode, set setter) {
			for _, c := range vn.Conditions {
				set(1, vn.Name, c.Type, c.Status, c.Reason)
			}
		})},
		gauge[[]VirtualNode]{Metric{
			Name: "spillway_virtualnode_sold_out_specs", Labels: []Label{virtualNodeLabel, sourceLabel, reasonLabel},
			Help:  "Specifications that ECI does not have in the zone now, by how that became known and by ECI's reason; there are no series for what is 0.",
			Watch: "Pods of these specifications go to the next zone or unit.",
		}, eachNode(func(vn *VirtualNode, set setter) {
			for out, specs := range vn.SoldOut {
				set(float64(specs), vn.Name, out.Source, out.Reason)
			}
		})},
		gauge[[]VirtualNode]{Metric{
			Name: "spillway_virtualnode_cost_per_hour", Labels: []Label{virtualNodeLabel, currencyLabel},
			Help: "What the pods on the virtual node cost in an hour at ECI's price of their specification, the dearest where ECI may choose; no series before " +
				"prices are known. Pods whose price is not known are not in it: spillway_virtualnode_unpriced_pods counts them.",
			Watch: "The money that pods on ECI cost now.",
		}, eachNode(func(vn *VirtualNode, set setter) {
			if vn.Currency != "" {
				set(vn.CostPerHour, vn.Name, vn.Currency)
			}
		})},
		gauge[[]VirtualNode]{Metric{
			Name: "spillway_virtualnode_unpriced_pods", Labels: []Label{virtualNodeLabel},
			Help:  "Pods on the virtual node whose price is not known, so that they are not in the cost.",
			Watch: "Above 0 for long: the pods cost more than spillway_virtualnode_cost_per_hour says.",
		}, eachNode(func(vn *VirtualNode, set setter) {
			if vn.Used != nil {
				set(float64(vn.UnpricedPods), vn.Name)
			}
		})},
		gauge[[]VirtualNode]{Metric{
			Name: "spillway_virtualnode_cost_limit_per_hour", Labels: []Label{virtualNodeLabel, currencyLabel},
			Help:  "spec.maxSpendPerHour of the VirtualNode; no series without one, or before prices are known.",
			Watch: "At the limit the next pods go to the next unit.",
		}, eachNode(func(vn *VirtualNode, set setter) {
			if vn.Currency != "" && vn.CostLimit > 0 {
				set(vn.CostLimit, vn.Name, vn.Currency)
			}
		})},
	)
	policies = newSource(&Controller,
		gauge[Policies]{Metric{
			Name: "spillway_policies", Labels: []Label{
				{Name: "condition", Values: []string{"Ready", "Shadowed", "Exhausted", "OverCap", "Misconfigured", "PodsTolerateECI"}},
				{Name: "status", Values: statuses},
			},
			Help: "ResourcePolicies by the status of each of their conditions. One that does not have the condition counts as Unknown, so that the statuses of a condition " +
				"add up to the number of policies.",
			Watch: "Ready False: its pods wait. Exhausted True: its pods are held. Misconfigured True: it says what its author " +
				"hardly means. PodsTolerateECI True: autoscalers count virtual nodes as room for its pods.",
		}, func(p *Policies, set setter) {
			for c, count := range p.ByCondition {
				set(float64(count), c.Type, c.Status)
			}
		}},
		gauge[Policies]{Metric{
			Name: "spillway_status_writes_waiting", Help: "ResourcePolicies whose status waits for its turn to be written, of which there are 50 a second.",
			Watch: "Above 0 for minutes: the statuses are behind.",
		}, func(p *Policies, set setter) { set(float64(p.WritesWaiting)) }},
	)
)

var statuses = []string{"True", "False", "Unknown"}

// Condition is a condition of an object.
type Condition struct{ Type, Status, Reason string }

// StockOut is a kind of stock-out.
type StockOut struct{ Source, Reason string }

// VirtualNode is what is known of a VirtualNode at a moment.
type VirtualNode struct {
	Name string
	// Capacity and Used are by resource: vCPUs, bytes, pods and GPUs.
	Capacity, Used          map[string]float64
	LastRefresh, FreshUntil time.Time
	Conditions              []Condition
	// SoldOut is how many specifications are sold out.
	SoldOut map[StockOut]int
	// Currency is empty while prices are not known. CostLimit is 0 without a limit.
	Currency               string
	CostPerHour, CostLimit float64
	// UnpricedPods is how many pods are not in the cost.
	UnpricedPods int
}

// Policies is what is known of the ResourcePolicies at a moment.
type Policies struct {
	// ByCondition is how many there are, by type and status. The reasons are empty.
	ByCondition   map[Condition]int
	WritesWaiting int
}

// setter adds a series.
type setter = func(value float64, labels ...string)

func init() {
	for _, action := range actionLabel.Values {
		callTook.WithLabelValues(action)
		for _, code := range codeLabel.Values {
			calls.WithLabelValues(action, code)
		}
	}
	for _, result := range resultLabel.Values {
		costWrites.WithLabelValues(result)
		statusWrites.WithLabelValues(KindResourcePolicy, result)
		statusWrites.WithLabelValues(KindVirtualNode, result)
	}
}

// RefusedByECI counts a pod that ECI refuses, with ECI's own reason, and what became of it: ActionMoved or ActionStays.
func RefusedByECI(virtualNode, reason, action string) {
	refusedPods.WithLabelValues(virtualNode, StockReason(reason), action).Inc()
}

// StockOutBegan counts a stock-out that was not known before.
func StockOutBegan(virtualNode, source, reason string) {
	stockOuts.WithLabelValues(virtualNode, source, StockReason(reason)).Inc()
}

// Called records an HTTP request to ECI. code is CodeOK or the class of the error.
func Called(action, code string, took time.Duration) {
	calls.WithLabelValues(action, code).Inc()
	callTook.WithLabelValues(action).Observe(took.Seconds())
}

// WroteDeletionCost counts a patch of a pod.
func WroteDeletionCost(result string) { costWrites.WithLabelValues(result).Inc() }

// WroteStatus counts a patch of a status.
func WroteStatus(kind, result string) { statusWrites.WithLabelValues(kind, result).Inc() }

// ForgetVirtualNode drops the series of a VirtualNode that is gone.
func ForgetVirtualNode(name string) {
	match := map[string]string{virtualNodeLabel.Name: name}
	refusedPods.DeletePartialMatch(match)
	stockOuts.DeletePartialMatch(match)
}

// ReadVirtualNodes makes the gauges of VirtualNodes be read from a function, which may be called at any time. It returns nil while this process is not the
// leader. Of several in a process the last one is read.
func ReadVirtualNodes(read func() *[]VirtualNode) { virtualNodes.read.Store(&read) }

// ReadPolicies makes the gauges of ResourcePolicies be read from a function, as ReadVirtualNodes.
func ReadPolicies(read func() *Policies) { policies.read.Store(&read) }

// WhileLeading returns a function that reads once this process has been elected, and returns nil before: a standby would say the same as the leader, and
// sums over replicas would be wrong.
func WhileLeading[T any](elected <-chan struct{}, read func() *T) func() *T {
	return func() *T {
		select {
		case <-elected:
			return read()
		default:
			return nil
		}
	}
}

// ResultOf returns the result of a write; conflict tells whether its error is that the object has changed meanwhile.
func ResultOf(err error, conflict func(error) bool) string {
	switch {
	case err == nil:
		return ResultWritten
	case conflict(err):
		return ResultConflict
	default:
		return ResultFailed
	}
}

// StockReason returns the label for ECI's reason, whose words are its own.
func StockReason(reason string) string {
	for _, known := range stockReasons {
		if reason == known {
			return known
		}
	}
	if strings.Contains(reason, reasonQuota) {
		return reasonQuota
	}
	return reasonOther
}

func eachNode(emit func(*VirtualNode, setter)) func(*[]VirtualNode, setter) {
	return func(all *[]VirtualNode, set setter) {
		for i := range *all {
			emit(&(*all)[i], set)
		}
	}
}

func setAmounts(amounts map[string]float64, name string, set setter) {
	for resource, amount := range amounts {
		set(amount, name, resource)
	}
}
