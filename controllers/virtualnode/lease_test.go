package virtualnode

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const zoneK = "cn-beijing-k"

// rejected is what a policy of the cluster answers.
var rejected = apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, nodeJ, errors.New("not this one"))

// live lets the heartbeat and the reconciliations of the zones run for a time, in a synctest bubble, and calls check
// each second. Its clock is the bubble's.
func (s *scene) live(d time.Duration, check func(), zones ...string) {
	s.Helper()
	s.ctrl.options.Clock = clock.RealClock{}
	ctx, cancel := context.WithCancel(s.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = (&heartbeat{Controller: s.ctrl}).Start(ctx) })
	for _, zone := range zones {
		running.Go(func() {
			for ctx.Err() == nil {
				vn := &v1alpha1.VirtualNode{}
				if s.api.Get(ctx, client.ObjectKey{Name: zone}, vn) == nil {
					_, _ = s.ctrl.Reconcile(ctx, vn)
				}
				pass(ctx, time.Second)
			}
		})
	}
	for end := time.Now().Add(d); time.Now().Before(end); {
		pass(ctx, time.Second)
		check()
	}
	cancel()
	running.Wait()
}

// pass waits for a time of the bubble.
func pass(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// leaseAge returns how old the Lease of a zone's Node is, and whether there is one.
func (s *scene) leaseAge(zone string) (time.Duration, bool) {
	lease := &coordinationv1.Lease{}
	key := client.ObjectKey{Namespace: corev1.NamespaceNodeLease, Name: "virtual-kubelet-" + zone}
	if err := s.api.Get(s.Context(), key, lease); err != nil {
		return 0, false
	}
	return time.Since(lease.Spec.RenewTime.Time), true
}

// staysAlive returns a check that the Lease of a zone's Node is renewed in time.
func (s *scene) staysAlive(zone string) func() {
	begin := time.Now()
	return func() {
		age, exists := s.leaseAge(zone)
		if time.Since(begin) > 2*renewRetry && (!exists || age > renewInterval+renewRetry) {
			s.Errorf("after %s the Lease of %s exists: %v, and is %s old", time.Since(begin), zone, exists, age)
		}
	}
}

// TestHeartbeat_NodeStatusRejected checks that a Node does not die because a webhook rejects its status.
func TestHeartbeat_NodeStatusRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vn, node := managed(zoneJ, time.Now())
		s := newScene(t, vn, node)
		s.fails = func(_ context.Context, verb string, obj client.Object) error {
			if _, isNode := obj.(*corev1.Node); isNode && verb == "patch status" {
				return rejected
			}
			return nil
		}
		s.live(2*time.Minute, s.staysAlive(zoneJ), zoneJ)
		if got := s.ready(zoneJ); got != "False NodeFailed" {
			t.Errorf("ready = %q", got)
		}
	})
}

// TestHeartbeat_EvictionsHang checks that a Node that is drained does not die while the API server asks to wait for
// each of its pods, as it does while their PodDisruptionBudget is new.
func TestHeartbeat_EvictionsHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vn, node := managed(zoneJ, time.Now())
		vn.DeletionTimestamp = &metav1.Time{Time: time.Now()}
		objects := []client.Object{vn, node}
		for i := range 60 {
			objects = append(objects, running(fmt.Sprintf("p-%d", i), nodeJ, "eci-1"))
		}
		s := newScene(t, objects...)
		s.fails = func(ctx context.Context, verb string, _ client.Object) error {
			if verb == "evict" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		s.live(3*time.Minute, s.staysAlive(zoneJ), zoneJ)
		if got := s.ready(zoneJ); got != "False Draining" {
			t.Errorf("ready = %q", got)
		}
	})
}

// TestHeartbeat_RenewalHangs checks that renewals that hang delay no other, and are tried again.
func TestHeartbeat_RenewalHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, nodeOfJ := managed(zoneJ, time.Now())
		k, nodeOfK := managed(zoneK, time.Now())
		objects := []client.Object{j, nodeOfJ, k, nodeOfK}
		for _, zone := range []string{"a", "b", "c", "d"} {
			vn, node := managed("cn-beijing-"+zone, time.Now())
			objects = append(objects, vn, node)
		}
		s := newScene(t, objects...)
		var tries atomic.Int32 // For Node j.
		s.fails = func(ctx context.Context, verb string, obj client.Object) error {
			if verb != "update" || obj.GetName() == nodeOfK.Name {
				return nil
			}
			if obj.GetName() == nodeJ {
				tries.Add(1)
			}
			<-ctx.Done()
			return ctx.Err()
		}
		s.live(2*time.Minute, s.staysAlive(zoneK), zoneJ, zoneK)
		if n := tries.Load(); n < 5 {
			t.Errorf("a renewal that hangs was tried %d times in two minutes", n)
		}
		if got := s.ready(zoneJ); got != "False NodeFailed" {
			t.Errorf("ready = %q", got)
		}
		s.fails = nil
		s.live(20*time.Second, func() {}, zoneJ)
		if age, _ := s.leaseAge(zoneJ); age > renewInterval+renewRetry {
			t.Errorf("the Lease is %s old", age)
		}
		if got := s.ready(zoneJ); got != "True NodeReady" {
			t.Errorf("ready = %q once the Lease is renewed", got)
		}
	})
}

func TestHeartbeat_WhichNodes(t *testing.T) {
	cases := map[string]struct {
		vn   func(*v1alpha1.VirtualNode)
		node func(*corev1.Node)
		want bool
	}{
		"managed":             {want: true},
		"capacity is stale":   {vn: func(vn *v1alpha1.VirtualNode) { vn.Status.FreshUntil = &metav1.Time{Time: in(-1)} }, want: true},
		"status says failed":  {vn: func(vn *v1alpha1.VirtualNode) { setCondition(vn, "Ready", "NodeFailed", "") }, want: true},
		"drained":             {vn: func(vn *v1alpha1.VirtualNode) { vn.DeletionTimestamp = &metav1.Time{Time: in(0)} }, want: true},
		"external":            {vn: func(vn *v1alpha1.VirtualNode) { vn.Spec.Ownership = v1alpha1.OwnershipExternal }},
		"never refreshed":     {vn: func(vn *v1alpha1.VirtualNode) { vn.Status.LastRefreshTime = nil }},
		"Node of another":     {node: func(node *corev1.Node) { delete(node.Labels, v1alpha1.LabelVirtualNode) }},
		"Node does not exist": {node: func(node *corev1.Node) { node.Name = "other" }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			vn, node := managed(zoneJ, in(0))
			if tc.vn != nil {
				tc.vn(vn)
			}
			if tc.node != nil {
				tc.node(node)
			}
			s := newScene(t, vn, node)
			s.beat()
			if _, exists := s.leaseAge(zoneJ); exists != tc.want {
				t.Errorf("Lease exists: %v, want %v", exists, tc.want)
			}
		})
	}
}

// beat lets the heart beat once.
func (s *scene) beat() {
	h := &heartbeat{Controller: s.ctrl}
	h.beat(s.Context())
	h.running.Wait()
}

// TestHeartbeat_DrainedNodeInCache checks that the Lease that a drain has deleted is not created again by a cache that
// still has the Node.
func TestHeartbeat_DrainedNodeInCache(t *testing.T) {
	vn, node := managed(zoneJ, in(0))
	s := newScene(t, vn, node)
	s.ctrl.reader = newScene(t, vn).api
	s.beat()
	if _, exists := s.leaseAge(zoneJ); exists {
		t.Error("the Lease of a Node that is gone was created")
	}
}

// TestMemory_ForgetsVirtualNodes checks that nothing is kept of VirtualNodes that are gone, External ones too, which
// are not drained.
func TestMemory_ForgetsVirtualNodes(t *testing.T) {
	vn, node := managed(zoneJ, in(0))
	external := wrappers.MakeZone(zoneK).External().Obj()
	s := newScene(t, vn, node, external)
	for _, zone := range []string{zoneJ, zoneK} {
		if _, err := s.reconcile(zone); err != nil {
			t.Fatal(err)
		}
	}
	s.beat()
	remembered := func() []string {
		var all []string
		for _, zone := range []string{zoneJ, zoneK} {
			if s.ctrl.memory.nodes[types.UID(zone)] != nil {
				all = append(all, zone)
			}
		}
		return all
	}
	if diff := cmp.Diff([]string{zoneJ, zoneK}, remembered()); diff != "" {
		t.Fatalf("remembered (-want +got):\n%s", diff)
	}
	if err := s.api.Delete(t.Context(), external); err != nil {
		t.Fatal(err)
	}
	s.beat()
	if diff := cmp.Diff([]string{zoneJ}, remembered()); diff != "" {
		t.Errorf("remembered (-want +got):\n%s", diff)
	}
}
