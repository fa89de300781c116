package resourcepolicy

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// simulated is a cycle whose state a simulation of preemption changes.
type simulated struct {
	t     *testing.T
	pl    *ResourcePolicy
	state fwk.CycleState
	nodes []fwk.NodeInfo
	// known are the pods that the informers have, and that the snapshot shows, in that version.
	known map[string]*corev1.Pod
}

// simulate begins the cycle of a pod of high priority in a policy whose only unit has room for 4 vCPUs, and enters the unit. before happens to the plugin
// before the cycle begins, and is not yet in the snapshot.
func simulate(t *testing.T, before func(*simulated)) *simulated {
	t.Helper()
	node := wrappers.MakeNode("n").Capacity("cpu", "4")
	policy := wrappers.MakePolicy("p").Unit(wrappers.ECS().MaxResource("cpu", "4"))
	pl, _ := newTestPlugin(t, []*wrappers.Node{node}, policy)
	s := &simulated{t: t, pl: pl, known: map[string]*corev1.Pod{}}
	pods := []*wrappers.Pod{
		wrappers.MakePod("a").Request("cpu", "1").Node("n"), wrappers.MakePod("b").Request("cpu", "2").Node("n"),
	}
	s.nodes = infos(t, []*wrappers.Node{node}, pods...)
	for _, info := range s.nodes[0].GetPods() {
		s.known[info.GetPod().Name] = info.GetPod()
	}
	if before != nil {
		before(s)
	}
	_, ctx := ktesting.NewTestContext(t)
	s.state = framework.NewCycleState()
	pl.PreFilter(ctx, s.state, wrappers.MakePod("high").Priority(100).Request("cpu", "4").Obj(), s.nodes)
	stateOf(s.state).enter(0)
	return s
}

// info returns a pod as the snapshot shows it.
func (s *simulated) info(name string) fwk.PodInfo {
	info, err := framework.NewPodInfo(s.known[name])
	if err != nil {
		s.t.Fatal(err)
	}
	return info
}

func (s *simulated) remove(names ...string) {
	for _, name := range names {
		if status := s.pl.RemovePod(s.t.Context(), s.state, nil, s.info(name), s.nodes[0]); !status.IsSuccess() {
			s.t.Fatalf("RemovePod: %v", status)
		}
	}
}

func (s *simulated) add(names ...string) {
	for _, name := range names {
		if status := s.pl.AddPod(s.t.Context(), s.state, nil, s.info(name), s.nodes[0]); !status.IsSuccess() {
			s.t.Fatalf("AddPod: %v", status)
		}
	}
}

// counted is a usage of a policy that tracks cpu.
type counted struct{ pods, milliCPU int64 }

func TestAddPod_RemovePod(t *testing.T) {
	resized := func(s *simulated, cpu string) *corev1.Pod {
		pod := wrappers.MakePod("b").Request("cpu", cpu).Node("n").Version("2").Obj()
		pod.UID = s.known["b"].UID
		return pod
	}
	cases := map[string]struct {
		before func(*simulated)
		do     func(*simulated)
		want   counted
	}{
		"nothing is simulated":     {do: func(*simulated) {}, want: counted{2, 3000}},
		"a pod is removed":         {do: func(s *simulated) { s.remove("b") }, want: counted{1, 1000}},
		"a pod is spared":          {do: func(s *simulated) { s.remove("b", "a"); s.add("b") }, want: counted{1, 2000}},
		"all are removed":          {do: func(s *simulated) { s.remove("a", "b") }},
		"a pod is removed twice":   {do: func(s *simulated) { s.remove("a", "b", "b") }},
		"a deleted pod is removed": {before: func(s *simulated) { s.pl.podDeleted(s.known["b"]) }, do: func(s *simulated) { s.remove("b") }, want: counted{1, 1000}},
		"the only pods are deleted and removed": {
			before: func(s *simulated) { s.pl.podDeleted(s.known["a"]); s.pl.podDeleted(s.known["b"]) }, do: func(s *simulated) { s.remove("a", "b") },
		},
		"a deleted pod is removed and spared": {
			before: func(s *simulated) { s.pl.podDeleted(s.known["b"]) }, do: func(s *simulated) { s.remove("b"); s.add("b") }, want: counted{1, 1000},
		},
		"a pod that was shrunk is removed": {
			before: func(s *simulated) { s.pl.podUpdated(s.known["b"], resized(s, "1")) }, do: func(s *simulated) { s.remove("b") }, want: counted{1, 1000},
		},
		"a pod that is deleted during the cycle is removed": {
			do: func(s *simulated) { s.pl.podDeleted(s.known["b"]); s.remove("b") }, want: counted{1, 1000},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := simulate(t, tc.before)
			tc.do(s)
			usage := stateOf(s.state).usage
			got := counted{pods: usage.Pods}
			if len(usage.Requests) > 0 {
				got.milliCPU = usage.Requests[0]
			}
			if got != tc.want {
				t.Errorf("usage: %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestUnreserve(t *testing.T) {
	node := wrappers.MakeNode("n").Capacity("cpu", "4")
	pl, handle := newTestPlugin(t, []*wrappers.Node{node}, wrappers.MakePolicy("p").Unit(wrappers.ECS().Max(1)))
	pod := wrappers.MakePod("a")
	state, unit, _ := preFilter(t, pl, pod, infos(t, []*wrappers.Node{node}))
	if unit != 0 {
		t.Fatalf("unit %d", unit)
	}
	pl.Reserve(t.Context(), state, pod.Obj(), "n")
	assumed := wrappers.MakePod("a").Node("n")
	if _, unit, why := preFilter(t, pl, wrappers.MakePod("b"), infos(t, []*wrappers.Node{node}, assumed)); unit >= 0 {
		t.Fatalf("the slot of an assumed pod is free: %s", why)
	}
	handle.activated = nil
	pl.Unreserve(t.Context(), state, pod.Obj(), "n")
	pl.Unreserve(t.Context(), state, pod.Obj(), "n") // The framework may call it for a pod whose Reserve failed.
	if _, unit, why := preFilter(t, pl, wrappers.MakePod("b"), infos(t, []*wrappers.Node{node}, assumed)); unit != 0 {
		t.Errorf("the slot of a pod that is not bound is not free, although the snapshot shows it still: %s", why)
	}
	if usage := pl.counts.Usage(ledger.Key{Policy: stateOf(state).policy.UID}); usage.Pods != 0 {
		t.Errorf("counted: %+v", usage)
	}
}
