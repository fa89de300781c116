package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestNote(t *testing.T) {
	p := &plan{Machines: []machine{{Name: "m"}}, Pods: []plannedPod{{Name: "a"}, {Name: "b"}}}
	pl := newPlayer(p, contender{}, nil)
	pod := func(name, node string) *corev1.Pod { return wrappers.MakePod(name).Node(node).Obj() }
	for _, seen := range []watch.Event{
		{Type: watch.Added, Object: pod("b", "")},
		{Type: watch.Modified, Object: pod("b", "")}, // Its condition says that it waits.
		{Type: watch.Modified, Object: pod("b", virtualNode)},
		{Type: watch.Modified, Object: pod("b", virtualNode)},
		{Type: watch.Added, Object: pod("a", "m")}, // Bound before it was seen.
		{Type: watch.Deleted, Object: pod("b", virtualNode)},
	} {
		if err := pl.note(context.Background(), seen); err != nil {
			t.Fatal(err)
		}
	}
	pl.begun = pl.seen[0].Add(time.Second)
	got := pl.timed()
	if got[0].at != -time.Second {
		t.Errorf("got the first event at %s, want a second before the start", got[0].at)
	}
	for i := range got {
		got[i].at = 0
	}
	want := []event{{kind: created, pod: 1}, {kind: bound, pod: 1, machine: onECI}, {kind: created, pod: 0}, {kind: bound, pod: 0, machine: 0}, {kind: deleted, pod: 1}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(event{})); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if pl.bound != 2 {
		t.Errorf("got %d pods bound, want 2", pl.bound)
	}
}

func TestNoteRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		object runtime.Object
		want   string
	}{
		"a stranger":     {object: wrappers.MakePod("other").Obj(), want: "pod other is not of the replay"},
		"a strange node": {object: wrappers.MakePod("a").Node("n").Obj(), want: "pod a is on node n, which is not of the replay"},
		"an error":       {object: &metav1.Status{Message: "too old resource version"}, want: "too old resource version"},
	} {
		t.Run(name, func(t *testing.T) {
			pl := newPlayer(&plan{Pods: []plannedPod{{Name: "a"}}}, contender{}, nil)
			err := pl.note(context.Background(), watch.Event{Type: watch.Modified, Object: tc.object})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want %s", err, tc.want)
			}
		})
	}
}

func TestPodObject(t *testing.T) {
	gpu := &plannedPod{Name: "p", amount: amount{MilliCPU: 12500, MemoryMiB: 57344, GPUs: 1}}
	for _, who := range contenders {
		pod := podObject(gpu, who)
		tolerates, prefers := len(pod.Spec.Tolerations) > 0, pod.Spec.Affinity != nil
		if pod.Spec.SchedulerName != who.scheduler || tolerates != who.tolerates || prefers != who.prefers {
			t.Errorf("%s: got scheduler %s, toleration %t, preference %t", who.name, pod.Spec.SchedulerName, tolerates, prefers)
		}
		requests := pod.Spec.Containers[0].Resources.Requests
		if requests.Cpu().MilliValue() != 12500 || requests.Memory().Value() != 57344<<20 || requests.Name(resourceGPU, "").Value() != 1 {
			t.Errorf("%s: got requests %v", who.name, requests)
		}
	}
}
