package placement

import (
	"strings"
	"testing"
	"time"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func contains(text, words string) bool { return strings.Contains(text, words) }

func TestReadClock(t *testing.T) {
	policy := Compile(wrappers.MakePolicy("p").TryNext(v1alpha1.TryNextTimeoutOrExceedMax).
		Unit(wrappers.ECS().On("a", "1").Max(1)).Unit(wrappers.ECS().On("a", "2").Max(1)).Unit(wrappers.ECI()).Obj())
	second := begin.Add(time.Hour)
	view := &fixedView{room: []Room{RoomNone, RoomNone}, clocks: map[int]time.Time{0: begin, 1: second}}
	decision := policy.Decide(nil, view, second)
	message := "0/4 nodes are available: " + decision.Message() + ". preemption: 0/4 nodes are available."
	for i, want := range []time.Time{begin, second} {
		if got, ok := policy.Units[i].ReadClock(message); !ok || !got.Equal(want) {
			t.Errorf("unit %d: clock %s, %v, want %s; message: %s", i, got, ok, want, message)
		}
	}
	if got, ok := policy.Units[2].ReadClock(message); ok {
		t.Errorf("unit 2 has a clock %s; message: %s", got, message)
	}
}

// FuzzReadClock feeds messages that others may have written: any client with the right to patch the status of a pod.
func FuzzReadClock(f *testing.F) {
	policy := Compile(wrappers.MakePolicy("p").Unit(wrappers.ECS().Max(1)).Unit(wrappers.ECI()).Obj())
	f.Add("unit 0 (ecs): no node has room for the pod, waits since 2026-11-23T21:00:00Z for at most 15m0s; unit 1 (eci): full")
	f.Add("(ecs): waited since ")
	f.Fuzz(func(t *testing.T, message string) {
		since, ok := policy.Units[0].ReadClock(message)
		if !ok && !since.IsZero() {
			t.Errorf("%q: no clock, but %s", message, since)
		}
		if ok && !contains(message, "since") {
			t.Errorf("%q: a clock from nowhere: %s", message, since)
		}
	})
}
