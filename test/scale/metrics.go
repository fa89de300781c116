package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The metrics that are read.
const (
	metricHeap      = "go_memstats_heap_inuse_bytes"
	metricLeader    = "leader_election_master_status"
	metricDepth     = "workqueue_depth"
	metricAdds      = "workqueue_adds_total"
	metricWorkers   = "controller_runtime_active_workers"
	metricReconcile = "controller_runtime_reconcile_total"
)

// series are the values of a metric by its labels, as they are written, and the sum of all.
type series struct {
	byLabels map[string]float64
	sum      float64
}

// metrics are the metrics of the controller by name.
type metrics map[string]*series

// parseMetrics reads the text format of Prometheus.
func parseMetrics(text string) metrics {
	all := metrics{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		end := strings.LastIndexByte(line, ' ')
		if end < 0 || line[0] == '#' {
			continue
		}
		value, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			continue
		}
		name, labels, _ := strings.Cut(line[:end], "{")
		if all[name] == nil {
			all[name] = &series{byLabels: map[string]float64{}}
		}
		all[name].byLabels[strings.TrimSuffix(labels, "}")] = value
		all[name].sum += value
	}
	return all
}

// sum returns the sum of a metric over the series whose labels contain a text.
func (m metrics) sum(name, part string) float64 {
	if m[name] == nil {
		return 0
	}
	var sum float64
	for labels, value := range m[name].byLabels {
		if strings.Contains(labels, part) {
			sum += value
		}
	}
	return sum
}

// idle tells whether the controllers have begun, and have nothing to do. They have asked about each policy by then.
func (m metrics) idle(policies int) bool {
	return m.sum(metricLeader, "") > 0 && m.sum(metricAdds, `name="resourcepolicy"`) >= float64(policies) &&
		m.sum(metricDepth, "") == 0 && m.sum(metricWorkers, `controller="resourcepolicy"`)+m.sum(metricWorkers, `controller="deletioncost"`) == 0
}

// scrape reads the metrics. There are none while the controller starts.
func (c *controller) scrape(ctx context.Context) metrics {
	data, err := get(ctx, c.metrics)
	if err != nil {
		return metrics{}
	}
	return parseMetrics(string(data))
}

// writeProfile writes a profile to a file.
func (c *controller) writeProfile(ctx context.Context, path, file string) error {
	data, err := get(ctx, c.profiles+path)
	if err != nil {
		return fmt.Errorf("reading profile %s: %w", path, err)
	}
	if err := os.WriteFile(filepath.Clean(file), data, 0o644); err != nil {
		return fmt.Errorf("writing profile %s: %w", path, err)
	}
	return nil
}

func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	return io.ReadAll(response.Body)
}
