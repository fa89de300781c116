package virtualnode

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
)

// draining returns a scene with a VirtualNode that is being deleted and pods p-000, p-001, ... on its Node.
func draining(t *testing.T, pods int) *scene {
	t.Helper()
	vn, node := managed(zoneJ, time.Now())
	vn.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	objects := []client.Object{vn, node}
	for i := range pods {
		objects = append(objects, running(fmt.Sprintf("p-%03d", i), nodeJ, ""))
	}
	s := newScene(t, objects...)
	s.ctrl.options.Clock = clock.RealClock{}
	return s
}

// hang lets the evictions of pods hang until they are given up, and returns how many were asked for.
func (s *scene) hang(hangs func(name string) bool) *int {
	asked := new(int)
	s.fails = func(ctx context.Context, verb string, obj client.Object) error {
		if verb != "evict" {
			return nil
		}
		*asked++
		if !hangs(obj.GetName()) {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
	return asked
}

// TestDrain_PassIsBoundedInTime checks that evictions that hang do not keep a worker, nor the pods behind them.
func TestDrain_PassIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := draining(t, 60)
		s.hang(func(name string) bool { return name < "p-012" })
		for range 3 {
			begin := time.Now()
			result, err := s.reconcile(zoneJ)
			if err != nil || result.RequeueAfter != drainInterval {
				t.Errorf("drain: %+v, %v", result, err)
			}
			if took := time.Since(begin); took > passTimeout+evictTimeout {
				t.Errorf("a pass took %s", took)
			}
		}
		if len(s.evicted) != 48 {
			t.Errorf("in three passes %d of 48 pods are evicted whose evictions are answered", len(s.evicted))
		}
		ready := meta.FindStatusCondition(s.virtualNode(zoneJ).Status.Conditions, v1alpha1.ConditionReady)
		want := "such as default/p-000 (the API server did not answer the eviction in time), default/p-001 (the API server did not"
		if ready.Reason != v1alpha1.ReasonDraining || !strings.Contains(ready.Message, want) {
			t.Errorf("%s %q, want %q in it", ready.Reason, ready.Message, want)
		}
	})
}

func TestDrain_PassIsBoundedInNumber(t *testing.T) {
	s := draining(t, maxEvictions+3)
	asked := s.hang(func(string) bool { return false })
	if _, err := s.reconcile(zoneJ); err != nil {
		t.Fatal(err)
	}
	if *asked != maxEvictions {
		t.Errorf("one pass asks for %d evictions, want %d", *asked, maxEvictions)
	}
	if _, err := s.reconcile(zoneJ); err != nil {
		t.Fatal(err)
	}
	if len(s.evicted) != maxEvictions+3 {
		t.Errorf("two passes evict %d pods", len(s.evicted))
	}
}

// TestDrain_NodeStatusRejected checks that a drain does not need the status of the Node.
func TestDrain_NodeStatusRejected(t *testing.T) {
	s := draining(t, 1)
	s.fails = func(_ context.Context, verb string, obj client.Object) error {
		if verb == "patch status" && obj.GetName() == nodeJ {
			return rejected
		}
		return nil
	}
	for range 3 {
		_, _ = s.reconcile(zoneJ)
		if err := s.api.Get(t.Context(), client.ObjectKey{Name: zoneJ}, &v1alpha1.VirtualNode{}); apierrors.IsNotFound(err) {
			return
		}
	}
	t.Errorf("the VirtualNode is still there; evicted: %v", s.evicted)
}

// TestMoveRefused_PassIsBoundedInTime checks the same of the pods that ECI refuses.
func TestMoveRefused_PassIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var objects []client.Object
		for i := range 30 {
			objects = append(objects, refused(fmt.Sprintf("p-%03d", i), "ReplicaSet", "apps/v1"))
		}
		s := newScene(t, objects...)
		s.hang(func(name string) bool { return name < "p-012" })
		var more []bool
		for range 3 {
			begin := time.Now()
			more = append(more, s.moveAll(soldOut(0), s.pods()))
			if took := time.Since(begin); took > passTimeout+evictTimeout {
				t.Errorf("a pass took %s", took)
			}
		}
		if len(s.evicted) != 18 {
			t.Errorf("in three passes %d of 18 pods are evicted whose evictions are answered", len(s.evicted))
		}
		if !slices.Contains(more[:2], true) {
			t.Errorf("more = %v: a pass that ends early must be followed by another one soon", more)
		}
	})
}
