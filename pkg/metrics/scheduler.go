package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The outcomes of attempts to place governed pods.
const (
	OutcomePlaced     = "placed"
	OutcomeUndone     = "undone"
	OutcomeWaiting    = "waiting"
	OutcomePreempting = "preempting"
	OutcomeRetrying   = "retrying"
	OutcomeFailed     = "failed"
	OutcomeHeld       = "held"
	OutcomeRefused    = "refused"
	OutcomeOther      = "other_plugin"
)

// The ends of waits.
const (
	EndPlaced    = "placed"
	EndElsewhere = "elsewhere"
	EndUnplaced  = "unplaced"
)

const (
	// NoUnit is the index of the unit of an outcome that is about none.
	NoUnit = -1
	// none is the label of what is not there.
	none = "none"
	// mostUnits is the CRD's limit on the units of a policy.
	mostUnits = 16

	resourceECS = "ecs"
	resourceECI = "eci"
)

// Scheduler is the metrics of spillway-scheduler.
var Scheduler = Binary{Name: "spillway-scheduler"}

var (
	unitLabel     = Label{Name: "unit", Values: unitNames[:], Any: "the place of the unit in its policy, `0` to `15`, or `none`"}
	resourceLabel = Label{Name: "resource", Values: []string{resourceECS, resourceECI, none}}
	nodeLabel     = Label{Name: "node", Any: "the name of the virtual node's Node; one for each VirtualNode"}

	// waitBuckets are from what a busy queue takes to a day.
	waitBuckets = []float64{1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 12 * 3600, 24 * 3600}
)

// unitNames are the values of the label unit.
var unitNames = func() (names [mostUnits + 1]string) {
	for i := range mostUnits {
		names[i] = strconv.Itoa(i)
	}
	names[mostUnits] = none
	return names
}()

var (
	decisions = Scheduler.counter(Metric{
		Name: "spillway_decisions_total",
		Labels: []Label{
			{Name: "outcome", Values: []string{
				OutcomePlaced, OutcomeUndone, OutcomeWaiting, OutcomePreempting, OutcomeRetrying, OutcomeFailed, OutcomeHeld, OutcomeRefused, OutcomeOther,
			}},
			unitLabel, resourceLabel,
		},
		Help: "Attempts to place pods that a ResourcePolicy governs, by what became of them: placed on a node of the unit; undone, a placement whose binding failed; " +
			"waiting in the unit; preempting other pods in it; retrying with the next unit, or with all nodes of this one; failed, no unit can take the pod; " +
			"held, every unit is full, counted with the event Held of the pod, not again for each hold; refused, the policy cannot place pods; " +
			"other_plugin, another plugin refused the pod before any unit.",
		Watch: "placed by resource is where pods go. Any undone, refused or other_plugin that grows: see the events of the pods.",
	})
	spills = Scheduler.counter(Metric{
		Name: "spillway_spills_total",
		Labels: []Label{
			{Name: "unit", Values: unitNames[1:mostUnits], Any: "the place of the unit in its policy, `1` to `15`"}, {Name: "resource", Values: []string{resourceECS, resourceECI}},
			{Name: "reason", Values: []string{
				"full", "barred", "no_nodes", "no_room", "node_not_ready", "nodes_closed", "filters", "eci_sold_out", "eci_full", "eci_unknown",
			}},
		},
		Help: "Pods that were placed in a unit after the first, by that unit and by why the unit before it did not take the pod: full, a cap; barred, it can never run there, or no VirtualNode there allows its capabilities; " +
			"no_nodes in the unit; no_room on its nodes; node_not_ready; nodes_closed by cordon, taint or label, or a VirtualNode that is being deleted; " +
			"filters of other plugins; eci_sold_out, eci_full, a quota or limit, or eci_unknown, the capacity is not known.",
		Watch: "Growth to eci is money: no_room asks for more nodes, full for a higher cap. eci_unknown: see the conditions of the VirtualNode.",
	})
	waits = Scheduler.histogram(Metric{
		Name:   "spillway_wait_duration_seconds",
		Labels: []Label{{Name: "end", Values: []string{EndPlaced, EndElsewhere, EndUnplaced}}},
		Help: "How long pods waited because of whenTryNextUnits, or for pods that they preempt, by how the wait ended: placed in the unit waited for, placed " +
			"elsewhere, or unplaced: held, failed, refused, deleted, or without a policy. The moments until a pod that has ended leaves its node do not count.",
		Watch:   "Mostly elsewhere: the timeout of whenTryNextUnits is paid for nothing.",
		Buckets: waitBuckets,
	})
	holds = Scheduler.histogram(Metric{
		Name:    "spillway_hold_duration_seconds",
		Help:    "How long pods were held because every unit was full, counted when the hold ends. Holds of less than a second, which no user sees, do not count.",
		Watch:   "Grows with the load of policies whose units all have caps: the caps are too low for it.",
		Buckets: waitBuckets,
	}).WithLabelValues()
	latency = Scheduler.histogram(Metric{
		Name:    "spillway_decision_duration_seconds",
		Help:    "How long the choice of the unit took for a governed pod, in PreFilter. It is a part of the scheduling attempt of kube-scheduler's own metrics.",
		Watch:   "Above 10 ms the scheduler places fewer than 100 governed pods a second.",
		Buckets: prometheus.ExponentialBuckets(10e-6, 2, 14),
	}).WithLabelValues()
	ledgerPods = Scheduler.gauge(Metric{
		Name:  "spillway_ledger_pods",
		Help:  "Pods that count for a unit of a policy. 0 when no governed pod was tried for a minute: the counts are dropped then.",
		Watch: "The memory of the scheduler grows with it.",
	}).WithLabelValues()
	ledgerCounts = Scheduler.gauge(Metric{
		Name:  "spillway_ledger_counts",
		Help:  "Counts that are kept: one for each unit of each group of each policy with pods.",
		Watch: "Far more than policies times units: matchLabelKeys splits pods into very many groups.",
	}).WithLabelValues()

	schedulerSource = newSource(&Scheduler,
		gauge[SchedulerState]{Metric{
			Name: "spillway_ledger_policies", Help: "ResourcePolicies that the scheduler knows.",
			Watch: "Differs from the number of ResourcePolicies: the scheduler does not see them.",
		}, func(s *SchedulerState, set setter) { set(float64(s.Policies)) }},
		gauge[SchedulerState]{Metric{
			Name: "spillway_ledger_tickets", Help: "Pods of policies whose units all have caps that are being tried, wait or are held.",
			Watch: "The memory of the scheduler grows with it.",
		}, func(s *SchedulerState, set setter) { set(float64(s.Tickets)) }},
		gauge[SchedulerState]{Metric{
			Name: "spillway_held_pods", Help: "Pods that are held now, for a second or longer, because every unit is full. Only the leader has them.",
			Watch: "Above 0 for long: raise a cap, or end pods. No new node helps.",
		}, func(s *SchedulerState, set setter) { s.Held.count(set) }},
		gauge[SchedulerState]{Metric{
			Name: "spillway_held_oldest_timestamp_seconds", Help: "Since when the pod is held that is held longest, in Unix time; no series while none is.",
			Watch: "time() minus this is the longest hold.",
		}, func(s *SchedulerState, set setter) { s.Held.oldest(set) }},
		gauge[SchedulerState]{Metric{
			Name: "spillway_waiting_pods", Help: "Pods that wait now because of whenTryNextUnits, or for pods that they preempt. Only the leader has them.",
			Watch: "Above 0 for long: with ExceedMax a pod waits for a node until the unit is full.",
		}, func(s *SchedulerState, set setter) { s.Waiting.count(set) }},
		gauge[SchedulerState]{Metric{
			Name: "spillway_waiting_oldest_timestamp_seconds", Help: "Since when the pod waits that waits longest, in Unix time, as far as this process knows; no series while none does.",
			Watch: "time() minus this is the longest wait.",
		}, func(s *SchedulerState, set setter) { s.Waiting.oldest(set) }},
	)
	freshness = newSource(&Scheduler, gauge[map[string]time.Time]{Metric{
		Name: "spillway_scheduler_virtualnode_fresh_until_timestamp_seconds", Labels: []Label{nodeLabel},
		Help:  "Until when the scheduler places pods on the virtual node by the capacity that it knows, in Unix time; 0 before any is known.",
		Watch: "Below time(): the node gets no pods. When the controller's own timestamp is newer, the scheduler does not hear of it.",
	}, func(fresh *map[string]time.Time, set setter) {
		for node, until := range *fresh {
			set(unix(until), node)
		}
	}})
)

// Since is how many pods are in a state, and since when the first of them is.
type Since struct {
	Pods   int
	Oldest time.Time
}

// SchedulerState is what the scheduler knows at a moment.
type SchedulerState struct {
	Policies, Tickets int
	// Held and Waiting are nil in a scheduler that is not the leader.
	Held, Waiting *Since
}

func init() {
	// A counter that begins at 1 does not grow, as Prometheus sees it.
	for _, outcome := range []string{OutcomeFailed, OutcomeHeld, OutcomeRefused, OutcomeOther} {
		decisions.WithLabelValues(outcome, none, none)
	}
	for _, end := range []string{EndPlaced, EndElsewhere, EndUnplaced} {
		waits.WithLabelValues(end)
	}
}

// Decided counts an outcome. unit is NoUnit when it is about none; virtual tells whether the nodes of the unit are virtual ones.
func Decided(outcome string, unit int, virtual bool) {
	decisions.WithLabelValues(outcome, unitName(unit), resourceName(unit, virtual)).Inc()
}

// Spilled counts a pod that was placed in a unit after the first. reason is why the unit before it did not take the pod.
func Spilled(unit int, virtual bool, reason string) {
	spills.WithLabelValues(unitName(unit), resourceName(unit, virtual), reason).Inc()
}

// Waited records a wait that ended.
func Waited(end string, took time.Duration) { waits.WithLabelValues(end).Observe(took.Seconds()) }

// HeldFor records a hold that ended.
func HeldFor(took time.Duration) { holds.Observe(took.Seconds()) }

// DecisionTook records how long the choice of a unit took. It allocates nothing.
func DecisionTook(took time.Duration) { latency.Observe(took.Seconds()) }

// SetLedger tells how many pods are counted, in how many counts. It allocates nothing.
func SetLedger(pods, counts int) {
	ledgerPods.Set(float64(pods))
	ledgerCounts.Set(float64(counts))
}

// ReadScheduler makes the gauges of the scheduler be read from a function, which may be called at any time. Of several schedulers in a process the last one
// is read.
func ReadScheduler(read func() *SchedulerState) { schedulerSource.read.Store(&read) }

// ReadFreshness makes the freshness of virtual nodes, by the name of the Node, be read from a function, as ReadScheduler.
func ReadFreshness(read func() *map[string]time.Time) { freshness.read.Store(&read) }

// Add counts a pod.
func (s *Since) Add(since time.Time) {
	if s.Pods++; s.Pods == 1 || since.Before(s.Oldest) {
		s.Oldest = since
	}
}

func (s *Since) count(set setter) {
	if s != nil {
		set(float64(s.Pods))
	}
}

func (s *Since) oldest(set setter) {
	if s != nil && s.Pods > 0 {
		set(unix(s.Oldest))
	}
}

func unitName(unit int) string {
	if unit < 0 || unit >= mostUnits {
		return none
	}
	return unitNames[unit]
}

func resourceName(unit int, virtual bool) string {
	switch {
	case unit == NoUnit:
		return none
	case virtual:
		return resourceECI
	default:
		return resourceECS
	}
}

// unix returns a moment in seconds; 0 for none.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
