package resourcepolicy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// lines writes the units as a user reads them.
func lines(t *testing.T, units []v1alpha1.UnitStatus) []string {
	t.Helper()
	var out []string
	for i := range units {
		data, err := json.Marshal(&units[i])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(data))
	}
	return out
}

func TestStatusOfUnits(t *testing.T) {
	nodes := append(ecsNodes("e-0", "e-1"), wrappers.MakeVirtualNode("v"))
	cases := map[string]struct {
		stage
		want     []string
		wantFill string
	}{
		"no pods: all of the caps is free": {
			stage: stage{policy: policy(), nodes: nodes},
			want: []string{
				`{"name":"ecs, paid=month","nodes":2,"pods":0,"maxPods":2,"freePods":2}`,
				`{"name":"eci","nodes":1,"pods":0}`,
			},
			wantFill: "0/2 ecs, paid=month | 0 eci",
		},
		"pods count by their nodes": {
			stage: stage{policy: policy(), nodes: nodes, pods: []*wrappers.Pod{on("e-0", "a"), on("e-1", "b"), on("v", "c"), on("v", "d"), on("v", "e"), on("v", "f")}},
			want: []string{
				`{"name":"ecs, paid=month","nodes":2,"pods":2,"maxPods":2,"freePods":0}`,
				`{"name":"eci","nodes":1,"pods":4}`,
			},
			wantFill: "2/2 ecs, paid=month | 4 eci",
		},
		"more pods than the cap after an edit leave nothing free": {
			stage: stage{policy: policy(), nodes: nodes, pods: []*wrappers.Pod{on("e-0", "a"), on("e-0", "b"), on("e-0", "c")}},
			want: []string{
				`{"name":"ecs, paid=month","nodes":2,"pods":3,"maxPods":2,"freePods":0}`,
				`{"name":"eci","nodes":1,"pods":0}`,
			},
			wantFill: "3/2 ecs, paid=month | 0 eci",
		},
		"pods that have ended, terminate, are elsewhere or another policy's do not count": {
			stage: stage{policy: policy(), nodes: append(nodes, wrappers.MakeNode("other")), others: []*wrappers.Policy{
				wrappers.MakePolicy("gold").Selector("app", "web").Selector("tier", "gold").Unit(wrappers.ECS()),
			}, pods: []*wrappers.Pod{
				on("e-0", "ended").Phase(corev1.PodSucceeded), on("e-0", "failed").Phase(corev1.PodFailed), on("e-0", "terminates").Terminating(),
				on("other", "outside"), on("e-0", "gold").Label("tier", "gold"), wrappers.MakePod("unlabelled").Node("e-0"),
			}},
			want: []string{
				`{"name":"ecs, paid=month","nodes":2,"pods":0,"maxPods":2,"freePods":2}`,
				`{"name":"eci","nodes":1,"pods":0}`,
			},
			wantFill: "0/2 ecs, paid=month | 0 eci",
		},
		"a pod whose node is gone counts by its record": {
			stage: stage{policy: policy(), nodes: nodes, pods: []*wrappers.Pod{
				on("gone", "recorded").Recorded("p", "ecs paid=month"), on("gone", "unrecorded"),
			}},
			want: []string{
				`{"name":"ecs, paid=month","nodes":2,"pods":1,"maxPods":2,"freePods":1}`,
				`{"name":"eci","nodes":1,"pods":0}`,
			},
			wantFill: "1/2 ecs, paid=month | 0 eci",
		},
		"what is free is what the fullest group has": {
			stage: stage{policy: policy().GroupBy("version"), nodes: nodes, pods: []*wrappers.Pod{
				on("e-0", "a").Label("version", "1"), on("e-0", "b").Label("version", "1"), on("e-0", "c").Label("version", "2"), on("e-0", "no group"),
			}},
			want: []string{
				`{"name":"ecs, paid=month","nodes":2,"pods":3,"maxPods":2,"freePods":0}`,
				`{"name":"eci","nodes":1,"pods":0}`,
			},
			wantFill: "3 (max 2 a group) ecs, paid=month | 0 eci",
		},
		"resources are written as the user writes them": {
			stage: stage{nodes: nodes, pods: []*wrappers.Pod{
				on("e-0", "a").Request("cpu", "1500m").Request("memory", "1Gi").Request("ephemeral-storage", "1Gi"), on("v", "b").Request("cpu", "2"),
			}, policy: wrappers.MakePolicy("p").Selector("app", "web").
				Unit(wrappers.ECS().On("paid", "month").MaxResource("cpu", "2").MaxResource("memory", "20Gi")).Unit(wrappers.ECI())},
			want: []string{
				`{"name":"ecs, paid=month","nodes":2,"pods":1,"requests":{"cpu":"1500m","memory":"1Gi"},` +
					`"maxResources":{"cpu":"2","memory":"20Gi"},"freeResources":{"cpu":"500m","memory":"19Gi"}}`,
				`{"name":"eci","nodes":1,"pods":1,"requests":{"cpu":"2","memory":"0"}}`,
			},
			wantFill: "1 ecs, paid=month | 1 eci",
		},
		"a group over its resources leaves nothing, another one does not matter": {
			stage: stage{nodes: nodes, pods: []*wrappers.Pod{
				on("e-0", "a").Request("cpu", "3").Label("version", "1"), on("e-0", "b").Request("cpu", "1").Label("version", "2"),
			}, policy: wrappers.MakePolicy("p").Selector("app", "web").GroupBy("version").Unit(wrappers.ECS().MaxResource("cpu", "2"))},
			want: []string{
				`{"name":"ecs","nodes":2,"pods":2,"requests":{"cpu":"4"},"maxResources":{"cpu":"2"},"freeResources":{"cpu":"0"}}`,
			},
			wantFill: "2 ecs",
		},
		"a refused policy has no units to report": {
			stage: stage{nodes: nodes, pods: []*wrappers.Pod{on("e-0", "a")}, policy: wrappers.MakePolicy("p").Selector("app", "web").
				Unit(wrappers.ECS().MaxResource("cpu", "0"))},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := tc.status()
			if diff := cmp.Diff(tc.want, lines(t, got.Units)); diff != "" {
				t.Errorf("units (-want +got):\n%s", diff)
			}
			if got.Fill != tc.wantFill {
				t.Errorf("fill = %q, want %q", got.Fill, tc.wantFill)
			}
		})
	}
}

func TestPreviousAndTerminatingPods(t *testing.T) {
	s := stage{policy: policy().Created(10).IgnorePrevious().CountTerminating(), nodes: ecsNodes("e-0"), pods: []*wrappers.Pod{
		on("e-0", "previous").ScheduledAt(9), on("e-0", "later").ScheduledAt(11), on("e-0", "terminates").ScheduledAt(11).Terminating(),
	}}
	if got := s.status().Fill; got != "2/2 ecs, paid=month | 0 eci" {
		t.Errorf("fill = %q", got)
	}
}

func TestWaitingAndHeldPods(t *testing.T) {
	capped := func() *wrappers.Policy {
		return wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("paid", "month").Max(1)).
			Unit(wrappers.ECI().MaxResource("cpu", "2"))
	}
	pending := func(name string) *wrappers.Pod { return wrappers.MakePod(name).Label("app", "web").Request("cpu", "1") }
	full := []*wrappers.Pod{on("e-0", "a"), on("v", "b").Request("cpu", "2")}
	cases := map[string]struct {
		policy                *wrappers.Policy
		bound, pods           []*wrappers.Pod
		wantWaiting, wantHeld int32
	}{
		"nobody": {policy: capped()},
		"tried without success while a unit has room under its caps": {
			policy: capped(), bound: full[:1], pods: []*wrappers.Pod{pending("x").Unschedulable()}, wantWaiting: 1,
		},
		"not tried yet":      {policy: capped(), bound: full[:1], pods: []*wrappers.Pod{pending("x")}},
		"every unit is full": {policy: capped(), bound: full, pods: []*wrappers.Pod{pending("x"), pending("y").Unschedulable()}, wantHeld: 2},
		"a small pod is held by pods only where it counts": {
			policy: capped(), bound: full, pods: []*wrappers.Pod{wrappers.MakePod("x").Label("app", "web").Unschedulable()}, wantWaiting: 1,
		},
		"gated, terminating, ended and another scheduler's": {
			policy: capped(), bound: full, pods: []*wrappers.Pod{
				pending("gated").Gate("wait").Unschedulable(), pending("terminates").Terminating().Unschedulable(),
				pending("ended").Phase(corev1.PodFailed).Unschedulable(), pending("theirs").Scheduler("default-scheduler").Unschedulable(),
			},
		},
		"a unit without a cap is never full": {policy: policy(), bound: full, pods: []*wrappers.Pod{pending("x").Unschedulable()}, wantWaiting: 1},
		"only the full group is held": {
			policy: capped().GroupBy("version"), bound: []*wrappers.Pod{on("e-0", "a").Label("version", "1"), on("v", "b").Label("version", "1").Request("cpu", "2")},
			pods: []*wrappers.Pod{pending("x").Label("version", "1").Unschedulable(), pending("y").Label("version", "2").Unschedulable()}, wantWaiting: 1, wantHeld: 1,
		},
		"a pod without a group":     {policy: capped().GroupBy("version"), bound: full, pods: []*wrappers.Pod{pending("x").Unschedulable()}, wantWaiting: 1},
		"pods of a refused policy":  {policy: wrappers.MakePolicy("p").Unit(wrappers.ECS().Max(0).MaxResource("cpu", "0")), pods: []*wrappers.Pod{pending("x").Unschedulable()}, wantWaiting: 1},
		"units that are closed":     {policy: wrappers.MakePolicy("p").Unit(wrappers.ECS().Max(0)), pods: []*wrappers.Pod{pending("x")}, wantHeld: 1},
		"pods of no policy of ours": {policy: capped(), bound: full, pods: []*wrappers.Pod{wrappers.MakePod("x").Unschedulable()}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := stage{policy: tc.policy, pods: append(tc.bound[:len(tc.bound):len(tc.bound)], tc.pods...), nodes: append(ecsNodes("e-0"), wrappers.MakeVirtualNode("v"))}
			got := s.status()
			if got.WaitingPods != tc.wantWaiting || got.HeldPods != tc.wantHeld {
				t.Errorf("waiting %d, held %d; want %d, %d", got.WaitingPods, got.HeldPods, tc.wantWaiting, tc.wantHeld)
			}
		})
	}
}

func TestStatusFitsTheSchema(t *testing.T) {
	long := wrappers.MakePolicy("p")
	for i := range 16 {
		unit := wrappers.ECS().Max(1)
		for n := range 16 {
			unit.On(fmt.Sprintf("%s.example.com/%d-%d", strings.Repeat("k", 60), i, n), strings.Repeat("v", 63))
		}
		long.Unit(unit)
	}
	long.Unit(wrappers.ECS()) // It makes all later units unreachable; those above are not.
	s := stage{policy: long}
	got := s.status()
	if n := utf8.RuneCountInString(got.Fill); n > maxFill {
		t.Errorf("fill has %d characters", n)
	}
	if n := strings.Count(got.Fill, between); n != 16 {
		t.Errorf("fill shows %d units of 17: %s", n+1, got.Fill)
	}
	for i := range got.Units {
		if n := utf8.RuneCountInString(got.Units[i].Name); n > maxName {
			t.Errorf("the name of unit %d has %d characters", i, n)
		}
	}
	for _, condition := range got.Conditions {
		if n := utf8.RuneCountInString(condition.Message); n > maxMessage {
			t.Errorf("the message of %s has %d characters", condition.Type, n)
		}
	}
	if text := shorten("äöü", 3); text != "äöü" {
		t.Errorf("shortened to %q although it fits", text)
	}
	if text := shorten("äöüß", 3); text != "äö…" {
		t.Errorf("shortened to %q", text)
	}
}
