package resourcepolicy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/test/utils/ktesting"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

// sampleWorld is a unit of six nodes, of which n3 is full, and a plugin that hands over two at a time.
func sampleWorld(t *testing.T) (*ResourcePolicy, []fwk.NodeInfo) {
	t.Helper()
	var nodes []*wrappers.Node
	for i := range 6 {
		nodes = append(nodes, machine(fmt.Sprintf("n%d", i), "a"))
	}
	pl, _ := newTestPlugin(t, nodes, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS()))
	pl.sampleSize = 2
	return pl, infos(t, nodes, wrappers.MakePod("full").Node("n3").Request("cpu", "4"))
}

func handedOver(t *testing.T, pl *ResourcePolicy, pod *corev1.Pod, snapshot []fwk.NodeInfo) ([]string, fwk.CycleState) {
	t.Helper()
	_, ctx := ktesting.NewTestContext(t)
	state := framework.NewCycleState()
	result, status := pl.PreFilter(ctx, state, pod, snapshot)
	if !status.IsSuccess() {
		t.Fatalf("PreFilter: %v", status)
	}
	return sets.List(result.NodeNames), state
}

func TestASampleGoesRoundTheNodesWithRoom(t *testing.T) {
	pl, snapshot := sampleWorld(t)
	for _, want := range []string{"n0 n1", "n2 n4", "n0 n5", "n1 n2"} {
		if got, _ := handedOver(t, pl, webPod("new").Request("cpu", "1").Obj(), snapshot); strings.Join(got, " ") != want {
			t.Errorf("the framework looks at %v, want %s", got, want)
		}
	}
}

func TestWhenNoNodeOfASamplePassesTheWholeUnitIsTried(t *testing.T) {
	pl, snapshot := sampleWorld(t)
	_, ctx := ktesting.NewTestContext(t)
	pod := webPod("new").Obj()
	_, state := handedOver(t, pl, pod, snapshot)
	_, status := pl.PostFilter(ctx, state, pod, nil)
	if want := "the first nodes of unit 0 do not pass all filters for the pod; trying all of them next"; status.Message() != want {
		t.Errorf("after the sample: %q, want %q", status.Message(), want)
	}
	got, state := handedOver(t, pl, pod, snapshot)
	if len(got) != 6 {
		t.Fatalf("the second attempt looks at %v, want all nodes", got)
	}
	pl.PostFilter(ctx, state, pod, nil)
	if why, want := stateOf(state).why, "unit 0 (ecs): no node passes all filters for the pod"; why != want {
		t.Errorf("after the whole unit: %q, want %q", why, want)
	}
}

func TestAChoosyPodSeesTheWholeUnit(t *testing.T) {
	cases := map[string]func(*corev1.PodSpec){
		"spread":         func(s *corev1.PodSpec) { s.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{}} },
		"pod affinity":   func(s *corev1.PodSpec) { s.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{}} },
		"anti-affinity":  func(s *corev1.PodSpec) { s.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{}} },
		"resource claim": func(s *corev1.PodSpec) { s.ResourceClaims = []corev1.PodResourceClaim{{}} },
		"a side car's host port": func(s *corev1.PodSpec) {
			s.InitContainers = []corev1.Container{{Ports: []corev1.ContainerPort{{HostPort: 80}}}}
		},
		"an ephemeral volume": func(s *corev1.PodSpec) {
			s.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}}
		},
		"a host port": func(s *corev1.PodSpec) { s.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 80}} },
		"a volume": func(s *corev1.PodSpec) {
			s.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{}}}}
		},
		"preferred nodes": func(s *corev1.PodSpec) {
			s.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{}}}}
		},
	}
	for name, ask := range cases {
		t.Run(name, func(t *testing.T) {
			pl, snapshot := sampleWorld(t)
			pod := webPod("new").Request("cpu", "1").Obj()
			if ask(&pod.Spec); !isChoosy(pod) {
				t.Fatal("the pod is not taken for choosy")
			}
			if got, _ := handedOver(t, pl, pod, snapshot); len(got) != 6 {
				t.Errorf("the framework looks at %v, want all nodes", got)
			}
		})
	}
}

func TestAPodThatHasSeenASampleFailSeesTheWholeUnitUntilItIsBound(t *testing.T) {
	pl, snapshot := sampleWorld(t)
	_, ctx := ktesting.NewTestContext(t)
	pod := webPod("new").Obj()
	_, state := handedOver(t, pl, pod, snapshot)
	pl.PostFilter(ctx, state, pod, nil)
	// The queue was long: the walk is forgotten.
	pl.inflight.takeWalk(pod.UID)
	if got, _ := handedOver(t, pl, pod, snapshot); len(got) != 6 {
		t.Errorf("much later it looks at %v, want all nodes", got)
	}
	pl.inflight.forgetWaiting(pod.UID)
	if got, _ := handedOver(t, pl, pod, snapshot); len(got) != 2 {
		t.Errorf("when it was bound and is new again it looks at %v, want a sample", got)
	}
}

func TestNoSampleInTheCycleOfAPodGroup(t *testing.T) {
	pl, snapshot := sampleWorld(t)
	_, ctx := ktesting.NewTestContext(t)
	state := framework.NewCycleState()
	state.SetPodGroupSchedulingCycle(framework.NewCycleState())
	result, status := pl.PreFilter(ctx, state, webPod("new").Obj(), snapshot)
	if !status.IsSuccess() || len(result.NodeNames) != 6 {
		t.Errorf("the framework looks at %v (%v), want all nodes: there is no PostFilter", result, status)
	}
}

func TestNoSampleWhileTheClockRuns(t *testing.T) {
	pl, snapshot := sampleWorld(t)
	pod := webPod("new").Obj()
	policy := pl.policies.Policies().In("default")[0]
	pl.inflight.clock(pod, &policy.Units[0], time.Unix(1_800_000_000, 0))
	if got, _ := handedOver(t, pl, pod, snapshot); len(got) != 6 {
		t.Errorf("the framework looks at %v, want all nodes: the message of a sample would take the clock's place", got)
	}
}

func TestASampleLeavesNodesOutThatAreToBeAvoided(t *testing.T) {
	pl, snapshot := sampleWorld(t)
	avoid := func(names ...string) {
		for _, info := range snapshot {
			if slices.Contains(names, info.Node().Name) {
				node := info.Node().DeepCopy()
				node.Spec.Taints = []corev1.Taint{{Key: "spot", Effect: corev1.TaintEffectPreferNoSchedule}}
				info.(*framework.NodeInfo).SetNode(node)
			}
		}
	}
	avoid("n0", "n1")
	if got, _ := handedOver(t, pl, webPod("new").Obj(), snapshot); strings.Join(got, " ") != "n2 n4" {
		t.Errorf("the framework looks at %v, want n2 and n4", got)
	}
	avoid("n2", "n4")
	if got, _ := handedOver(t, pl, webPod("new").Obj(), snapshot); len(got) != 6 {
		t.Errorf("only one node is not to be avoided: the framework looks at %v, want all", got)
	}
}

func TestVirtualNodesAreNeverASample(t *testing.T) {
	var nodes []*wrappers.Node
	for i := range 4 {
		nodes = append(nodes, wrappers.MakeVirtualNode(fmt.Sprintf("v%d", i)).Capacity("cpu", "8"))
	}
	pl, _ := newTestPlugin(t, nodes, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECI()))
	pl.sampleSize = 2
	if got, _ := handedOver(t, pl, webPod("new").Obj(), infos(t, nodes)); len(got) != 4 {
		t.Errorf("the framework looks at %v, want all", got)
	}
}
