package resourcepolicy

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func machine(name, pool string) *wrappers.Node {
	return wrappers.MakeNode(name).Label("pool", pool).Capacity("cpu", "4").Capacity("memory", "8Gi")
}

func webPod(name string) *wrappers.Pod {
	return wrappers.MakePod(name).Label("app", "web").Request("cpu", "2")
}

func TestPreFilterSkipsPodsWithoutAPolicy(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	pl, _ := newTestPlugin(t, nil, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS()))
	state := framework.NewCycleState()
	if _, status := pl.PreFilter(ctx, state, wrappers.MakePod("other").Obj(), nil); !status.IsSkip() {
		t.Errorf("status = %v, want Skip", status)
	}
	if status := pl.Bind(ctx, state, wrappers.MakePod("other").Obj(), "n"); !status.IsSkip() {
		t.Errorf("Bind: status = %v, want Skip", status)
	}
	if _, status := pl.PostFilter(ctx, state, wrappers.MakePod("other").Obj(), nil); status.Code() != fwk.Unschedulable {
		t.Errorf("PostFilter: status = %v, want Unschedulable, so that the stock preemption follows", status)
	}
}

func TestPreFilterHandsOverTheNodesOfTheUnit(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a"), machine("b1", "b"), machine("b2", "b"), wrappers.MakeVirtualNode("v")}
	policy := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a").Max(1)).Unit(wrappers.ECS().On("pool", "b"))
	pl, _ := newTestPlugin(t, nodes, policy)
	_, ctx := ktesting.NewTestContext(t)
	state := framework.NewCycleState()
	result, status := pl.PreFilter(ctx, state, webPod("new").Obj(), infos(t, nodes, webPod("old").Node("a1")))
	if !status.IsSuccess() {
		t.Fatal(status)
	}
	if diff := cmp.Diff(sets.New("b1", "b2"), result.NodeNames); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	for _, info := range infos(t, nodes) {
		want := fwk.UnschedulableAndUnresolvable
		if result.NodeNames.Has(info.Node().Name) {
			want = fwk.Success
		}
		if status := pl.Filter(ctx, state, nil, info); status.Code() != want {
			t.Errorf("Filter on %s: %v, want %v", info.Node().Name, status, want)
		}
	}
}

func TestWhatCounts(t *testing.T) {
	// The second unit contains the node of the first; only what is recorded or remembered tells their pods apart.
	policy := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a").Max(1)).Unit(wrappers.ECS().Max(1))
	cases := map[string]struct {
		pod      *wrappers.Pod
		inflight string
		want     int
	}{
		"a bound pod without a record":                    {pod: webPod("old"), want: 1},
		"a pod recorded in the second unit":               {pod: webPod("old").Annotation(v1alpha1.AnnotationUnit, "ecs"), want: 0},
		"an assumed pod of the second unit":               {pod: webPod("old"), inflight: "ecs", want: 0},
		"an assumed pod that is a copy of a recorded one": {pod: webPod("old").Annotation(v1alpha1.AnnotationUnit, "ecs pool=a"), inflight: "ecs", want: 0},
		"a terminating pod":                               {pod: webPod("old").Terminating(), want: 0},
		"a pod without the policy's labels":               {pod: wrappers.MakePod("old"), want: 0},
		"a pod of another namespace":                      {pod: webPod("old").Namespace("other"), want: 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			nodes := []*wrappers.Node{machine("a1", "a")}
			pl, _ := newTestPlugin(t, nodes, policy)
			if tc.inflight != "" {
				pl.inflight.place(placed{unit: tc.inflight, node: "a1", pod: tc.pod.Obj()})
			}
			if _, got, reason := preFilter(t, pl, webPod("new"), infos(t, nodes, tc.pod.Node("a1"))); got != tc.want {
				t.Errorf("unit = %d (%s), want %d", got, reason, tc.want)
			}
		})
	}
}

func TestInflightIsForgottenWhenTheBindingIsSeen(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a")}
	pl, _ := newTestPlugin(t, nodes, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS()))
	pl.inflight.place(placed{unit: "ecs", node: "a1", pod: webPod("old").Obj()})
	preFilter(t, pl, webPod("new"), infos(t, nodes, webPod("old").Node("a1")))
	if pl.inflight.unit("old") == "" {
		t.Error("the unit of a pod whose binding was not seen is forgotten")
	}
	preFilter(t, pl, webPod("new"), infos(t, nodes, webPod("old").Node("a1").Annotation(v1alpha1.AnnotationUnit, "ecs")))
	if pl.inflight.unit("old") != "" {
		t.Error("the unit of a pod whose record was seen is still remembered")
	}
}

func TestPodsOfADeletedNodeStillCount(t *testing.T) {
	a1, a2 := machine("a1", "a"), machine("a2", "a")
	pl, _ := newTestPlugin(t, nil, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a").Max(1)).Unit(wrappers.ECS().On("pool", "b")))
	old := webPod("old").Node("a1")
	if err := pl.pods.GetStore().Add(old.Obj()); err != nil {
		t.Fatal(err)
	}
	const full = "unit 0 (ecs, pool=a): full, max 1; unit 1 (ecs, pool=b): no node is in this unit"
	try := func(step string, want string, nodes []*wrappers.Node, pods ...*wrappers.Pod) {
		t.Helper()
		if _, _, got := preFilter(t, pl, webPod("new"), infos(t, nodes, pods...)); got != want {
			t.Errorf("%s: %q, want %q", step, got, want)
		}
	}
	try("both nodes are there", full, []*wrappers.Node{a1, a2}, old)
	try("the node of the pod is deleted", full, []*wrappers.Node{a2})
	try("nothing changes", full, []*wrappers.Node{a2})
	try("the node is back, and the scheduler has its pod again", full, []*wrappers.Node{a2, a1}, old)
	try("it is deleted again", full, []*wrappers.Node{a2})
	if err := pl.pods.GetStore().Delete(old.Obj()); err != nil {
		t.Fatal(err)
	}
	try("the pod is gone, too", "", []*wrappers.Node{a2})
}

func TestAfterARestartTheRecordCountsForADeletedNode(t *testing.T) {
	pl, _ := newTestPlugin(t, nil, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a").Max(1)))
	if err := pl.pods.GetStore().Add(webPod("old").Node("gone").Annotation(v1alpha1.AnnotationUnit, "ecs pool=a").Obj()); err != nil {
		t.Fatal(err)
	}
	if _, unit, reason := preFilter(t, pl, webPod("new"), infos(t, []*wrappers.Node{machine("a2", "a")})); unit != -1 {
		t.Errorf("unit = %d (%s), want none: the pod on the deleted node counts", unit, reason)
	}
}

func TestTheWalkEndsWhereItCanBeWoken(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a"), machine("b1", "b")}
	policy := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a")).Unit(wrappers.ECS().On("pool", "b").Max(1))
	pl, _ := newTestPlugin(t, nodes, policy)
	_, ctx := ktesting.NewTestContext(t)
	snapshot := infos(t, nodes)
	state, _, _ := preFilter(t, pl, webPod("new"), snapshot)
	pl.PostFilter(ctx, state, webPod("new").Obj(), nil)
	snapshot[1].AddPodInfo(podInfo(t, webPod("other").Node("b1").Obj()))
	if _, unit, reason := preFilter(t, pl, webPod("new"), snapshot); unit != 0 {
		t.Errorf("unit = %d (%s), want 0: the filter that refuses the pod there must be recorded", unit, reason)
	}
}

func TestPostFilterWalksThroughTheUnits(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a"), machine("b1", "b")}
	pl, h := newTestPlugin(t, nodes, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a")).Unit(wrappers.ECS().On("pool", "b")))
	_, ctx := ktesting.NewTestContext(t)
	snapshot := infos(t, nodes)
	pod := webPod("new")

	state, unit, _ := preFilter(t, pl, pod, snapshot)
	if unit != 0 {
		t.Fatalf("unit = %d, want 0", unit)
	}
	_, status := pl.PostFilter(ctx, state, pod.Obj(), nil)
	if status.Code() != fwk.UnschedulableAndUnresolvable || len(h.activated) != 1 {
		t.Errorf("status %v, activated %v: the pod must be tried again, and not preempt", status, h.activated)
	}
	want := "unit 0 (ecs, pool=a): no node passes all filters for the pod; trying unit 1 next"
	if status.Message() != want {
		t.Errorf("message = %q, want %q", status.Message(), want)
	}
	preFilter(t, pl, webPod("other"), snapshot)
	if len(h.activated) != 2 {
		t.Errorf("activated %v: the start of the next cycle must wake the pod, which is in the queue by then", h.activated)
	}
	pl.walkers = append(pl.walkers, pod.Obj())
	state, unit, _ = preFilter(t, pl, pod, snapshot)
	if unit != 1 {
		t.Fatalf("second attempt: unit = %d, want 1", unit)
	}
	h.filter = func(context.Context, fwk.CycleState, *corev1.Pod, fwk.NodeInfo) *fwk.Status {
		return fwk.NewStatus(fwk.Unschedulable)
	}
	_, status = pl.PostFilter(ctx, state, pod.Obj(), nil)
	want = "unit 0 (ecs, pool=a): no node passes all filters for the pod; unit 1 (ecs, pool=b): no node passes all filters for the pod"
	if why := stateOf(state).why; status.Code() != fwk.Unschedulable || why != want || len(h.activated) != 2 {
		t.Errorf("message = %q, activated %v, want %q, and no attempt beyond that: its own cycle must not wake it", why, h.activated, want)
	}
	if _, unit, _ = preFilter(t, pl, pod, snapshot); unit != 0 {
		t.Errorf("third attempt: unit = %d, want 0: the walk was over", unit)
	}
}

func TestPreFilterFollowsTheSnapshot(t *testing.T) {
	a, b := machine("a1", "a"), machine("b1", "b")
	nodes := []*wrappers.Node{a, b}
	pl, _ := newTestPlugin(t, nodes, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a")).Unit(wrappers.ECS().On("pool", "b")))
	unit := func(nodes []*wrappers.Node, pods ...*wrappers.Pod) int {
		_, u, _ := preFilter(t, pl, webPod("new"), infos(t, nodes, pods...))
		return u
	}
	full := []*wrappers.Pod{webPod("x").Node("a1"), webPod("y").Node("a1")}
	if got := unit(nodes); got != 0 {
		t.Errorf("both empty: unit = %d, want 0", got)
	}
	if got := unit(nodes, full...); got != 1 {
		t.Errorf("first full: unit = %d, want 1", got)
	}
	if got := unit(nodes, full[0]); got != 0 {
		t.Errorf("a pod of the first went: unit = %d, want 0: what did not fit may fit now", got)
	}
	relabelled := machine("b1", "a")
	if got := unit([]*wrappers.Node{a, relabelled}, full...); got != 0 {
		t.Errorf("a node joined the first unit by its label: unit = %d, want 0", got)
	}
	if got := unit([]*wrappers.Node{b}); got != 1 {
		t.Errorf("the nodes of the first unit went: unit = %d, want 1", got)
	}
	if got := unit([]*wrappers.Node{b, a}); got != 0 {
		t.Errorf("they came back: unit = %d, want 0", got)
	}
}

func TestNewBinding(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a"), wrappers.MakeVirtualNode("v").Capacity("cpu", "8")}
	pl, _ := newTestPlugin(t, nodes, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "x")).Unit(wrappers.ECI()))
	pod := webPod("new").Annotation(corev1.PodDeletionCost, "5")
	state, unit, reason := preFilter(t, pl, pod, infos(t, nodes))
	if unit != 1 {
		t.Fatalf("unit = %d (%s), want 1", unit, reason)
	}
	got := newBinding(stateOf(state), pod.Obj(), "v")
	want := map[string]string{
		v1alpha1.AnnotationPolicy: "p", v1alpha1.AnnotationUnit: "eci", v1alpha1.AnnotationUserDeletionCost: "5", corev1.PodDeletionCost: "-999995",
		v1alpha1.AnnotationDeletionCost: "-999995",
	}
	if diff := cmp.Diff(want, got.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if got.UID != pod.UID || got.Target.Name != "v" {
		t.Errorf("binding of %s to %s, want of %s to v", got.UID, got.Target.Name, pod.UID)
	}
}

// BenchmarkPreFilter is the decision for a governed pod among 5,000 nodes, of which the last placement changed one.
func BenchmarkPreFilter(b *testing.B) {
	var nodes []*wrappers.Node
	for i := range 5000 {
		nodes = append(nodes, machine("n"+string(rune('0'+i%10))+"-"+string(rune(i)), string(rune('a'+i%10))))
	}
	policy := wrappers.MakePolicy("p").Selector("app", "web")
	for i := range 10 {
		policy.Unit(wrappers.ECS().On("pool", string(rune('a'+i))))
	}
	pl, _ := newTestPlugin(b, nil, policy)
	snapshot := infos(b, nodes)
	_, ctx := ktesting.NewTestContext(b)
	pod, other := webPod("new").Obj(), podInfo(b, wrappers.MakePod("x").Obj())
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		// A pod comes to a node and goes again, which leaves it with a new generation.
		changed := snapshot[i%5000]
		changed.AddPodInfo(other)
		if err := changed.RemovePod(klog.Background(), other.GetPod()); err != nil {
			b.Fatal(err)
		}
		pl.PreFilter(ctx, framework.NewCycleState(), pod, snapshot)
	}
}

func podInfo(tb testing.TB, pod *corev1.Pod) fwk.PodInfo {
	info, err := framework.NewPodInfo(pod)
	if err != nil {
		tb.Fatal(err)
	}
	return info
}

func TestFilterDoesNotAllocate(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a")}
	pl, _ := newTestPlugin(t, nodes, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().Max(5)))
	snapshot := infos(t, nodes)
	_, ctx := ktesting.NewTestContext(t)
	state, pod := framework.NewCycleState(), webPod("new").Obj()
	pl.PreFilter(ctx, state, pod, snapshot)
	if got := testing.AllocsPerRun(100, func() { pl.Filter(ctx, state, pod, snapshot[0]) }); got != 0 {
		t.Errorf("Filter allocates %v times for a node", got)
	}
}

// BenchmarkFilter is what every node of the unit costs a governed pod.
func BenchmarkFilter(b *testing.B) {
	nodes := []*wrappers.Node{machine("a1", "a")}
	pl, _ := newTestPlugin(b, nodes, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS()))
	snapshot := infos(b, nodes)
	_, ctx := ktesting.NewTestContext(b)
	state := framework.NewCycleState()
	pod := webPod("new").Obj()
	pl.PreFilter(ctx, state, pod, snapshot)
	b.ReportAllocs()
	for b.Loop() {
		pl.Filter(ctx, state, pod, snapshot[0])
	}
}

func TestFilter_WithoutPreFilter(t *testing.T) {
	nodes := []*wrappers.Node{wrappers.MakeNode("n")}
	pl, _ := newTestPlugin(t, nodes, wrappers.MakePolicy("p").Unit(wrappers.ECS().Max(0)))
	status := pl.Filter(t.Context(), framework.NewCycleState(), wrappers.MakePod("p").Obj(), infos(t, nodes)[0])
	if status.Code() != fwk.Error {
		t.Errorf("status = %v, want an error: nobody has looked at the policies", status)
	}
}
