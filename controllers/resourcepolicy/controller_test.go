package resourcepolicy

import (
	"context"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/governing"
	"github.com/spillway-k8s/spillway/controllers/owners"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// world is a controller on an API server that counts the writes.
type world struct {
	*Controller
	clock  *clocktesting.FakePassiveClock
	writes int
	// refuse is the answer to the next writes.
	refuse error
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{clock: clocktesting.NewFakePassiveClock(time.Unix(1_800_000_000, 0))}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.ResourcePolicy{}).
		WithInterceptorFuncs(interceptor.Funcs{SubResourcePatch: func(
			ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption,
		) error {
			w.writes++
			if w.refuse != nil {
				return w.refuse
			}
			return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
		}}).Build()
	w.Controller = New(api, Options{
		SchedulerName: wrappers.SchedulerName, Policies: governing.NewSource(api, placement.DefaultPodKeys()), Owners: owners.NewSelectors(api),
	})
	w.pace = newPace(interval, w.clock)
	return w
}

// reconcile reconciles the policy as the cache has it, and returns it and when to come back.
func (w *world) reconcile(t *testing.T) (*v1alpha1.ResourcePolicy, time.Duration) {
	t.Helper()
	rp := &v1alpha1.ResourcePolicy{}
	if err := w.client.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "p"}, rp); err != nil {
		t.Fatal(err)
	}
	result, err := w.Reconcile(t.Context(), rp)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(rp), rp); err != nil {
		t.Fatal(err)
	}
	return rp, result.RequeueAfter
}

func (w *world) passes(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

func TestReconcileWritesOnceASecondAndOnlyChanges(t *testing.T) {
	w := newWorld(t, policy().Obj(), ecsNodes("e-0")[0].Obj(), on("e-0", "a").Obj())
	rp, again := w.reconcile(t)
	if rp.Status.Fill != "1/2 ecs, paid=month | 0 eci" || w.writes != 1 || again != 0 {
		t.Fatalf("fill %q after %d writes, again in %s", rp.Status.Fill, w.writes, again)
	}
	if err := w.client.Create(t.Context(), on("e-0", "b").Obj()); err != nil {
		t.Fatal(err)
	}
	w.passes(200 * time.Millisecond)
	if rp, again = w.reconcile(t); rp.Status.Units[0].Pods != 1 || w.writes != 1 || again != 800*time.Millisecond {
		t.Errorf("%d pods after %d writes, again in %s", rp.Status.Units[0].Pods, w.writes, again)
	}
	w.passes(again)
	if rp, again = w.reconcile(t); rp.Status.Units[0].Pods != 2 || w.writes != 2 || again != 0 {
		t.Errorf("%d pods after %d writes, again in %s", rp.Status.Units[0].Pods, w.writes, again)
	}
	w.passes(time.Second)
	if w.reconcile(t); w.writes != 2 {
		t.Errorf("%d writes although nothing changed", w.writes-2)
	}
}

func TestReconcileComesBackAfterAConflict(t *testing.T) {
	w := newWorld(t, policy().Obj())
	w.refuse = apierrors.NewConflict(schema.GroupResource{Resource: "resourcepolicies"}, "p", nil)
	if _, again := w.reconcile(t); again != conflictRetry {
		t.Errorf("again in %s", again)
	}
	w.refuse = nil
	w.passes(conflictRetry)
	if rp, _ := w.reconcile(t); rp.Status.Fill == "" {
		t.Error("no status after the conflict")
	}
}

func TestReconcileFindsLabelsThatLeaveTheOwner(t *testing.T) {
	made := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS()).Unit(wrappers.ECI().PodLabel("role", "spill"))
	w := newWorld(t, made.Obj(), ecsNodes("e-0")[0].Obj(), replicaSet("web", "role", "main"), replicaSet("roleless", "app", "web"),
		wrappers.MakePod("a").Label("app", "web").Label("role", "main").OwnedBy("apps/v1", "ReplicaSet", "web").Obj(),
		wrappers.MakePod("b").Label("app", "web").OwnedBy("apps/v1", "ReplicaSet", "roleless").Obj())
	rp, _ := w.reconcile(t)
	got := findCondition(rp, v1alpha1.ConditionMisconfigured)
	want := "spec.units[1].podLabels would take the pods of ReplicaSet web from its selector: such pods are not placed in the unit"
	if got.Reason != v1alpha1.ReasonPodLabelsLeaveOwner || got.Message != want {
		t.Errorf("Misconfigured = %+v, want %q", got, want)
	}
}

func TestEventsConcernTheGoverningPolicy(t *testing.T) {
	w := newWorld(t, policy().Obj(), wrappers.MakePolicy("gold").Selector("app", "web").Selector("tier", "gold").Unit(wrappers.ECS()).Obj(),
		wrappers.MakePolicy("elsewhere").Namespace("other").Unit(wrappers.ECS()).Obj())
	cases := map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"the only one that matches": {pod: on("e-0", "a").Obj(), want: "p"},
		"the more specific one":     {pod: on("e-0", "a").Label("tier", "gold").Obj(), want: "gold"},
		"none":                      {pod: wrappers.MakePod("a").Obj()},
		"that of its namespace":     {pod: wrappers.MakePod("a").Namespace("other").Obj(), want: "elsewhere"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, request := range w.policyOfPod(t.Context(), tc.pod) {
				got += request.Name
			}
			if got != tc.want {
				t.Errorf("requests for %q, want %q", got, tc.want)
			}
		})
	}
	if n := len(w.policiesOfNamespace(t.Context(), policy().Obj())); n != 2 {
		t.Errorf("an edit concerns %d policies, want 2", n)
	}
	if n := len(w.allPolicies(t.Context(), nil)); n != 3 {
		t.Errorf("a node concerns %d policies, want 3", n)
	}
}

func TestReconcileSeesANodeThatComes(t *testing.T) {
	w := newWorld(t, policy().Obj(), ecsNodes("e-0")[0].Obj(), on("e-1", "a").Obj())
	if rp, _ := w.reconcile(t); rp.Status.Units[0].Nodes != 1 || rp.Status.Units[0].Pods != 0 {
		t.Fatalf("%d nodes and %d pods", rp.Status.Units[0].Nodes, rp.Status.Units[0].Pods)
	}
	node := ecsNodes("e-1")[0].Obj()
	if err := w.client.Create(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	if requests := w.allPolicies(t.Context(), node); len(requests) != 1 {
		t.Fatalf("the node concerns %v", requests)
	}
	w.passes(time.Second)
	if rp, _ := w.reconcile(t); rp.Status.Units[0].Nodes != 2 || rp.Status.Units[0].Pods != 1 {
		t.Errorf("%d nodes and %d pods", rp.Status.Units[0].Nodes, rp.Status.Units[0].Pods)
	}
}

func TestReconcileWritesAnEditAtOnceAndTheRestInTurn(t *testing.T) {
	made := policy().Obj()
	made.Generation = 1
	w := newWorld(t, made, ecsNodes("e-0")[0].Obj())
	for i := range writesAtOnce {
		w.pace.waitToWrite(client.ObjectKey{Name: strconv.Itoa(i)})
	}
	if rp, again := w.reconcile(t); rp.Status.ObservedGeneration != 1 || w.writes != 1 || again != 0 {
		t.Fatalf("observedGeneration %d after %d writes, again in %s", rp.Status.ObservedGeneration, w.writes, again)
	}
	w.passes(time.Second)
	for i := range writesAtOnce {
		w.pace.waitToWrite(client.ObjectKey{Name: strconv.Itoa(i)})
	}
	if err := w.client.Create(t.Context(), on("e-0", "a").Obj()); err != nil {
		t.Fatal(err)
	}
	_, again := w.reconcile(t)
	if w.writes != 1 || again <= 0 {
		t.Fatalf("%d writes, again in %s", w.writes-1, again)
	}
	w.passes(again)
	if rp, again := w.reconcile(t); rp.Status.Units[0].Pods != 1 || w.writes != 2 || again != 0 {
		t.Errorf("%d pods after %d writes, again in %s", rp.Status.Units[0].Pods, w.writes, again)
	}
}
