package resourcepolicy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2/ktesting"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// oneSlot is a policy with one slot, and nothing behind it.
func oneSlot() *wrappers.Policy {
	return wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().Max(1))
}

// hold makes a pod a held one: its attempt has found every unit full.
func hold(t *testing.T, pl *ResourcePolicy, pod *wrappers.Pod, others ...*wrappers.Pod) {
	t.Helper()
	_, ctx := ktesting.NewTestContext(t)
	admission := &Admission{pl: pl}
	pl.becomeActive()
	if status := admission.PreEnqueue(ctx, pod.Obj()); !status.IsSuccess() {
		t.Fatalf("the first pod is not tried: %v", status)
	}
	state, unit, _ := preFilter(t, pl, pod, infos(t, []*wrappers.Node{machine("a1", "a")}, others...))
	if unit >= 0 {
		t.Fatal("the pod is not refused")
	}
	pl.PostFilter(ctx, state, pod.Obj(), nil)
	if status := admission.PreEnqueue(ctx, pod.Obj()); status.IsSuccess() {
		t.Fatal("the pod is tried again although every unit is full")
	}
}

// TestWhatFreesASlotWakesAHeldPod has every event that frees the only slot of a policy, and some that do not.
func TestWhatFreesASlotWakesAHeldPod(t *testing.T) {
	old := webPod("old").Node("a1")
	cases := map[string]struct {
		event func(pl *ResourcePolicy)
		want  []string
	}{
		"the pod begins to terminate": {
			event: func(pl *ResourcePolicy) { pl.podUpdated(old.Obj(), webPod("old").Node("a1").Terminating().Obj()) }, want: []string{"held"},
		},
		"the pod is deleted": {event: func(pl *ResourcePolicy) { pl.podDeleted(old.Obj()) }, want: []string{"held"}},
		"the pod that terminated before is gone": {
			event: func(pl *ResourcePolicy) { pl.podDeleted(webPod("old").Node("a1").Terminating().Obj()) },
		},
		"the pod leaves the policy": {
			event: func(pl *ResourcePolicy) {
				pl.podUpdated(old.Obj(), wrappers.MakePod("old").Label("app", "other").Node("a1").Obj())
			}, want: []string{"held"},
		},
		"the pod changes its status":    {event: func(pl *ResourcePolicy) { pl.podUpdated(old.Obj(), webPod("old").Node("a1").Obj()) }},
		"a pod of no policy is deleted": {event: func(pl *ResourcePolicy) { pl.podDeleted(wrappers.MakePod("x").Node("a1").Obj()) }},
		"the pod was deleted and created again unwatched": {
			event: func(pl *ResourcePolicy) {
				again := webPod("old").Node("a1").Obj()
				again.UID = "again"
				pl.podUpdated(old.Obj(), again)
			}, want: []string{"held"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pl, h := newTestPlugin(t, nil, oneSlot())
			hold(t, pl, webPod("held"), old)
			h.activated = nil
			tc.event(pl)
			if diff := cmp.Diff(tc.want, h.activated); diff != "" {
				t.Errorf("woken (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAWokenPodFindsTheSlotThatTheSnapshotDoesNotShowYet(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a")}
	old := webPod("old").Node("a1")
	pl, _ := newTestPlugin(t, nil, oneSlot())
	stale := infos(t, nodes, old)
	if _, unit, _ := preFilter(t, pl, webPod("new"), stale); unit >= 0 {
		t.Fatal("the unit is not full")
	}
	pl.podUpdated(old.Obj(), webPod("old").Node("a1").Version("2").Terminating().Obj())
	if _, unit, reason := preFilter(t, pl, webPod("new"), stale); unit != 0 {
		t.Errorf("the pod terminates, and the snapshot is behind: %s", reason)
	}
	if _, unit, _ := preFilter(t, pl, webPod("new"), infos(t, nodes, webPod("old").Node("a1").Version("2").Terminating())); unit != 0 || len(pl.fresh.pods) > 0 {
		t.Errorf("the snapshot has caught up: unit %d, %d pods remembered", unit, len(pl.fresh.pods))
	}
}

func TestAFailedBindingFreesItsSlotAtOnce(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a")}
	pl, h := newTestPlugin(t, nil, oneSlot())
	_, ctx := ktesting.NewTestContext(t)
	admission := &Admission{pl: pl}
	state, _, _ := preFilter(t, pl, webPod("first"), infos(t, nodes))
	pl.Reserve(ctx, state, webPod("first").Obj(), "a1")
	assumed := infos(t, nodes, webPod("first").Node("a1"))
	hold(t, pl, webPod("held"), webPod("first").Node("a1"))
	h.activated = nil

	pl.Unreserve(ctx, state, webPod("first").Obj(), "a1")
	if diff := cmp.Diff([]string{"held"}, h.activated); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	if status := admission.PreEnqueue(ctx, webPod("held").Obj()); !status.IsSuccess() {
		t.Errorf("the woken pod is not tried: %v", status)
	}
	if _, unit, reason := preFilter(t, pl, webPod("held"), assumed); unit != 0 {
		t.Errorf("the scheduler has not forgotten the first pod yet: %s", reason)
	}

	// The answer was lost, and the API server has bound the pod: it counts.
	bound := webPod("first").Node("a1").Version("5")
	pl.podUpdated(webPod("first").Obj(), bound.Obj())
	if _, unit, _ := preFilter(t, pl, webPod("held"), infos(t, nodes, bound)); unit >= 0 {
		t.Error("a pod that was bound although its binding failed is not counted")
	}
}

func TestPodsInFlightToADeletedNodeCount(t *testing.T) {
	pl, _ := newTestPlugin(t, nil, oneSlot())
	_, ctx := ktesting.NewTestContext(t)
	both := []*wrappers.Node{machine("a1", "a"), machine("a2", "a")}
	state, _, _ := preFilter(t, pl, webPod("first"), infos(t, both))
	pl.Reserve(ctx, state, webPod("first").Obj(), "a1")
	if _, unit, _ := preFilter(t, pl, webPod("new"), infos(t, both[1:])); unit >= 0 {
		t.Error("a pod whose binding is on its way to a node that was deleted is not counted")
	}
	pl.Unreserve(ctx, state, webPod("first").Obj(), "a1")
	if _, unit, reason := preFilter(t, pl, webPod("new"), infos(t, both[1:])); unit != 0 {
		t.Errorf("its binding failed: %s", reason)
	}
}

func TestPodsWithGatesHaveNoTicket(t *testing.T) {
	pl, _ := newTestPlugin(t, nil, oneSlot())
	_, ctx := ktesting.NewTestContext(t)
	admission := &Admission{pl: pl}
	gated := webPod("gated").Obj()
	gated.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "later"}}
	admission.PreEnqueue(ctx, gated)
	if status := admission.PreEnqueue(ctx, webPod("free").Obj()); !status.IsSuccess() {
		t.Errorf("a pod that another plugin keeps out has the ticket: %v", status)
	}
}

// TestUsageGrows has every way in which a unit fills without a placement by this scheduler. The pod that waits there goes on, by what the informer knows before
// the snapshot shows it.
func TestUsageGrows(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a").Capacity("cpu", "3"), machine("b1", "b")}
	first := func() *wrappers.Pod { return webPod("first").Node("a1").Version("1") }
	for name, tc := range map[string]struct {
		event func(pl *ResourcePolicy)
		woken bool
	}{
		"a running pod is resized": {func(pl *ResourcePolicy) {
			pl.podUpdated(first().Obj(), first().Version("2").Request("cpu", "3").Obj())
		}, true},
		"a running pod comes into the policy": {func(pl *ResourcePolicy) {
			pl.podUpdated(wrappers.MakePod("x").Request("cpu", "1").Node("a1").Obj(), wrappers.MakePod("x").Label("app", "web").Request("cpu", "1").Node("a1").Version("2").Obj())
		}, true},
		"a running pod is moved to the unit by its record": {func(pl *ResourcePolicy) {
			other := func() *wrappers.Pod { return webPod("x").Request("cpu", "1").Node("a1") }
			pl.podUpdated(other().Obj(), other().Annotation(v1alpha1.AnnotationUnit, "ecs pool=a").Version("2").Obj())
		}, true},
		"another scheduler binds a pod": {func(pl *ResourcePolicy) {
			pl.podUpdated(webPod("x").Request("cpu", "1").Obj(), webPod("x").Request("cpu", "1").Node("a1").Version("2").Obj())
		}, true},
		"a pod is created on the node": {func(pl *ResourcePolicy) { pl.podAdded(webPod("x").Request("cpu", "1").Node("a1").Obj()) }, true},
		"a pod of no policy is created on the node": {func(pl *ResourcePolicy) {
			pl.podAdded(wrappers.MakePod("x").Request("cpu", "1").Node("a1").Obj())
		}, false},
		"a running pod changes its status": {func(pl *ResourcePolicy) { pl.podUpdated(first().Obj(), first().Version("2").Obj()) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			pl, h := newTestPlugin(t, nil, wrappers.MakePolicy("p").Selector("app", "web").TryNext(v1alpha1.TryNextExceedMax).
				Unit(wrappers.ECS().On("pool", "a").MaxResource("cpu", "4")).Unit(wrappers.ECS().On("pool", "b")))
			stale := infos(t, nodes, first())
			state, unit, _ := preFilter(t, pl, webPod("waiting"), stale)
			if unit >= 0 {
				t.Fatalf("unit = %d, want a pod that waits", unit)
			}
			_, ctx := ktesting.NewTestContext(t)
			pl.PostFilter(ctx, state, webPod("waiting").Obj(), nil)
			h.activated = nil
			tc.event(pl)
			if woken := len(h.activated) > 0; woken != tc.woken {
				t.Errorf("woken: %v, want %v", h.activated, tc.woken)
			}
			want := -1
			if tc.woken {
				want = 1
			}
			if _, unit, reason := preFilter(t, pl, webPod("waiting"), stale); unit != want {
				t.Errorf("unit = %d (%s), want %d", unit, reason, want)
			}
		})
	}
}

// TestUsageGrows_LastUnit has a pod that waits for a node in the only unit, which then fills without a placement: it is held, and must not look unschedulable.
func TestUsageGrows_LastUnit(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a").Capacity("cpu", "3")}
	pl, h := newTestPlugin(t, nil, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a").Max(2)))
	stale := infos(t, nodes, webPod("first").Node("a1").Version("1"))
	state, _, _ := preFilter(t, pl, webPod("waiting"), stale)
	_, ctx := ktesting.NewTestContext(t)
	pl.PostFilter(ctx, state, webPod("waiting").Obj(), nil)
	if r, _ := pl.inflight.rejection(webPod("waiting").UID); r.held != "" {
		t.Fatal("the pod is held although the unit has a slot")
	}
	h.activated = nil
	pl.podAdded(webPod("x").Request("cpu", "1").Node("a1").Obj())
	if diff := cmp.Diff([]string{"waiting"}, h.activated); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	state, _, _ = preFilter(t, pl, webPod("waiting"), stale)
	pl.PostFilter(ctx, state, webPod("waiting").Obj(), nil)
	if r, _ := pl.inflight.rejection(webPod("waiting").UID); r.held == "" {
		t.Error("the unit is full, and the pod is not held")
	}
}
