package resourcepolicy

import (
	"strconv"
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
		if got := p.wait(policy, false); got != want {
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

func TestPaceOfWrites(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	now := clocktesting.NewFakePassiveClock(start)
	p := newPace(2*time.Second, now)
	named := func(i int) types.NamespacedName { return types.NamespacedName{Name: strconv.Itoa(i)} }
	write := func(i int) time.Duration {
		t.Helper()
		if rest := p.wait(named(i), false); rest > 0 {
			t.Fatalf("policy %d waits %s for its turn", i, rest)
		}
		return p.waitToWrite(named(i))
	}
	for i := range writesAtOnce {
		if rest := write(i); rest != 0 {
			t.Fatalf("write %d waits %s", i, rest)
		}
	}
	for i := range 3 {
		if rest, want := write(writesAtOnce+i), time.Duration(i+1)*betweenWrites; rest != want {
			t.Errorf("write %d more waits %s, want %s", i, rest, want)
		}
	}
	// An event meanwhile neither makes the policy wait longer nor go before its turn.
	late := named(writesAtOnce + 2)
	now.SetTime(start.Add(betweenWrites))
	if rest := p.wait(late, false); rest != 2*betweenWrites {
		t.Errorf("an event meanwhile waits %s", rest)
	}
	// Its turn may come late; its write is its own although others have asked since.
	now.SetTime(start.Add(10 * time.Second))
	for i := range writesAtOnce {
		if rest := write(1000 + i); rest != 0 {
			t.Fatalf("write %d after a rest waits %s", i, rest)
		}
	}
	if rest := p.wait(late, false) + p.waitToWrite(late); rest != 0 {
		t.Errorf("a write that was waited for waits %s again", rest)
	}
	if rest := p.waitToWrite(late); rest != betweenWrites {
		t.Errorf("what was waited for serves for a second write, which waits %s", rest)
	}
	now.SetTime(start.Add(11 * time.Second))
	if rest := p.wait(late, false); rest != 0 {
		t.Errorf("the turn after it waits %s", rest)
	}
	// What was waited for and never taken is forgotten.
	now.SetTime(start.Add(10 * time.Minute))
	p.wait(late, false)
	if len(p.turns) != 1 {
		t.Errorf("%d turns are remembered, want only the last", len(p.turns))
	}
}

func TestAWriteThatIsNeverTakenDoesNotWaitForEver(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	now := clocktesting.NewFakePassiveClock(start)
	p := newPace(time.Second, now)
	for i := range writesAtOnce + 2 {
		p.waitToWrite(types.NamespacedName{Name: strconv.Itoa(i)})
	}
	if got := p.waiting(); got != 2 {
		t.Errorf("%d policies wait for their write, want 2", got)
	}
	// Nothing happens in the cluster after that.
	now.SetTime(start.Add(2 * reservedFor))
	if got := p.waiting(); got != 0 {
		t.Errorf("%d policies still wait for their write", got)
	}
}

func TestAnEditedPolicyDoesNotWaitForTheWriteOfWhatWasBefore(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	now := clocktesting.NewFakePassiveClock(start)
	p := newPace(time.Second, now)
	for i := range 2 * writesAtOnce {
		p.waitToWrite(types.NamespacedName{Name: strconv.Itoa(i)})
	}
	edited := types.NamespacedName{Name: "edited"}
	p.wait(edited, false)
	if rest := p.waitToWrite(edited); rest < 2*time.Second {
		t.Fatalf("the write is due in %s, want far behind the others", rest)
	}
	if rest := p.wait(edited, true); rest != time.Second {
		t.Errorf("just looked at: the edit waits %s, want a second", rest)
	}
	now.SetTime(start.Add(time.Second))
	if rest := p.wait(edited, true); rest != 0 {
		t.Errorf("a second later the edit waits %s, want not at all", rest)
	}
}

func TestAWriteThatMetAConflictKeepsItsPlace(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Unix(1_800_000_000, 0))
	p := newPace(time.Second, now)
	policy := types.NamespacedName{Name: "p"}
	p.wait(policy, false)
	p.waitToWrite(policy)
	for i := range 2 * writesAtOnce {
		p.waitToWrite(types.NamespacedName{Name: strconv.Itoa(i)})
	}
	p.keep(policy)
	if rest := p.waitToWrite(policy); rest != 0 {
		t.Errorf("after a conflict the write waits %s, want not at all", rest)
	}
}
