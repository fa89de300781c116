package resourcepolicy

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
)

// hinted is a plugin with events, and a profile with this plugin.
type hinted struct {
	*handle
	name   string
	events []fwk.ClusterEventWithHint
	err    error
}

func (h *hinted) Name() string                               { return h.name }
func (h *hinted) EnqueueExtensions() []fwk.EnqueueExtensions { return []fwk.EnqueueExtensions{h} }

func (h *hinted) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return h.events, h.err
}

func says(hint fwk.QueueingHint, err error) fwk.QueueingHintFn {
	return func(klog.Logger, *corev1.Pod, any, any) (fwk.QueueingHint, error) { return hint, err }
}

// Test_hintOf checks that a pod hears of the events of another plugin only if that plugin rejected it in a unit that the queue knows nothing of.
func Test_hintOf(t *testing.T) {
	failed := errors.New("not a pod")
	for name, tc := range map[string]struct {
		rejected []string
		others   []otherHint
		want     fwk.QueueingHint
		err      error
	}{
		"nobody rejected the pod":     {others: []otherHint{{"a", says(fwk.Queue, nil)}}, want: fwk.QueueSkip},
		"another one rejected it":     {rejected: []string{"b"}, others: []otherHint{{"a", says(fwk.Queue, nil)}}, want: fwk.QueueSkip},
		"its plugin sees no help":     {rejected: []string{"a"}, others: []otherHint{{"a", says(fwk.QueueSkip, nil)}}, want: fwk.QueueSkip},
		"its plugin sees help":        {rejected: []string{"a"}, others: []otherHint{{"a", says(fwk.Queue, nil)}}, want: fwk.Queue},
		"its plugin has no hint":      {rejected: []string{"a"}, others: []otherHint{{"a", nil}}, want: fwk.Queue},
		"its plugin has two":          {rejected: []string{"a"}, others: []otherHint{{"a", says(fwk.QueueSkip, nil)}, {"a", says(fwk.Queue, nil)}}, want: fwk.Queue},
		"the hint ends with an error": {rejected: []string{"a"}, others: []otherHint{{"a", says(fwk.Queue, failed)}}, want: fwk.Queue, err: failed},
	} {
		t.Run(name, func(t *testing.T) {
			logger, _ := ktesting.NewTestContext(t)
			pl, _ := newTestPlugin(t, nil)
			pod := webPod("p").Obj()
			pl.inflight.reject(pod, rejection{plugins: sets.New(tc.rejected...)})
			if hint, err := pl.hintOf(tc.others)(logger, pod, nil, nil); hint != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("hint = %v, %v, want %v, %v", hint, err, tc.want, tc.err)
			}
		})
	}
}

func Test_atoms(t *testing.T) {
	event := func(resource fwk.EventResource, action fwk.ActionType) fwk.ClusterEvent {
		return fwk.ClusterEvent{Resource: resource, ActionType: action}
	}
	for name, tc := range map[string]struct {
		registered fwk.ClusterEvent
		want       []fwk.ClusterEvent
	}{
		"one action":          {event(fwk.Node, fwk.Add), []fwk.ClusterEvent{event(fwk.Node, fwk.Add)}},
		"several":             {event(fwk.Node, fwk.Add|fwk.UpdateNodeTaint), []fwk.ClusterEvent{event(fwk.Node, fwk.Add), event(fwk.Node, fwk.UpdateNodeTaint)}},
		"updates of any kind": {event(fwk.CSINode, fwk.Add|fwk.Update), []fwk.ClusterEvent{event(fwk.CSINode, fwk.Update), event(fwk.CSINode, fwk.Add)}},
		"pods of any kind": {event(fwk.Pod, fwk.Delete), []fwk.ClusterEvent{
			event(fwk.AssignedPod, fwk.Delete), event(fwk.UnscheduledPod, fwk.Delete), event(fwk.TargetPod, fwk.Delete),
		}},
		"everything": {event(fwk.WildCard, fwk.All), []fwk.ClusterEvent{event(fwk.WildCard, fwk.All)}},
	} {
		t.Run(name, func(t *testing.T) {
			got := atoms(tc.registered)
			if diff := cmp.Diff(sets.New(tc.want...), sets.New(got...)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEventsToRegister_OneHintForAnEvent checks that the events of other plugins are merged: the queue calls each hint for every pod that waits.
func TestEventsToRegister_OneHintForAnEvent(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	pl, h := newTestPlugin(t, nil)
	added := fwk.ClusterEventWithHint{Event: fwk.ClusterEvent{Resource: fwk.ResourceClaim, ActionType: fwk.Add | fwk.Update}}
	profile := &hinted{handle: h, name: "other", events: []fwk.ClusterEventWithHint{added, added}}
	pl.handle = profile
	events, err := pl.EventsToRegister(ctx)
	if err != nil {
		t.Fatal(err)
	}
	registered := 0
	for _, e := range events {
		if e.Event.Resource == fwk.ResourceClaim {
			registered++
		}
	}
	if registered != 2 {
		t.Errorf("%d hints for the events Add and Update, want one each", registered)
	}
	profile.err = errors.New("a wrong profile")
	if _, err := pl.EventsToRegister(ctx); !errors.Is(err, profile.err) {
		t.Errorf("error = %v, want %v", err, profile.err)
	}
}
