package main

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// events are built by c, b and d: a pod is created, bound, deleted.
func c(seconds float64, pod int) event { return event{kind: created, at: at(seconds), pod: pod} }
func b(seconds float64, pod, machine int) event {
	return event{kind: bound, at: at(seconds), pod: pod, machine: machine}
}
func d(seconds float64, pod int) event { return event{kind: deleted, at: at(seconds), pod: pod} }

func at(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

func TestAccount(t *testing.T) {
	p := &plan{
		Factor: 100, Duration: 240 * time.Second, Machines: []machine{{Name: "m", amount: cpu(4)}},
		Pods: []plannedPod{
			{Name: "runs", amount: cpu(4), Running: true},
			{Name: "spills", amount: cpu(2)},
			{Name: "gpu", amount: amount{MilliCPU: 1000, GPUs: 1}},
			{Name: "too-large", amount: cpu(96)},
			{Name: "waits", amount: cpu(1)},
		},
	}
	costs := []cost{{1, true}, {0.5, true}, {2, true}, {}, {1, true}}
	events := []event{
		c(-3, 0), b(-2, 0, 0), // Before the start: it counts from the start on, and its waiting not at all.
		c(10, 1), b(10.004, 1, onECI), d(30.004, 1),
		c(20, 2), b(20.002, 2, onECI), // To the end.
		c(50, 3), b(50.001, 3, onECI), d(51.001, 3),
		d(120, 0),
		c(130, 4),
	}
	got := account(p, events, costs)
	eci, paid := got.PodsOnECI, got.PaidCPU
	got.PodsOnECI, got.PaidCPU = nil, nil
	want := outcome{
		Pods: 5, Placed: 4, OnECI: 3, Unsold: 1,
		ECISeconds: 100 * (20 + 219.998 + 1), Cost: 100 * 20 * 0.5, GPUCost: 100 * 219.998 * 2,
		QueuedMedian: 2, QueuedP99: 4, QueuedMax: 4,
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-6 })
	if diff := cmp.Diff(want, got, near); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	// Each point of a curve is a second here.
	for second, want := range map[int][2]float64{0: {0, 4}, 9: {0, 4}, 10: {0.996, 4}, 25: {2, 4}, 40: {1, 4}, 119: {1, 4}, 120: {1, 0}, 239: {1, 0}} {
		if got := [2]float64{eci[second], paid[second]}; !cmp.Equal(want, got, near) {
			t.Errorf("second %d: got %v pods on ECI and paid vCPUs in use, want %v", second, got, want)
		}
	}
}

func TestAccountOfNothing(t *testing.T) {
	got := account(&plan{Factor: 1, Duration: time.Second}, nil, nil)
	got.PodsOnECI, got.PaidCPU = nil, nil
	if diff := cmp.Diff(outcome{}, got); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}

func TestCosts(t *testing.T) {
	rates, err := makeRates("10")
	if err != nil {
		t.Fatal(err)
	}
	hour := func(perHour float64) cost { return cost{perSecond: perHour / 3600, sold: true} }
	for name, tc := range map[string]struct {
		size amount
		want cost
	}{
		"as it is sold":            {size: amount{2000, 4096, 0}, want: hour(2*0.1764 + 4*0.022068)},
		"rounded up":               {size: amount{12500, 57344, 0}, want: hour(16*0.1764 + 64*0.022068)},
		"with a GPU":               {size: amount{3152, 5600, 1}, want: hour(4*0.1764 + 15*0.022068 + 10)},
		"with more memory":         {size: amount{3152, 16384, 1}, want: hour(8*0.1764 + 31*0.022068 + 10)},
		"with eight GPUs":          {size: amount{120200, 640000, 8}, want: hour(128*0.1764 + 1000*0.022068 + 80)},
		"more than ECI has":        {size: amount{96000, 393216, 0}},
		"more GPUs than ECI has":   {size: amount{1000, 1024, 16}},
		"GPUs, but too many vCPUs": {size: amount{200000, 1024, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got := costOf(podObject(&plannedPod{Name: "p", amount: tc.size}, contender{}), rates)
			if got.sold != tc.want.sold || math.Abs(got.perSecond-tc.want.perSecond) > 1e-6 {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
	if _, err := makeRates("ten"); err == nil {
		t.Error("want an error for a price that is no number")
	}
}
