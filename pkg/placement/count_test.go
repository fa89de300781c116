package placement

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestUnitOf(t *testing.T) {
	policy := Compile(wrappers.MakePolicy("p").
		Unit(wrappers.ECS().On("pool", "a")).
		Unit(wrappers.ECS().PodLabel("tier", "gold").PodAnnotation("note", "x")).
		Unit(wrappers.ECS().Named("rest")).
		Unit(wrappers.ECI()).Obj())
	inA, inB := map[string]string{"pool": "a"}, map[string]string{"pool": "b"}
	gold, note := map[string]string{"tier": "gold"}, map[string]string{"note": "x"}
	cases := map[string]struct {
		pod  BoundPod
		want int
	}{
		"no record: the first unit that contains the node":        {pod: BoundPod{NodeLabels: inA}, want: 0},
		"the recorded unit also contains the node":                {pod: BoundPod{Unit: "rest", NodeLabels: inA}, want: 2},
		"the recorded unit does not contain it any more":          {pod: BoundPod{Unit: "ecs pool=a", NodeLabels: inB}, want: 2},
		"the recorded unit is not in the policy any more":         {pod: BoundPod{Unit: "ecs pool=z", NodeLabels: inA}, want: 0},
		"no record: without the podLabels of the unit":            {pod: BoundPod{NodeLabels: inB, Annotations: note}, want: 2},
		"no record: with the podLabels and podAnnotations":        {pod: BoundPod{NodeLabels: inB, Labels: gold, Annotations: note}, want: 1},
		"a record goes before labels that are not on the pod yet": {pod: BoundPod{Unit: policy.Units[1].ID, NodeLabels: inB}, want: 1},
		"a record goes before labels that an operator has changed": {
			pod: BoundPod{Unit: policy.Units[1].ID, NodeLabels: inB, Labels: map[string]string{"tier": "lead"}}, want: 1,
		},
		"a virtual node": {pod: BoundPod{NodeLabels: map[string]string{"type": "virtual-kubelet", "pool": "a"}}, want: 3},
		"a VNode":        {pod: BoundPod{NodeLabels: map[string]string{"k8s.aliyun.com/vnode": "true"}}, want: 3},
		"the node is not known any more: the record decides":       {pod: BoundPod{Unit: "rest"}, want: 2},
		"the node is not known any more, and there is no record":   {pod: BoundPod{}, want: -1},
		"the node is not known any more, and the unit is not, too": {pod: BoundPod{Unit: "gone"}, want: -1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := policy.UnitOf(&tc.pod); got != tc.want {
				t.Errorf("unit = %d, want %d", got, tc.want)
			}
		})
	}
}

func TestCounts(t *testing.T) {
	created := time.Unix(1_800_000_000, 0)
	before, after := created.Add(-time.Second), created.Add(time.Second)
	cases := map[string]struct {
		policy *wrappers.Policy
		pod    BoundPod
		want   bool
	}{
		"by default a pod from before the policy counts":          {policy: wrappers.MakePolicy("p"), pod: BoundPod{ScheduledAt: before}, want: true},
		"by default a terminating pod does not":                   {policy: wrappers.MakePolicy("p"), pod: BoundPod{Terminating: true}},
		"ignoreTerminatingPod false: it does":                     {policy: wrappers.MakePolicy("p").CountTerminating(), pod: BoundPod{Terminating: true}, want: true},
		"ignorePreviousPod: scheduled before":                     {policy: wrappers.MakePolicy("p").IgnorePrevious(), pod: BoundPod{ScheduledAt: before}},
		"ignorePreviousPod: scheduled after, by whoever":          {policy: wrappers.MakePolicy("p").IgnorePrevious(), pod: BoundPod{ScheduledAt: after}, want: true},
		"ignorePreviousPod: being bound":                          {policy: wrappers.MakePolicy("p").IgnorePrevious(), pod: BoundPod{Policy: "p", CreatedAt: before}, want: true},
		"ignorePreviousPod: created bound before":                 {policy: wrappers.MakePolicy("p").IgnorePrevious(), pod: BoundPod{CreatedAt: before}},
		"ignorePreviousPod: created bound after":                  {policy: wrappers.MakePolicy("p").IgnorePrevious(), pod: BoundPod{CreatedAt: after}, want: true},
		"ignorePreviousPod: in the same second, by the policy":    {policy: wrappers.MakePolicy("p").IgnorePrevious(), pod: BoundPod{ScheduledAt: created, Policy: "p"}, want: true},
		"ignorePreviousPod: in the same second, without a record": {policy: wrappers.MakePolicy("p").IgnorePrevious(), pod: BoundPod{ScheduledAt: created}},
		"ignorePreviousPod: by a policy of this name before":      {policy: wrappers.MakePolicy("p").IgnorePrevious(), pod: BoundPod{ScheduledAt: before, Policy: "p"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Compile(tc.policy.Created(0).Obj()).Counts(&tc.pod); got != tc.want {
				t.Errorf("counts = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestNewBoundPodReadsTheRecord(t *testing.T) {
	pod := wrappers.MakePod("pod").Annotation(v1alpha1.AnnotationUnit, "ecs").Annotation(v1alpha1.AnnotationPolicy, "p").Obj()
	scheduled := metav1.NewTime(begin)
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: scheduled}}
	got := NewBoundPod(pod, nil)
	if got.Unit != "ecs" || got.Policy != "p" || !got.ScheduledAt.Equal(begin) || got.Terminating {
		t.Errorf("bound pod = %+v", got)
	}
}
