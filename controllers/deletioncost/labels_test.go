package deletioncost

import (
	"testing"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// TestLabels_OfAnOperator checks that a label of the unit is not fought for: neither when its value is changed nor when
// it is removed.
func TestLabels_OfAnOperator(t *testing.T) {
	for name, arrived := range map[string]bool{"the Binding's labels arrive": true, "they do not": false} {
		t.Run(name, func(t *testing.T) {
			pod := wrappers.MakePod("a").Node("rest").Label("app", "web").Recorded("p", "rest").Annotation(cost, "-1000000")
			if arrived {
				pod.Label("role", "spill")
			}
			policy := twoUnits().Obj()
			w := newWorld(t, policy, wrappers.MakeNode("rest").Label("paid", "hour").Obj(), pod.Obj())
			has := func(want string) {
				t.Helper()
				w.reconcile(t)
				if got := w.get(t).Labels["role"]; got != want {
					t.Errorf("role = %q, want %q", got, want)
				}
			}
			set := func(role string) {
				t.Helper()
				p := w.get(t)
				if delete(p.Labels, "role"); role != "" {
					p.Labels["role"] = role
				}
				if err := w.client.Update(t.Context(), p); err != nil {
					t.Fatal(err)
				}
			}
			has("spill")
			for _, role := range []string{"master", "", "replica", "", "spill", ""} {
				set(role)
				has(role)
			}
			if wantPatches := map[bool]int{true: 0, false: 1}[arrived]; w.patches != wantPatches {
				t.Errorf("%d patches, want %d", w.patches, wantPatches)
			}
			// An edit of the policy adds what is new, and changes no value.
			policy.Generation++
			policy.Spec.Units[1].PodLabels = v1alpha1.LabelSet{"role": "other", "zone": "b"}
			if err := w.client.Update(t.Context(), policy); err != nil {
				t.Fatal(err)
			}
			has("")
			if got := w.get(t).Labels["zone"]; got != "b" {
				t.Errorf("the label that the edit added: %q", got)
			}
		})
	}
}
