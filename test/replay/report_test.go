package main

import (
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	r := report{outcomes: []outcome{
		{Scheduler: "spillway", Round: 1, Pods: 10, OnECI: 4, Cost: 100, GPUCost: 50, QueuedMedian: 1.5},
		{Scheduler: "stock-prefers", Round: 1, Pods: 10, OnECI: 8, Cost: 300, QueuedMedian: 1},
		{Scheduler: "stock-prefers", Round: 2, Pods: 10, OnECI: 5, Cost: 300, QueuedMedian: 3},
		{Scheduler: "stock-prefers", Round: 3, Pods: 10, OnECI: 9, Cost: 300, QueuedMedian: 2},
	}}
	got := r.table()
	for _, line := range []string{
		"| | stock, toleration and preference | Spillway | Spillway : stock with preference |",
		"|---|---:|---:|---:|",
		"| pods | 10 | 10 |  |",
		"| pods on ECI | 8 (5 to 9) | 4 | 0.50 |",
		"| money for ECI, CNY | 300 | 150 | 0.50 |",
		"| of it pods with GPUs, GPU price assumed | 0 | 50 |  |",
		"| queueing time, median, ms | 2.0 (1.0 to 3.0) | 1.5 | 0.75 |",
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("want the line\n%s\nin\n%s", line, got)
		}
	}
}

func TestChartAndPage(t *testing.T) {
	p := &plan{
		Factor: secondsPerDay, Duration: 2 * time.Second, Machines: []machine{{Name: "m", amount: cpu(4)}},
		Pods: []plannedPod{{Name: "p", amount: cpu(8), Lifetime: time.Second}},
	}
	one := account(p, []event{c(0, 0), b(0, 0, onECI), d(1, 0)}, []cost{{sold: true}})
	one.Scheduler, one.Round = "spillway", 1
	r := report{plan: p, trace: "pods.csv", nodes: "nodes.csv", gpuHour: "10", paid: 0.7, outcomes: []outcome{one}}
	svg := string(r.svg())
	for _, part := range []string{">Pods on ECI<", ">Paid vCPUs in use<", ">Spillway<", ">requested by all pods<", ">paid<"} {
		if !strings.Contains(svg, part) {
			t.Errorf("want %s in the chart", part)
		}
	}
	curve := requested(p)
	if curve[0] != 8 || curve[buckets-1] != 0 {
		t.Errorf("got %v and %v vCPUs requested at the start and at the end, want 8 and 0", curve[0], curve[buckets-1])
	}
	for _, part := range []string{"`pods.csv`", "`nodes.csv`", "images/replay.svg", r.table(), "4 vCPU, 0 GiB, 0 GPUs"} {
		if page := r.page(); !strings.Contains(page, part) {
			t.Errorf("want %s in the page:\n%s", part, page)
		}
	}
}
