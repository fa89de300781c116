package resourcepolicy

import (
	"fmt"
	"strings"
	"testing"

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
	_, status = pl.PostFilter(ctx, state, pod, nil)
	if want := "unit 0 (ecs): no node passes all filters for the pod"; status.Message() != want {
		t.Errorf("after the whole unit: %q, want %q", status.Message(), want)
	}
}

func TestAChoosyPodSeesTheWholeUnit(t *testing.T) {
	cases := map[string]func(*corev1.PodSpec){
		"spread":         func(s *corev1.PodSpec) { s.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{}} },
		"pod affinity":   func(s *corev1.PodSpec) { s.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{}} },
		"anti-affinity":  func(s *corev1.PodSpec) { s.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{}} },
		"resource claim": func(s *corev1.PodSpec) { s.ResourceClaims = []corev1.PodResourceClaim{{}} },
		"a host port":    func(s *corev1.PodSpec) { s.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 80}} },
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
