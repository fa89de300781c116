// Package perf measures Spillway with upstream's scheduler_perf: the real scheduler, API server and etcd in one process. One run measures one case at one
// size with one scheduler; the command bench runs them in turn and compares.
//
//	PERF_CASE       the case (cases_test.go)
//	PERF_NODES      how many machines
//	PERF_SCHEDULER  stock, score (units ranked by Score alone, as others do) or spillway
//	PERF_RESULT     the file that gets the result
package perf

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	_ "k8s.io/component-base/logs/json/register"
	benchmark "k8s.io/kubernetes/test/integration/scheduler_perf"
	"k8s.io/kubernetes/test/utils/client-go/ktesting"
	"sigs.k8s.io/yaml"

	"github.com/spillway-k8s/spillway/plugins"
)

// The schedulers that are compared.
const (
	stock    = "stock"
	score    = "score"
	spillway = "spillway"
)

func TestMain(m *testing.M) {
	if err := benchmark.InitTests(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// BenchmarkPerfScheduling runs what the environment names. scheduler_perf writes the throughput to -data-items-dir; the order violations are in PERF_RESULT.
func BenchmarkPerfScheduling(b *testing.B) {
	if os.Getenv("PERF_CASE") == "" {
		b.Skip("PERF_CASE does not name a case: run make bench")
	}
	nodes, err := strconv.Atoi(os.Getenv("PERF_NODES"))
	if err != nil {
		b.Fatal(err)
	}
	r := &run{scheduler: os.Getenv("PERF_SCHEDULER"), nodes: nodes, dir: b.TempDir()}
	c, ok := cases[os.Getenv("PERF_CASE")]
	if !ok {
		b.Fatalf("PERF_CASE=%q: no such case", os.Getenv("PERF_CASE"))
	}
	r.write(b, c)
	registry, _ := plugins.All()
	registry[unitScoreName] = newUnitScore
	r.heap = watchHeap(b)
	benchmark.RunBenchmarkPerfScheduling(b, filepath.Join(r.dir, "config.yaml"), "spillway", toRegistry(registry), benchmark.WithPrepareFn(func(tCtx ktesting.TContext) error {
		tCtx.CleanupCtx(func(tCtx ktesting.TContext) { r.judge(tCtx, c) })
		return r.prepare(tCtx, c)
	}))
}

// run is one measurement.
type run struct {
	scheduler string
	nodes     int
	dir       string
	// templates is how many templates have been written.
	templates int
	// heap returns what watchHeap has seen.
	heap func() []float64
}

// write writes the files that scheduler_perf reads: the configuration of the case, that of the scheduler, and the templates.
func (r *run) write(b *testing.B, c perfCase) {
	b.Helper()
	workload := map[string]any{
		"name": strconv.Itoa(r.nodes) + "Nodes", "labels": []string{"performance"}, "params": map[string]any{"nodes": r.nodes},
	}
	// scheduler_perf takes over a namespace that exists only by this operation.
	ops := append([]any{map[string]any{"opcode": "createNamespaces", "prefix": namespacePrefix, "count": 2}}, c.ops(r)...)
	test := map[string]any{"name": os.Getenv("PERF_CASE"), "workloads": []any{workload}, "workloadTemplate": ops}
	if r.scheduler != stock {
		test["schedulerConfigPath"] = r.file(b, "scheduler.yaml", r.config(b))
	}
	r.file(b, "config.yaml", []any{test})
}

// file writes an object as YAML and returns the path.
func (r *run) file(b *testing.B, name string, object any) string {
	b.Helper()
	data, err := yaml.Marshal(object)
	if err != nil {
		b.Fatal(err)
	}
	return r.text(b, name, string(data))
}

func (r *run) text(b *testing.B, name, text string) string {
	b.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// config returns the configuration of the scheduler: for Spillway the one that is installed, as the profile of all pods.
func (r *run) config(b *testing.B) map[string]any {
	b.Helper()
	var config map[string]any
	data, err := os.ReadFile(filepath.Join("..", "..", "config", "scheduler", "config.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	if err := yaml.Unmarshal(data, &config); err != nil {
		b.Fatal(err)
	}
	profile := config["profiles"].([]any)[0].(map[string]any)
	profile["schedulerName"] = "default-scheduler"
	if r.scheduler == score {
		profile["plugins"] = map[string]any{"multiPoint": map[string]any{"enabled": []any{map[string]any{"name": unitScoreName, "weight": 1_000_000}}}}
	}
	config["leaderElection"] = map[string]any{"leaderElect": false}
	return config
}

// result is what the command bench reads beside the throughput.
type result struct {
	OrderViolations int `json:"orderViolations"`
	// Measured is how many of the measured pods are on nodes at the end.
	Measured int `json:"measured"`
	// LiveHeap are the megabytes that the garbage collector found in use, once a second: of the scheduler, the API server and the test together.
	LiveHeap []float64 `json:"liveHeap"`
}

func writeResult(r result) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(os.Getenv("PERF_RESULT"), data, 0o600)
}
