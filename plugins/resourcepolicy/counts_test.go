package resourcepolicy

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2/ktesting"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestAPodIsTheSameUntilItOrTheLabelsOfItsNodeChange(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a")}
	pl, _ := newTestPlugin(t, nodes, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a")).Unit(wrappers.ECS()))
	list := infos(t, nodes, webPod("old").Node("a1"))
	shown := func() shownPod {
		s := &snapshot{nodes: list, seen: pl.index.seen, fresh: pl.fresh}
		preFilter(t, pl, webPod("new"), list)
		return s.Pod(0, 0)
	}
	edit := func(change func(*corev1.Node)) {
		node := list[0].Node().DeepCopy()
		change(node)
		list[0].(*framework.NodeInfo).SetNode(node)
	}
	shown()
	first := shown()
	edit(func(node *corev1.Node) { node.Annotations = map[string]string{"heartbeat": "1"} })
	if shown() != first {
		t.Error("after a heartbeat of its node the pod is another one")
	}
	edit(func(node *corev1.Node) { node.Labels["pool"] = "b" })
	relabelled := shown()
	if relabelled == first {
		t.Error("after an edit of its node's labels the pod is the same")
	}
	edit(func(node *corev1.Node) { node.Annotations["heartbeat"] = "2" })
	if shown() != relabelled {
		t.Error("after one more heartbeat the pod is another one")
	}
}

func TestWhatIsHeldOfTheSnapshotIsLetGo(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a")}
	pl, _ := newTestPlugin(t, nodes, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().Max(5)))
	list := infos(t, nodes, webPod("old").Node("a1"))
	_, ctx := ktesting.NewTestContext(t)
	ungoverned := func() { pl.PreFilter(ctx, framework.NewCycleState(), wrappers.MakePod("other").Obj(), list) }
	preFilter(t, pl, webPod("new"), list)
	ungoverned()
	if len(pl.index.seen) == 0 {
		t.Error("it is let go at once")
	}
	pl.followed = pl.followed.Add(-2 * keepFor)
	ungoverned()
	if len(pl.index.seen) > 0 {
		t.Errorf("it is held after %s without a governed pod", 2*keepFor)
	}
	state, _, _ := preFilter(t, pl, webPod("new"), list)
	if got := stateOf(state).view.counted(0).Pods; got != 1 {
		t.Errorf("then %d pods are counted, want 1", got)
	}
	if time.Since(pl.followed) > keepFor {
		t.Error("the time of the last cycle is not kept")
	}
}
