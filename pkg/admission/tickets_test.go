package admission

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// twoUnits is a policy with room for two pods and then one.
func twoUnits() *placement.Policy {
	return placement.Compile(wrappers.MakePolicy("p").Unit(wrappers.ECS().Max(2)).Unit(wrappers.ECI().Max(1)).Obj())
}

// applicant returns a pod; the later it is created the higher n.
func applicant(n int, shape string) Applicant {
	return Applicant{UID: types.UID(rune('a' + n)), Created: time.Unix(int64(n), 0), Shape: shape, MayPreempt: true}
}

// usages returns counts of pods by unit.
func usages(pods ...int64) (out []placement.Usage) {
	for _, n := range pods {
		out = append(out, placement.Usage{Pods: n})
	}
	return out
}

// ask returns which of the first n pods of a shape may be tried.
func ask(tickets *Tickets, n int, shape string) (free []int) {
	for i := range n {
		if tickets.Ask(applicant(i, shape)) {
			free = append(free, i)
		}
	}
	return free
}

func TestOnePodIsTriedWhileTheCountsAreNotKnown(t *testing.T) {
	tickets := NewTickets(twoUnits())
	if diff := cmp.Diff([]int{0}, ask(tickets, 5, "s")); diff != "" {
		t.Errorf("may be tried (-want +got):\n%s", diff)
	}
	moves := tickets.Sync(tickets.Version(), usages(0, 0))
	if diff := cmp.Diff([]types.UID{"b", "c"}, moves.Free); diff != "" {
		t.Errorf("free with the counts: two more, the oldest (-want +got):\n%s", diff)
	}
}

func TestAFreedSlotWakesTheFirst(t *testing.T) {
	tickets := NewTickets(twoUnits())
	ask(tickets, 1, "s")
	tickets.Sync(tickets.Version(), usages(2, 1))
	tickets.Hold(applicant(0, "s"))
	ask(tickets, 4, "s")
	important := applicant(9, "s")
	important.Priority, important.MayPreempt = 7, false
	if tickets.Ask(important) {
		t.Error("a pod that may not preempt is tried although every unit is full")
	}
	moves := tickets.Doubt()
	if diff := cmp.Diff([]types.UID{important.UID}, moves.Free); diff != "" {
		t.Errorf("free after a doubt: the one with the highest priority (-want +got):\n%s", diff)
	}
	moves = tickets.Sync(tickets.Version(), usages(0, 1))
	if diff := cmp.Diff([]types.UID{"a"}, moves.Free); diff != "" {
		t.Errorf("free with the counts: two slots, one is being tried (-want +got):\n%s", diff)
	}
}

func TestCountsFromBeforeADoubtAreNotTaken(t *testing.T) {
	tickets := NewTickets(twoUnits())
	ask(tickets, 3, "s")
	version := tickets.Version()
	tickets.Doubt()
	tickets.Sync(version, usages(2, 1))
	moves := tickets.Hold(applicant(0, "s"))
	if len(moves.Free) != 1 {
		t.Errorf("free = %v: the slot that became free while the pods were counted must be looked for", moves.Free)
	}
}

func TestWaitingPodsKeepTheirSlotsFromTheirLikesOnly(t *testing.T) {
	tickets := NewTickets(twoUnits())
	ask(tickets, 5, "s")
	tickets.Sync(tickets.Version(), usages(0, 0))
	for i := range 3 {
		tickets.Wait(applicant(i, "s"))
	}
	if got := ask(tickets, 5, "s"); len(got) != 3 {
		t.Errorf("may be tried: %v, want the three that wait already", got)
	}
	for i := range 3 {
		tickets.Wait(applicant(i, "s"))
	}
	if !tickets.Ask(applicant(7, "other")) {
		t.Error("a pod of another shape is not tried: it may fit where the waiting ones do not")
	}
	moves := tickets.Place(applicant(7, "other"), 0)
	if diff := cmp.Diff([]types.UID{"c"}, moves.Held); diff != "" {
		t.Errorf("held after another pod took a slot: the youngest that waits (-want +got):\n%s", diff)
	}
}

func TestTickets_AllUnitsFillWhilePodsWait(t *testing.T) {
	policy := placement.Compile(wrappers.MakePolicy("p").Unit(wrappers.ECS().Max(1)).Unit(wrappers.ECI().Max(1)).Obj())
	tickets := NewTickets(policy)
	ask(tickets, 2, "s")
	tickets.Sync(tickets.Version(), usages(0, 0))
	for i := range 2 {
		tickets.Wait(applicant(i, "s"))
	}
	moves := tickets.Sync(tickets.Version(), usages(1, 1))
	if diff := cmp.Diff([]types.UID{"b", "a"}, moves.Held); diff != "" {
		t.Errorf("held once both units are full: every pod that waits (-want +got):\n%s", diff)
	}
	for _, pod := range []types.UID{"a", "b"} {
		if !tickets.IsHeld(pod) {
			t.Errorf("pod %s still waits for a node although every unit is full", pod)
		}
	}
}

func TestAPodThatFailedForAnotherReasonGivesItsSlotBack(t *testing.T) {
	tickets := NewTickets(twoUnits())
	ask(tickets, 4, "s")
	tickets.Sync(tickets.Version(), usages(1, 1))
	moves := tickets.Fail("a")
	if diff := cmp.Diff([]types.UID{"b"}, moves.Free); diff != "" {
		t.Errorf("free (-want +got):\n%s", diff)
	}
}

func TestTickets_WaitingPodsThatMayPreemptComeToRest(t *testing.T) {
	tickets := NewTickets(twoUnits())
	tickets.SetLowest(0, true)
	tickets.Sync(tickets.Version(), usages(2, 0))
	free := map[types.UID]Applicant{}
	for i := range 3 {
		a := applicant(i, "s")
		a.Priority = 5
		if tickets.Ask(a) {
			free[a.UID] = a
		}
	}
	all := map[types.UID]Applicant{"a": applicant(0, "s"), "b": applicant(1, "s"), "c": applicant(2, "s")}
	attempts := 0
	for len(free) > 0 && attempts < 100 {
		for uid, a := range free {
			attempts++
			delete(free, uid)
			for _, next := range tickets.Wait(a).Free { // No node has room, and nobody can be preempted.
				again := all[next]
				again.Priority = 5
				free[next] = again
			}
			break
		}
	}
	if attempts > 3 {
		t.Errorf("%d attempts of three pods for one slot that has no node", attempts)
	}
}

func TestAPodAboveOthersMayPreemptOnce(t *testing.T) {
	tickets := NewTickets(twoUnits())
	ask(tickets, 1, "s")
	tickets.SetLowest(0, true)
	tickets.Sync(tickets.Version(), usages(2, 1))
	tickets.Hold(applicant(0, "s"))
	high := applicant(1, "s")
	high.Priority = 5
	if !tickets.Ask(high) {
		t.Fatal("a pod with a higher priority than a counted one is held")
	}
	if moves := tickets.Hold(high); len(moves.Free) > 0 {
		t.Errorf("free = %v: after an attempt in vain the pod must not be tried again by itself", moves.Free)
	}
	if !tickets.Ask(high) {
		t.Error("when an event makes it ask again it may try again")
	}
}

// A pod that preempts in a later unit leaves the slots of the earlier ones to others, and its own to nobody.
func TestTickets_KeepsTheSlotOfAPreemptor(t *testing.T) {
	tickets := NewTickets(placement.Compile(wrappers.MakePolicy("p").
		Unit(wrappers.ECS().MaxResource("cpu", "1")).Unit(wrappers.ECI().Max(1)).Obj()))
	pod := func(n int, milliCPU int64, shape string) Applicant {
		a := applicant(n, shape)
		a.Requests = []int64{milliCPU}
		return a
	}
	preemptor := pod(0, 1000, "small")
	tickets.Sync(tickets.Version(), usages(0, 0))
	tickets.Ask(preemptor)
	tickets.Keep(preemptor, 1)
	if tickets.Ask(pod(1, 2000, "large")) {
		t.Error("a pod is tried for the slot that a preemptor has made for itself")
	}
	if !tickets.Ask(pod(2, 1000, "small")) {
		t.Error("no pod is tried for the slot that the preemptor does not need")
	}
}
