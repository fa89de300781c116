package docs

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	runbook     = "docs/runbook.md"
	metricsPage = "docs/metrics.md"
	alertsPage  = "docs/alerts.md"
	alertsFiles = "charts/spillway/files/alerts/*.yaml"
)

var (
	metricName = regexp.MustCompile(`\bspillway_[a-z0-9_]+[a-z0-9]\b`)
	alertName  = regexp.MustCompile(`\bSpillway[A-Z][A-Za-z]+\b`)
	alertRule  = regexp.MustCompile(`(?m)^\s*-?\s*alert:\s*(\S+)`)
	// apiConstant are the constants of the APIs that users meet in a status or an event.
	apiConstant = regexp.MustCompile(`^apis/.*/v1alpha1\.(Condition|Reason)[A-Z]`)
)

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestRunbook holds that the runbook has every condition, every reason, and every event.
func TestRunbook(t *testing.T) {
	code, err := ReadCode(root, "apis", "controllers", "plugins", "pkg")
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, runbook)
	found := 0
	for _, name := range slices.Sorted(maps.Keys(code.Constants)) {
		if !apiConstant.MatchString(name) {
			continue
		}
		found++
		if value := code.Constants[name]; !strings.Contains(text, "`"+value+"`") {
			t.Errorf("%s lacks `%s` (%s)", runbook, value, name)
		}
	}
	if found < 40 {
		t.Errorf("found %d conditions and reasons only: the names of the constants have changed", found)
	}
	if len(code.EventReasons) < 3 {
		t.Errorf("found the events %v only: the calls have changed", code.EventReasons)
	}
	for reason, place := range code.EventReasons {
		if !strings.Contains(text, "`"+reason+"`") {
			t.Errorf("%s lacks the event `%s` of %s", runbook, reason, place)
		}
	}
}

// TestNames holds that metrics and alerts of which the pages speak exist, and that each alert has a heading in its page.
func TestNames(t *testing.T) {
	metrics := metricName.FindAllString(read(t, metricsPage), -1)
	var alerts []string
	files, err := filepath.Glob(filepath.Join(root, alertsFiles))
	if err != nil || len(files) == 0 {
		t.Fatalf("no alerts in %s: %v", alertsFiles, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range alertRule.FindAllSubmatch(content, -1) {
			alerts = append(alerts, string(match[1]))
		}
	}
	for _, page := range allPages(t) {
		if page.Path == metricsPage {
			continue
		}
		content := read(t, page.Path)
		for _, name := range metricName.FindAllString(content, -1) {
			if !slices.Contains(metrics, trimSuffix(name)) {
				t.Errorf("%s: %s has no metric %s", page.Path, metricsPage, name)
			}
		}
		for _, name := range alertName.FindAllString(content, -1) {
			if !slices.Contains(alerts, name) {
				t.Errorf("%s: %s has no alert %s", page.Path, alertsFiles, name)
			}
		}
	}
	page := parse(alertsPage, read(t, alertsPage))
	for _, name := range alerts {
		if !page.Anchors()[strings.ToLower(name)] {
			t.Errorf("%s has no heading %s", alertsPage, name)
		}
	}
}

// trimSuffix returns the name of the histogram that a series belongs to.
func trimSuffix(series string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if name, ok := strings.CutSuffix(series, suffix); ok {
			return name
		}
	}
	return series
}
