package resourcepolicy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/pkg/offer"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/scrape"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// counters are the metrics that these tests look at: not how long decisions took, and not the ledger.
func counters(t *testing.T, before scrape.Series) scrape.Series {
	t.Helper()
	grown := scrape.Read(t, &metrics.Scheduler).Since(before)
	for _, name := range []string{"spillway_decision_duration_seconds", "spillway_ledger_pods", "spillway_ledger_counts"} {
		delete(grown, name)
	}
	return grown
}

func TestMetricsOfPlacements(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a"), machine("b1", "b"), wrappers.MakeVirtualNode("v").Capacity("cpu", "100").Capacity("memory", "100Gi")}
	policy := wrappers.MakePolicy("p").Selector("app", "web").
		Unit(wrappers.ECS().On("pool", "a").Max(1)).Unit(wrappers.ECS().On("pool", "b")).Unit(wrappers.ECI())
	pl, _ := newTestPlugin(t, nodes, policy)
	_, ctx := ktesting.NewTestContext(t)
	place := func(node string, pods ...*wrappers.Pod) fwk.CycleState {
		state, unit, why := preFilter(t, pl, webPod("new"), infos(t, nodes, pods...))
		if unit < 0 {
			t.Fatal(why)
		}
		pl.Reserve(ctx, state, webPod("new").Obj(), node)
		return state
	}
	before := scrape.Read(t, &metrics.Scheduler)
	place("a1")
	place("b1", webPod("x").Node("a1"))
	state := place("v", webPod("x").Node("a1"), webPod("y").Node("b1"), webPod("z").Node("b1"))
	pl.Unreserve(ctx, state, webPod("new").Obj(), "v")
	want := scrape.Series{
		`spillway_decisions_total{outcome="placed",resource="ecs",unit="0"}`: 1,
		`spillway_decisions_total{outcome="placed",resource="ecs",unit="1"}`: 1,
		`spillway_decisions_total{outcome="placed",resource="eci",unit="2"}`: 1,
		`spillway_decisions_total{outcome="undone",resource="eci",unit="2"}`: 1,
		`spillway_spills_total{reason="full",resource="ecs",unit="1"}`:       1,
		`spillway_spills_total{reason="no_room",resource="eci",unit="2"}`:    1,
	}
	got := scrape.Read(t, &metrics.Scheduler)
	if diff := cmp.Diff(want, counters(t, before)); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
	if took := got.Since(before)["spillway_decision_duration_seconds"]; took != 3 {
		t.Errorf("the time of %v decisions is recorded, want 3", took)
	}
	if pods, counts := got["spillway_ledger_pods"], got["spillway_ledger_counts"]; pods != 3 || counts != 2 {
		t.Errorf("the ledger has %v pods in %v counts, want 3 in 2", pods, counts)
	}
}

func TestMetricsOfAttemptsThatFail(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a")}
	pool := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a"))
	unsupported := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS())
	unsupported.Spec.Units[0].SpotInstance = new(true)
	refused := framework.NewNodeToStatus(nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable).WithPlugin("VolumeBinding"))
	cases := map[string]struct {
		policy   *wrappers.Policy
		statuses fwk.NodeToStatusReader
		pod      *wrappers.Pod
		want     string
	}{
		"no unit has room":              {policy: pool, pod: webPod("big").Request("cpu", "8"), want: `outcome="failed",resource="none",unit="none"`},
		"another plugin refuses it":     {policy: pool, pod: webPod("new"), statuses: refused, want: `outcome="other_plugin",resource="none",unit="none"`},
		"the policy cannot be acted on": {policy: unsupported, pod: webPod("new"), want: `outcome="refused",resource="none",unit="none"`},
		"the filters of others refuse a1": {
			policy: wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a")).Unit(wrappers.ECS()),
			pod:    webPod("new"), want: `outcome="retrying",resource="ecs",unit="1"`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pl, _ := newTestPlugin(t, nodes, tc.policy)
			before := scrape.Read(t, &metrics.Scheduler)
			state, _, _ := preFilter(t, pl, tc.pod, infos(t, nodes))
			_, ctx := ktesting.NewTestContext(t)
			pl.PostFilter(ctx, state, tc.pod.Obj(), tc.statuses)
			if diff := cmp.Diff(scrape.Series{"spillway_decisions_total{" + tc.want + "}": 1}, counters(t, before)); diff != "" {
				t.Errorf("counters (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMetricsOfWaits follows pods that wait until the first unit is full, to each end that a wait can have.
func TestMetricsOfWaits(t *testing.T) {
	waiting := `spillway_decisions_total{outcome="waiting",resource="ecs",unit="0"}`
	cases := map[string]struct {
		end  func(*queue, *corev1.Pod)
		want scrape.Series
	}{
		"placed where it waited": {
			end: func(q *queue, pod *corev1.Pod) { q.place(pod, q.nodes) },
			want: scrape.Series{
				waiting: 1, `spillway_wait_duration_seconds{end="placed"}`: 1, `spillway_decisions_total{outcome="placed",resource="ecs",unit="0"}`: 1,
			},
		},
		"placed in the next unit": {
			end: func(q *queue, pod *corev1.Pod) { q.place(pod, q.nodes, webPod("x").Node("a1"), webPod("y").Node("a1")) },
			want: scrape.Series{
				waiting: 1, `spillway_wait_duration_seconds{end="elsewhere"}`: 1, `spillway_decisions_total{outcome="placed",resource="ecs",unit="1"}`: 1,
				`spillway_spills_total{reason="full",resource="ecs",unit="1"}`: 1,
			},
		},
		"deleted": {
			end:  (*queue).remove,
			want: scrape.Series{waiting: 1, `spillway_wait_duration_seconds{end="unplaced"}`: 1},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := scrape.Read(t, &metrics.Scheduler)
			q, pod := newWait(t, wrappers.ECS())
			tc.end(q, pod)
			if got := q.pl.state().Waiting; got.Pods != 0 {
				t.Errorf("waiting at the end: %+v, want none", got)
			}
			if diff := cmp.Diff(tc.want, counters(t, before)); diff != "" {
				t.Errorf("counters (-want +got):\n%s", diff)
			}
		})
	}
}

// newWait returns a pod that waits for a node of pool a, in a policy whose second unit is given.
func newWait(t *testing.T, second *wrappers.Unit) (*queue, *corev1.Pod) {
	t.Helper()
	q := newQueue(t, 1, "1")
	q.nodes = []*wrappers.Node{machine("a1", "a"), machine("b1", "b")}
	q.govern(wrappers.MakePolicy("p").Selector("app", "web").TryNext("ExceedMax").Unit(wrappers.ECS().On("pool", "a").Max(2)).Unit(second))
	pod := q.pod("new", 0, 0)
	q.ask(pod)
	big := wrappers.MakePod("other").Request("cpu", "4").Node("a1")
	if _, placed := q.try(pod, infos(t, q.nodes, big), nothing); placed {
		t.Fatal("the pod does not wait")
	}
	if got := q.pl.state().Waiting; got.Pods != 1 || time.Since(got.Oldest) > time.Minute {
		t.Errorf("waiting: %+v, want 1 pod", got)
	}
	return q, pod
}

// govern replaces the policies.
func (q *queue) govern(policies ...*wrappers.Policy) {
	pl, _ := newTestPlugin(q.t, q.nodes, policies...)
	q.pl.policies = pl.policies
}

// TestWaitsEndWithoutAPlacement is about what ends the wait of a pod that goes on existing.
func TestWaitsEndWithoutAPlacement(t *testing.T) {
	cases := map[string]func(*queue, *corev1.Pod){
		"its policy is deleted": func(q *queue, pod *corev1.Pod) {
			q.govern()
			_, ctx := ktesting.NewTestContext(q.t)
			q.pl.PreFilter(ctx, framework.NewCycleState(), pod, infos(q.t, q.nodes))
		},
		"another plugin refuses it before its policy is looked at": func(q *queue, pod *corev1.Pod) {
			_, ctx := ktesting.NewTestContext(q.t)
			q.pl.PostFilter(ctx, framework.NewCycleState(), pod, nil)
		},
		"its policy is refused": func(q *queue, pod *corev1.Pod) {
			unsupported := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS())
			unsupported.Spec.Units[0].SpotInstance = new(true)
			q.govern(unsupported)
			q.try(pod, infos(q.t, q.nodes), nothing)
		},
		"another plugin refuses it": func(q *queue, pod *corev1.Pod) {
			_, ctx := ktesting.NewTestContext(q.t)
			state := framework.NewCycleState()
			q.pl.PreFilter(ctx, state, pod, infos(q.t, q.nodes))
			q.pl.PostFilter(ctx, state, pod, framework.NewNodeToStatus(nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable).WithPlugin("VolumeBinding")))
		},
		"it is held when it asks": func(q *queue, pod *corev1.Pod) {
			edited := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().Max(1))
			edited.Generation = 2
			q.govern(edited)
			q.ask(q.pod("first", 0, -1))
			if q.ask(pod) {
				q.t.Error("the pod is not held")
			}
		},
		"it is held when its slot is taken": func(q *queue, pod *corev1.Pod) {
			others := []*wrappers.Pod{webPod("w").Node("a1"), webPod("x").Node("a1"), webPod("y").Node("b1"), webPod("z").Node("b1")}
			important, never := q.pod("important", 1000, 1), corev1.PreemptNever
			important.Spec.PreemptionPolicy = &never
			q.ask(important)
			q.try(important, infos(q.t, q.nodes, others...), nothing)
			if _, held := q.pl.admission.isHeld(pod.UID); !held {
				q.t.Error("the pod is not held")
			}
		},
		"it terminates": func(q *queue, pod *corev1.Pod) {
			terminating := pod.DeepCopy()
			terminating.DeletionTimestamp = new(metav1.Now())
			q.pl.podUpdated(pod, terminating)
		},
	}
	for name, end := range cases {
		t.Run(name, func(t *testing.T) {
			q, pod := newWait(t, wrappers.ECS().Max(2))
			before := scrape.Read(t, &metrics.Scheduler)
			end(q, pod)
			if got := q.pl.state().Waiting; got.Pods != 0 {
				t.Errorf("waiting: %+v, want none", got)
			}
			if got := counters(t, before)[`spillway_wait_duration_seconds{end="unplaced"}`]; got != 1 {
				t.Errorf("%v waits have ended unplaced, want 1", got)
			}
		})
	}
}

// TestAMomentIsNoWait is about a pod that has ended, and that only the snapshot still shows.
func TestAMomentIsNoWait(t *testing.T) {
	q := newQueue(t, 2, "2")
	old := webPod("old").Node("n")
	q.remove(old.Obj())
	before := scrape.Read(t, &metrics.Scheduler)
	if _, placed := q.try(q.pod("new", 0, 0), infos(t, q.nodes, old), nothing); placed {
		t.Fatal("the node has no room yet")
	}
	if got := q.pl.state().Waiting; got.Pods != 0 {
		t.Errorf("waiting: %+v, want none", got)
	}
	want := scrape.Series{`spillway_decisions_total{outcome="waiting",resource="ecs",unit="0"}`: 1}
	if diff := cmp.Diff(want, counters(t, before)); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

// place tries the pod among others, and reserves its place.
func (q *queue) place(pod *corev1.Pod, nodes []*wrappers.Node, others ...*wrappers.Pod) {
	q.t.Helper()
	state, placed := q.try(pod, infos(q.t, nodes, others...), nothing)
	if !placed {
		q.t.Fatal("the pod is not placed")
	}
	_, ctx := ktesting.NewTestContext(q.t)
	q.pl.Reserve(ctx, state, pod, "n")
}

func TestMetricsOfHeldPods(t *testing.T) {
	q := newQueue(t, 1, "64")
	old := webPod("old").Node("n")
	first := q.pod("first", 0, 0)
	q.ask(first)
	q.try(first, infos(t, q.nodes, old), nothing)
	held := q.pod("held", 0, 1)
	if q.ask(held) {
		t.Fatal("the pod is not held")
	}
	before := scrape.Read(t, &metrics.Scheduler)
	if got := q.pl.state(); got.Held.Pods != 0 || got.Tickets != 2 {
		t.Errorf("%d pods are held and %d have tickets; want none, because users are told after a second, and 2", got.Held.Pods, got.Tickets)
	}
	q.notice(held)
	if got := q.pl.state().Held; got.Pods != 1 || time.Since(got.Oldest) < time.Minute {
		t.Errorf("held: %+v, want 1 pod for a minute", got)
	}
	q.remove(held)
	if got := q.pl.state(); got.Held.Pods != 0 || got.Tickets != 1 {
		t.Errorf("at the end %d pods are held and %d have tickets, want none and 1", got.Held.Pods, got.Tickets)
	}
	want := scrape.Series{`spillway_decisions_total{outcome="held",resource="none",unit="none"}`: 1, "spillway_hold_duration_seconds": 1}
	if diff := cmp.Diff(want, counters(t, before)); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

func TestASchedulerWithoutCyclesHasNoHeldPods(t *testing.T) {
	q := newQueue(t, 1, "64")
	q.ask(q.pod("first", 0, 0))
	held := q.pod("held", 0, 1)
	q.ask(held)
	before := scrape.Read(t, &metrics.Scheduler)
	q.notice(held)
	if got := q.pl.state(); got.Held != nil || got.Waiting != nil {
		t.Errorf("state: %+v, want no pods", got)
	}
	q.remove(held)
	if diff := cmp.Diff(scrape.Series{}, counters(t, before)); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

func TestWhyVirtualNodesAreClosed(t *testing.T) {
	full, soldOut, unknown := offer.Verdict{Why: "full", Full: true}, offer.Verdict{Why: "sold out", SoldOut: true}, offer.Verdict{Why: "stale"}
	deleted := offer.Verdict{Why: "deleted", Deleted: true}
	forbidden := offer.Verdict{Why: "forbidden", Forbidden: true}
	for name, tc := range map[string]struct {
		refusals []offer.Verdict
		want     placement.Passed
	}{
		"full":                       {[]offer.Verdict{soldOut, full, forbidden}, placement.PassedECIFull},
		"sold out":                   {[]offer.Verdict{unknown, soldOut, forbidden}, placement.PassedSoldOut},
		"unknown":                    {[]offer.Verdict{deleted, unknown}, placement.PassedECIUnknown},
		"unknown, or not allowed":    {[]offer.Verdict{forbidden, unknown}, placement.PassedECIUnknown},
		"deleted":                    {[]offer.Verdict{deleted, deleted}, placement.PassedNodesClosed},
		"not allowed":                {[]offer.Verdict{forbidden, forbidden}, placement.PassedBarred},
		"not allowed where it stays": {[]offer.Verdict{deleted, forbidden}, placement.PassedBarred},
	} {
		if got := newClosure(tc.refusals).passed; got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
