package monitoring

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const monitorYAML = `---
# Source: spillway/templates/monitoring/servicemonitor.yaml
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: spillway-scheduler
  namespace: spillway-system
spec:
  selector:
    matchLabels: {app.kubernetes.io/name: spillway-scheduler}
  endpoints:
    - port: metrics
      scheme: https
      interval: 30s
      bearerTokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
      tlsConfig:
        insecureSkipVerify: true
      relabelings:
        - {action: labeldrop, regex: container|endpoint}
`

const wantConfig = `global:
  evaluation_interval: 1s
  scrape_interval: 1s
  scrape_timeout: 1s
rule_files:
- rules.yaml
scrape_configs:
- authorization:
    credentials_file: token
    type: Bearer
  honor_labels: false
  job_name: spillway-scheduler
  relabel_configs:
  - action: labeldrop
    regex: container|endpoint
  scheme: https
  static_configs:
  - labels:
      container: scheduler
      endpoint: metrics
      namespace: spillway-system
      pod: spillway-scheduler-0
      service: spillway-scheduler
    targets:
    - 127.0.0.1:1
  tls_config:
    insecure_skip_verify: true
`

func TestConfig(t *testing.T) {
	target := map[string][]string{"spillway-scheduler": {"127.0.0.1:1"}}
	for name, tc := range map[string]struct {
		monitors string
		targets  map[string][]string
		want     string
		wantErr  string
	}{
		"as the operator makes it": {monitors: monitorYAML, targets: target, want: wantConfig},
		"a field that is not known": {
			monitors: monitorYAML + "      proxyUrl: http://proxy\n", targets: target, wantErr: "decoding a ServiceMonitor",
		},
		"no process":                      {monitors: monitorYAML, wantErr: "there is no process for it"},
		"no monitor":                      {monitors: "---\n", targets: target, wantErr: "want 1 ServiceMonitors, got 0"},
		"another token":                   {monitors: strings.Replace(monitorYAML, "/token", "/other", 1), targets: target, wantErr: "with the token of the pod"},
		"two ServiceMonitors of one name": {monitors: monitorYAML + monitorYAML, targets: target, wantErr: "want 1 ServiceMonitors, got 2"},
	} {
		t.Run(name, func(t *testing.T) {
			settings := Settings{Monitors: []byte(tc.monitors), Targets: tc.targets, TokenFile: "token", RuleFiles: []string{"rules.yaml"}, Interval: "1s"}
			got, err := settings.Config()
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("error %v, want one with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}
