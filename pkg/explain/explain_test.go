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
		metav1.Condition{Type: v1alpha1.ConditionExhausted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAllUnitsFull, Message: "every unit is full"},
		metav1.Condition{Type: v1alpha1.ConditionPodsTolerateECI, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonTolerationFound, Message: "pod a tolerates"})
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
default    grouped  yes          1        3     0 ecs                         0      pods 3 (max 2 a group), cpu 30 (max 20 a group)  full for at least one group, no node
default    bad      Unsupported  0        0     -                             -      -                                                -
ResourcePolicy default/grouped: PodsTolerateECI=True TolerationFound: pod a tolerates
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
