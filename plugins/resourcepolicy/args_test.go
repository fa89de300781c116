package resourcepolicy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	configscheme "k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"

	"github.com/spillway-k8s/spillway/pkg/placement"
)

// decoded returns the arguments of the plugin as kube-scheduler hands them over.
func decoded(t *testing.T, arguments string) runtime.Object {
	t.Helper()
	const head = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
  - pluginConfig:
      - name: ResourcePolicy
        args: `
	obj, _, err := configscheme.Codecs.UniversalDecoder().Decode([]byte(head+arguments), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	given := obj.(*config.KubeSchedulerConfiguration).Profiles[0].PluginConfig
	i := slices.IndexFunc(given, func(pc config.PluginConfig) bool { return pc.Name == Name })
	return given[i].Args
}

func TestAllowedPodKeys(t *testing.T) {
	byDefault := placement.DefaultPodKeys().Entries()
	cases := map[string]struct {
		arguments string
		want      []string
		err       string
	}{
		"none":             {arguments: "{}", want: byDefault},
		"empty list":       {arguments: "{allowedPodKeys: []}", want: []string{}},
		"list":             {arguments: `{allowedPodKeys: ["*", example.com/*]}`, want: []string{"*", "example.com/*"}},
		"unknown argument": {arguments: "{allowedPodKey: []}", err: `unknown field "allowedPodKey"`},
		"wrong type":       {arguments: "{allowedPodKeys: a}", err: "cannot unmarshal string"},
		"invalid entry":    {arguments: `{allowedPodKeys: ["a b"]}`, err: `allowedPodKeys: "a b": must be a key such as`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			keys, err := allowedPodKeys(decoded(t, tc.arguments))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("got error %v, want one with %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, keys.Entries()); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
	if keys, err := allowedPodKeys(nil); err != nil || !slices.Equal(keys.Entries(), byDefault) {
		t.Errorf("without pluginConfig: %v, %v, want the default", keys, err)
	}
	if _, err := allowedPodKeys(&corev1.Pod{}); err == nil {
		t.Error("arguments of another type are taken")
	}
}
