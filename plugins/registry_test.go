package plugins

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/sets"
	kubeschedulerv1 "k8s.io/kube-scheduler/config/v1"
	"sigs.k8s.io/yaml"
)

// TestConfiguration checks that the configuration that is installed enables exactly the plugins that the binary has.
func TestConfiguration(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "config", "scheduler", "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var config kubeschedulerv1.KubeSchedulerConfiguration
	if err := yaml.UnmarshalStrict(data, &config); err != nil {
		t.Fatal(err)
	}
	enabled := sets.New[string]()
	for _, plugin := range config.Profiles[0].Plugins.MultiPoint.Enabled {
		enabled.Insert(plugin.Name)
	}
	factories, _ := All()
	if diff := cmp.Diff(sets.List(sets.KeySet(factories)), sets.List(enabled)); diff != "" {
		t.Errorf("plugins (-binary +configuration):\n%s", diff)
	}
	if got := config.LeaderElection.ResourceName; got == "kube-scheduler" || got == "" {
		t.Errorf("the lease is called %q: it must not be the stock scheduler's", got)
	}
}
