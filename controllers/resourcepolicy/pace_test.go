package resourcepolicy

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestPace(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Unix(1_800_000_000, 0))
	p := newPace(time.Second, now)
	one, other := types.NamespacedName{Name: "one"}, types.NamespacedName{Name: "other"}
	at := func(after time.Duration, policy types.NamespacedName, want time.Duration) {
		t.Helper()
		now.SetTime(time.Unix(1_800_000_000, 0).Add(after))
		if got := p.wait(policy); got != want {
			t.Errorf("after %s: wait %s, want %s", after, got, want)
		}
	}
	at(0, one, 0)
	at(300*time.Millisecond, one, 700*time.Millisecond)
	at(300*time.Millisecond, other, 0)
	at(999*time.Millisecond, one, time.Millisecond)
	at(time.Second, one, 0)
	at(1900*time.Millisecond, one, 100*time.Millisecond)
	at(10*time.Second, other, 0)
	if len(p.turns) != 1 {
		t.Errorf("%d turns are remembered, want only the last", len(p.turns))
	}
}
