package resourcepolicy

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// noNodes is what the scheduler says when it asks no plugin because there is no node.
const noNodes = "no nodes available to schedule pods"

// failingProfile is the little of a profile that the failure handler needs.
type failingProfile struct {
	framework.Framework
	client kubernetes.Interface
}

func (p failingProfile) ClientSet() kubernetes.Interface { return p.client }
func (p failingProfile) APICacher() fwk.APICacher        { return nil }

// report lets the failure handler report a pod, and returns the condition that it has written; nil for none. The stock handler is played by what it writes.
func report(t *testing.T, pl *ResourcePolicy, pod *corev1.Pod, status *fwk.Status, nominating *fwk.NominatingInfo) *corev1.Pod {
	t.Helper()
	_, ctx := ktesting.NewTestContext(t)
	client := fake.NewClientset(pod)
	handler := (&Set{pl: pl}).FailureHandler(func(
		_ context.Context, profile framework.Framework, info *framework.QueuedPodInfo, _ *fwk.Status, nominating *fwk.NominatingInfo, _ time.Time,
	) {
		condition := corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "stock"}
		if cacher := profile.APICacher(); cacher != nil {
			if _, err := cacher.PatchPodStatus(info.Pod, []*corev1.PodCondition{&condition}, nominating); err != nil {
				t.Error(err)
			}
			return
		}
		stock := info.Pod.DeepCopy()
		stock.Status.Conditions = []corev1.PodCondition{condition}
		if _, err := profile.ClientSet().CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, stock, metav1.UpdateOptions{}); err != nil {
			t.Error(err)
		}
	})
	info := &framework.QueuedPodInfo{PodInfo: &framework.PodInfo{Pod: pod}}
	if status.IsRejected() && status.AsError().Error() != noNodes {
		status = status.WithError(&framework.FitError{Pod: pod, Diagnosis: framework.Diagnosis{NodeToStatus: framework.NewDefaultNodeToStatus()}})
	}
	handler(ctx, failingProfile{client: client}, info, status, nominating, time.Now())
	written, err := client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return written
}

func TestFailureHandler(t *testing.T) {
	rejected := fwk.NewStatus(fwk.Unschedulable, "stock")
	stock := []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "stock"}}
	held := []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonSchedulingGated, Message: "full"}}
	for name, tc := range map[string]struct {
		rejection *rejection
		status    *fwk.Status
		want      []corev1.PodCondition
	}{
		"nothing is known of the pod":                 {status: rejected, want: stock},
		"no node has room":                            {rejection: &rejection{}, status: rejected, want: stock},
		"every unit is full":                          {rejection: &rejection{held: "full"}, status: rejected, want: held},
		"it goes on to its next unit":                 {rejection: &rejection{moving: true}, status: rejected},
		"no plugin was asked, after an older attempt": {rejection: &rejection{moving: true}, status: fwk.NewStatus(fwk.UnschedulableAndUnresolvable, noNodes), want: stock},
		"its binding failed after an older attempt":   {rejection: &rejection{held: "full"}, status: fwk.NewStatus(fwk.Error, "stock"), want: stock},
	} {
		t.Run(name, func(t *testing.T) {
			pl, _ := newTestPlugin(t, nil)
			pod := webPod("p").Obj()
			if tc.rejection != nil {
				pl.inflight.reject(pod, *tc.rejection)
			}
			got := report(t, pl, pod, tc.status, nil)
			if diff := cmp.Diff(tc.want, got.Status.Conditions, cmpopts.IgnoreFields(corev1.PodCondition{}, "LastTransitionTime")); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFailureHandler_Nomination checks that a pod that is not reported as unschedulable still loses the node that it was nominated for.
func TestFailureHandler_Nomination(t *testing.T) {
	pl, _ := newTestPlugin(t, nil)
	for name, r := range map[string]rejection{"held": {held: "full"}, "moving": {moving: true}} {
		t.Run(name, func(t *testing.T) {
			pod := webPod("p").Obj()
			pod.Status.NominatedNodeName = "n"
			pl.inflight.reject(pod, r)
			got := report(t, pl, pod, fwk.NewStatus(fwk.Unschedulable), &fwk.NominatingInfo{NominatingMode: fwk.ModeOverride})
			if got.Status.NominatedNodeName != "" {
				t.Errorf("nominated for %q, want none", got.Status.NominatedNodeName)
			}
		})
	}
}

// TestRejection_Reports checks what the attempts of pods say to the failure handler.
func TestRejection_Reports(t *testing.T) {
	full := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().Max(1))
	open := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().Max(2))
	nodes := []*wrappers.Node{machine("n", "a")}
	bound := webPod("old").Request("cpu", "3").Node("n")
	for name, tc := range map[string]struct {
		policy *wrappers.Policy
		held   bool
	}{"every unit is full": {full, true}, "a unit has no room": {open, false}} {
		t.Run(name, func(t *testing.T) {
			pl, _ := newTestPlugin(t, nodes, tc.policy)
			pod := webPod("new").Obj()
			state, _, _ := preFilter(t, pl, webPod("new"), infos(t, nodes, bound))
			_, ctx := ktesting.NewTestContext(t)
			pl.PostFilter(ctx, state, pod, nil)
			r, _ := pl.inflight.rejection(pod.UID)
			if got := r.held != ""; got != tc.held || r.moving {
				t.Errorf("held: %v (%q), moving: %v, want held: %v", got, r.held, r.moving, tc.held)
			}
			if _, _, _ = preFilter(t, pl, webPod("new"), infos(t, nodes)); tc.held {
				if _, ok := pl.inflight.rejection(pod.UID); ok {
					t.Error("the rejection of an older attempt is remembered in the next one")
				}
			}
		})
	}
}

// TestPreFilter_ForgetsTheRejection checks that a pod that was held and has no policy any more is reported like any other.
func TestPreFilter_ForgetsTheRejection(t *testing.T) {
	nodes := []*wrappers.Node{machine("n", "a")}
	pl, _ := newTestPlugin(t, nodes, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().Max(0)))
	state, _, _ := preFilter(t, pl, webPod("p"), infos(t, nodes))
	_, ctx := ktesting.NewTestContext(t)
	pl.PostFilter(ctx, state, webPod("p").Obj(), nil)
	if r, _ := pl.inflight.rejection(webPod("p").UID); r.held == "" {
		t.Fatal("the pod is not held")
	}
	pl.policies = fixedSource{placement.NewPolicies()}
	preFilter(t, pl, webPod("p"), infos(t, nodes))
	got := report(t, pl, webPod("p").Obj(), fwk.NewStatus(fwk.Unschedulable), nil)
	if len(got.Status.Conditions) != 1 || got.Status.Conditions[0].Reason != corev1.PodReasonUnschedulable {
		t.Errorf("conditions = %+v, want Unschedulable", got.Status.Conditions)
	}
}
