package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var unexported = cmp.AllowUnexported(plan{}, plannedPod{}, machine{})

func cpu(n int64) amount { return amount{MilliCPU: n * 1000} }

func TestMakePlan(t *testing.T) {
	machines := []machine{{Name: "m0", amount: cpu(2)}, {Name: "m1", amount: cpu(4)}, {Name: "m2", amount: cpu(2)}}
	trace := []tracePod{ // Not by time.
		{Name: "third", amount: cpu(1), Created: 1040, Lifetime: 10},
		{Name: "long-gone", amount: cpu(64), Created: 0, Lifetime: 1000},
		{Name: "runs", amount: cpu(2), Created: 500, Lifetime: 520},
		{Name: "stays", amount: cpu(1), Created: 400, Lifetime: forever - 400},
		{Name: "first", amount: cpu(3), Created: 1000, Lifetime: 30},
		{Name: "second", amount: cpu(1), Created: 1020, Lifetime: 0},
		{Name: "later", amount: cpu(64), Created: 5000, Lifetime: 10},
	}
	got, err := makePlan(trace, machines, settings{pods: 3, duration: 4 * time.Second, paid: 0.7})
	if err != nil {
		t.Fatal(err)
	}
	want := plan{
		Start: 1000, Factor: 10, Duration: 4 * time.Second,
		Pods: []plannedPod{
			{Name: "stays", amount: cpu(1), Running: true, Lifetime: 8 * time.Second}, // as long as is of interest
			{Name: "runs", amount: cpu(2), Running: true, Lifetime: 2 * time.Second},
			{Name: "first", amount: cpu(3), Lifetime: 3 * time.Second},
			{Name: "second", amount: cpu(1), At: 2 * time.Second},
			{Name: "third", amount: cpu(1), At: 4 * time.Second, Lifetime: time.Second},
		},
		Machines: machines[1:2],
		Peak:     cpu(6), // At 1020 "runs" ends before "second" comes.
	}
	if diff := cmp.Diff(want, got, unexported); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

func TestMakePlanTakesAll(t *testing.T) {
	trace := []tracePod{{Name: "a", amount: cpu(1), Created: 5, Lifetime: 9}, {Name: "b", amount: cpu(1), Created: 25, Lifetime: 9}}
	for _, pods := range []int{0, 2, 10} {
		got, err := makePlan(trace, []machine{{Name: "m", amount: cpu(1)}}, settings{pods: pods, duration: time.Second, paid: 1})
		if err != nil || len(got.Pods) != 2 || got.Factor != 20 {
			t.Errorf("pods %d: got %d pods, factor %v, error %v; want both pods and 20", pods, len(got.Pods), got.Factor, err)
		}
	}
	_, err := makePlan(trace, nil, settings{pods: 1, duration: time.Second, paid: 1})
	if want := "the busiest 1 pods of the trace come in the same second, 5: take more pods"; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}

func TestChoose(t *testing.T) {
	var list []machine // Ten small machines and then ten large ones.
	for i := range 20 {
		m := machine{Name: fmt.Sprintf("m%d", i), amount: cpu(2)}
		if i >= 10 {
			m.amount = cpu(10)
		}
		list = append(list, m)
	}
	for name, tc := range map[string]struct {
		cpus int64
		want []string
	}{
		"a mix as in the list": {cpus: 24, want: []string{"m2", "m7", "m12", "m17"}},
		"the nearest below":    {cpus: 27, want: []string{"m2", "m7", "m12", "m17"}},
		"one at least":         {cpus: 1, want: []string{"m10"}},
		"no more than all":     {cpus: 1000, want: names(list)},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, names(choose(list, tc.cpus*1000))); diff != "" {
				t.Errorf("machines (-want +got):\n%s", diff)
			}
		})
	}
}

func names(machines []machine) []string {
	var all []string
	for i := range machines {
		all = append(all, machines[i].Name)
	}
	return all
}
