package placement

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestReplacedLabels(t *testing.T) {
	pod := map[string]string{"tier": "silver", "role": "", "app": "web"}
	for name, tc := range map[string]struct {
		written map[string]string
		want    string
	}{
		"no labels": {}, "a new key": {written: map[string]string{"zone": "a"}},
		"other values": {written: map[string]string{"tier": "gold", "role": "spill", "zone": "a"}, want: "role=,tier=silver"},
	} {
		if got := ReplacedLabels(pod, tc.written); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestDueLabels(t *testing.T) {
	policy := Compile(wrappers.MakePolicy("p").
		Unit(wrappers.ECS().PodLabel("tier", "gold").PodLabel("role", "spill")).Unit(wrappers.ACS()).Unit(wrappers.ECS().Named("none")).Obj())
	gold, acs, none := &policy.Units[0], &policy.Units[1], &policy.Units[2]
	type labels = map[string]string
	const all = "role,tier"
	for name, tc := range map[string]struct {
		unit  *Unit
		pod   labels
		notes []string
		want  labels
		note  string
	}{
		"the Binding's labels did not arrive":        {unit: gold, want: labels{"tier": "gold", "role": "spill"}, note: all},
		"they arrived":                               {unit: gold, pod: labels{"tier": "gold", "role": "spill"}, note: all},
		"a value that was to be replaced":            {unit: gold, pod: labels{"tier": "silver"}, notes: []string{"tier=silver"}, want: labels{"tier": "gold", "role": "spill"}, note: all},
		"a value that somebody has set since":        {unit: gold, pod: labels{"tier": "lead", "role": "spill"}, notes: []string{"tier=silver"}, note: all},
		"a value without a note":                     {unit: gold, pod: labels{"tier": "silver", "role": "spill"}, note: all},
		"a key that was removed after it was there":  {unit: gold, pod: labels{"tier": "gold"}, notes: []string{"", all}, note: all},
		"a key that was removed after it was noted":  {unit: gold, pod: labels{"tier": "gold"}, notes: []string{all}, note: all},
		"a settled value is the one from before":     {unit: gold, pod: labels{"tier": "silver", "role": "x"}, notes: []string{"tier=silver", all}, note: all},
		"a key that an edit of the policy has added": {unit: gold, pod: labels{"tier": "lead"}, notes: []string{"tier"}, want: labels{"role": "spill"}, note: all},
		"notes that are none":                        {unit: gold, pod: labels{"tier": "gold"}, notes: []string{",,=,x=y=z,ro,le"}, want: labels{"role": "spill"}, note: all},
		"labels that acs adds": {
			unit: acs, pod: labels{"alibabacloud.com/compute-class": "performance"}, want: labels{"alibabacloud.com/compute-qos": "default"},
			note: "alibabacloud.com/compute-class,alibabacloud.com/compute-qos",
		},
		"a unit without labels": {unit: none, pod: labels{"tier": "gold"}, notes: []string{all}},
	} {
		t.Run(name, func(t *testing.T) {
			due, note := tc.unit.DueLabels(tc.pod, tc.notes...)
			if diff := cmp.Diff(tc.want, due); diff != "" {
				t.Errorf("due (-want +got):\n%s", diff)
			}
			if note != tc.note {
				t.Errorf("note %q, want %q", note, tc.note)
			}
			// What was written with its note is not written again, whatever becomes of it.
			if again, _ := tc.unit.DueLabels(nil, note); len(again) > 0 {
				t.Errorf("written again: %v", again)
			}
		})
	}
}
