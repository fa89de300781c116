package resourcepolicy

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

// hintCase is an event and what it means for a waiting pod with the label app=web, whose policy has the units pool=a and eci.
type hintCase struct {
	before, after any
	waiting       *wrappers.Pod
	want          fwk.QueueingHint
	wantErr       bool
}

func runHints(t *testing.T, cases map[string]hintCase, hint func(*ResourcePolicy) fwk.QueueingHintFn) {
	t.Helper()
	nodes := []*wrappers.Node{machine("in", "a"), machine("outside", "z"), wrappers.MakeVirtualNode("v")}
	policy := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a")).Unit(wrappers.ECI())
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			logger, _ := ktesting.NewTestContext(t)
			pl, _ := newTestPlugin(t, nodes, policy)
			if tc.waiting == nil {
				tc.waiting = webPod("waiting")
			}
			got, err := hint(pl)(logger, tc.waiting.Obj(), tc.before, tc.after)
			if got != tc.want || (err != nil) != tc.wantErr {
				t.Errorf("hint = %v, %v, want %v", got, err, tc.want)
			}
		})
	}
}

func TestPodGoneHint(t *testing.T) {
	runHints(t, map[string]hintCase{
		"of the same policy, outside all units": {before: webPod("x").Node("outside").Obj(), want: fwk.Queue},
		"of no policy, in a unit":               {before: wrappers.MakePod("x").Node("in").Obj(), want: fwk.Queue},
		"of no policy, on a virtual node":       {before: wrappers.MakePod("x").Node("v").Obj(), want: fwk.Queue},
		"of no policy, outside all units":       {before: wrappers.MakePod("x").Node("outside").Obj(), want: fwk.QueueSkip},
		"on a node that is gone":                {before: wrappers.MakePod("x").Node("gone").Obj(), want: fwk.Queue},
		"the waiting pod has no policy now": {
			before: wrappers.MakePod("x").Node("outside").Obj(), waiting: wrappers.MakePod("free"), want: fwk.Queue,
		},
		"it left the policy by a label edit": {
			before: webPod("x").Node("outside").Obj(), after: wrappers.MakePod("x").Node("outside").Obj(), want: fwk.Queue,
		},
		"not a pod": {before: &corev1.Node{}, want: fwk.Queue, wantErr: true},
	}, func(pl *ResourcePolicy) fwk.QueueingHintFn { return pl.isSchedulableAfterPodGone })
}

func TestUndecidedHint(t *testing.T) {
	event := hintCase{after: &corev1.PersistentVolumeClaim{}, want: fwk.QueueSkip}
	runHints(t, map[string]hintCase{"all filters that refused the pod are recorded": event},
		func(pl *ResourcePolicy) fwk.QueueingHintFn { return pl.isUndecided })
	event.want = fwk.Queue
	runHints(t, map[string]hintCase{"a filter refused the pod in a unit that its last attempt did not look at": event},
		func(pl *ResourcePolicy) fwk.QueueingHintFn {
			pl.inflight.setUndecided(webPod("waiting").Obj(), true)
			return pl.isUndecided
		})
}

// TestEveryEventHasAHint holds the registration: an event without a hint would wake every waiting pod.
func TestEveryEventHasAHint(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	pl, _ := newTestPlugin(t, nil)
	events, err := pl.EventsToRegister(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		// What happens to the pod itself is always worth a try.
		if e.QueueingHintFn == nil && e.Event.Resource != fwk.TargetPod {
			t.Errorf("%+v has no hint", e.Event)
		}
	}
	events, err = (&Admission{pl: pl}).EventsToRegister(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Event.Resource != fwk.TargetPod {
			t.Errorf("the plugin that holds pods registers %+v: it would be shown to every held pod", e.Event)
		}
	}
}

func TestNodeChangeHint(t *testing.T) {
	runHints(t, map[string]hintCase{
		"a node of a unit":          {after: machine("n", "a").Obj(), want: fwk.Queue},
		"a virtual node":            {after: wrappers.MakeVirtualNode("n").Obj(), want: fwk.Queue},
		"a node outside all units":  {after: machine("n", "z").Obj(), want: fwk.QueueSkip},
		"a node leaves the units":   {before: machine("n", "a").Obj(), after: machine("n", "z").Obj(), want: fwk.Queue},
		"a node joins a unit":       {before: machine("n", "z").Obj(), after: machine("n", "a").Obj(), want: fwk.Queue},
		"the pod has no policy now": {after: machine("n", "z").Obj(), waiting: wrappers.MakePod("free"), want: fwk.Queue},
		"not a node":                {after: &corev1.Pod{}, want: fwk.Queue, wantErr: true},
	}, func(pl *ResourcePolicy) fwk.QueueingHintFn { return pl.isSchedulableAfterNodeChange })
}

func TestSignPod(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	pl, _ := newTestPlugin(t, nil, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS()))
	if _, status := pl.SignPod(ctx, webPod("x").Obj()); status.IsSuccess() {
		t.Error("a governed pod is signed: its result could be reused although it depends on counts")
	}
	if fragments, status := pl.SignPod(ctx, wrappers.MakePod("x").Obj()); !status.IsSuccess() || len(fragments) > 0 {
		t.Errorf("a pod without a policy: %v, %v, want nothing to add", fragments, status)
	}
}
