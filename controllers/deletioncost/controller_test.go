package deletioncost

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/governing"
	"github.com/spillway-k8s/spillway/controllers/owners"
	"github.com/spillway-k8s/spillway/controllers/podindex"
	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/scrape"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// world is a controller on an API server that counts the patches.
type world struct {
	*Controller
	patches int
	// refuse is the answer to the next patches.
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
	w := &world{}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithIndex(&corev1.Pod{}, podindex.Field, podindex.NodeOf).
		WithInterceptorFuncs(interceptor.Funcs{Patch: func(
			ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption,
		) error {
			w.patches++
			if w.refuse != nil {
				return w.refuse
			}
			return c.Patch(ctx, obj, patch, opts...)
		}}).Build()
	w.Controller = New(api, Options{Policies: governing.NewSource(api, placement.DefaultPodKeys()), Owners: owners.NewSelectors(api)})
	return w
}

// twoUnits is a policy with the nodes that are paid by the month, then all others.
func twoUnits() *wrappers.Policy {
	return wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("paid", "month")).Unit(wrappers.ECS().Named("rest").PodLabel("role", "spill"))
}

func TestReconcile(t *testing.T) {
	month, rest := wrappers.MakeNode("month").Label("paid", "month").Obj(), wrappers.MakeNode("rest").Label("paid", "hour").Obj()
	virtual, bare := wrappers.MakeVirtualNode("virtual").Obj(), wrappers.MakeNode("bare").Obj()
	byRole := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "by-role", UID: "by-role"},
		Spec:       appsv1.ReplicaSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"role": "main"}}},
	}
	gold := wrappers.MakePolicy("gold").Selector("app", "web").Selector("role", "spill").Unit(wrappers.ECS())
	refused := twoUnits()
	refused.Spec.Units[0].SpotInstance = new(true)
	on := func(node string) *wrappers.Pod { return wrappers.MakePod("a").Node(node).Label("app", "web") }
	cases := map[string]struct {
		policies   []*wrappers.Policy
		pod        *wrappers.Pod
		want       map[string]string
		wantLabels map[string]string
	}{
		"before the policy or by another scheduler": {
			policies: []*wrappers.Policy{twoUnits()}, pod: on("month").Scheduler("default-scheduler"), want: map[string]string{cost: "0", wrote: "0"},
		},
		"in the second unit it counts only with the labels, which it has": {
			policies: []*wrappers.Policy{twoUnits()}, pod: on("rest").Label("role", "spill"), want: map[string]string{cost: "-1000000", wrote: "-1000000"},
		},
		"a node without labels is a node": {
			policies: []*wrappers.Policy{twoUnits()}, pod: on("bare").Label("role", "spill"), want: map[string]string{cost: "-1000000", wrote: "-1000000"},
		},
		"placed by the scheduler, the labels arrived": {
			policies: []*wrappers.Policy{twoUnits()}, pod: on("rest").Label("role", "spill").Recorded("p", "rest").Annotation(cost, "-1000000"),
		},
		"placed by the scheduler, the labels did not arrive": {
			policies: []*wrappers.Policy{twoUnits()}, pod: on("rest").Recorded("p", "rest").Annotation(cost, "-1000000"),
			want: map[string]string{noted: "role"}, wantLabels: map[string]string{"role": "spill"},
		},
		"labels and cost are one patch": {
			policies: []*wrappers.Policy{twoUnits()}, pod: on("rest").Recorded("p", "rest").Annotation(cost, "0"),
			want: map[string]string{cost: "-1000000", wrote: "-1000000", noted: "role"}, wantLabels: map[string]string{"role": "spill"},
		},
		"a label that the placement was to replace": {
			policies: []*wrappers.Policy{twoUnits()}, pod: on("rest").Label("role", "x").Recorded("p", "rest").Annotation(cost, "-1000000").Annotation(noted, "role=x"),
			want: map[string]string{noted: "role"}, wantLabels: map[string]string{"role": "spill"},
		},
		"a label that an operator owns": {
			policies: []*wrappers.Policy{twoUnits()}, pod: on("rest").Label("role", "master").Recorded("p", "rest").Annotation(cost, "-1000000"),
		},
		"a label that an operator has changed in between": {
			policies: []*wrappers.Policy{twoUnits()},
			pod:      on("rest").Label("role", "master").Recorded("p", "rest").Annotation(cost, "-1000000").Annotation(noted, "role=x"),
		},
		"a label that was written and removed": {
			policies: []*wrappers.Policy{twoUnits()}, pod: on("rest").Recorded("p", "rest").Annotation(cost, "-1000000").Annotation(noted, "role"),
		},
		"labels are not for pods of another policy's record": {
			policies: []*wrappers.Policy{twoUnits()}, pod: on("rest").Recorded("earlier", "rest").Annotation(cost, "-1000000"),
		},
		"labels that would give the pod to another policy": {
			policies: []*wrappers.Policy{twoUnits(), gold}, pod: on("rest").Recorded("p", "rest").Annotation(cost, "-1000000"),
		},
		"labels that would take the pod from its owner": {
			policies: []*wrappers.Policy{twoUnits()},
			pod:      on("rest").Label("role", "main").OwnedBy("apps/v1", "ReplicaSet", "by-role").Recorded("p", "rest").Annotation(cost, "-1000000"),
		},
		"the recorded unit is no more: the node decides": {
			policies: []*wrappers.Policy{twoUnits()}, pod: on("month").Recorded("p", "eci").Annotation(cost, "-2000000"), want: map[string]string{cost: "0", wrote: "0"},
		},
		"no unit has the node: the user's cost is back": {
			policies: []*wrappers.Policy{twoUnits()}, pod: on("virtual").Recorded("p", "eci").Annotation(cost, "-1999993").Annotation(user, "7"),
			want: map[string]string{cost: "7", user: gone, wrote: ""},
		},
		"the policy is gone": {pod: on("rest").Annotation(cost, "-1000000").Annotation(wrote, "-1000000"), want: map[string]string{cost: gone, wrote: gone}},
		"a policy that is refused says nothing": {
			policies: []*wrappers.Policy{refused}, pod: on("rest").Annotation(cost, "-3000000").Annotation(wrote, "-3000000"),
		},
		"the node is not known": {
			policies: []*wrappers.Policy{twoUnits()}, pod: on("unknown").Annotation(cost, "-999993").Annotation(user, "7").Annotation(wrote, "-999993"),
		},
		"the node is not known, the unit is": {policies: []*wrappers.Policy{twoUnits()}, pod: on("unknown").Label("role", "spill").Recorded("p", "rest").Annotation(cost, "0"), want: map[string]string{cost: "-1000000", wrote: "-1000000"}},
		"not bound":                          {policies: []*wrappers.Policy{twoUnits()}, pod: on("")},
		"ended":                              {policies: []*wrappers.Policy{twoUnits()}, pod: on("month").Phase(corev1.PodSucceeded)},
		"failed":                             {policies: []*wrappers.Policy{twoUnits()}, pod: on("month").Phase(corev1.PodFailed)},
		"terminating":                        {policies: []*wrappers.Policy{twoUnits()}, pod: withFinalizer(on("month").Terminating())},
		"no policy, never one":               {pod: on("month").Annotation(cost, "-1000000")},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			objects := []client.Object{month.DeepCopy(), rest.DeepCopy(), virtual.DeepCopy(), bare.DeepCopy(), byRole.DeepCopy(), tc.pod.Obj()}
			for _, p := range tc.policies {
				objects = append(objects, p.Obj().DeepCopy())
			}
			w := newWorld(t, objects...)
			want := w.get(t)
			want.Annotations = overlay(want.Annotations, tc.want)
			want.Labels = overlay(want.Labels, tc.wantLabels)
			w.reconcile(t)
			got := w.get(t)
			wantPatches := 0
			if len(tc.want)+len(tc.wantLabels) > 0 {
				wantPatches = 1
			}
			if w.patches != wantPatches {
				t.Errorf("%d patches, want %d", w.patches, wantPatches)
			}
			want.ResourceVersion = got.ResourceVersion
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("pod (-want +got):\n%s", diff)
			}
			if w.reconcile(t); w.patches != wantPatches {
				t.Errorf("another patch: %v", w.get(t).ObjectMeta)
			}
		})
	}
}

func TestReconcileAfterAConflict(t *testing.T) {
	w := newWorld(t, twoUnits().Obj(), wrappers.MakeNode("month").Label("paid", "month").Obj(), wrappers.MakePod("a").Node("month").Label("app", "web").Obj())
	w.refuse = apierrors.NewConflict(schema.GroupResource{Resource: "pods"}, "a", nil)
	before := scrape.Read(t, &metrics.Controller)
	if again := w.reconcile(t); again.RequeueAfter != conflictRetry {
		t.Errorf("again in %s", again.RequeueAfter)
	}
	w.refuse = nil
	if w.reconcile(t); w.get(t).Annotations[cost] != "0" {
		t.Error("no cost after the conflict")
	}
	w.reconcile(t)
	counted := scrape.Series{`spillway_deletion_cost_writes_total{result="conflict"}`: 1, `spillway_deletion_cost_writes_total{result="written"}`: 1}
	if diff := cmp.Diff(counted, scrape.Read(t, &metrics.Controller).Since(before)); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

func TestPatchIsOfThePodThatWasSeen(t *testing.T) {
	w := newWorld(t, twoUnits().Obj(), wrappers.MakeNode("month").Label("paid", "month").Obj(), wrappers.MakePod("a").Node("month").Label("app", "web").Obj())
	seen := w.get(t)
	edited := seen.DeepCopy()
	edited.Annotations = map[string]string{cost: "7"}
	if err := w.client.Update(t.Context(), edited); err != nil {
		t.Fatal(err)
	}
	result, err := w.Reconcile(t.Context(), seen)
	if err != nil || result.RequeueAfter != conflictRetry || w.get(t).Annotations[cost] != "7" {
		t.Errorf("an edit was overwritten unseen: %v, again in %s, %v", err, result.RequeueAfter, w.get(t).Annotations)
	}
}

func TestEvents(t *testing.T) {
	w := newWorld(t, wrappers.MakePod("one").Node("n").Obj(), wrappers.MakePod("two").Node("other").Obj(), wrappers.MakePod("unbound").Obj(),
		wrappers.MakePod("ended").Node("n").Phase(corev1.PodFailed).Obj(), wrappers.MakePod("elsewhere").Namespace("other").Node("n").Obj())
	if n := len(w.podsOfNamespace(t.Context(), twoUnits().Obj())); n != 2 {
		t.Errorf("a policy concerns %d pods, want 2", n)
	}
	if n := len(w.podsOfNode(t.Context(), wrappers.MakeNode("n").Obj())); n != 2 {
		t.Errorf("a node concerns %d pods, want 2", n)
	}
	bound := func() *wrappers.Pod { return wrappers.MakePod("a").Node("n") }
	cases := map[string]struct {
		before, after *wrappers.Pod
		want          bool
	}{
		"a binding":      {before: wrappers.MakePod("a"), after: bound(), want: true},
		"a label":        {before: bound(), after: bound().Label("a", "b"), want: true},
		"a cost":         {before: bound(), after: bound().Annotation(cost, "1"), want: true},
		"a status":       {before: bound(), after: bound().Phase(corev1.PodRunning)},
		"without a node": {before: wrappers.MakePod("a"), after: wrappers.MakePod("a").Label("a", "b")},
	}
	for name, tc := range cases {
		if got := costChanges.Update(event.UpdateEvent{ObjectOld: tc.before.Obj(), ObjectNew: tc.after.Obj()}); got != tc.want {
			t.Errorf("%s: let through = %v, want %v", name, got, tc.want)
		}
	}
	node := wrappers.MakeNode("n").Obj()
	if nodeMoves.Update(event.UpdateEvent{ObjectOld: node, ObjectNew: wrappers.MakeNode("n").Capacity("cpu", "1").Obj()}) {
		t.Error("a heartbeat is let through")
	}
	if !nodeMoves.Update(event.UpdateEvent{ObjectOld: node, ObjectNew: wrappers.MakeNode("n").Label("a", "b").Obj()}) {
		t.Error("a label of a node is not let through")
	}
	if nodeMoves.Create(event.CreateEvent{Object: node, IsInInitialList: true}) || !nodeMoves.Create(event.CreateEvent{Object: node}) {
		t.Error("a node of the start is let through, or one that comes later is not")
	}
}

// TestPodEvents_UpgradeOrder holds that a ReplicaSet scales in the last unit first while the costs of Spillway 0.2 are rewritten: those of earlier units are
// rewritten first, and pods that change meanwhile do not wait for them.
func TestPodEvents_UpgradeOrder(t *testing.T) {
	queue := priorityqueue.New[reconcile.Request]("test")
	defer queue.ShutDown()
	events := podEvents()
	begin := []*wrappers.Pod{
		wrappers.MakePod("third").Annotation(cost, "-200000000"), wrappers.MakePod("second").Annotation(cost, "-99999993"),
		wrappers.MakePod("first").Annotation(cost, "0"), wrappers.MakePod("last").Annotation(cost, "-1500000000"),
	}
	for _, pod := range begin {
		events.Create(t.Context(), event.CreateEvent{Object: pod.Obj(), IsInInitialList: true}, queue)
	}
	created := wrappers.MakePod("created").Annotation(cost, "-300000000")
	events.Create(t.Context(), event.CreateEvent{Object: created.Obj()}, queue)
	edited := wrappers.MakePod("edited").Annotation(cost, "-300000000").Version("1")
	events.Update(t.Context(), event.UpdateEvent{ObjectOld: edited.Obj(), ObjectNew: wrappers.MakePod("edited").Version("2").Obj()}, queue)
	var got []string
	for range len(begin) + 2 {
		request, _ := queue.Get()
		got = append(got, request.Name)
	}
	if diff := cmp.Diff([]string{"created", "edited", "first", "second", "third", "last"}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func (w *world) get(t *testing.T) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{}
	if err := w.client.Get(t.Context(), types.NamespacedName{Namespace: "default", Name: "a"}, pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

func (w *world) reconcile(t *testing.T) ctrl.Result {
	t.Helper()
	result, err := w.Reconcile(t.Context(), w.get(t))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// overlay returns a map with changes, where gone removes.
func overlay(current, changes map[string]string) map[string]string {
	if len(changes) == 0 {
		return current
	}
	out := map[string]string{}
	for key, value := range current {
		out[key] = value
	}
	for key, value := range changes {
		if delete(out, key); value != gone {
			out[key] = value
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func withFinalizer(p *wrappers.Pod) *wrappers.Pod {
	p.Finalizers = []string{"example.com/keep"}
	return p
}
