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

const unitsOfWebHere = `
ResourcePolicy web now (app=web):
  UNIT                          NODES  USED      STATE
  0 ecs, paidtype=subscription  1      pods 2/2  full, this pod is here
  1 eci                         1      pods 1    -
`

// ignoring makes the policy ignore the pods that were placed before now, when it was created.
func ignoring(rp *v1alpha1.ResourcePolicy) *v1alpha1.ResourcePolicy {
	rp.CreationTimestamp, rp.Spec.IgnorePreviousPod = metav1.Time{Time: now}, new(true)
	return rp
}

func TestPodOnNode(t *testing.T) {
	tests := map[string]struct {
		pod     *corev1.Pod
		cluster *Cluster
		want    string
	}{
		"in the first unit": {
			pod:     pod().Node("n1").Recorded("web", "ecs paidtype=subscription").Annotation(corev1.PodDeletionCost, "0").Obj(),
			cluster: on(with(cluster(web()), zone()), subscription()),
			want: `Pod default/web-1 is on node n1, in unit 0 (ecs, paidtype=subscription) of ResourcePolicy web.
That is the first unit, and it had room.
When its ReplicaSet scales in, pods of later units go first, and those of earlier units last (controller.kubernetes.io/pod-deletion-cost 0).

ResourcePolicy web now (app=web):
  UNIT                          NODES  USED      STATE
  0 ecs, paidtype=subscription  1      pods 2/2  full, this pod is here
  1 eci                         1      pods 1    -
`},
		"on ECI because the unit before is full": {
			pod: pod().Node("virtual-kubelet-cn-beijing-j").Recorded("web", "eci").Annotation(corev1.PodDeletionCost, "-999993").
				Annotation(v1alpha1.AnnotationUserDeletionCost, "7").Obj(),
			cluster: on(with(cluster(web()), zone(), wrappers.MakeZone("cn-beijing-k")), virtual()),
			want: `Pod default/web-1 is on node virtual-kubelet-cn-beijing-j, in unit 1 (eci) of ResourcePolicy web.
Unit 0 (ecs, paidtype=subscription) is full.
When its ReplicaSet scales in, pods of later units go first, and those of earlier units last (controller.kubernetes.io/pod-deletion-cost -999993, your own 7 among the pods of its unit).

ResourcePolicy web now (app=web):
  UNIT                          NODES  USED      STATE
  0 ecs, paidtype=subscription  1      pods 2/2  full
  1 eci                         1      pods 1    this pod is here

VirtualNode cn-beijing-j, node virtual-kubelet-cn-beijing-j:
  capacity: 1000 vCPU, 400Gi, 50 pods, read 4s ago
  bounded by: vCPU quota of cn-beijing: 100, used 0
  price: 0.4800 CNY an hour for this pod
`},
		"ECI refused it": {
			pod: refused(pod().Node("virtual-kubelet-cn-beijing-j").Recorded("web", "eci")),
			cluster: on(with(func() *Cluster {
				rp := web()
				rp.Status.Units[0].Pods, rp.Status.Units[0].FreePods = 1, new(int32(1))
				return cluster(rp)
			}()), virtual()),
			want: `Pod default/web-1 is on node virtual-kubelet-cn-beijing-j, in unit 1 (eci) of ResourcePolicy web.
Unit 0 (ecs, paidtype=subscription) was full, or none of its nodes could take the pod, when the pod was placed. A placed pod is not moved when that changes.
ECI refused it 60s ago: no stock of 2-4Gi. A pod that something would create again is evicted, to be placed elsewhere.

ResourcePolicy web now (app=web):
  UNIT                          NODES  USED      STATE
  0 ecs, paidtype=subscription  1      pods 1/2  -
  1 eci                         1      pods 1    this pod is here

Node virtual-kubelet-cn-beijing-j is a virtual node without a VirtualNode: what ECI would accept there is not known.
`},
		"placed by another scheduler": {
			pod:     pod().Scheduler("default-scheduler").Node("n1").Obj(),
			cluster: on(cluster(web()), subscription()),
			want: `Pod default/web-1 is on node n1. No ResourcePolicy placed it there: it carries no scheduling.spillway.dev/unit.
Its schedulerName is "default-scheduler"; Spillway places pods of "spillway-scheduler".
ResourcePolicy web governs it now: the pod counts for unit 0 (ecs, paidtype=subscription).

ResourcePolicy web now (app=web):
  UNIT                          NODES  USED      STATE
  0 ecs, paidtype=subscription  1      pods 2/2  full, this pod is here
  1 eci                         1      pods 1    -
`},
		"its node is in no unit any more": {
			pod:     pod().Node("n1").Recorded("web", "ecs paidtype=subscription").Obj(),
			cluster: on(cluster(web()), wrappers.MakeNode("n1")),
			want: `Pod default/web-1 is on node n1, placed by ResourcePolicy web in its unit "ecs paidtype=subscription". No unit of the policy has that node now, so that the pod counts for none.
` + unitsOfWeb},
		"its policy has gone": {
			pod:     pod().Node("n1").Recorded("old", "ecs").Obj(),
			cluster: on(cluster(), subscription()),
			want: `Pod default/web-1 is on node n1, placed by ResourcePolicy old in its unit "ecs". That policy does not govern the pod any more.
No ResourcePolicy governs it: namespace default has none.
`},
		"without a record, and its node was not read": {
			pod:     pod().Node("n1").Obj(),
			cluster: cluster(web()),
			want: `Pod default/web-1 is on node n1. No ResourcePolicy placed it there: it carries no scheduling.spillway.dev/unit.
ResourcePolicy web governs it now: which unit it counts for is not known, because its node was not read.
` + unitsOfWeb},
		"its unit has gone, and its node was not read": {
			pod:     pod().Node("n1").Recorded("web", "ecs paidtype=old").Obj(),
			cluster: cluster(web()),
			want: `Pod default/web-1 is on node n1, placed by ResourcePolicy web in its unit "ecs paidtype=old". The policy has no such unit now: which unit it counts for is not known, because its node was not read.
` + unitsOfWeb},
		"without a record, on a node that is in no unit": {
			pod:     pod().Node("n1").Obj(),
			cluster: on(cluster(web()), wrappers.MakeNode("n1")),
			want: `Pod default/web-1 is on node n1. No ResourcePolicy placed it there: it carries no scheduling.spillway.dev/unit.
ResourcePolicy web governs it now: its node is in none of the units, so that the pod counts for none.
` + unitsOfWeb},
		"of another policy once, and its node was not read": {
			pod:     pod().Node("n1").Recorded("old", "ecs").Obj(),
			cluster: cluster(web()),
			want: `Pod default/web-1 is on node n1, placed by ResourcePolicy old in its unit "ecs". That policy does not govern the pod any more.
ResourcePolicy web governs it now: which unit it counts for is not known, because its node was not read.
` + unitsOfWeb},
		"by its record, and its node was not read": {
			pod:     pod().Node("n1").Recorded("web", "ecs paidtype=subscription").Obj(),
			cluster: cluster(web()),
			want: `Pod default/web-1 is on node n1, in unit 0 (ecs, paidtype=subscription) of ResourcePolicy web.
That is the first unit, and it had room.
` + unitsOfWebHere},
		"before the policy, which does not count it": {
			pod:     pod().Node("n1").ScheduledAt(-1).Obj(),
			cluster: on(cluster(ignoring(web())), subscription()),
			want: `Pod default/web-1 is on node n1. No ResourcePolicy placed it there: it carries no scheduling.spillway.dev/unit.
ResourcePolicy web governs it now: the pod is in unit 0 (ecs, paidtype=subscription), but does not count: it was on its node before the policy was created (ignorePreviousPod).
` + unitsOfWebHere},
		"by a policy of this name before, which does not count it": {
			pod:     pod().Node("n1").ScheduledAt(-1).Recorded("web", "ecs paidtype=subscription").Obj(),
			cluster: on(cluster(ignoring(web())), subscription()),
			want: `Pod default/web-1 is on node n1, in unit 0 (ecs, paidtype=subscription) of ResourcePolicy web, but does not count: it was on its node before the policy was created (ignorePreviousPod).
That is the first unit, and it had room.
` + unitsOfWebHere},
		"terminating, which does not count": {
			pod:     pod().Node("n1").Recorded("old", "ecs").Terminating().Obj(),
			cluster: on(cluster(web()), subscription()),
			want: `Pod default/web-1 is on node n1, placed by ResourcePolicy old in its unit "ecs". That policy does not govern the pod any more.
ResourcePolicy web governs it now: the pod is in unit 0 (ecs, paidtype=subscription), but does not count: it is being deleted (ignoreTerminatingPod).
It is being deleted.
` + unitsOfWebHere},
		"terminating, and its node was not read": {
			pod:     pod().Node("n1").Terminating().Obj(),
			cluster: cluster(web()),
			want: `Pod default/web-1 is on node n1. No ResourcePolicy placed it there: it carries no scheduling.spillway.dev/unit.
ResourcePolicy web governs it now: the pod does not count: it is being deleted (ignoreTerminatingPod).
It is being deleted.
` + unitsOfWeb},
		"without the label of its group, which does not count": {
			pod: pod().Node("n1").Obj(),
			cluster: on(cluster(func() *v1alpha1.ResourcePolicy {
				rp := web()
				rp.Spec.MatchLabelKeys = []v1alpha1.LabelKey{"version"}
				rp.Status.Units = nil
				return rp
			}()), subscription()),
			want: `Pod default/web-1 is on node n1. No ResourcePolicy placed it there: it carries no scheduling.spillway.dev/unit.
ResourcePolicy web governs it now: the pod is in unit 0 (ecs, paidtype=subscription), but does not count: the pod lacks the label version, which matchLabelKeys of ResourcePolicy web requires.
`},
		"its policy is refused now": {
			pod: pod().Node("n1").Recorded("web", "ecs paidtype=subscription").Obj(),
			cluster: on(cluster(func() *v1alpha1.ResourcePolicy {
				rp := web()
				rp.Spec.WhenTryNextUnits = &v1alpha1.WhenTryNextUnits{Policy: "Timeout"}
				return rp
			}()), subscription()),
			want: `Pod default/web-1 is on node n1, placed by ResourcePolicy web in its unit "ecs paidtype=subscription". The policy is not acted on now: ResourcePolicy web is refused: spec.whenTryNextUnits.policy: Unsupported value: "Timeout": supported values: "LackResourceOrExceedMax", "ExceedMax", "TimeoutOrExceedMax", "LackResourceAndNoTerminating".
`},
		"on ECI because the unit before is full for a group": {
			pod: pod().Node("virtual-kubelet-cn-beijing-j").Label("version", "1").Recorded("web", "eci").Obj(),
			cluster: on(cluster(func() *v1alpha1.ResourcePolicy {
				rp := web()
				rp.Spec.MatchLabelKeys = []v1alpha1.LabelKey{"version"}
				return rp
			}()), virtual()),
			want: `Pod default/web-1 is on node virtual-kubelet-cn-beijing-j, in unit 1 (eci) of ResourcePolicy web.
Unit 0 (ecs, paidtype=subscription) is full for at least one group of the policy.

ResourcePolicy web now (app=web):
  UNIT                          NODES  USED                    STATE
  0 ecs, paidtype=subscription  1      pods 2 (max 2 a group)  full for at least one group
  1 eci                         1      pods 1                  this pod is here
`},
		"failed before it was placed": {
			pod:     pod().Phase(corev1.PodFailed).Obj(),
			cluster: with(cluster(web()), zone()),
			want: `Pod default/web-1 has ended (Failed); it uses no capacity.
` + unitsOfWeb},
		"ended": {
			pod:     pod().Node("n1").Phase(corev1.PodSucceeded).Obj(),
			cluster: cluster(),
			want: `Pod default/web-1 has ended (Succeeded); it uses no capacity.
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

// refused makes ECI refuse the pod, a minute ago.
func refused(p *wrappers.Pod) *corev1.Pod {
	p.Status.Conditions = []corev1.PodCondition{{
		Type: eciv1alpha1.ConditionContainerInstanceCreated, Status: corev1.ConditionFalse, Reason: "NoStock", Message: "no stock of 2-4Gi",
		LastTransitionTime: metav1.Time{Time: now.Add(-time.Minute)},
	}}
	return p.Obj()
}
