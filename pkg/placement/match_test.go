package placement

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func compileAll(objects ...*wrappers.Policy) []*Policy {
	var policies []*Policy
	for _, o := range objects {
		policies = append(policies, Compile(o.Obj()))
	}
	return policies
}

func TestGoverning(t *testing.T) {
	all := wrappers.MakePolicy("all").Created(0)
	web := wrappers.MakePolicy("web").Created(20).Selector("app", "web")
	webOlder := wrappers.MakePolicy("web-older").Created(10).Selector("app", "web")
	webTwin := wrappers.MakePolicy("a-web-twin").Created(10).Selector("app", "web")
	gold := wrappers.MakePolicy("gold").Created(30).Selector("app", "web").Selector("tier", "gold")
	cases := map[string]struct {
		policies  []*wrappers.Policy
		namespace string
		labels    map[string]string
		want      string
	}{
		"no policies":                          {namespace: "default"},
		"an empty selector takes every pod":    {policies: []*wrappers.Policy{all}, namespace: "default", want: "all"},
		"other namespaces are not concerned":   {policies: []*wrappers.Policy{all}, namespace: "other"},
		"another value does not match":         {policies: []*wrappers.Policy{web}, namespace: "default", labels: map[string]string{"app": "db"}},
		"a missing label does not match":       {policies: []*wrappers.Policy{web}, namespace: "default"},
		"most keys first":                      {policies: []*wrappers.Policy{all, web, gold}, namespace: "default", labels: map[string]string{"app": "web", "tier": "gold"}, want: "gold"},
		"most keys among those that match":     {policies: []*wrappers.Policy{all, web, gold}, namespace: "default", labels: map[string]string{"app": "web", "tier": "tin"}, want: "web"},
		"then the oldest":                      {policies: []*wrappers.Policy{web, webOlder}, namespace: "default", labels: map[string]string{"app": "web"}, want: "web-older"},
		"then the first by name":               {policies: []*wrappers.Policy{webOlder, webTwin}, namespace: "default", labels: map[string]string{"app": "web"}, want: "a-web-twin"},
		"more labels on the pod do not matter": {policies: []*wrappers.Policy{web}, namespace: "default", labels: map[string]string{"app": "web", "x": "y"}, want: "web"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			forward := NewPolicies().WithNamespace("default", compileAll(tc.policies...))
			slices.Reverse(tc.policies)
			backward := NewPolicies().WithNamespace("default", compileAll(tc.policies...))
			for _, policies := range []*Policies{forward, backward} {
				got := ""
				if p := policies.Governing(tc.namespace, tc.labels); p != nil {
					got = p.Name
				}
				if got != tc.want {
					t.Errorf("governed by %q, want %q", got, tc.want)
				}
			}
		})
	}
}

func TestWithNamespaceLeavesTheOldValueAlone(t *testing.T) {
	first := NewPolicies().WithNamespace("default", compileAll(wrappers.MakePolicy("p")))
	second := first.WithNamespace("default", nil)
	if first.Governing("default", nil) == nil {
		t.Error("an edit changed a value that may be in use")
	}
	if second.Governing("default", nil) != nil {
		t.Error("a namespace without policies still has one")
	}
	if second.Epoch == first.Epoch {
		t.Error("an edit kept the epoch: counts made before would be taken for valid")
	}
}

func TestShadowedBy(t *testing.T) {
	all := wrappers.MakePolicy("all")
	web := wrappers.MakePolicy("web").Created(1).Selector("app", "web")
	twin := wrappers.MakePolicy("twin").Created(0).Selector("app", "web")
	gold := wrappers.MakePolicy("gold").Created(2).Selector("app", "web").Selector("tier", "gold")
	db := wrappers.MakePolicy("db").Selector("app", "db").Selector("tier", "gold")
	cases := map[string]struct {
		policy     *wrappers.Policy
		others     []*wrappers.Policy
		wantWinner string
		wantSame   bool
	}{
		"alone":                         {policy: web, others: []*wrappers.Policy{web}},
		"by one with more keys":         {policy: web, others: []*wrappers.Policy{gold}, wantWinner: "gold"},
		"not by one with other values":  {policy: web, others: []*wrappers.Policy{db}},
		"not by one with fewer keys":    {policy: web, others: []*wrappers.Policy{all}},
		"by an older twin":              {policy: web, others: []*wrappers.Policy{twin}, wantWinner: "twin", wantSame: true},
		"not by a younger twin":         {policy: twin, others: []*wrappers.Policy{web}},
		"the twin is named before more": {policy: web, others: []*wrappers.Policy{gold, twin}, wantWinner: "twin", wantSame: true},
		"everything shadows the empty":  {policy: all, others: []*wrappers.Policy{web, gold, db}, wantWinner: "db"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			winner, same := Compile(tc.policy.Obj()).ShadowedBy(compileAll(tc.others...))
			got := ""
			if winner != nil {
				got = winner.Name
			}
			if got != tc.wantWinner || same != tc.wantSame {
				t.Errorf("shadowed by %q (same selector: %v), want %q (%v)", got, same, tc.wantWinner, tc.wantSame)
			}
		})
	}
}

func TestGroup(t *testing.T) {
	policy := Compile(wrappers.MakePolicy("p").GroupBy("a").GroupBy("b").Obj())
	group := func(a, b string) string {
		g, err := policy.Group(map[string]string{"a": a, "b": b})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	if group("a", "bc") == group("ab", "c") {
		t.Error("{a, bc} and {ab, c} are one group")
	}
	if group("a", "") == group("", "a") {
		t.Error("empty values are lost")
	}
	_, err := policy.Group(map[string]string{"a": "1"})
	want := "the pod lacks the label b, which matchLabelKeys of ResourcePolicy p requires"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %q", err, want)
	}
	if g, err := Compile(wrappers.MakePolicy("p").Obj()).Group(nil); g != "" || err != nil {
		t.Errorf("without matchLabelKeys: %q, %v, want one group without error", g, err)
	}
}

func TestUnitIDsDifferAndSurviveReordering(t *testing.T) {
	ids := func(p *wrappers.Policy) (ids []string) {
		for _, u := range Compile(p.Obj()).Units {
			ids = append(ids, u.ID)
		}
		return ids
	}
	labelled := wrappers.ECS().On("b", "2").On("a", "1")
	got := ids(wrappers.MakePolicy("p").Unit(labelled).Unit(wrappers.ECS()).Unit(wrappers.ECI()).
		Unit(wrappers.ECS().PodLabel("c", "3").PodAnnotation("d", "4")).Unit(wrappers.ECS().Where("e", "In", "6", "5")).Unit(wrappers.ECI().Named("spill")))
	want := []string{"ecs a=1 b=2", "ecs", "eci", "ecs label:c=3 annotation:d=4", "ecs e in (5,6)", "spill"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("IDs (-want +got):\n%s", diff)
	}
	reordered := ids(wrappers.MakePolicy("p").Unit(wrappers.ECI()).Unit(labelled))
	if diff := cmp.Diff([]string{"eci", "ecs a=1 b=2"}, reordered); diff != "" {
		t.Errorf("IDs after reordering (-want +got):\n%s", diff)
	}
}

func TestCompileNeverPanics(t *testing.T) {
	negative := int32(-1)
	policy := Compile(&v1alpha1.ResourcePolicy{Spec: v1alpha1.ResourcePolicySpec{Units: []v1alpha1.Unit{{}, {Max: &negative}, {Resource: "gold"}}}})
	if policy.Refusal == "" {
		t.Error("a policy with an unknown resource is not refused")
	}
}
