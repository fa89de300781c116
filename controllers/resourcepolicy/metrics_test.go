package resourcepolicy

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/test/scrape"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestMetricsOfPolicies(t *testing.T) {
	refused := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS())
	refused.Spec.Units[0].SpotInstance = new(true)
	w := newWorld(t, refused.Obj(), wrappers.MakePolicy("new").Selector("app", "x").Unit(wrappers.ECS()).Obj())
	w.reconcile(t)
	metrics.ReadPolicies(w.state)
	t.Cleanup(func() { metrics.ReadPolicies(func() *metrics.Policies { return nil }) })
	w.pace.keep(types.NamespacedName{Namespace: "default", Name: "p"})
	got := scrape.Read(t, &metrics.Controller)
	for name, want := range map[string]float64{
		`spillway_policies{condition="Ready",status="False"}`:             1,
		`spillway_policies{condition="Ready",status="True"}`:              0,
		`spillway_policies{condition="Ready",status="Unknown"}`:           1,
		`spillway_policies{condition="Shadowed",status="False"}`:          1,
		`spillway_policies{condition="Exhausted",status="Unknown"}`:       2,
		`spillway_policies{condition="Misconfigured",status="True"}`:      0,
		`spillway_policies{condition="PodsTolerateECI",status="Unknown"}`: 2,
		"spillway_status_writes_waiting":                                  1,
	} {
		if value, there := got[name]; !there || value != want {
			t.Errorf("%s is %v (there: %v), want %v", name, value, there, want)
		}
	}
}

func TestAPolicyWithNothingToWriteDoesNotWait(t *testing.T) {
	w := newWorld(t, policy().Obj())
	w.reconcile(t)
	w.pace.keep(types.NamespacedName{Namespace: "default", Name: "p"})
	w.passes(interval)
	w.reconcile(t)
	if got := w.pace.waiting(); got != 0 {
		t.Errorf("%d policies wait for their write, want none", got)
	}
}

func TestMetricsOfStatusWrites(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "resourcepolicies"}, "p", nil)
	for result, refuse := range map[string]error{metrics.ResultWritten: nil, metrics.ResultConflict: conflict, metrics.ResultFailed: errors.New("no answer")} {
		t.Run(result, func(t *testing.T) {
			w := newWorld(t, policy().Obj())
			w.refuse = refuse
			before := scrape.Read(t, &metrics.Controller)
			rp := &v1alpha1.ResourcePolicy{}
			if err := w.client.Get(t.Context(), types.NamespacedName{Namespace: "default", Name: "p"}, rp); err != nil {
				t.Fatal(err)
			}
			_, err := w.Reconcile(t.Context(), rp)
			if failed := err != nil; failed != (result == metrics.ResultFailed) {
				t.Error(err)
			}
			want := scrape.Series{`spillway_status_writes_total{kind="resourcepolicy",result="` + result + `"}`: 1}
			if diff := cmp.Diff(want, scrape.Read(t, &metrics.Controller).Since(before)); diff != "" {
				t.Errorf("series (-want +got):\n%s", diff)
			}
		})
	}
}
