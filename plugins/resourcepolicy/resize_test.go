package resourcepolicy

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

// TestAdmission_HeldPodIsResized checks that a held pod that is resized to what maxResources has left is tried, and not held for what it requested before.
func TestAdmission_HeldPodIsResized(t *testing.T) {
	policy := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().MaxResource("cpu", "3"))
	pl, _ := newTestPlugin(t, nil, policy)
	pod := func(cpu string) *wrappers.Pod {
		return wrappers.MakePod("held").Label("app", "web").Request("cpu", cpu)
	}
	hold(t, pl, pod("2"), webPod("old").Node("a1"))
	_, ctx := ktesting.NewTestContext(t)
	admission := &Admission{pl: pl}
	if status := admission.PreEnqueue(ctx, pod("1500m").Obj()); status.IsSuccess() {
		t.Error("a pod is tried that does not fit into what is left of the cap")
	}
	if status := admission.PreEnqueue(ctx, pod("1").Obj()); !status.IsSuccess() {
		t.Errorf("the pod fits now, and is held: %v", status)
	}
}

func Test_isHeldPodEdited(t *testing.T) {
	pod := func(cpu string) *wrappers.Pod { return wrappers.MakePod("p").Label("app", "web").Request("cpu", cpu) }
	cases := map[string]struct {
		after *wrappers.Pod
		want  fwk.QueueingHint
	}{
		"nothing of interest": {after: pod("2").Annotation("a", "b"), want: fwk.QueueSkip},
		"its requests":        {after: pod("1"), want: fwk.Queue},
		"its labels":          {after: pod("2").Label("app", "db"), want: fwk.Queue},
		"another pod":         {after: wrappers.MakePod("other"), want: fwk.QueueSkip},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got, err := isHeldPodEdited(klog.Background(), pod("2").Obj(), pod("2").Obj(), tc.after.Obj()); err != nil || got != tc.want {
				t.Errorf("hint %v, error %v; want %v", got, err, tc.want)
			}
		})
	}
	events, err := (&Admission{}).EventsToRegister(t.Context())
	if err != nil || len(events) != 1 || events[0].Event.ActionType&fwk.UpdatePodScaleDown == 0 {
		t.Errorf("events %+v, error %v: a held pod hears of its own resize", events, err)
	}
}

// TestDeferredResize checks that a bound pod that comes back into the queue, because its node has deferred a resize, is neither held nor given a unit.
func TestDeferredResize(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a"), machine("b1", "b")}
	policy := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a").Max(1)).Unit(wrappers.ECS().On("pool", "b").Max(1))
	pl, _ := newTestPlugin(t, nodes, policy)
	bound := webPod("bound").Node("b1").Obj()
	bound.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: corev1.PodReasonDeferred}}
	_, ctx := ktesting.NewTestContext(t)
	for range 3 {
		if status := (&Admission{pl: pl}).PreEnqueue(ctx, bound); !status.IsSuccess() {
			t.Fatalf("a bound pod is held: %v", status)
		}
	}
	state := framework.NewCycleState()
	result, status := pl.PreFilter(ctx, state, bound, infos(t, nodes, webPod("bound").Node("b1")))
	if !status.IsSkip() || result != nil || stateOf(state) != nil {
		t.Errorf("PreFilter decides about a bound pod: %v, %v", result, status)
	}
	if _, status := pl.PostFilter(ctx, state, bound, nil); status.Code() != fwk.Unschedulable {
		t.Errorf("PostFilter ends the chain, in which upstream preempts for the resize: %v", status)
	}
	if len(pl.admission.members)+len(pl.inflight.walks) > 0 {
		t.Error("something is remembered of a bound pod")
	}
}
