package resourcepolicy

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2/ktesting"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// fromElsewhere is a resource that may be on nodes that report nothing of it.
const fromElsewhere = "example.com/from-elsewhere"

func elsewhere(name corev1.ResourceName) bool { return name == fromElsewhere }

func TestRoom(t *testing.T) {
	cordoned := machine("a", "a")
	cordoned.Spec.Unschedulable = true
	wantsARM := webPod("p")
	wantsARM.Spec.NodeSelector = map[string]string{"arch": "arm64"}
	cases := map[string]struct {
		node *wrappers.Node
		pods []*wrappers.Pod
		pod  *wrappers.Pod
		unit *wrappers.Unit
		want placement.Room
		// by is who rejects the node; nodes without room are rejected by NodeResourcesFit.
		by rejectedBy
	}{
		"empty node":            {want: placement.RoomYes},
		"no node in the unit":   {unit: wrappers.ECS().On("pool", "z"), want: placement.RoomNoNodes},
		"cpu is short":          {pod: webPod("p").Request("cpu", "5"), want: placement.RoomNone},
		"cpu fits exactly":      {pod: webPod("p").Request("cpu", "4"), want: placement.RoomYes},
		"cpu is used":           {pods: []*wrappers.Pod{webPod("x").Node("a"), webPod("y").Node("a")}, want: placement.RoomNone},
		"memory is short":       {pod: webPod("p").Request("memory", "9Gi"), want: placement.RoomNone},
		"storage is short":      {pod: webPod("p").Request("ephemeral-storage", "1Gi"), want: placement.RoomNone},
		"pods are short":        {node: machine("a", "a").Capacity("pods", "1"), pods: []*wrappers.Pod{wrappers.MakePod("x").Node("a")}, want: placement.RoomNone},
		"nothing is requested":  {pod: wrappers.MakePod("p"), want: placement.RoomYes},
		"GPUs are short":        {node: machine("a", "a").Capacity("nvidia.com/gpu", "1"), pod: webPod("p").Request("nvidia.com/gpu", "2"), want: placement.RoomNone},
		"GPUs are not reported": {pod: webPod("p").Request("nvidia.com/gpu", "2"), want: placement.RoomNone},
		"what may come from elsewhere is not reported": {pod: webPod("p").Request(fromElsewhere, "2"), want: placement.RoomYes},
		"what may come from elsewhere is short":        {node: machine("a", "a").Capacity(fromElsewhere, "1"), pod: webPod("p").Request(fromElsewhere, "2"), want: placement.RoomNone},
		"the node is cordoned":                         {node: cordoned, want: placement.RoomRefused, by: rejectedByCordon},
		"the pod tolerates the cordon": {
			node: cordoned, pod: webPod("p").Tolerate("node.kubernetes.io/unschedulable"), want: placement.RoomYes,
		},
		"the node is tainted":         {node: machine("a", "a").Taint("dedicated", "db"), want: placement.RoomRefused, by: rejectedByVirtualNode},
		"the pod wants another node":  {pod: wantsARM, want: placement.RoomRefused, by: rejectedByAffinity},
		"a virtual node's own taint":  {node: wrappers.MakeVirtualNode("a").Capacity("cpu", "4"), unit: wrappers.ECI(), want: placement.RoomYes},
		"a closed virtual node":       {node: wrappers.MakeVirtualNode("a").Capacity("cpu", "4").Taint("closed", ""), unit: wrappers.ECI(), want: placement.RoomRefused, by: rejectedByVirtualNode},
		"a virtual node is never ecs": {node: wrappers.MakeVirtualNode("a").Capacity("cpu", "4"), unit: wrappers.ECS(), want: placement.RoomNoNodes},
		"a node that is too small is tainted, too": {
			node: machine("a", "a").Taint("dedicated", "db"), pod: webPod("p").Request("cpu", "5"), want: placement.RoomNone, by: rejectedByVirtualNode,
		},
		"an ECS node is never virtual": {unit: wrappers.ECI(), want: placement.RoomNoNodes},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			logger, _ := ktesting.NewTestContext(t)
			if tc.node == nil {
				tc.node = machine("a", "a")
			}
			if tc.pod == nil {
				tc.pod = webPod("p")
			}
			if tc.unit == nil {
				tc.unit = wrappers.ECS()
			}
			policy := placement.Compile(wrappers.MakePolicy("p").Unit(tc.unit).Obj())
			nodes := infos(t, []*wrappers.Node{tc.node}, tc.pods...)
			m := &members{set: policy.Units[0].Nodes}
			m.rebuild(nodes)
			if tc.want == placement.RoomNone && tc.by == 0 {
				tc.by = rejectedByFit
			}
			c := newCandidate(logger, tc.pod.Obj(), elsewhere)
			if got := c.room(m, nodes); got != tc.want {
				t.Errorf("room = %v, want %v", got, tc.want)
			}
			want, got := sets.New[string](), sets.New[string]()
			tc.by.addTo(want)
			if c.rejectors(m, nodes, false, got); !got.Equal(want) {
				t.Errorf("rejected by %v, want %v", sets.List(got), sets.List(want))
			}
		})
	}
}

func TestRoomRemembersWhatIsTooBig(t *testing.T) {
	logger, _ := ktesting.NewTestContext(t)
	nodes := infos(t, []*wrappers.Node{machine("a", "a"), machine("b", "a")}, webPod("x").Node("a"), webPod("y").Node("b"))
	m := &members{set: placement.Compile(wrappers.MakePolicy("p").Unit(wrappers.ECS()).Obj()).Units[0].Nodes}
	m.rebuild(nodes)
	room := func(cpu string) placement.Room {
		return newCandidate(logger, webPod("p").Request("cpu", cpu).Obj(), elsewhere).room(m, nodes)
	}
	if room("3") != placement.RoomNone || m.tooBigVersion != m.version {
		t.Error("a full search that found nothing is not remembered")
	}
	if room("2") != placement.RoomYes {
		t.Error("a smaller pod is refused because a bigger one did not fit")
	}
	if room("4") != placement.RoomNone {
		t.Error("a bigger pod than one that did not fit is let in")
	}
	m.version++
	if m.tooBigVersion == m.version {
		t.Error("a change of a node does not void what is remembered")
	}
}

func TestRequestAtLeast(t *testing.T) {
	logger, _ := ktesting.NewTestContext(t)
	small := newCandidate(logger, webPod("p").Request("nvidia.com/gpu", "1").Obj(), elsewhere).request
	for name, tc := range map[string]struct {
		pod  *wrappers.Pod
		want bool
	}{
		"the same":     {webPod("p").Request("nvidia.com/gpu", "1"), true},
		"more cpu":     {webPod("p").Request("cpu", "3").Request("nvidia.com/gpu", "1"), true},
		"less cpu":     {webPod("p").Request("cpu", "1").Request("nvidia.com/gpu", "1"), false},
		"no GPU":       {webPod("p"), false},
		"more of all":  {webPod("p").Request("memory", "1Gi").Request("nvidia.com/gpu", "2"), true},
		"another kind": {webPod("p").Request("amd.com/gpu", "2"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := newCandidate(logger, tc.pod.Obj(), elsewhere).request.atLeast(&small); got != tc.want {
				t.Errorf("atLeast = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestAResourceThatSomeNodeReportsIsNowhereElse(t *testing.T) {
	const gpu = "nvidia.com/gpu"
	withGPU, without := machine("with", "b").Capacity(gpu, "1"), machine("without", "a")
	pl, _ := newTestPlugin(t, nil, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a")).Unit(wrappers.ECS().On("pool", "b")))
	snapshot := infos(t, []*wrappers.Node{withGPU, without})
	pod := webPod("new").Request(gpu, "1")
	if _, unit, reason := preFilter(t, pl, pod, snapshot); unit != 1 {
		t.Errorf("another node reports GPUs: unit = %d (%s), want 1", unit, reason)
	}
	snapshot[0].SetNode(machine("with", "b").Obj())
	if _, unit, reason := preFilter(t, pl, pod, snapshot); unit != 0 {
		t.Errorf("no node reports GPUs any more: unit = %d (%s), want 0: they may come from elsewhere", unit, reason)
	}
	snapshot[0].SetNode(withGPU.Obj())
	if _, unit, reason := preFilter(t, pl, pod, snapshot); unit != 1 {
		t.Errorf("a node reports GPUs again: unit = %d (%s), want 1", unit, reason)
	}
}
