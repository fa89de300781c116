package monitoring

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-k8s/spillway/pkg/metrics"
)

var (
	// selector is a metric of Spillway, with what is between its braces.
	selector = regexp.MustCompile(`\b(spillway_[a-z_]+)(?:\{([^}]*)\})?`)
	// matcher is one of a selector.
	matcher = regexp.MustCompile(`(\w+)\s*(!=|=~|!~|=)\s*"([^"]*)"`)
	// targetLabels are on every series, by the ServiceMonitor.
	targetLabels = []string{"job", "instance", "pod", "namespace", "service"}
)

// unknown returns what a query asks for that no binary has: a metric, a label, a value of one.
func unknown(query string) []string {
	known := map[string]metrics.Metric{}
	for _, binary := range []metrics.Binary{metrics.Scheduler, metrics.Controller} {
		for _, m := range binary.Metrics {
			known[m.Name] = m
		}
	}
	var wrong []string
	for _, s := range selector.FindAllStringSubmatch(query, -1) {
		name := s[1]
		if base, isBucket := strings.CutSuffix(name, "_bucket"); isBucket && known[base].Type == "histogram" {
			name = base
		}
		m, ok := known[name]
		if !ok {
			wrong = append(wrong, fmt.Sprintf("no binary has the metric %s", name))
			continue
		}
		for _, part := range matcher.FindAllStringSubmatch(s[2], -1) {
			wrong = append(wrong, unknownMatcher(&m, part[1], part[2], part[3])...)
		}
	}
	return wrong
}

func unknownMatcher(m *metrics.Metric, label, operator, value string) []string {
	at := slices.IndexFunc(m.Labels, func(l metrics.Label) bool { return l.Name == label })
	if at < 0 {
		if slices.Contains(targetLabels, label) {
			return nil
		}
		return []string{fmt.Sprintf("%s has no label %s", m.Name, label)}
	}
	allowed := m.Labels[at].Values
	if allowed == nil {
		return nil
	}
	values := []string{value}
	if strings.HasSuffix(operator, "~") {
		values = strings.Split(value, "|")
	}
	var wrong []string
	for _, v := range values {
		if !slices.Contains(allowed, v) {
			wrong = append(wrong, fmt.Sprintf("%s: the label %s is never %q", m.Name, label, v))
		}
	}
	return wrong
}

func TestUnknown(t *testing.T) {
	for query, want := range map[string][]string{
		`sum(spillway_held_pods{job="spillway-scheduler"})`:                         nil,
		`rate(spillway_hold_duration_seconds_bucket[5m])`:                           nil,
		`spillway_held_podz`:                                                        {"no binary has the metric spillway_held_podz"},
		`spillway_held_pods_bucket`:                                                 {"no binary has the metric spillway_held_pods_bucket"},
		`spillway_held_pods{node="a"}`:                                              {"spillway_held_pods has no label node"},
		`spillway_spills_total{reason=~"full|none", resource="eci"}`:                {`spillway_spills_total: the label reason is never "none"`},
		`spillway_virtualnode_condition{condition="Ready", reason!~"Draining|Any"}`: nil,
	} {
		if diff := cmp.Diff(want, unknown(query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}
