package monitoring

import (
	"strings"
	"testing"
)

const (
	dashboardFile = "../../charts/spillway/files/dashboards/spillway.json"
	// schemaVersion is that of Grafana 12.
	schemaVersion = 41
	// gridWidth is how wide Grafana's grid is.
	gridWidth = 24
)

func loadDashboard(t *testing.T) *Dashboard {
	t.Helper()
	d, err := LoadDashboard(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDashboard(t *testing.T) {
	d := loadDashboard(t)
	if d.SchemaVersion != schemaVersion || d.UID != "spillway" {
		t.Errorf("schemaVersion %d, uid %q", d.SchemaVersion, d.UID)
	}
	if len(d.Templating.List) != 1 || d.Templating.List[0].Name != "datasource" || d.Templating.List[0].Query != "prometheus" {
		t.Errorf("variables %+v: want one for the data source", d.Templating.List)
	}
	if n := len(d.Charts()); n < 15 || n > 25 {
		t.Errorf("%d panels, want 15 to 25", n)
	}
	ids, titles := map[int]bool{}, map[string]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || titles[p.Title] || p.Title == "" {
			t.Errorf("panel %d %q: the number and the title must be there once", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
	}
}

func TestPanels(t *testing.T) {
	chosen := Source{Type: "prometheus", UID: "${datasource}"}
	for _, p := range loadDashboard(t).Charts() {
		if !strings.HasSuffix(p.Description, ".") {
			t.Errorf("%s: description %q: must say in sentences what is shown", p.Title, p.Description)
		}
		if p.FieldConfig.Defaults.Unit == "" {
			t.Errorf("%s: has no unit", p.Title)
		}
		if p.Datasource == nil || *p.Datasource != chosen {
			t.Errorf("%s: data source %+v, want the variable", p.Title, p.Datasource)
		}
		if len(p.Targets) == 0 {
			t.Errorf("%s: has no query", p.Title)
		}
		for _, target := range p.Targets {
			if target.Datasource == nil || *target.Datasource != chosen {
				t.Errorf("%s %s: data source %+v, want the variable", p.Title, target.RefID, target.Datasource)
			}
			for _, wrong := range unknown(target.Expr) {
				t.Errorf("%s %s: %s", p.Title, target.RefID, wrong)
			}
			if query := target.Query("5m"); strings.Contains(query, "$") {
				t.Errorf("%s %s: a variable is left in %s", p.Title, target.RefID, query)
			}
		}
	}
}

// TestPanelsDoNotOverlap draws the panels into the grid.
func TestPanelsDoNotOverlap(t *testing.T) {
	taken := map[[2]int]string{}
	for _, p := range loadDashboard(t).Panels {
		if p.GridPos.W <= 0 || p.GridPos.H <= 0 || p.GridPos.X+p.GridPos.W > gridWidth {
			t.Errorf("%s: place %+v: must be within %d columns", p.Title, p.GridPos, gridWidth)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s and %s are in one place", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
