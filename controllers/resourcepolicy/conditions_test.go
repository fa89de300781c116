package resourcepolicy

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestConditions(t *testing.T) {
	nodes := append(ecsNodes("e-0"), wrappers.MakeVirtualNode("v").Capacity("cpu", "100"))
	web := func() *wrappers.Policy { return wrappers.MakePolicy("p").Selector("app", "web") }
	pending := func(name string) *wrappers.Pod {
		return wrappers.MakePod(name).Label("app", "web").Request("cpu", "1").Unschedulable()
	}
	costly := func(pod *wrappers.Pod) *wrappers.Pod { return pod.Annotation(corev1.PodDeletionCost, "2000000") }
	lost := placement.Finding{Reason: v1alpha1.ReasonPodLabelsLeaveOwner, Message: "labels lose pods"}
	cases := map[string]struct {
		stage
		lost      []placement.Finding
		condition string
		want      metav1.ConditionStatus
		reason    string
		message   string
	}{
		"accepted": {
			stage: stage{policy: policy()}, condition: v1alpha1.ConditionReady, want: metav1.ConditionTrue, reason: v1alpha1.ReasonAccepted,
			message: "the scheduler acts on this policy",
		},
		"accepted for the namespace": {
			stage: stage{policy: wrappers.MakePolicy("p").Unit(wrappers.ECS())}, condition: v1alpha1.ConditionReady, want: metav1.ConditionTrue,
			reason: v1alpha1.ReasonAcceptedForNamespace, message: "every pod of the namespace",
		},
		"unsupported": {
			stage:     stage{policy: policy().TryNext(v1alpha1.TryNextTimeout)},
			condition: v1alpha1.ConditionReady, want: metav1.ConditionFalse, reason: v1alpha1.ReasonUnsupported, message: "the pods of this policy wait: spec.whenTryNextUnits.policy",
		},
		"invalid": {
			stage:     stage{policy: web().Unit(wrappers.ECS().MaxResource("cpu", "0"))},
			condition: v1alpha1.ConditionReady, want: metav1.ConditionFalse, reason: v1alpha1.ReasonInvalid, message: "spec.units[0].maxResources[cpu]",
		},
		"not shadowed": {
			stage: stage{policy: policy()}, condition: v1alpha1.ConditionShadowed, want: metav1.ConditionFalse, reason: v1alpha1.ReasonNotShadowed,
		},
		"shadowed by the same selector": {
			stage:     stage{policy: policy().Created(1), others: []*wrappers.Policy{wrappers.MakePolicy("older").Selector("app", "web").Created(0)}},
			condition: v1alpha1.ConditionShadowed, want: metav1.ConditionTrue, reason: v1alpha1.ReasonSameSelector, message: "ResourcePolicy older",
		},
		"shadowed by more keys": {
			stage:     stage{policy: policy(), others: []*wrappers.Policy{wrappers.MakePolicy("gold").Selector("app", "web").Selector("tier", "gold")}},
			condition: v1alpha1.ConditionShadowed, want: metav1.ConditionTrue, reason: v1alpha1.ReasonMoreSpecific, message: "ResourcePolicy gold",
		},
		"a unit without a cap": {
			stage: stage{policy: policy(), nodes: nodes}, condition: v1alpha1.ConditionExhausted, want: metav1.ConditionFalse,
			reason: v1alpha1.ReasonUnitWithoutCap, message: "unit 1 (eci) has no cap",
		},
		"room left": {
			stage:     stage{policy: web().Unit(wrappers.ECS().Max(1)).Unit(wrappers.ECI().Max(1)), nodes: nodes, pods: []*wrappers.Pod{on("e-0", "a")}},
			condition: v1alpha1.ConditionExhausted, want: metav1.ConditionFalse, reason: v1alpha1.ReasonRoomLeft,
		},
		"all units full": {
			stage: stage{policy: web().Unit(wrappers.ECS().Max(1)).Unit(wrappers.ECI().MaxResource("cpu", "1")), nodes: nodes,
				pods: []*wrappers.Pod{on("e-0", "a"), on("v", "b").Request("cpu", "1")}},
			condition: v1alpha1.ConditionExhausted, want: metav1.ConditionTrue, reason: v1alpha1.ReasonAllUnitsFull,
			message: "every unit is full for the pods of this policy",
		},
		"full for pods that request what is left": {
			stage: stage{policy: web().Unit(wrappers.ECS().MaxResource("cpu", "1500m")), nodes: nodes,
				pods: []*wrappers.Pod{on("e-0", "a").Request("cpu", "1"), pending("x")}},
			condition: v1alpha1.ConditionExhausted, want: metav1.ConditionTrue, reason: v1alpha1.ReasonAllUnitsFull,
		},
		"a cap on what the pods do not request": {
			stage: stage{policy: web().Unit(wrappers.ECS().MaxResource("nvidia.com/gpu", "1")), nodes: nodes,
				pods: []*wrappers.Pod{on("e-0", "a").Request("cpu", "1")}},
			condition: v1alpha1.ConditionExhausted, want: metav1.ConditionFalse, reason: v1alpha1.ReasonRoomLeft,
		},
		"closed units": {
			stage: stage{policy: web().GroupBy("version").Unit(wrappers.ECS().Max(0)), nodes: nodes}, condition: v1alpha1.ConditionExhausted,
			want: metav1.ConditionTrue, reason: v1alpha1.ReasonAllUnitsFull, message: "full for the pods of this policy",
		},
		"full for one group": {
			stage: stage{policy: web().GroupBy("version").Unit(wrappers.ECS().Max(1)), nodes: nodes,
				pods: []*wrappers.Pod{on("e-0", "a").Label("version", "1")}},
			condition: v1alpha1.ConditionExhausted, want: metav1.ConditionTrue, reason: v1alpha1.ReasonAllUnitsFull,
			message: `every unit is full for the pods with the matchLabelKeys values "1"`,
		},
		"full for several groups": {
			stage: stage{policy: web().GroupBy("version").Unit(wrappers.ECS().Max(1)), nodes: nodes,
				pods: []*wrappers.Pod{on("e-0", "a").Label("version", "2"), on("e-0", "b").Label("version", "1")}},
			condition: v1alpha1.ConditionExhausted, want: metav1.ConditionTrue, reason: v1alpha1.ReasonAllUnitsFull,
			message: `values "1", one of 2 such groups`,
		},
		"over maxResources, after a resize": {
			stage: stage{policy: web().Unit(wrappers.ECS().MaxResource("cpu", "2")), nodes: nodes,
				pods: []*wrappers.Pod{on("e-0", "a").Request("cpu", "1"), on("e-0", "b").Request("cpu", "1500m")}},
			condition: v1alpha1.ConditionOverCap, want: metav1.ConditionTrue, reason: v1alpha1.ReasonCapExceeded,
			message: "unit 0 (ecs): the pods of this policy have more than the caps admit",
		},
		"over max in one group": {
			stage: stage{policy: web().GroupBy("version").Unit(wrappers.ECS().Max(1)), nodes: nodes,
				pods: []*wrappers.Pod{on("e-0", "a").Label("version", "1"), on("e-0", "b").Label("version", "1")}},
			condition: v1alpha1.ConditionOverCap, want: metav1.ConditionTrue, reason: v1alpha1.ReasonCapExceeded,
			message: `the pods with the matchLabelKeys values "1" have more`,
		},
		"within the caps": {
			stage: stage{policy: web().Unit(wrappers.ECS().MaxResource("cpu", "2")), nodes: nodes,
				pods: []*wrappers.Pod{on("e-0", "a").Request("cpu", "2")}},
			condition: v1alpha1.ConditionOverCap, want: metav1.ConditionFalse, reason: v1alpha1.ReasonWithinCaps,
		},
		"nothing found": {
			stage: stage{policy: policy(), nodes: nodes}, condition: v1alpha1.ConditionMisconfigured, want: metav1.ConditionFalse,
			reason: v1alpha1.ReasonNothingFound,
		},
		"no nodes": {
			stage: stage{policy: policy()}, condition: v1alpha1.ConditionMisconfigured, want: metav1.ConditionTrue, reason: v1alpha1.ReasonNoNodes,
			message: "no node of the cluster is in any unit",
		},
		"an unreachable unit": {
			stage:     stage{policy: web().Unit(wrappers.ECS()).Unit(wrappers.ECS().On("paid", "month")), nodes: nodes},
			condition: v1alpha1.ConditionMisconfigured, want: metav1.ConditionTrue, reason: v1alpha1.ReasonUnreachableUnit, message: "spec.units[1]",
		},
		"an unknown resource": {
			stage:     stage{policy: web().Unit(wrappers.ECS().MaxResource("example.com/gpus", "1")), nodes: nodes},
			condition: v1alpha1.ConditionMisconfigured, want: metav1.ConditionTrue, reason: v1alpha1.ReasonUnknownResource, message: "example.com/gpus",
		},
		"a known resource": {
			stage:     stage{policy: web().Unit(wrappers.ECS().MaxResource("cpu", "1")), nodes: nodes},
			condition: v1alpha1.ConditionMisconfigured, want: metav1.ConditionFalse, reason: v1alpha1.ReasonNothingFound,
		},
		"a timeout of nothing": {
			stage:     stage{policy: policy().TryNext(v1alpha1.TryNextTimeoutOrExceedMax).Timeout(0), nodes: nodes},
			condition: v1alpha1.ConditionMisconfigured, want: metav1.ConditionTrue, reason: v1alpha1.ReasonZeroTimeout,
		},
		"labels that change the policy": {
			stage: stage{policy: web().Unit(wrappers.ECS().PodLabel("tier", "gold")), nodes: nodes,
				others: []*wrappers.Policy{wrappers.MakePolicy("gold").Selector("app", "web").Selector("tier", "gold")}},
			condition: v1alpha1.ConditionMisconfigured, want: metav1.ConditionTrue, reason: v1alpha1.ReasonPodLabelsChangePolicy,
			message: "ResourcePolicy gold",
		},
		"a deletion cost out of range": {
			stage: stage{policy: policy(), nodes: nodes, pods: []*wrappers.Pod{
				on("v", "b").Annotation(corev1.PodDeletionCost, "-500000"), on("e-0", "a").Annotation(corev1.PodDeletionCost, "2000000"),
				pending("c").Annotation(corev1.PodDeletionCost, "2000000"), on("e-0", "in range").Annotation(corev1.PodDeletionCost, "499999"),
			}},
			condition: v1alpha1.ConditionMisconfigured, want: metav1.ConditionTrue, reason: v1alpha1.ReasonDeletionCostOutOfRange,
			message: "pod a, one of 3 such pods, has the annotation controller.kubernetes.io/pod-deletion-cost: 2000000, which counts as 499999: " +
				"set one from -499999 to 499999",
		},
		"a deletion cost far below, kept beside Spillway's own": {
			stage: stage{policy: policy(), nodes: nodes, pods: []*wrappers.Pod{on("v", "b").Annotation(corev1.PodDeletionCost, "-1499999").
				Annotation(v1alpha1.AnnotationDeletionCost, "-1499999").Annotation(v1alpha1.AnnotationUserDeletionCost, "-100000000")}},
			condition: v1alpha1.ConditionMisconfigured, want: metav1.ConditionTrue, reason: v1alpha1.ReasonDeletionCostOutOfRange,
			message: "pod b has the annotation controller.kubernetes.io/pod-deletion-cost: -100000000, which counts as -499999",
		},
		"deletion costs that nobody clamps": {
			stage: stage{policy: policy(), nodes: append(nodes, wrappers.MakeNode("other")), pods: []*wrappers.Pod{
				costly(on("other", "in no unit")), costly(on("e-0", "terminates")).Terminating(), costly(on("e-0", "ended")).Phase(corev1.PodFailed),
				costly(pending("theirs")).Scheduler("default-scheduler"), costly(wrappers.MakePod("of no policy").Node("e-0")),
				on("v", "of Spillway 0.2").Recorded("p", "eci").Annotation(corev1.PodDeletionCost, "-100000000"),
			}},
			condition: v1alpha1.ConditionMisconfigured, want: metav1.ConditionFalse, reason: v1alpha1.ReasonNothingFound,
		},
		"pods with the toleration of virtual nodes": {
			stage: stage{policy: policy(), nodes: nodes, pods: []*wrappers.Pod{
				on("v", "b").Tolerate("k8s.aliyun.com/vnode"), pending("a").Tolerate("virtual-kubelet.io/provider"),
			}},
			condition: v1alpha1.ConditionPodsTolerateECI, want: metav1.ConditionTrue, reason: v1alpha1.ReasonTolerationFound,
			message: "pod a, one of 2 such pods, tolerates the taint of virtual nodes, virtual-kubelet.io/provider or k8s.aliyun.com/vnode: " +
				"autoscalers count virtual nodes as free room",
		},
		"a pod that tolerates every taint": {
			stage:     stage{policy: policy(), nodes: nodes, pods: []*wrappers.Pod{on("e-0", "a").Tolerate("")}},
			condition: v1alpha1.ConditionPodsTolerateECI, want: metav1.ConditionTrue, reason: v1alpha1.ReasonTolerationFound,
			message: "pod a tolerates",
		},
		"pods whose tolerations do not matter": {
			stage: stage{policy: policy(), nodes: nodes, pods: []*wrappers.Pod{
				on("e-0", "another taint").Tolerate("node.kubernetes.io/not-ready"), on("e-0", "terminates").Tolerate("").Terminating(),
				on("e-0", "ended").Tolerate("").Phase(corev1.PodSucceeded), on("v", "theirs").Tolerate("").Scheduler("default-scheduler"),
				wrappers.MakePod("of no policy").Tolerate(""),
			}},
			condition: v1alpha1.ConditionPodsTolerateECI, want: metav1.ConditionFalse, reason: v1alpha1.ReasonNoToleration,
		},
		"pods with the toleration of virtual nodes, without an ecs unit": {
			stage:     stage{policy: web().Unit(wrappers.ECI()), nodes: nodes, pods: []*wrappers.Pod{on("v", "a").Tolerate("")}},
			condition: v1alpha1.ConditionPodsTolerateECI, want: metav1.ConditionFalse, reason: v1alpha1.ReasonNoECSUnit,
		},
		"labels that leave the owner": {
			stage: stage{policy: policy(), nodes: nodes}, lost: []placement.Finding{lost}, condition: v1alpha1.ConditionMisconfigured,
			want: metav1.ConditionTrue, reason: v1alpha1.ReasonPodLabelsLeaveOwner, message: "labels lose pods",
		},
		"the first finding gives the reason, the message has all": {
			stage: stage{policy: policy()}, lost: []placement.Finding{lost}, condition: v1alpha1.ConditionMisconfigured,
			want: metav1.ConditionTrue, reason: v1alpha1.ReasonNoNodes, message: "every pod waits; labels lose pods",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.policy.Generation = 7
			status := tc.status(tc.lost...)
			got := meta.FindStatusCondition(status.Conditions, tc.condition)
			if got == nil {
				t.Fatalf("no condition %s", tc.condition)
			}
			if got.Status != tc.want || got.Reason != tc.reason || !strings.Contains(got.Message, tc.message) || got.ObservedGeneration != 7 {
				t.Errorf("got %+v, want %s %s with %q", got, tc.want, tc.reason, tc.message)
			}
		})
	}
}

func TestRefusedPolicyIsNotJudged(t *testing.T) {
	s := stage{policy: policy(), nodes: ecsNodes("e-0")}
	s.policy.Status = s.status()
	if len(s.policy.Status.Conditions) != 6 {
		t.Fatalf("conditions of an accepted policy: %v", s.policy.Status.Conditions)
	}
	s.policy.Spec.Units[0].SpotInstance = new(true)
	status := s.status()
	for _, absent := range []string{
		v1alpha1.ConditionExhausted, v1alpha1.ConditionOverCap, v1alpha1.ConditionMisconfigured, v1alpha1.ConditionPodsTolerateECI,
	} {
		if c := meta.FindStatusCondition(status.Conditions, absent); c != nil {
			t.Errorf("a refused policy has %+v", c)
		}
	}
	if !meta.IsStatusConditionFalse(status.Conditions, v1alpha1.ConditionReady) || meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionShadowed) == nil {
		t.Errorf("conditions = %+v", status.Conditions)
	}
}

func TestToleratesVirtualNodes(t *testing.T) {
	cases := map[string]struct {
		toleration corev1.Toleration
		want       bool
	}{
		"of ACK's virtual nodes":                  {corev1.Toleration{Key: "virtual-kubelet.io/provider", Operator: "Equal", Value: "alibabacloud", Effect: "NoSchedule"}, true},
		"without an operator":                     {corev1.Toleration{Key: "virtual-kubelet.io/provider", Value: "alibabacloud"}, true},
		"of VNodes":                               {corev1.Toleration{Key: "k8s.aliyun.com/vnode", Value: "true", Effect: "NoSchedule"}, true},
		"of any value":                            {corev1.Toleration{Key: "k8s.aliyun.com/vnode", Operator: "Exists"}, true},
		"of everything":                           {corev1.Toleration{Operator: "Exists"}, true},
		"of everything with this effect":          {corev1.Toleration{Operator: "Exists", Effect: "NoSchedule"}, true},
		"of everything with another effect":       {corev1.Toleration{Operator: "Exists", Effect: "NoExecute"}, false},
		"of another cloud's virtual nodes":        {corev1.Toleration{Key: "virtual-kubelet.io/provider", Value: "azure"}, false},
		"of this taint with another effect":       {corev1.Toleration{Key: "virtual-kubelet.io/provider", Operator: "Exists", Effect: "NoExecute"}, false},
		"of numbers, which the values are not":    {corev1.Toleration{Key: "virtual-kubelet.io/provider", Operator: "Gt", Value: "1"}, false},
		"of another taint":                        {corev1.Toleration{Key: "node.kubernetes.io/not-ready", Operator: "Exists", Effect: "NoExecute"}, false},
		"without a key and without Exists either": {corev1.Toleration{Value: "x"}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := ToleratesVirtualNodes(&tc.toleration); got != tc.want {
				t.Errorf("tolerates = %t, want %t", got, tc.want)
			}
		})
	}
	for i := range virtualNodeTaints {
		if !eciv1alpha1.IsVirtualNodeTaint(&virtualNodeTaints[i]) {
			t.Errorf("%v is no taint of virtual nodes", virtualNodeTaints[i])
		}
	}
}

func TestOnePerOwner(t *testing.T) {
	var pods []*corev1.Pod
	for i := range 50 {
		owner := string(rune('A' + i%25))
		pods = append(pods, wrappers.MakePod(owner).OwnedBy("apps/v1", "ReplicaSet", owner).Obj())
	}
	pods = append(pods, wrappers.MakePod("alone").Obj())
	var names []string
	for _, pod := range onePerOwner(pods) {
		names = append(names, pod.Name)
	}
	if got := strings.Join(names, ""); got != "ABCDEFGHIJKLMNOPQRST" {
		t.Errorf("pods of %q", got)
	}
}
