package metrics_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/test/scrape"
)

var at = time.Unix(1_800_000_000, 0)

// record records something of everything.
func record() {
	metrics.Decided(metrics.OutcomePlaced, 1, true)
	metrics.Decided(metrics.OutcomeFailed, metrics.NoUnit, false)
	metrics.Spilled(1, true, "no_room")
	metrics.Waited(metrics.EndPlaced, time.Minute)
	metrics.HeldFor(time.Hour)
	metrics.DecisionTook(time.Millisecond)
	metrics.SetLedger(7, 3)
	metrics.Called("ListUsage", "Throttled", time.Second)
	metrics.RefusedByECI("zone-j", "NoStock", metrics.ActionMoved)
	metrics.StockOutBegan("zone-j", "Pod", "QuotaExceeded")
	metrics.StockOutBegan("zone-k", "Inventory", "a reason of tomorrow")
	metrics.WroteDeletionCost(metrics.ResultConflict)
	metrics.WroteStatus(metrics.KindVirtualNode, metrics.ResultFailed)
}

func readAll() {
	var held metrics.Since
	held.Add(at)
	held.Add(at.Add(-time.Second))
	metrics.ReadScheduler(func() *metrics.SchedulerState {
		return &metrics.SchedulerState{Policies: 2, Tickets: 5, Held: &held, Waiting: &metrics.Since{}}
	})
	metrics.ReadFreshness(func() *map[string]time.Time { return &map[string]time.Time{"v": at.Add(time.Minute)} })
	metrics.ReadPolicies(func() *metrics.Policies {
		return &metrics.Policies{ByCondition: map[metrics.Condition]int{{Type: "Ready", Status: "True"}: 4}, WritesWaiting: 1}
	})
	metrics.ReadVirtualNodes(func() *[]metrics.VirtualNode {
		return &[]metrics.VirtualNode{{
			Name: "zone-j", Capacity: map[string]float64{metrics.ResourceCPU: 10}, Used: map[string]float64{metrics.ResourceCPU: 0.5},
			LastRefresh: at, Conditions: []metrics.Condition{{Type: "Ready", Status: "False", Reason: "CapacityUnknown"}},
			SoldOut: map[metrics.StockOut]int{{Source: "Pod", Reason: "NoStock"}: 2}, Currency: "CNY", CostPerHour: 1.5, CostLimit: 20,
			UnpricedPods: 3,
		}, {Name: "new"}}
	})
}

// readNothing is what a process reads that is not the leader.
func readNothing() {
	metrics.SetLedger(0, 0)
	metrics.ReadScheduler(func() *metrics.SchedulerState { return nil })
	metrics.ReadFreshness(func() *map[string]time.Time { return nil })
	metrics.ReadPolicies(func() *metrics.Policies { return nil })
	metrics.ReadVirtualNodes(func() *[]metrics.VirtualNode { return nil })
}

func TestScheduler(t *testing.T) {
	readNothing()
	before := scrape.Read(t, &metrics.Scheduler)
	record()
	readAll()
	want := scrape.Series{
		`spillway_decisions_total{outcome="placed",resource="eci",unit="1"}`:     1,
		`spillway_decisions_total{outcome="failed",resource="none",unit="none"}`: 1,
		`spillway_spills_total{reason="no_room",resource="eci",unit="1"}`:        1,
		`spillway_wait_duration_seconds{end="placed"}`:                           1,
		"spillway_hold_duration_seconds":                                         1,
		"spillway_decision_duration_seconds":                                     1,
		"spillway_ledger_pods":                                                   7,
		"spillway_ledger_counts":                                                 3,
		"spillway_ledger_policies":                                               2,
		"spillway_ledger_tickets":                                                5,
		"spillway_held_pods":                                                     2,
		"spillway_held_oldest_timestamp_seconds":                                 1_799_999_999,
		`spillway_scheduler_virtualnode_fresh_until_timestamp_seconds{node="v"}`: 1_800_000_060,
	}
	if diff := cmp.Diff(want, scrape.Read(t, &metrics.Scheduler).Since(before)); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestController(t *testing.T) {
	readNothing()
	before := scrape.Read(t, &metrics.Controller)
	record()
	readAll()
	want := scrape.Series{
		`spillway_eci_calls_total{action="ListUsage",code="Throttled"}`:                                                  1,
		`spillway_eci_call_duration_seconds{action="ListUsage"}`:                                                         1,
		`spillway_eci_refused_pods_total{action="moved",reason="NoStock",virtualnode="zone-j"}`:                          1,
		`spillway_virtualnode_stock_outs_total{reason="Quota",source="Pod",virtualnode="zone-j"}`:                        1,
		`spillway_virtualnode_stock_outs_total{reason="Other",source="Inventory",virtualnode="zone-k"}`:                  1,
		`spillway_deletion_cost_writes_total{result="conflict"}`:                                                         1,
		`spillway_status_writes_total{kind="virtualnode",result="failed"}`:                                               1,
		`spillway_virtualnode_capacity{resource="cpu",virtualnode="zone-j"}`:                                             10,
		`spillway_virtualnode_used{resource="cpu",virtualnode="zone-j"}`:                                                 0.5,
		`spillway_virtualnode_last_refresh_timestamp_seconds{virtualnode="zone-j"}`:                                      1_800_000_000,
		`spillway_virtualnode_condition{condition="Ready",reason="CapacityUnknown",status="False",virtualnode="zone-j"}`: 1,
		`spillway_virtualnode_sold_out_specs{reason="NoStock",source="Pod",virtualnode="zone-j"}`:                        2,
		`spillway_virtualnode_cost_per_hour{currency="CNY",virtualnode="zone-j"}`:                                        1.5,
		`spillway_virtualnode_unpriced_pods{virtualnode="zone-j"}`:                                                       3,
		`spillway_virtualnode_cost_limit_per_hour{currency="CNY",virtualnode="zone-j"}`:                                  20,
		`spillway_policies{condition="Ready",status="True"}`:                                                             4,
		"spillway_status_writes_waiting":                                                                                 1,
	}
	after := scrape.Read(t, &metrics.Controller)
	if diff := cmp.Diff(want, after.Since(before)); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
	if _, there := after[`spillway_virtualnode_last_refresh_timestamp_seconds{virtualnode="new"}`]; !there {
		t.Error("a capacity that was never read has no timestamp: its age cannot be watched")
	}
}

func TestVirtualNodesThatAreGoneHaveNoSeries(t *testing.T) {
	record()
	metrics.ForgetVirtualNode("zone-j")
	got := scrape.Read(t, &metrics.Controller)
	for name, want := range map[string]bool{
		`spillway_eci_refused_pods_total{action="moved",reason="NoStock",virtualnode="zone-j"}`:         false,
		`spillway_virtualnode_stock_outs_total{reason="Quota",source="Pod",virtualnode="zone-j"}`:       false,
		`spillway_virtualnode_stock_outs_total{reason="Other",source="Inventory",virtualnode="zone-k"}`: true,
	} {
		if _, there := got[name]; there != want {
			t.Errorf("%s: %v, want %v", name, there, want)
		}
	}
}

func TestAStandbyHasNoPods(t *testing.T) {
	readNothing()
	metrics.ReadScheduler(func() *metrics.SchedulerState { return &metrics.SchedulerState{Policies: 2} })
	if got, there := scrape.Read(t, &metrics.Scheduler)["spillway_held_pods"]; there {
		t.Errorf("spillway_held_pods is %v in a scheduler that is not the leader: the sum over replicas is wrong", got)
	}
	if got, there := scrape.Read(t, &metrics.Controller)[`spillway_policies{condition="Ready",status="True"}`]; there {
		t.Errorf("spillway_policies is %v in a controller that is not the leader: the sum over replicas is wrong", got)
	}
}

// TestNames holds the names and helps to the conventions of Prometheus.
func TestNames(t *testing.T) {
	record()
	readAll()
	for _, binary := range []*metrics.Binary{&metrics.Scheduler, &metrics.Controller} {
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(binary.Collectors()...)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		problems, err := promlint.NewWithMetricFamilies(families).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// TestTheHotPathAllocatesNothing is about what every decision calls.
func TestTheHotPathAllocatesNothing(t *testing.T) {
	if got := testing.AllocsPerRun(100, func() {
		metrics.DecisionTook(time.Millisecond)
		metrics.SetLedger(7, 3)
	}); got != 0 {
		t.Errorf("a decision allocates %v times for its metrics", got)
	}
}

func BenchmarkDecision(b *testing.B) {
	for b.Loop() {
		metrics.DecisionTook(time.Millisecond)
		metrics.SetLedger(7, 3)
	}
}
