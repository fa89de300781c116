// Package metrics has every metric of Spillway's binaries: their names, their labels, and the functions that record them. Other packages call those, and know
// no vector. Labels have few values: no pod, no namespace and no policy is one.
//
//   - scheduler.go: the metrics of spillway-scheduler.
//   - controller.go: the metrics of spillway-controller.
//
// docs/metrics.md is made from the definitions, by make generate.
//
// Counters are kept for the whole process. What can be counted at any moment, such as the pods that are held, is read when the metrics are scraped, from a
// function that the binary has handed over.
package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Label is a label of a metric.
type Label struct {
	Name string
	// Values are all values that the label can have; nil when they cannot be listed here.
	Values []string
	// Any says in words what the values are; it may be empty when they are listed.
	Any string
}

// Metric describes a metric.
type Metric struct {
	Name string
	// Type is counter, gauge or histogram. The binary sets it.
	Type   string
	Labels []Label
	// Help says what is counted, in which unit.
	Help string
	// Watch says what an operator reads from it.
	Watch string
	// Buckets are those of a histogram.
	Buckets []float64
}

// Binary is the metrics of a binary.
type Binary struct {
	// Name is that of the binary.
	Name    string
	Metrics []Metric

	collectors []prometheus.Collector
}

// source is gauges that are read from a state when they are scraped.
type source[T any] struct {
	gauges []gauge[T]
	descs  []*prometheus.Desc
	// read returns the state; nil, or a nil state, has no series.
	read atomic.Pointer[func() *T]
}

// gauge is one of a source. emit calls set for each of its series, with the values of the labels in their order.
type gauge[T any] struct {
	Metric
	emit func(state *T, set func(value float64, labels ...string))
}

var _ prometheus.Collector = &source[int]{}

// Collectors returns what collects the metrics of the binary. They can be registered once in a registry.
func (b *Binary) Collectors() []prometheus.Collector { return b.collectors }

// Describe sends the descriptions.
func (s *source[T]) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range s.descs {
		out <- desc
	}
}

// Collect reads the state and sends its series.
func (s *source[T]) Collect(out chan<- prometheus.Metric) {
	read := s.read.Load()
	if read == nil {
		return
	}
	state := (*read)()
	if state == nil {
		return
	}
	for i := range s.gauges {
		s.gauges[i].emit(state, func(value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(s.descs[i], prometheus.GaugeValue, value, labels...)
		})
	}
}

func (b *Binary) counter(m Metric) *prometheus.CounterVec {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.labelNames())
	b.add("counter", m, vec)
	return vec
}

func (b *Binary) histogram(m Metric) *prometheus.HistogramVec {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.Name, Help: m.Help, Buckets: m.Buckets}, m.labelNames())
	b.add("histogram", m, vec)
	return vec
}

func (b *Binary) gauge(m Metric) *prometheus.GaugeVec {
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.Name, Help: m.Help}, m.labelNames())
	b.add("gauge", m, vec)
	return vec
}

// newSource adds gauges that are read together.
func newSource[T any](b *Binary, gauges ...gauge[T]) *source[T] {
	s := &source[T]{gauges: gauges}
	for i := range gauges {
		m := gauges[i].Metric
		s.descs = append(s.descs, prometheus.NewDesc(m.Name, m.Help, m.labelNames(), nil))
		b.describe("gauge", m)
	}
	b.collectors = append(b.collectors, s)
	return s
}

func (b *Binary) add(kind string, m Metric, collector prometheus.Collector) {
	b.describe(kind, m)
	b.collectors = append(b.collectors, collector)
}

func (b *Binary) describe(kind string, m Metric) {
	m.Type = kind
	b.Metrics = append(b.Metrics, m)
}

func (m *Metric) labelNames() []string {
	names := make([]string, len(m.Labels))
	for i, l := range m.Labels {
		names[i] = l.Name
	}
	return names
}
