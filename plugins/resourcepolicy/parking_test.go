package resourcepolicy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2/ktesting"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/wakeup"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// editedSource has policies that are edited as soon as they have been read.
type editedSource struct {
	fixedSource
	edit func()
}

func (s editedSource) Policies() *placement.Policies {
	defer s.edit()
	return s.fixedSource.Policies()
}

// TestPark_EditDuringTheAttempt checks that no edit of a policy is lost between the moment at which an attempt reads the policies and its end.
func TestPark_EditDuringTheAttempt(t *testing.T) {
	pl, h := newTestPlugin(t, nil, wrappers.MakePolicy("p").Unit(wrappers.ECS()))
	_, ctx := ktesting.NewTestContext(t)
	edited := false
	pl.policies = editedSource{pl.policies.(fixedSource), func() {
		if !edited {
			edited = true
			pl.waker.Wake(wakeup.NamespaceTopic("default"))
		}
	}}
	state, pod := framework.NewCycleState(), webPod("p").Obj()
	pl.PreFilter(ctx, state, pod, infos(t, nil))
	pl.PostFilter(ctx, state, pod, framework.NewDefaultNodeToStatus())
	if diff := cmp.Diff([]string{"p"}, h.activated); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
}

func TestPark_Topics(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a").Capacity("cpu", "1")}
	unit := func() *wrappers.Unit { return wrappers.ECS().On("pool", "a") }
	cases := map[string]struct {
		policy *wrappers.Policy
		topic  func(*placement.Policy) string
		want   []string
	}{
		"an edit of a policy":          {policy: wrappers.MakePolicy("p").Unit(unit()), topic: func(*placement.Policy) string { return wakeup.NamespaceTopic("default") }, want: []string{"p"}},
		"an edit of another namespace": {policy: wrappers.MakePolicy("p").Unit(unit()), topic: func(*placement.Policy) string { return wakeup.NamespaceTopic("other") }},
		"a freed slot": {
			policy: wrappers.MakePolicy("p").Unit(wrappers.ECS().Max(0)).Unit(unit()),
			topic:  func(p *placement.Policy) string { return slotTopic(groupKey{policy: p.UID}) }, want: []string{"p"},
		},
		"a freed slot of no unit that was full": {
			policy: wrappers.MakePolicy("p").Unit(unit()), topic: func(p *placement.Policy) string { return slotTopic(groupKey{policy: p.UID}) },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pl, h := newTestPlugin(t, nodes, tc.policy)
			_, ctx := ktesting.NewTestContext(t)
			state, unit, _ := preFilter(t, pl, webPod("p"), infos(t, nodes))
			if unit >= 0 {
				t.Fatal("the pod is not refused")
			}
			pl.PostFilter(ctx, state, webPod("p").Obj(), framework.NewDefaultNodeToStatus())
			h.activated = nil
			pl.waker.Wake(tc.topic(stateOf(state).policy))
			if diff := cmp.Diff(tc.want, h.activated); diff != "" {
				t.Errorf("woken (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAdmission_PodsThatAreGone checks that nothing is remembered of pods that ask after their end was seen.
func TestAdmission_PodsThatAreGone(t *testing.T) {
	pl, _ := newTestPlugin(t, nil, oneSlot().GroupBy("version"))
	pl.admission.waits = func(*corev1.Pod) bool { return false }
	_, ctx := ktesting.NewTestContext(t)
	for _, version := range []string{"1", "2", "3"} {
		(&Admission{pl: pl}).PreEnqueue(ctx, webPod("p"+version).Label("version", version).Obj())
	}
	if len(pl.admission.groups) > 0 {
		t.Errorf("%d groups are remembered", len(pl.admission.groups))
	}
}
