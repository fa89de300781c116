package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// schedulers are those that are compared: the stock scheduler, one that ranks units by Score alone, and Spillway.
var schedulers = []string{"stock", "score", "spillway"}

// result is one measurement.
type result struct {
	Case            string  `json:"case"`
	Nodes           int     `json:"nodes"`
	Scheduler       string  `json:"scheduler"`
	Round           int     `json:"round"`
	PodsPerSecond   float64 `json:"podsPerSecond"`
	OrderViolations int     `json:"orderViolations"`
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
	data, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err == nil {
		err = json.Unmarshal(data, &measured)
	}
	if err != nil {
		return result{}, fmt.Errorf("reading the order violations: %w", err)
	}
	measured.PodsPerSecond, err = throughput(dir)
	return measured, err
}

// throughput reads the average of SchedulingThroughput from the file that scheduler_perf has written.
func throughput(dir string) (float64, error) {
	files, err := filepath.Glob(filepath.Join(dir, "BenchmarkPerfScheduling*.json"))
	if err != nil || len(files) != 1 {
		return 0, fmt.Errorf("finding the data items in %s: %d files", dir, len(files))
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		return 0, fmt.Errorf("reading the data items: %w", err)
	}
	var items struct {
		DataItems []struct {
			Data   map[string]float64 `json:"data"`
			Labels map[string]string  `json:"labels"`
		} `json:"dataItems"`
	}
	if err := json.Unmarshal(data, &items); err != nil {
		return 0, fmt.Errorf("decoding the data items: %w", err)
	}
	for _, item := range items.DataItems {
		if item.Labels["Metric"] == "SchedulingThroughput" {
			return item.Data["Average"], nil
		}
	}
	return 0, fmt.Errorf("%s has no SchedulingThroughput: the run was too short to be sampled", files[0])
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
