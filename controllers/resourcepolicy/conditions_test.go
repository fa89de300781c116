package resourcepolicy

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestConditions(t *testing.T) {
	nodes := append(ecsNodes("e-0"), wrappers.MakeVirtualNode("v").Capacity("cpu", "100"))
	web := func() *wrappers.Policy { return wrappers.MakePolicy("p").Selector("app", "web") }
	pending := wrappers.MakePod("x").Label("app", "web").Request("cpu", "1").Unschedulable()
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
				pods: []*wrappers.Pod{on("e-0", "a").Request("cpu", "1"), pending}},
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
	if len(s.policy.Status.Conditions) != 5 {
		t.Fatalf("conditions of an accepted policy: %v", s.policy.Status.Conditions)
	}
	s.policy.Spec.Units[0].SpotInstance = new(true)
	status := s.status()
	for _, absent := range []string{v1alpha1.ConditionExhausted, v1alpha1.ConditionMisconfigured} {
		if c := meta.FindStatusCondition(status.Conditions, absent); c != nil {
			t.Errorf("a refused policy has %+v", c)
		}
	}
	if !meta.IsStatusConditionFalse(status.Conditions, v1alpha1.ConditionReady) || meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionShadowed) == nil {
		t.Errorf("conditions = %+v", status.Conditions)
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
