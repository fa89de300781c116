package explain

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestPodThatWaits(t *testing.T) {
	tests := map[string]struct {
		pod     *corev1.Pod
		cluster *Cluster
		want    string
	}{
		"held": {
			pod:     says(pod(), corev1.PodReasonSchedulingGated, "held by ResourcePolicy web: unit 0 (ecs, paidtype=subscription): full, max 2; unit 1 (ecs): full, max 0"),
			cluster: cluster(wrappers.MakePolicy("web").Selector("app", "web").Unit(wrappers.ECS().Max(0)).Obj()),
			want: `Pod default/web-1 is held: it is placed when a pod of ResourcePolicy web ends or a cap is raised. A new node would not help.
The scheduler says, since 60s: held by ResourcePolicy web: unit 0 (ecs, paidtype=subscription): full, max 2; unit 1 (ecs): full, max 0
ResourcePolicy web: It has no condition Ready: the controller has not looked at it yet, or the CRD in this cluster has no place for conditions.
`},
		"no room, and ECI is sold out": {
			pod: says(pod(), corev1.PodReasonUnschedulable, "unit 1 (eci): cn-beijing-j: out of stock for 2-4Gi (NoStock)"),
			cluster: with(cluster(web()), func() *wrappers.Zone {
				z := zone()
				z.Status.StockOuts = []eciv1alpha1.StockOut{{
					Spec: "2-4Gi", Reason: "NoStock", Source: eciv1alpha1.SourcePod,
					Since: metav1.Time{Time: now.Add(-time.Minute)}, Until: metav1.Time{Time: now.Add(30 * time.Second)},
				}}
				return z
			}()),
			want: `Pod default/web-1 waits for a node in a unit of ResourcePolicy web.
The scheduler says, since 60s: unit 1 (eci): cn-beijing-j: out of stock for 2-4Gi (NoStock)
` + unitsOfWeb + `
VirtualNode cn-beijing-j, node virtual-kubelet-cn-beijing-j:
  capacity: 1000 vCPU, 400Gi, 50 pods, read 4s ago
  bounded by: vCPU quota of cn-beijing: 100, used 0
  price: 0.4800 CNY an hour for this pod
  Sold out: 2-4Gi (NoStock), since 60s; one pod may try again at 08:00:30 UTC.
`},
		"a capability that the virtual node does not allow": {
			pod:     says(pod().Add("IPC_LOCK"), corev1.PodReasonUnschedulable, "unit 1 (eci): cn-beijing-j: no"),
			cluster: with(cluster(web()), zone()),
			want: `Pod default/web-1 waits for a node in a unit of ResourcePolicy web.
The scheduler says, since 60s: unit 1 (eci): cn-beijing-j: no
` + unitsOfWeb + `
VirtualNode cn-beijing-j, node virtual-kubelet-cn-beijing-j:
  capacity: 1000 vCPU, 400Gi, 50 pods, read 4s ago
  bounded by: vCPU quota of cn-beijing: 100, used 0
  price: 0.4800 CNY an hour for this pod
  cn-beijing-j: VirtualNode cn-beijing-j does not allow to add IPC_LOCK of container main: if ECI grants your account that, add it to spec.allowedCapabilities
`},
		"it has preempted others": {
			pod: func() *corev1.Pod {
				p := says(pod(), corev1.PodReasonUnschedulable, "preemption")
				p.Status.NominatedNodeName = "n1"
				return p
			}(),
			cluster: cluster(web()),
			want: `Pod default/web-1 is nominated for node n1: it is about to be bound there, or waits for pods that it has preempted to end.
The scheduler says, since 60s: preemption
` + unitsOfWeb},
		"nominated before it is bound": {
			pod: func() *corev1.Pod {
				p := pod().Obj()
				p.Status.NominatedNodeName = "n1"
				return p
			}(),
			cluster: cluster(web()),
			want: `Pod default/web-1 is nominated for node n1: it is about to be bound there, or waits for pods that it has preempted to end.
` + unitsOfWeb},
		"nominated after its scheduling gates were removed": {
			pod: func() *corev1.Pod {
				p := says(pod(), corev1.PodReasonSchedulingGated, "Scheduling is blocked due to non-empty scheduling gates")
				p.Status.NominatedNodeName = "n1"
				return p
			}(),
			cluster: cluster(web()),
			want: `Pod default/web-1 is nominated for node n1: it is about to be bound there, or waits for pods that it has preempted to end.
` + unitsOfWeb},
		"its scheduling gates have just been removed": {
			pod:     says(pod(), corev1.PodReasonSchedulingGated, "Scheduling is blocked due to non-empty scheduling gates"),
			cluster: cluster(web()),
			want: `Pod default/web-1 waits. ResourcePolicy web governs it.
It has not been tried since its scheduling gates were removed.
` + unitsOfWeb},
		"another scheduler's": {
			pod:     says(pod().Scheduler("default-scheduler"), corev1.PodReasonUnschedulable, "0/1 nodes are available"),
			cluster: cluster(),
			want: `Pod default/web-1 waits for the scheduler "default-scheduler", which its schedulerName names. Spillway places pods of "spillway-scheduler" only.
The scheduler says, since 60s: 0/1 nodes are available
`},
		"no policy, and nobody has tried it": {
			pod:     wrappers.MakePod("web-1").Label("app", "other").Obj(),
			cluster: cluster(web()),
			want: `Pod default/web-1 waits, and is scheduled as kube-scheduler does.
No ResourcePolicy governs it: its labels are app=other, and in namespace default web selects app=web.
It has not been tried yet: it is very new, or no scheduler named "spillway-scheduler" runs.
`},
		"nobody has tried it": {
			pod:     pod().Obj(),
			cluster: cluster(web()),
			want: `Pod default/web-1 waits. ResourcePolicy web governs it.
It has not been tried yet: it is very new, or no scheduler named "spillway-scheduler" runs.
` + unitsOfWeb},
		"the installation refuses the policy": {
			pod: says(pod(), corev1.PodReasonUnschedulable, "refused"),
			cluster: cluster(func() *v1alpha1.ResourcePolicy {
				rp := web()
				rp.Status.Conditions = []metav1.Condition{{
					Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, ObservedGeneration: rp.Generation,
					Reason: v1alpha1.ReasonInvalid, Message: v1alpha1.RefusedMessagePrefix + "a key that units may not write",
				}}
				return rp
			}()),
			want: `Pod default/web-1 waits, because its ResourcePolicy is not acted on: ResourcePolicy web is refused: a key that units may not write.
ResourcePolicy web: Ready=False Invalid: the pods of this policy wait: a key that units may not write
`},
		"the installation refused the policy before its last edit": {
			pod: pod().Obj(),
			cluster: cluster(func() *v1alpha1.ResourcePolicy {
				rp := web()
				rp.Status.Conditions = []metav1.Condition{{
					Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, ObservedGeneration: rp.Generation - 1,
					Reason: v1alpha1.ReasonInvalid, Message: "old",
				}}
				return rp
			}()),
			want: `Pod default/web-1 waits. ResourcePolicy web governs it.
It has not been tried yet: it is very new, or no scheduler named "spillway-scheduler" runs.
` + unitsOfWeb + "ResourcePolicy web: Ready=False Invalid: old\n"},
		"the policy is refused": {
			pod:     says(pod(), corev1.PodReasonUnschedulable, "refused"),
			cluster: cluster(wrappers.MakePolicy("web").Selector("app", "web").TryNext(v1alpha1.TryNextTimeout).Unit(wrappers.ECS()).Obj()),
			want: `Pod default/web-1 waits, because its ResourcePolicy is not acted on: ResourcePolicy web is refused: spec.whenTryNextUnits.policy: Unsupported value: "Timeout": supported values: "LackResourceOrExceedMax", "ExceedMax", "TimeoutOrExceedMax", "LackResourceAndNoTerminating".
ResourcePolicy web: It has no condition Ready: the controller has not looked at it yet, or the CRD in this cluster has no place for conditions.
`},
		"scheduling gates": {
			pod:     pod().Gate("example.com/quota").Obj(),
			cluster: cluster(),
			want: `Pod default/web-1 waits, because it has scheduling gates: example.com/quota. No scheduler looks at it until they are removed.
`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Pod(test.pod, test.cluster)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
