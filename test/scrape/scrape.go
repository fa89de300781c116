// Package scrape reads metrics in tests.
package scrape

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/spillway-k8s/spillway/pkg/metrics"
)

// Series are the values of series, by name and labels, such as spillway_held_pods or spillway_spills_total{reason="full",resource="eci",unit="1"}; of a
// histogram they are how many values it has.
type Series map[string]float64

// Read reads the metrics of a binary now, and checks that every label has a value that it may have.
func Read(t testing.TB, binary *metrics.Binary) Series {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(binary.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series, err := Parse(binary, families)
	if err != nil {
		t.Error(err)
	}
	return series
}

// Parse returns the series of the metrics of a binary, and an error when a label has a value that it may not have.
func Parse(binary *metrics.Binary, families []*dto.MetricFamily) (Series, error) {
	series := Series{}
	var wrong []string
	for _, family := range families {
		at := slices.IndexFunc(binary.Metrics, func(m metrics.Metric) bool { return m.Name == family.GetName() })
		if at < 0 {
			continue
		}
		for _, m := range family.GetMetric() {
			name := key(family.GetName(), m.GetLabel())
			series[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			if !allowed(binary.Metrics[at].Labels, m.GetLabel()) {
				wrong = append(wrong, name)
			}
		}
	}
	if len(wrong) > 0 {
		return series, fmt.Errorf("labels with a value that is not documented: %s", strings.Join(wrong, ", "))
	}
	return series, nil
}

// Since returns by how much series have grown since an earlier reading, without those that have not.
func (s Series) Since(before Series) Series {
	grown := Series{}
	for name, value := range s {
		if value != before[name] {
			grown[name] = value - before[name]
		}
	}
	return grown
}

// Of returns the series whose names begin with a prefix, without those that have a word in them.
func (s Series) Of(prefix, without string) Series {
	of := Series{}
	for name, value := range s {
		if strings.HasPrefix(name, prefix) && !strings.Contains(name, without) {
			of[name] = value
		}
	}
	return of
}

func allowed(labels []metrics.Label, pairs []*dto.LabelPair) bool {
	for _, pair := range pairs {
		at := slices.IndexFunc(labels, func(l metrics.Label) bool { return l.Name == pair.GetName() })
		if at < 0 || labels[at].Values != nil && !slices.Contains(labels[at].Values, pair.GetValue()) {
			return false
		}
	}
	return true
}

func key(name string, labels []*dto.LabelPair) string {
	if len(labels) == 0 {
		return name
	}
	var pairs []string
	for _, pair := range labels {
		pairs = append(pairs, fmt.Sprintf("%s=%q", pair.GetName(), pair.GetValue()))
	}
	return name + "{" + strings.Join(pairs, ",") + "}"
}
