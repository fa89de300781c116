package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The schedulers that are compared: the stock scheduler, one that ranks units by Score alone, and Spillway.
const (
	stock    = "stock"
	score    = "score"
	spillway = "spillway"
)

var schedulers = []string{stock, score, spillway}

// result is one measurement.
type result struct {
	Case            string  `json:"case"`
	Nodes           int     `json:"nodes"`
	Scheduler       string  `json:"scheduler"`
	Round           int     `json:"round"`
	PodsPerSecond   float64 `json:"podsPerSecond"`
	OrderViolations int     `json:"orderViolations"`
	// LoopMillis is how long the scheduler looks for a node in an attempt: PreFilter, Filter, PreScore and Score.
	LoopMillis float64 `json:"loopMillis"`
	// HeapMB is what the process had in use at the end, and HeapGrowth how much more that became in the last minute; of churn only.
	HeapMB     float64 `json:"heapMB,omitempty"`
	HeapGrowth float64 `json:"heapGrowthMBPerMinute,omitempty"`
}

// measurement is what is to be measured.
type measurement struct {
	Case      string
	Nodes     int
	Scheduler string
	Round     int
}

// run runs the benchmark in a process of its own, with an API server and an etcd of its own.
func (m *measurement) run(ctx context.Context, binary, out string) (result, error) {
	name := fmt.Sprintf("%s-%d-%s-%d", m.Case, m.Nodes, m.Scheduler, m.Round)
	dir := filepath.Join(out, name)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return result{}, fmt.Errorf("preparing %s: %w", dir, err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return result{}, fmt.Errorf("creating the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	command := exec.CommandContext(ctx, binary, "-test.run", "^$", "-test.bench", ".", "-test.benchtime", "1x", "-test.timeout", "30m", "-data-items-dir", dir)
	command.Stdout, command.Stderr = log, log
	command.Env = append(os.Environ(), "PERF_CASE="+m.Case, "PERF_NODES="+strconv.Itoa(m.Nodes), "PERF_SCHEDULER="+m.Scheduler, "PERF_RESULT="+filepath.Join(dir, "result.json"))
	if err := command.Run(); err != nil {
		return result{}, fmt.Errorf("running %s: %w; see %s", name, err, log.Name())
	}
	return m.read(dir)
}

// read reads what the benchmark has written.
func (m *measurement) read(dir string) (result, error) {
	measured := result{Case: m.Case, Nodes: m.Nodes, Scheduler: m.Scheduler, Round: m.Round}
	var seen struct {
		OrderViolations, Measured int
		LiveHeap                  []float64
	}
	data, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err == nil {
		err = json.Unmarshal(data, &seen)
	}
	if err != nil {
		return result{}, fmt.Errorf("reading the order violations: %w", err)
	}
	measured.OrderViolations = seen.OrderViolations
	if m.Case == churn {
		measured.HeapMB, measured.HeapGrowth = growth(seen.LiveHeap)
	}
	items, err := dataItems(dir)
	if err != nil {
		return result{}, err
	}
	measured.PodsPerSecond, measured.LoopMillis = throughput(items), loop(items)
	if m.Case == preempt {
		// Preemptors are bound in bursts, of which the mean of samples says nothing.
		measured.PodsPerSecond = float64(seen.Measured) / duration(items)
	}
	if measured.PodsPerSecond == 0 {
		return result{}, fmt.Errorf("%s has no SchedulingThroughput: the run was too short to be sampled", dir)
	}
	return measured, nil
}

// growth returns the last of the samples of the heap, one a second, and by how much a minute it grew: the mean of the last minute less that of the minute
// before.
func growth(heap []float64) (last, perMinute float64) {
	const minute = 60
	if len(heap) < 2*minute {
		return 0, 0
	}
	mean := func(values []float64) (sum float64) {
		for _, v := range values {
			sum += v / float64(len(values))
		}
		return sum
	}
	end := len(heap)
	return heap[end-1], mean(heap[end-minute:]) - mean(heap[end-2*minute:end-minute])
}

// dataItem is one metric that scheduler_perf has measured.
type dataItem struct {
	Data   map[string]float64 `json:"data"`
	Labels map[string]string  `json:"labels"`
}

// dataItems reads the file that scheduler_perf has written.
func dataItems(dir string) ([]dataItem, error) {
	files, err := filepath.Glob(filepath.Join(dir, "BenchmarkPerfScheduling*.json"))
	if err != nil || len(files) != 1 {
		return nil, fmt.Errorf("finding the data items in %s: %d files", dir, len(files))
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		return nil, fmt.Errorf("reading the data items: %w", err)
	}
	var file struct {
		DataItems []dataItem `json:"dataItems"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("decoding the data items: %w", err)
	}
	return file.DataItems, nil
}

// throughput returns the average number of pods a second; 0 when it is not there.
func throughput(items []dataItem) float64 {
	for _, item := range items {
		if item.Labels["Metric"] == "SchedulingThroughput" {
			return item.Data["Average"]
		}
	}
	return 0
}

// duration returns how long the measured pods took together, in seconds.
func duration(items []dataItem) float64 {
	for _, item := range items {
		if item.Labels["Metric"] == "SchedulingDuration" {
			return item.Data["Duration"]
		}
	}
	return math.Inf(1)
}

// loop adds up the average durations of what is done in an attempt to find a node, in milliseconds.
func loop(items []dataItem) float64 {
	sum := 0.0
	for _, item := range items {
		if item.Labels["Metric"] == "scheduler_framework_extension_point_duration_seconds" &&
			slices.Contains([]string{"PreFilter", "Filter", "PreScore", "Score"}, item.Labels["extension_point"]) {
			sum += item.Data["Average"]
		}
	}
	return sum
}

// numbers reads a comma-separated list of positive numbers.
func numbers(text string) ([]int, error) {
	var all []int
	for _, word := range strings.Split(text, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 10 {
			return nil, fmt.Errorf("%q: must be a number of at least 10", word)
		}
		all = append(all, n)
	}
	return all, nil
}
