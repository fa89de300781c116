package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spillway-k8s/spillway/test/chart"
)

// report is what the replay has shown.
type report struct {
	plan *plan
	// trace and nodes are the names of the files.
	trace, nodes string
	// gpuHour and paid are settings that a reader has to know.
	gpuHour  string
	paid     float64
	outcomes []outcome
}

// figure is a line of the table.
type figure struct {
	name, format string
	value        func(*outcome) float64
	// compared is true where Spillway's part of the stock scheduler's value says something.
	compared bool
}

var figures = []figure{
	{"pods", "%.0f", func(o *outcome) float64 { return float64(o.Pods) }, false},
	{"pods placed", "%.0f", func(o *outcome) float64 { return float64(o.Placed) }, false},
	{"pods on ECI", "%.0f", func(o *outcome) float64 { return float64(o.OnECI) }, true},
	{"ECI seconds, millions", "%.3f", func(o *outcome) float64 { return o.ECISeconds / 1e6 }, true},
	{"money for ECI, CNY", "%.0f", func(o *outcome) float64 { return o.Cost + o.GPUCost }, true},
	{"of it pods without GPU, at list price", "%.0f", func(o *outcome) float64 { return o.Cost }, true},
	{"of it pods with GPUs, GPU price assumed", "%.0f", func(o *outcome) float64 { return o.GPUCost }, true},
	{"order violations", "%.0f", func(o *outcome) float64 { return float64(o.Violations) }, false},
	{"queueing time, median, ms", "%.1f", func(o *outcome) float64 { return o.QueuedMedian }, true},
	{"queueing time, 99th percentile, ms", "%.1f", func(o *outcome) float64 { return o.QueuedP99 }, true},
	{"queueing time, longest, ms", "%.1f", func(o *outcome) float64 { return o.QueuedMax }, true},
}

// table is the outcomes side by side: of each figure the median of the rounds, and the least and the most where they differ.
func (r *report) table() string {
	var b strings.Builder
	names := r.schedulers()
	b.WriteString("| |")
	for _, name := range names {
		fmt.Fprintf(&b, " %s |", titleOf(name))
	}
	b.WriteString(" Spillway : stock with preference |\n|---|" + strings.Repeat("---:|", len(names)+1) + "\n")
	for _, f := range figures {
		fmt.Fprintf(&b, "| %s |", f.name)
		var medians []float64
		for _, name := range names {
			values := r.values(name, f.value)
			medians = append(medians, values[len(values)/2])
			b.WriteString(" " + f.cell(values) + " |")
		}
		fmt.Fprintf(&b, " %s |\n", f.ratio(medians))
	}
	return b.String()
}

// schedulers are the names in the order of the contenders: Spillway is last, behind the one that it is compared with.
func (r *report) schedulers() []string {
	var names []string
	for _, c := range contenders {
		if slices.ContainsFunc(r.outcomes, func(o outcome) bool { return o.Scheduler == c.name }) {
			names = append(names, c.name)
		}
	}
	return names
}

// values are those of the rounds of a scheduler, sorted.
func (r *report) values(scheduler string, value func(*outcome) float64) []float64 {
	var all []float64
	for i := range r.outcomes {
		if r.outcomes[i].Scheduler == scheduler {
			all = append(all, value(&r.outcomes[i]))
		}
	}
	slices.Sort(all)
	return all
}

func (f *figure) cell(sorted []float64) string {
	write := func(v float64) string { return fmt.Sprintf(f.format, v) }
	least, middle, most := write(sorted[0]), write(sorted[len(sorted)/2]), write(sorted[len(sorted)-1])
	if least == most {
		return middle
	}
	return fmt.Sprintf("%s (%s to %s)", middle, least, most)
}

// ratio compares the last value with the one before it.
func (f *figure) ratio(medians []float64) string {
	n := len(medians)
	if !f.compared || n < 2 || medians[n-2] == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", medians[n-1]/medians[n-2])
}

func titleOf(name string) string {
	for _, c := range contenders {
		if c.name == name {
			return c.title
		}
	}
	return name
}

// svg draws the first round: pods on ECI, and the paid vCPUs in use beside how many there are and how many are requested.
func (r *report) svg() []byte {
	days := r.plan.seconds(r.plan.Duration) / secondsPerDay
	eci := chart.Lines{Title: "Pods on ECI", X: "days of the trace", Y: "pods"}
	paid := chart.Lines{Title: "Paid vCPUs in use", X: "days of the trace", Y: "vCPUs"}
	has := float64(total(r.plan.Machines).MilliCPU) / 1000
	for i := range r.outcomes {
		o := &r.outcomes[i]
		if o.Round > 1 {
			continue
		}
		eci.Series = append(eci.Series, chart.Series{Name: titleOf(o.Scheduler), Points: points(o.PodsOnECI, days)})
		paid.Series = append(paid.Series, chart.Series{Name: titleOf(o.Scheduler), Points: points(o.PaidCPU, days)})
	}
	paid.Series = append(paid.Series,
		chart.Series{Name: "requested by all pods", Points: points(requested(r.plan), days), Dashed: true},
		chart.Series{Name: "paid", Points: []chart.Point{{X: 0, Y: has}, {X: days, Y: has}}, Dashed: true})
	return chart.Stack(eci, paid)
}

// requested is the curve of the vCPUs that pods would request if none waited.
func requested(p *plan) []float64 {
	curve := make([]float64, buckets)
	for i := range p.Pods {
		pod := &p.Pods[i]
		spread(curve, stay{from: pod.At, to: min(pod.At+pod.Lifetime, p.Duration)}, p.Duration, float64(pod.MilliCPU)/1000)
	}
	return curve
}

// points puts each value in the middle of its time, and goes on to both ends.
func points(curve []float64, days float64) []chart.Point {
	last := len(curve) - 1
	all := []chart.Point{{X: 0, Y: curve[0]}}
	for i, y := range curve {
		all = append(all, chart.Point{X: (float64(i) + 0.5) / float64(len(curve)) * days, Y: y})
	}
	return append(all, chart.Point{X: days, Y: curve[last]})
}

// write writes the page and the chart.
func (r *report) write(docs string) error {
	images := filepath.Join(docs, "images")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return fmt.Errorf("creating the directory of images: %w", err)
	}
	if err := os.WriteFile(filepath.Join(images, "replay.svg"), r.svg(), 0o644); err != nil {
		return fmt.Errorf("writing the chart: %w", err)
	}
	if err := os.WriteFile(filepath.Join(docs, "replay.md"), []byte(r.page()), 0o644); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}
