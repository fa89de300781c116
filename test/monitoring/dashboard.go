package monitoring

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// Dashboard is what is checked of a dashboard of Grafana.
type Dashboard struct {
	UID           string `json:"uid"`
	Title         string `json:"title"`
	SchemaVersion int    `json:"schemaVersion"`
	Templating    struct {
		List []Variable `json:"list"`
	} `json:"templating"`
	Panels []Panel `json:"panels"`
}

// Variable is a choice at the top of the dashboard.
type Variable struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Query any    `json:"query"`
}

// Panel is a row or a chart.
type Panel struct {
	ID          int     `json:"id"`
	Title       string  `json:"title"`
	Type        string  `json:"type"`
	Description string  `json:"description"`
	Datasource  *Source `json:"datasource"`
	GridPos     struct {
		H, W, X, Y int
	} `json:"gridPos"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []Target `json:"targets"`
}

// Source is where a panel gets its series from.
type Source struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// Target is one query of a panel.
type Target struct {
	RefID      string  `json:"refId"`
	Expr       string  `json:"expr"`
	Datasource *Source `json:"datasource"`
}

// LoadDashboard reads a dashboard.
func LoadDashboard(path string) (*Dashboard, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the dashboard: %w", err)
	}
	d := &Dashboard{}
	if err := json.Unmarshal(data, d); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", path, err)
	}
	return d, nil
}

// Charts returns the panels that are not rows.
func (d *Dashboard) Charts() []Panel {
	var charts []Panel
	for _, p := range d.Panels {
		if p.Type != "row" {
			charts = append(charts, p)
		}
	}
	return charts
}

// Query returns the query as Grafana sends it when everything is chosen: with these values in place of its variables.
func (t Target) Query(window string) string {
	return strings.NewReplacer("$__rate_interval", window, "$__interval", window, "$__range", window).Replace(t.Expr)
}
