package monitoring

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Settings are what the configuration of Prometheus is made of.
type Settings struct {
	// Monitors are the ServiceMonitors, as the chart renders them.
	Monitors []byte
	// Targets are the addresses of the processes by the names of their ServiceMonitors. Discovery would find them in a real cluster.
	Targets map[string][]string
	// TokenFile has the bearer token of Prometheus, in place of that of its pod.
	TokenFile string
	// RuleFiles are loaded.
	RuleFiles []string
	// Interval is how often is scraped and rules are evaluated, such as 1s, in place of that of the ServiceMonitors.
	Interval string
}

// podTokenFile is the token that every pod has, and so the one of Prometheus.
const podTokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// monitor is what the chart uses of a ServiceMonitor. What is not here is an error, so that nothing is left out by oversight.
type monitor struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   monitorName    `json:"metadata"`
	Spec       monitorDetails `json:"spec"`
}

type monitorName struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	Labels    map[string]string `json:"labels"`
}

type monitorDetails struct {
	Selector  map[string]any    `json:"selector"`
	Endpoints []monitorEndpoint `json:"endpoints"`
}

type monitorEndpoint struct {
	Port            string `json:"port"`
	Scheme          string `json:"scheme"`
	Interval        string `json:"interval"`
	ScrapeTimeout   string `json:"scrapeTimeout"`
	BearerTokenFile string `json:"bearerTokenFile"`
	HonorLabels     bool   `json:"honorLabels"`
	TLSConfig       struct {
		InsecureSkipVerify bool `json:"insecureSkipVerify"`
	} `json:"tlsConfig"`
	Relabelings []struct {
		Action string `json:"action"`
		Regex  string `json:"regex"`
	} `json:"relabelings"`
}

// Config returns the configuration that the Prometheus operator would make of the ServiceMonitors, with the targets that are given.
func (s *Settings) Config() ([]byte, error) {
	monitors, err := decodeMonitors(s.Monitors)
	if err != nil {
		return nil, err
	}
	var jobs []any
	for _, m := range monitors {
		if len(s.Targets[m.Metadata.Name]) == 0 {
			return nil, fmt.Errorf("ServiceMonitor %s: there is no process for it", m.Metadata.Name)
		}
		if len(m.Spec.Endpoints) != 1 || m.Spec.Endpoints[0].BearerTokenFile != podTokenFile {
			return nil, fmt.Errorf("ServiceMonitor %s: want one endpoint, with the token of the pod", m.Metadata.Name)
		}
		jobs = append(jobs, s.job(m, m.Spec.Endpoints[0]))
	}
	if len(jobs) != len(s.Targets) {
		return nil, fmt.Errorf("want %d ServiceMonitors, got %d", len(s.Targets), len(jobs))
	}
	return yaml.Marshal(map[string]any{
		"global":         map[string]any{"scrape_interval": s.Interval, "scrape_timeout": s.Interval, "evaluation_interval": s.Interval},
		"rule_files":     s.RuleFiles,
		"scrape_configs": jobs,
	})
}

// job is what the operator makes of an endpoint: it adds the labels, and the job is the name of the Service.
func (s *Settings) job(m monitor, endpoint monitorEndpoint) map[string]any {
	name := m.Metadata.Name
	relabelings := make([]any, 0, len(endpoint.Relabelings))
	for _, r := range endpoint.Relabelings {
		relabelings = append(relabelings, map[string]string{"action": r.Action, "regex": r.Regex})
	}
	var groups []any
	for i, target := range s.Targets[name] {
		groups = append(groups, map[string]any{
			"targets": []string{target},
			"labels": map[string]string{
				"namespace": m.Metadata.Namespace, "service": name, "pod": fmt.Sprintf("%s-%d", name, i), "endpoint": endpoint.Port,
				"container": strings.TrimPrefix(name, "spillway-"),
			},
		})
	}
	return map[string]any{
		"job_name": name, "scheme": endpoint.Scheme, "honor_labels": endpoint.HonorLabels,
		"authorization":   map[string]string{"type": "Bearer", "credentials_file": s.TokenFile},
		"tls_config":      map[string]bool{"insecure_skip_verify": endpoint.TLSConfig.InsecureSkipVerify},
		"relabel_configs": relabelings,
		"static_configs":  groups,
	}
}

func decodeMonitors(data []byte) ([]monitor, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	var monitors []monitor
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return monitors, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the ServiceMonitors: %w", err)
		}
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		var m monitor
		if err := yaml.UnmarshalStrict(document, &m); err != nil {
			return nil, fmt.Errorf("decoding a ServiceMonitor: %w", err)
		}
		if m.Kind == "ServiceMonitor" {
			monitors = append(monitors, m)
		}
	}
}
