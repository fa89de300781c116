package resourcepolicy

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func testAdmission() (*gate, *placement.Policy) {
	a := newGate()
	a.waits = func(*corev1.Pod) bool { return true }
	a.wake, a.held = func([]*corev1.Pod) {}, func([]*corev1.Pod) {}
	a.soon = func(f func()) { f() }
	a.holdEnded = func(time.Duration) {}
	return a, placement.Compile(wrappers.MakePolicy("p").GroupBy("version").Unit(wrappers.ECS().Max(1)).Obj())
}

func TestAPodIsBlockedInOneGroup(t *testing.T) {
	a, policy := testAdmission()
	pod := webPod("p").Obj()
	a.begin(policy, "old/", pod)
	a.begin(policy, "new/", pod)
	if len(a.groups) != 1 || len(a.groups[groupKey{policy.UID, "new/"}].blocked) != 1 {
		t.Errorf("the pod is blocked in %v, want in new/ only", a.groups)
	}
	a.forget(pod.UID)
	if len(a.groups)+len(a.blockedIn) > 0 {
		t.Errorf("%d groups and %d blocked pods are remembered, want none", len(a.groups), len(a.blockedIn))
	}
}

func TestAPodThatAsksAgainIsNotBlocked(t *testing.T) {
	a, policy := testAdmission()
	pod := webPod("p").Obj()
	a.begin(policy, "g/", pod)
	a.ask(policy, "g/", pod)
	if len(a.blockedIn) > 0 {
		t.Errorf("%v is remembered of a pod that asks again", a.blockedIn)
	}
	a.forget(pod.UID)
	if len(a.groups) > 0 {
		t.Errorf("%d groups are remembered, want none", len(a.groups))
	}
}
