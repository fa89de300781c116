package monitoring

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

const (
	rulesFile = "../../charts/spillway/files/alerts/spillway.yaml"
	runbook   = "../../docs/alerts.md"
	// page is where a reader of an alert finds the runbook.
	page = "https://github.com/spillway-k8s/spillway/blob/main/docs/alerts.md#"
)

// runbookParts are what an entry of the runbook has, in this order.
var runbookParts = []string{"\n**For users:** ", "\n**Look:** ", "\n```console\n$ ", "\n**Do:** ", "\n**False alarm:** "}

func loadRules(t *testing.T) []Rule {
	t.Helper()
	rules, err := Rules(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	if len(rules) == 0 {
		t.Fatalf("%s has no alert", rulesFile)
	}
	return rules
}

func TestAlertsAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range loadRules(t) {
		if !strings.HasPrefix(r.Alert, "Spillway") || seen[r.Alert] {
			t.Errorf("%q: must begin with Spillway, and be there once", r.Alert)
		}
		seen[r.Alert] = true
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s: severity %q: must be critical, warning or info", r.Alert, r.Labels["severity"])
		}
		for _, name := range []string{"summary", "description"} {
			if !strings.HasSuffix(r.Annotations[name], ".") && !strings.HasSuffix(r.Annotations[name], ").") {
				t.Errorf("%s: %s %q: must be a sentence", r.Alert, name, r.Annotations[name])
			}
		}
		if want := page + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
		}
	}
}

// TestRunbook holds that each alert has an entry with all its parts, in the order of the file, and each entry an alert.
func TestRunbook(t *testing.T) {
	data, err := os.ReadFile(runbook)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, r := range loadRules(t) {
		want = append(want, r.Alert)
	}
	entries := strings.Split(string(data), "\n### ")
	for _, entry := range entries[1:] {
		name, text, _ := strings.Cut(entry, "\n")
		got = append(got, name)
		for _, part := range runbookParts {
			var found bool
			if _, text, found = strings.Cut(text, part); !found {
				t.Errorf("%s: the entry lacks %q, or has it in another place", name, strings.TrimSpace(part))
				break
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alerts, and entries of %s (-alerts +entries):\n%s", runbook, diff)
	}
}

// TestRunbookNamesPanels holds that a panel that the runbook sends its reader to is in the dashboard.
func TestRunbookNamesPanels(t *testing.T) {
	data, err := os.ReadFile(runbook)
	if err != nil {
		t.Fatal(err)
	}
	titles := map[string]bool{}
	for _, p := range loadDashboard(t).Panels {
		titles[p.Title] = true
	}
	named := regexp.MustCompile(`panel "([^"]+)"`).FindAllStringSubmatch(strings.ReplaceAll(string(data), "\n", " "), -1)
	if len(named) == 0 {
		t.Errorf("%s names no panel", runbook)
	}
	for _, match := range named {
		if !titles[match[1]] {
			t.Errorf("%s names the panel %q, which the dashboard does not have", runbook, match[1])
		}
	}
}

// TestEveryAlertIsTested holds that promtool makes each alert fire, and not fire.
func TestEveryAlertIsTested(t *testing.T) {
	data, err := os.ReadFile("rules_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tests []struct {
			Cases []struct {
				Alert    string           `json:"alertname"`
				Expected []map[string]any `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, c := range test.Cases {
			if len(c.Expected) > 0 {
				fires[c.Alert] = true
			} else {
				silent[c.Alert] = true
			}
		}
	}
	for _, r := range loadRules(t) {
		if !fires[r.Alert] || !silent[r.Alert] {
			t.Errorf("%s: rules_test.yaml must make it fire (it does: %t), and not fire (it does: %t)", r.Alert, fires[r.Alert], silent[r.Alert])
		}
	}
}

func TestAlertsAskForMetricsThatExist(t *testing.T) {
	for _, r := range loadRules(t) {
		for _, wrong := range unknown(r.Expr + r.Annotations["description"]) {
			t.Errorf("%s: %s", r.Alert, wrong)
		}
	}
}
