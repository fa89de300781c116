package resourcepolicy

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// hintCase is an event and what it means for a waiting pod with the label app=web, whose policy has the units pool=a and eci.
type hintCase struct {
	before, after any
	// rejection is that of the waiting pod; nil when nothing is known of its last attempt.
	rejection *rejection
	want      fwk.QueueingHint
	wantErr   bool
}

func runHints(t *testing.T, cases map[string]hintCase, hint func(*ResourcePolicy) fwk.QueueingHintFn) {
	t.Helper()
	nodes := []*wrappers.Node{machine("in", "a"), machine("outside", "z"), wrappers.MakeVirtualNode("v")}
	policy := wrappers.MakePolicy("p").Selector("app", "web").GroupBy("version").Unit(wrappers.ECS().On("pool", "a")).Unit(wrappers.ECI())
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			logger, _ := ktesting.NewTestContext(t)
			pl, _ := newTestPlugin(t, nodes, policy)
			waiting := webPod("waiting").Label("version", "1").Obj()
			if tc.rejection != nil {
				pl.inflight.reject(waiting, *tc.rejection)
			}
			got, err := hint(pl)(logger, waiting, tc.before, tc.after)
			if got != tc.want || (err != nil) != tc.wantErr {
				t.Errorf("hint = %v, %v, want %v", got, err, tc.want)
			}
		})
	}
}

func Test_isSchedulableAfterPodGone(t *testing.T) {
	leaving, terminating, other := &rejection{leaving: true}, &rejection{terminating: true}, &rejection{full: true}
	runHints(t, map[string]hintCase{
		"nothing is known":                       {before: wrappers.MakePod("x").Node("in").Obj(), want: fwk.Queue},
		"it makes room in a unit":                {rejection: leaving, before: wrappers.MakePod("x").Node("in").Obj(), want: fwk.Queue},
		"it makes room on a virtual node":        {rejection: leaving, before: wrappers.MakePod("x").Node("v").Obj(), want: fwk.Queue},
		"it makes room outside all units":        {rejection: leaving, before: wrappers.MakePod("x").Node("outside").Obj(), want: fwk.QueueSkip},
		"it makes room on a node that is gone":   {rejection: leaving, before: wrappers.MakePod("x").Node("gone").Obj(), want: fwk.Queue},
		"it was a terminating pod of the policy": {rejection: terminating, before: webPod("x").Node("outside").Obj(), want: fwk.Queue},
		"a terminating pod leaves the policy by a label edit": {
			rejection: terminating, before: webPod("x").Node("in").Obj(), after: wrappers.MakePod("x").Node("in").Obj(), want: fwk.Queue,
		},
		"a label edit makes no room":                       {rejection: leaving, before: webPod("x").Node("in").Obj(), after: webPod("x").Node("in").Obj(), want: fwk.QueueSkip},
		"it was of no policy":                              {rejection: terminating, before: wrappers.MakePod("x").Node("in").Obj(), want: fwk.QueueSkip},
		"other plugins or the waker know whether it helps": {rejection: other, before: webPod("x").Node("in").Obj(), want: fwk.QueueSkip},
		"not a pod": {before: &corev1.Node{}, want: fwk.Queue, wantErr: true},
	}, func(pl *ResourcePolicy) fwk.QueueingHintFn { return pl.isSchedulableAfterPodGone })
}

func Test_isSchedulableAfterOwnUpdate(t *testing.T) {
	own := func() *wrappers.Pod { return webPod("waiting").Label("version", "1") }
	relabelled := own().Label("version", "2").Obj()
	runHints(t, map[string]hintCase{
		"nothing is known":            {before: own().Obj(), after: own().Obj(), want: fwk.Queue},
		"another group":               {rejection: &rejection{}, before: own().Obj(), after: relabelled, want: fwk.Queue},
		"another policy":              {rejection: &rejection{}, before: own().Obj(), after: own().Label("app", "x").Obj(), want: fwk.Queue},
		"a label that nobody reads":   {rejection: &rejection{}, before: own().Obj(), after: own().Label("x", "y").Obj(), want: fwk.QueueSkip},
		"a unit would give it away":   {rejection: &rejection{barred: true}, before: own().Obj(), after: own().Label("x", "y").Obj(), want: fwk.Queue},
		"less, and no cap in the way": {rejection: &rejection{}, before: own().Obj(), after: own().Request("cpu", "1").Obj(), want: fwk.QueueSkip},
		"less, and a cap in the way":  {rejection: &rejection{full: true}, before: own().Obj(), after: own().Request("cpu", "1").Obj(), want: fwk.Queue},
		"not a pod":                   {before: &corev1.Node{}, after: &corev1.Node{}, want: fwk.Queue, wantErr: true},
	}, func(pl *ResourcePolicy) fwk.QueueingHintFn { return pl.isSchedulableAfterOwnUpdate })
}

// Test_isSchedulableAfterPodGone_Victim has the victim of a pod that found every unit full: neither room nor a slot was in its way.
func Test_isSchedulableAfterPodGone_Victim(t *testing.T) {
	logger, _ := ktesting.NewTestContext(t)
	pl, _ := newTestPlugin(t, nil, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().Max(1)))
	preemptor, victim, other := webPod("preemptor").Obj(), webPod("victim").Node("n").Obj(), webPod("other").Node("n").Obj()
	pl.inflight.reject(preemptor, rejection{full: true})
	pl.inflight.nominate(nomination{pod: preemptor, node: "n", victims: map[types.UID]bool{victim.UID: true}})
	if hint, err := pl.isSchedulableAfterPodGone(logger, preemptor, victim, nil); hint != fwk.Queue || err != nil {
		t.Errorf("its victim has gone: %v, %v, want Queue", hint, err)
	}
	if hint, err := pl.isSchedulableAfterPodGone(logger, preemptor, other, nil); hint != fwk.QueueSkip || err != nil {
		t.Errorf("another pod has gone: %v, %v, want QueueSkip", hint, err)
	}
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
		if e.QueueingHintFn == nil {
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

func Test_isSchedulableAfterNodeChange(t *testing.T) {
	seen := &rejection{}
	empty := &rejection{empty: sets.New(placement.Compile(wrappers.MakePolicy("p").Unit(wrappers.ECS().On("pool", "a")).Obj()).Units[0].ID)}
	runHints(t, map[string]hintCase{
		"nothing is known":            {after: machine("n", "z").Obj(), want: fwk.Queue},
		"new in a unit without nodes": {rejection: empty, after: machine("n", "a").Obj(), want: fwk.Queue},
		"new in a unit with nodes":    {rejection: seen, after: machine("n", "a").Obj(), want: fwk.QueueSkip},
		"new outside all units":       {rejection: empty, after: machine("n", "z").Obj(), want: fwk.QueueSkip},
		"it joins a unit":             {rejection: seen, before: machine("n", "z").Obj(), after: machine("n", "a").Obj(), want: fwk.Queue},
		"it leaves the units":         {rejection: seen, before: machine("n", "a").Obj(), after: machine("n", "z").Obj(), want: fwk.QueueSkip},
		"it stays in its unit":        {rejection: empty, before: machine("n", "a").Obj(), after: machine("n", "a").Label("x", "y").Obj(), want: fwk.QueueSkip},
		"not a node":                  {after: &corev1.Pod{}, want: fwk.Queue, wantErr: true},
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
