// Package monitoring reads the alerts and the dashboard of the chart, and loads them into a real Prometheus. Its own tests compare them with the runbook and
// with the metrics that there are; the tests of promtool are in testdata; the e2e suite runs the Prometheus.
//
//   - rules.go: the alerts.
//   - dashboard.go: the panels and their queries.
//   - config.go: from a ServiceMonitor to the configuration of Prometheus.
//   - prometheus.go: a running Prometheus.
package monitoring

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// Rule is an alert.
type Rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Rules returns the alerts of a file of Prometheus rules, in their order. A field that is not known here is an error.
func Rules(path string) ([]Rule, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the alerts: %w", err)
	}
	var file struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []Rule `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.UnmarshalStrict(data, &file); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", path, err)
	}
	var rules []Rule
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules, nil
}
