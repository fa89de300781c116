package explain

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/quantity"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var now = time.Unix(1_800_000_000, 0)

// web governs app=web: 2 pods on ECS, then ECI.
func web() *v1alpha1.ResourcePolicy {
	rp := wrappers.MakePolicy("web").Selector("app", "web").
		Unit(wrappers.ECS().On("paidtype", "subscription").Max(2)).Unit(wrappers.ECI()).Obj()
	rp.Status = v1alpha1.ResourcePolicyStatus{
		Units: []v1alpha1.UnitStatus{
			{Name: "ecs, paidtype=subscription", Nodes: 1, Pods: 2, MaxPods: new(int32(2)), FreePods: new(int32(0))},
			{Name: "eci", Nodes: 1, Pods: 1},
		},
		Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAccepted},
			{Type: v1alpha1.ConditionMisconfigured, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNothingFound},
		},
	}
	return rp
}

// zone is a virtual node with room.
func zone() *wrappers.Zone {
	z := wrappers.MakeZone("cn-beijing-j").Offers(corev1.ResourceCPU, "1k").Offers(corev1.ResourceMemory, "400Gi").Offers(corev1.ResourcePods, "50").
		Price("0.2", "0.02").Fresh(now.Add(-4 * time.Second))
	z.Status.LimitedBy = "vCPU quota of cn-beijing: 100, used 0"
	z.Status.Conditions = []metav1.Condition{
		{Type: eciv1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: eciv1alpha1.ReasonNodeReady},
		{Type: eciv1alpha1.ConditionCapacityKnown, Status: metav1.ConditionTrue, Reason: eciv1alpha1.ReasonRefreshed},
	}
	return z
}

func pod() *wrappers.Pod {
	return wrappers.MakePod("web-1").Label("app", "web").Request(corev1.ResourceCPU, "2").Request(corev1.ResourceMemory, "4Gi")
}

// says makes the scheduler say, a minute ago, why the pod has no node.
func says(p *wrappers.Pod, reason, message string) *corev1.Pod {
	p.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message, LastTransitionTime: metav1.Time{Time: now.Add(-time.Minute)},
	}}
	return p.Obj()
}

func cluster(policies ...*v1alpha1.ResourcePolicy) *Cluster {
	c := &Cluster{Now: now, SchedulerName: wrappers.SchedulerName}
	for _, rp := range policies {
		c.Policies = append(c.Policies, *rp)
	}
	return c
}

func on(c *Cluster, node *wrappers.Node) *Cluster {
	c.Node = node.Obj()
	return c
}

func with(c *Cluster, zones ...*wrappers.Zone) *Cluster {
	c.VirtualNodes = []eciv1alpha1.VirtualNode{}
	for _, z := range zones {
		c.VirtualNodes = append(c.VirtualNodes, *z.Obj())
	}
	return c
}

func subscription() *wrappers.Node { return wrappers.MakeNode("n1").Label("paidtype", "subscription") }

func virtual() *wrappers.Node { return wrappers.MakeVirtualNode("virtual-kubelet-cn-beijing-j") }

const unitsOfWeb = `
ResourcePolicy web now (app=web):
  UNIT                          NODES  USED      STATE
  0 ecs, paidtype=subscription  1      pods 2/2  full
  1 eci                         1      pods 1    -
`

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
			pod: pod().Node("virtual-kubelet-cn-beijing-j").Recorded("web", "eci").Annotation(corev1.PodDeletionCost, "-99999993").
				Annotation(v1alpha1.AnnotationUserDeletionCost, "7").Obj(),
			cluster: on(with(cluster(web()), zone(), wrappers.MakeZone("cn-beijing-k")), virtual()),
			want: `Pod default/web-1 is on node virtual-kubelet-cn-beijing-j, in unit 1 (eci) of ResourcePolicy web.
Unit 0 (ecs, paidtype=subscription) is full.
When its ReplicaSet scales in, pods of later units go first, and those of earlier units last (controller.kubernetes.io/pod-deletion-cost -99999993, your own 7 among the pods of its unit).

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
ResourcePolicy web: The controller has not looked at it yet.
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
		"it has preempted others": {
			pod: func() *corev1.Pod {
				p := says(pod(), corev1.PodReasonUnschedulable, "preemption")
				p.Status.NominatedNodeName = "n1"
				return p
			}(),
			cluster: cluster(web()),
			want: `Pod default/web-1 is to be placed on node n1, and waits there for the pods that it has preempted to end.
The scheduler says, since 60s: preemption
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
		"the policy is refused": {
			pod:     says(pod(), corev1.PodReasonUnschedulable, "refused"),
			cluster: cluster(wrappers.MakePolicy("web").Selector("app", "web").TryNext(v1alpha1.TryNextTimeout).Unit(wrappers.ECS()).Obj()),
			want: `Pod default/web-1 waits, because its ResourcePolicy is not acted on: ResourcePolicy web is refused: spec.whenTryNextUnits.policy: Unsupported value: "Timeout": supported values: "LackResourceOrExceedMax", "ExceedMax", "TimeoutOrExceedMax", "LackResourceAndNoTerminating".
ResourcePolicy web: The controller has not looked at it yet.
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

func TestStatus(t *testing.T) {
	grouped := web()
	grouped.Name, grouped.Spec.MatchLabelKeys = "grouped", []v1alpha1.LabelKey{"pod-template-hash"}
	grouped.Status.HeldPods, grouped.Status.WaitingPods = 3, 1
	grouped.Status.Units = []v1alpha1.UnitStatus{{
		Name: "ecs", Nodes: 0, Pods: 3, MaxPods: new(int32(2)), FreePods: new(int32(1)),
		MaxResources:  map[corev1.ResourceName]quantity.Quantity{corev1.ResourceCPU: quantity.MustParse("20")},
		FreeResources: map[corev1.ResourceName]quantity.Quantity{corev1.ResourceCPU: quantity.MustParse("0")},
		Requests:      map[corev1.ResourceName]quantity.Quantity{corev1.ResourceCPU: quantity.MustParse("30")},
	}}
	grouped.Status.Conditions = append(grouped.Status.Conditions,
		metav1.Condition{Type: v1alpha1.ConditionExhausted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAllUnitsFull, Message: "every unit is full"})
	bad := wrappers.MakePolicy("bad").Obj()
	bad.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonUnsupported, Message: "spec.consumerRef: Forbidden"}}
	stale := wrappers.MakeZone("cn-beijing-k").MaxSpend("12.50").Fresh(now.Add(-2 * time.Minute))
	stale.Status.Conditions = []metav1.Condition{
		{Type: eciv1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: eciv1alpha1.ReasonCapacityUnknown, Message: "ECI has not answered"},
	}
	c := with(cluster(web(), grouped, bad), zone(), stale)
	c.ECIPods = []corev1.Pod{*pod().Node("virtual-kubelet-cn-beijing-j").Obj(), *wrappers.MakePod("daemon").Request("nvidia.com/gpu", "1").Node("virtual-kubelet-cn-beijing-j").Obj()}

	want := `NAMESPACE  POLICY   READY        WAITING  HELD  UNIT                          NODES  USED                                             STATE
default    web      yes          0        0     0 ecs, paidtype=subscription  1      pods 2/2                                         full
                                                1 eci                         1      pods 1                                           -
default    grouped  yes          1        3     0 ecs                         0      pods 3 (max 2 a group), cpu 30 (max 20 a group)  full, no node
default    bad      Unsupported  0        0     -                             -      -                                                -
ResourcePolicy default/grouped: Exhausted=True AllUnitsFull: every unit is full
ResourcePolicy default/bad: Ready=False Unsupported: spec.consumerRef: Forbidden

VIRTUALNODE   NODE                          READY            CAPACITY                   READ    PODS  PER HOUR                  SPEND LIMIT
cn-beijing-j  virtual-kubelet-cn-beijing-j  yes              1000 vCPU, 400Gi, 50 pods  4s ago  2     0.4800 CNY, 1 not priced  -
cn-beijing-k  virtual-kubelet-cn-beijing-k  CapacityUnknown  not known                  2m ago  0     not known                 12.50
VirtualNode cn-beijing-j: bounded by vCPU quota of cn-beijing: 100, used 0
VirtualNode cn-beijing-k: The capacity is too old to place pods by.
VirtualNode cn-beijing-k: Ready=False CapacityUnknown: ECI has not answered
`
	if diff := cmp.Diff(want, Status(c)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestStatusOfNothing(t *testing.T) {
	c := cluster()
	c.Unread = []string{"VirtualNodes are not shown: forbidden."}
	want := `There are no ResourcePolicies.

VirtualNodes are not shown: forbidden.
`
	if diff := cmp.Diff(want, Status(c)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
