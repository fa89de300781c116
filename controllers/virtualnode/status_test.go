package virtualnode

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
)

// failing lets writes of Nodes end with an error.
func (s *scene) failing(err error) {
	s.fails = func(_ context.Context, _ string, obj client.Object) error {
		if _, isNode := obj.(*corev1.Node); isNode {
			return err
		}
		return nil
	}
}

// TestReady_NodeErrors checks of which errors condition Ready tells at once, and of which only when they stay.
func TestReady_NodeErrors(t *testing.T) {
	nodes := schema.GroupResource{Resource: "nodes"}
	cases := map[string]struct {
		err error
		// atOnce is true when the first such error is told.
		atOnce bool
	}{
		"conflict":          {err: apierrors.NewConflict(nodes, nodeJ, errors.New("the object has been modified"))},
		"deleted":           {err: apierrors.NewNotFound(nodes, nodeJ)},
		"timeout":           {err: apierrors.NewTimeoutError("slow", 1)},
		"server timeout":    {err: apierrors.NewServerTimeout(nodes, "patch", 1)},
		"too many requests": {err: apierrors.NewTooManyRequestsError("busy")},
		"unavailable":       {err: apierrors.NewServiceUnavailable("it starts")},
		"webhook is down":   {err: apierrors.NewInternalError(errors.New("failed calling webhook"))},
		"no answer":         {err: context.DeadlineExceeded},
		"forbidden":         {err: rejected, atOnce: true},
		"invalid":           {err: apierrors.NewInvalid(schema.GroupKind{Kind: "Node"}, nodeJ, nil), atOnce: true},
		"rejected by a webhook": {
			err:    &apierrors.StatusError{ErrStatus: metav1.Status{Code: 400, Message: "admission webhook denied the request"}},
			atOnce: true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			vn, node := managed(zoneJ, in(0))
			s := newScene(t, vn, node)
			s.failing(tc.err)
			result, err := s.reconcile(zoneJ)
			isConflict := apierrors.IsConflict(tc.err)
			if (err == nil) != isConflict || isConflict && result.RequeueAfter != conflictRetry {
				t.Errorf("reconcile: %+v, %v", result, err)
			}
			want := map[bool]string{false: "True NodeReady", true: "False NodeFailed"}
			if got := s.ready(zoneJ); got != want[tc.atOnce] {
				t.Errorf("after the first error: %q, want %q", got, want[tc.atOnce])
			}
			s.clock.SetTime(in(31))
			_, _ = s.reconcile(zoneJ)
			if got := s.ready(zoneJ); got != "False NodeFailed" {
				t.Errorf("after half a minute: %q", got)
			}
			s.failing(nil)
			if _, err := s.reconcile(zoneJ); err != nil {
				t.Fatal(err)
			}
			if got := s.ready(zoneJ); got != "True NodeReady" {
				t.Errorf("once it is written: %q", got)
			}
		})
	}
}

// TestReady_NotReadyWithoutNode checks that a VirtualNode whose Node could not be written yet is not called ready, and
// one that is closed is not kept open, by an error that may pass.
func TestReady_NotReadyWithoutNode(t *testing.T) {
	unavailable := apierrors.NewServiceUnavailable("it starts")
	vn, node := managed(zoneJ, in(0))
	vn.Status.Conditions = nil
	s := newScene(t, vn, node)
	s.failing(unavailable)
	_, _ = s.reconcile(zoneJ)
	if got := s.ready(zoneJ); got != "" {
		t.Errorf("before the Node was written: %q", got)
	}
	vn, node = managed(zoneJ, in(0))
	vn.Status.FreshUntil = &metav1.Time{Time: in(10)}
	s = newScene(t, vn, node)
	s.failing(unavailable)
	s.clock.SetTime(in(11))
	_, _ = s.reconcile(zoneJ)
	if got := s.ready(zoneJ); got != "False CapacityUnknown" {
		t.Errorf("when the capacity is stale: %q", got)
	}
}

// TestReconcile_MovesPodsOfFailedNode checks that a Node that cannot be written keeps no pod where ECI refuses it.
func TestReconcile_MovesPodsOfFailedNode(t *testing.T) {
	vn, node := managed(zoneJ, in(0))
	s := newScene(t, vn, node, refused("p", "ReplicaSet", "apps/v1"))
	s.failing(rejected)
	if _, err := s.reconcile(zoneJ); err == nil {
		t.Error("the error of the Node is lost")
	}
	if len(s.evicted) != 1 {
		t.Errorf("evicted: %v", s.evicted)
	}
}

// TestDrain_ConflictsAreRetried checks that a conflict in a drain is no error either.
func TestDrain_ConflictsAreRetried(t *testing.T) {
	s := draining(t, 1)
	s.failing(apierrors.NewConflict(schema.GroupResource{Resource: "nodes"}, nodeJ, errors.New("modified")))
	result, err := s.reconcile(zoneJ)
	if err != nil || result.RequeueAfter != conflictRetry || s.ready(zoneJ) != "True NodeReady" {
		t.Errorf("drain: %+v, %v; ready = %q", result, err, s.ready(zoneJ))
	}
	s.failing(rejected)
	_, err = s.reconcile(zoneJ)
	if err == nil || s.ready(zoneJ) != "False NodeFailed" || len(s.evicted) > 0 {
		t.Errorf("a node that cannot be closed: %v; ready = %q, evicted %v", err, s.ready(zoneJ), s.evicted)
	}
}

// TestSetCondition_LongMessage checks that the message of a webhook does not keep the status from being written.
func TestSetCondition_LongMessage(t *testing.T) {
	vn, _ := managed(zoneJ, time.Now())
	setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonNodeFailed, strings.Repeat("é", 40_000))
	got := meta.FindStatusCondition(vn.Status.Conditions, v1alpha1.ConditionReady).Message
	if n := utf8.RuneCountInString(got); n != maxMessage || !utf8.ValidString(got) {
		t.Errorf("%d characters", n)
	}
}
