package virtualnode

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// soldOut returns a VirtualNode that has learned at a time that 2-4Gi is sold out.
func soldOut(at int) *v1alpha1.VirtualNode {
	vn := wrappers.MakeZone(zoneJ).Obj()
	vn.Status.StockOuts = []v1alpha1.StockOut{{Spec: "2-4Gi", Reason: "NoStock", LastFailure: metav1.NewTime(in(at)), Until: metav1.NewTime(in(at + 30))}}
	return vn
}

// moveAll moves what is refused by what the controller sees.
func (s *scene) moveAll(vn *v1alpha1.VirtualNode, pods []*corev1.Pod) bool {
	s.Helper()
	refused, _ := sortPods(pods, s.ctrl.behold(vn, &account.Reading{}))
	more, err := s.ctrl.moveRefused(s.Context(), vn, refused)
	if err != nil {
		s.Fatal(err)
	}
	return more
}

func TestMoveRefused(t *testing.T) {
	annotated := func(pod *corev1.Pod, safe string) *corev1.Pod {
		pod.Annotations = map[string]string{annotationSafeToEvict: safe}
		return pod
	}
	edited := func(pod *corev1.Pod, edit func(*corev1.Pod)) *corev1.Pod { edit(pod); return pod }
	cases := map[string]struct {
		pod     *corev1.Pod
		failure int
		want    bool
	}{
		"of a ReplicaSet":           {pod: refused("p", "ReplicaSet", "apps/v1"), want: true},
		"of a StatefulSet":          {pod: refused("p", "StatefulSet", "apps/v1"), want: true},
		"of nobody":                 {pod: refused("p", "", "")},
		"of a workflow":             {pod: refused("p", "Workflow", "argoproj.io/v1alpha1")},
		"of a workflow that agrees": {pod: annotated(refused("p", "Workflow", "argoproj.io/v1alpha1"), "true"), want: true},
		"that must not be evicted":  {pod: annotated(refused("p", "ReplicaSet", "apps/v1"), "false")},
		"of a Job of another kind":  {pod: refused("p", "Job", "batch.volcano.sh/v1alpha1")},
		"of a Job that is gone":     {pod: refused("p", "Job", "batch/v1")},
		"of another scheduler":      {pod: edited(refused("p", "ReplicaSet", "apps/v1"), func(p *corev1.Pod) { p.Spec.SchedulerName = "default-scheduler" })},
		"that runs after all":       {pod: edited(refused("p", "ReplicaSet", "apps/v1"), func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning })},
		"that has failed":           {pod: edited(refused("p", "ReplicaSet", "apps/v1"), func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })},
		// It was placed a second before the time 0.
		"placed when it may not have been known":  {pod: refused("p", "ReplicaSet", "apps/v1"), failure: -6, want: true},
		"placed although it must have been known": {pod: refused("p", "ReplicaSet", "apps/v1"), failure: -7},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, tc.pod)
			s.moveAll(soldOut(tc.failure), s.pods())
			if got := len(s.evicted) > 0; got != tc.want {
				t.Errorf("evicted = %v, want %v", got, tc.want)
			}
		})
	}
}

// TestMoveOnlyWhatWasRefused checks that a pod is not evicted by an old view of it: ECI goes on trying.
func TestMoveOnlyWhatWasRefused(t *testing.T) {
	s := newScene(t, refused("p", "ReplicaSet", "apps/v1"))
	old := s.pods()[0].DeepCopy()
	created := old.DeepCopy()
	created.Status.Phase = corev1.PodRunning
	if err := s.api.Update(t.Context(), created); err != nil {
		t.Fatal(err)
	}
	s.moveAll(soldOut(0), []*corev1.Pod{old})
	if len(s.evicted) > 0 {
		t.Error("a pod that runs was evicted")
	}
}

// TestJobsDoNotFailByBeingMoved moves pods of one Job in several passes and zones before its status tells of any.
func TestJobsDoNotFailByBeingMoved(t *testing.T) {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "owner", UID: "owner"}, Spec: batchv1.JobSpec{BackoffLimit: new(int32(2))}}
	objects := []client.Object{job}
	for i := range 6 {
		objects = append(objects, refused(fmt.Sprintf("p-%d", i), "Job", "batch/v1"))
	}
	s := newScene(t, objects...)
	for range 3 {
		s.moveAll(soldOut(0), s.pods())
	}
	if len(s.evicted) != 2 {
		t.Errorf("%d pods are evicted; the Job can afford 2", len(s.evicted))
	}
	s.clock.SetTime(s.clock.Now().Add(moveIsSeen + time.Second))
	s.moveAll(soldOut(0), s.pods())
	if len(s.evicted) != 4 {
		t.Errorf("%d pods are evicted when the Job says that it has lost none", len(s.evicted))
	}
}

// TestMoveRefused_QuotaReadSince checks that pods which a refusal closed the zone for are moved in later passes, too, when
// the quota has been read again.
func TestMoveRefused_QuotaReadSince(t *testing.T) {
	pod := refused("p", "ReplicaSet", "apps/v1")
	pod.Status.Conditions[1].Reason = "QuotaExceeded"
	s := newScene(t, pod)
	vn := soldOut(0)
	vn.Status.StockOuts[0].Spec = anySpec
	read := &account.Reading{At: in(10), Usage: eci.Usage{MaxMilliCPU: 100_000}}
	moving, _ := sortPods(s.pods(), s.ctrl.behold(vn, read))
	if _, err := s.ctrl.moveRefused(t.Context(), vn, moving); err != nil || len(s.evicted) != 1 || len(moving[0].specs) > 0 {
		t.Errorf("evicted %v, closes %v: %v", s.evicted, moving[0].specs, err)
	}
}

// TestMovesAreBounded checks that the other work for a Node does not wait for very many evictions.
func TestMovesAreBounded(t *testing.T) {
	var objects []client.Object
	for i := range maxEvictions + 1 {
		objects = append(objects, refused(fmt.Sprintf("p-%d", i), "ReplicaSet", "apps/v1"))
	}
	s := newScene(t, objects...)
	if more := s.moveAll(soldOut(0), s.pods()); !more || len(s.evicted) != maxEvictions {
		t.Errorf("evicted %d, more = %v", len(s.evicted), more)
	}
	if more := s.moveAll(soldOut(0), s.pods()); more || len(s.evicted) != maxEvictions+1 {
		t.Errorf("then evicted %d, more = %v", len(s.evicted), more)
	}
}

func TestNodeOwner(t *testing.T) {
	external := func(name string, second int) *v1alpha1.VirtualNode {
		vn := wrappers.MakeZone(zoneJ).External().Obj()
		vn.Name, vn.UID, vn.CreationTimestamp = name, types.UID(name), metav1.NewTime(in(second))
		return vn
	}
	first, second := external("b", 0), external("a", 1)
	for name, objects := range map[string][]client.Object{
		"the Node exists":     {wrappers.MakeVirtualNode(nodeJ).Obj()},
		"the Node is missing": nil,
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, append(slices.Clone(objects), first.DeepCopy(), second.DeepCopy())...)
			got := map[string]string{}
			for _, vn := range []*v1alpha1.VirtualNode{first, second} {
				owner, err := s.ctrl.nodeOwner(t.Context(), vn)
				if err != nil {
					t.Fatal(err)
				}
				got[vn.Name] = owner
			}
			if diff := cmp.Diff(map[string]string{"b": "", "a": "VirtualNode b"}, got); diff != "" {
				t.Errorf("owners (-want +got):\n%s", diff)
			}
		})
	}
}
