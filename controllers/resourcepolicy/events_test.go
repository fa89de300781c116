package resourcepolicy

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestPodEvents(t *testing.T) {
	running := func() *wrappers.Pod {
		return wrappers.MakePod("a").Node("e-0").Label("app", "web").Request("cpu", "1").ScheduledAt(1).Phase(corev1.PodRunning)
	}
	ready, resized, message := running(), running(), running()
	ready.Status.Conditions = append(ready.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue})
	ready.Status.PodIP = "10.0.0.1"
	resized.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", AllocatedResources: corev1.ResourceList{"cpu": resource.MustParse("2")}}}
	message.Status.Conditions[0].Message = "another one"
	waiting := wrappers.MakePod("a").Label("app", "web")
	cases := map[string]struct {
		before, after *wrappers.Pod
		want          bool
	}{
		"nothing that counts":           {before: running(), after: ready},
		"only the message":              {before: running(), after: message},
		"a label":                       {before: running(), after: running().Label("app", "db"), want: true},
		"an annotation":                 {before: running(), after: running().Annotation("a", "b"), want: true},
		"the end":                       {before: running(), after: running().Phase(corev1.PodSucceeded), want: true},
		"the beginning of an end":       {before: running(), after: running().Terminating(), want: true},
		"a resize":                      {before: running(), after: resized, want: true},
		"a binding":                     {before: waiting, after: wrappers.MakePod("a").Label("app", "web").Node("e-0"), want: true},
		"the scheduler's answer":        {before: waiting, after: wrappers.MakePod("a").Label("app", "web").Unschedulable(), want: true},
		"a toleration of virtual nodes": {before: running(), after: running().Tolerate("k8s.aliyun.com/vnode"), want: true},
		"another toleration":            {before: running(), after: running().Tolerate("node.kubernetes.io/not-ready")},
		"the last gate":                 {before: wrappers.MakePod("a").Gate("x"), after: wrappers.MakePod("a"), want: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := podCounts.Update(event.UpdateEvent{ObjectOld: tc.before.Obj(), ObjectNew: tc.after.Obj()}); got != tc.want {
				t.Errorf("let through = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestNodeEvents(t *testing.T) {
	node := func() *wrappers.Node { return wrappers.MakeNode("n").Label("paid", "month").Capacity("cpu", "4") }
	beat := node()
	beat.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse}}
	cases := map[string]struct {
		after *wrappers.Node
		want  bool
	}{
		"a heartbeat":               {after: beat},
		"more of the same resource": {after: node().Capacity("cpu", "8")},
		"a label":                   {after: node().Label("paid", "hour"), want: true},
		"a new resource":            {after: node().Capacity("nvidia.com/gpu", "1"), want: true},
		"the end of a resource":     {after: node().Capacity("cpu", "0"), want: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := nodeMoves.Update(event.UpdateEvent{ObjectOld: node().Obj(), ObjectNew: tc.after.Obj()}); got != tc.want {
				t.Errorf("let through = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestWhatWasThereAtTheStartBringsAboutNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		lets predicate.Predicate
		obj  client.Object
	}{
		"pod": {lets: podCounts, obj: wrappers.MakePod("a").Obj()}, "node": {lets: nodeMoves, obj: wrappers.MakeNode("n").Obj()},
	} {
		if tc.lets.Create(event.CreateEvent{Object: tc.obj, IsInInitialList: true}) || !tc.lets.Create(event.CreateEvent{Object: tc.obj}) {
			t.Errorf("a %s of the start is let through, or one that comes later is not", name)
		}
	}
}
