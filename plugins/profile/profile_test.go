package profile_test

import (
	"strings"
	"testing"

	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"

	"github.com/spillway-k8s/spillway/plugins/profile"
)

// handle is a handle of a profile with these plugins.
type handle struct {
	fwk.Handle
	plugins config.Plugins
}

func (handle) ProfileName() string { return "p" }

func (h handle) ListPlugins() *config.Plugins { return &h.plugins }

func set(names ...string) config.PluginSet {
	var s config.PluginSet
	for _, name := range names {
		s.Enabled = append(s.Enabled, config.Plugin{Name: name})
	}
	return s
}

func TestCheck(t *testing.T) {
	needs := &profile.Needs{
		Plugin: "Ours", Points: []profile.Point{profile.PreFilter, profile.Bind},
		Before: map[profile.Point]string{profile.Bind: "Stock"}, Without: map[profile.Point]string{profile.Filter: "Other"},
	}
	cases := map[string]struct {
		plugins config.Plugins
		want    string
	}{
		"complete":               {plugins: config.Plugins{PreFilter: set("Ours"), Bind: set("Ours", "Stock")}},
		"alone at a point":       {plugins: config.Plugins{PreFilter: set("Stock", "Ours"), Bind: set("Ours")}},
		"missing at a point":     {plugins: config.Plugins{Bind: set("Ours")}, want: "plugin Ours is not enabled at preFilter"},
		"after the stock plugin": {plugins: config.Plugins{PreFilter: set("Ours"), Bind: set("Stock", "Ours")}, want: "plugin Ours comes after Stock at bind"},
		"beside what it stands for": {
			plugins: config.Plugins{PreFilter: set("Ours"), Bind: set("Ours"), Filter: set("Other")}, want: "plugin Other is enabled at filter",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := profile.Check(handle{plugins: tc.plugins}, needs)
			if (err != nil) != (tc.want != "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}
