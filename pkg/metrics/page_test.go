package metrics_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-k8s/spillway/pkg/metrics"
)

const (
	page  = "../../docs/metrics.md"
	intro = `# Metrics

<!-- Made by make generate from pkg/metrics. Do not edit. -->

Both binaries serve their metrics at ` + "`/metrics`" + ` over HTTPS, the scheduler on port 10259 and the controller on port 8443. Whoever reads them needs a
token that the API server knows and the right to get the URL ` + "`/metrics`" + `, such as by the ClusterRole ` + "`spillway-metrics-reader`" + `. The controller's flag
` + "`--metrics-auth=false`" + ` switches that off for the controller; then only the network protects its metrics.

The metrics below are Spillway's own. The scheduler serves all metrics of kube-scheduler, too, such as ` + "`scheduler_pending_pods`" + ` and
` + "`scheduler_plugin_execution_duration_seconds`" + `, and the controller those of controller-runtime, such as ` + "`controller_runtime_reconcile_errors_total`" + ` and
` + "`workqueue_depth`" + `.

No label is a pod, a namespace or a policy, so that the number of series does not grow with the cluster; it grows with the number of VirtualNodes. Counters begin
at 0 when a process starts. Of several replicas only the leader tells of pods that are held or wait, of VirtualNodes and of the conditions of policies: add the
replicas up, and the sum is right.
`
)

var update = flag.Bool("update", false, "write docs/metrics.md")

func TestPage(t *testing.T) {
	want := intro
	for _, binary := range []*metrics.Binary{&metrics.Scheduler, &metrics.Controller} {
		want += "\n## " + binary.Name + "\n\n| Name | Type | Labels | Meaning | What to watch for |\n|---|---|---|---|---|\n"
		for i := range binary.Metrics {
			want += row(&binary.Metrics[i])
		}
	}
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/metrics.md is stale, run make generate (-want +got):\n%s", diff)
	}
}

func row(m *metrics.Metric) string {
	kind := m.Type
	if last := len(m.Buckets) - 1; last >= 0 {
		kind += fmt.Sprintf(", %d buckets from %v to %v", len(m.Buckets), m.Buckets[0], m.Buckets[last])
	}
	var labels []string
	for _, l := range m.Labels {
		values := l.Any
		if values == "" {
			values = "`" + strings.Join(l.Values, "`, `") + "`"
		}
		labels = append(labels, "`"+l.Name+"`: "+values)
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", m.Name, kind, strings.Join(labels, "<br>"), m.Help, m.Watch)
}
