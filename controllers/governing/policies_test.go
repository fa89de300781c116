package governing

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestSource(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS()).Obj(),
		wrappers.MakePolicy("elsewhere").Namespace("other").Unit(wrappers.ECS()).Obj(),
	).Build()
	source := NewSource(api, placement.DefaultPodKeys())
	governs := func(pod *wrappers.Pod) string {
		t.Helper()
		policy, err := source.Governing(t.Context(), pod.Obj())
		if err != nil {
			t.Fatal(err)
		}
		if policy == nil {
			return ""
		}
		return policy.Name
	}
	web := func() *wrappers.Pod { return wrappers.MakePod("a").Label("app", "web") }
	expect := func(when, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: governed by %q, want %q", when, got, want)
		}
	}
	expect("at the start", governs(web()), "p")
	expect("without the label", governs(wrappers.MakePod("a")), "")
	expect("in another namespace", governs(web().Namespace("other")), "elsewhere")
	before, _ := source.Policies(t.Context(), "default")
	if again, _ := source.Policies(t.Context(), "default"); again != before {
		t.Error("compiled again without an edit")
	}

	gold := wrappers.MakePolicy("gold").Selector("app", "web").Selector("tier", "gold").Unit(wrappers.ECS()).Obj()
	create(t, api, gold)
	expect("after a policy came", governs(web().Label("tier", "gold")), "gold")

	gold.Spec.Selector = v1alpha1.LabelSet{"tier": "silver"}
	gold.Generation++
	if err := api.Update(t.Context(), gold); err != nil {
		t.Fatal(err)
	}
	expect("after an edit", governs(web().Label("tier", "gold")), "p")

	if err := api.DeleteAllOf(t.Context(), &v1alpha1.ResourcePolicy{}, client.InNamespace("default")); err != nil {
		t.Fatal(err)
	}
	expect("after the policies went", governs(web()), "")
	if _, ok := source.namespaces["default"]; ok {
		t.Error("the namespace is remembered although it has no policies")
	}
}

func create(t *testing.T, api client.Client, obj client.Object) {
	t.Helper()
	if err := api.Create(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}
