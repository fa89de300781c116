package placement

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// begin is when the clocks of the tests start.
var begin = time.Date(2026, 11, 23, 21, 0, 0, 0, time.UTC)

// fixedView answers from lists, one entry for each unit; missing entries are zero, and room is RoomYes then.
type fixedView struct {
	usage       []Usage
	room        []Room
	terminating []int64
	barred      []string
	closed      []string
	closedBy    []Passed
	preempt     []bool
	nominated   []bool
	// clocks are the clocks that run; asking to start one sets it to begin.
	clocks map[int]time.Time
	asked  []int
}

func at[T any](list []T, i int) (zero T) {
	if i < len(list) {
		return list[i]
	}
	return zero
}

func (v *fixedView) Usage(unit int) Usage       { return at(v.usage, unit) }
func (v *fixedView) Terminating(unit int) int64 { return at(v.terminating, unit) }
func (v *fixedView) Barred(unit int) string     { return at(v.barred, unit) }
func (v *fixedView) Preempt(unit int) bool      { return at(v.preempt, unit) }
func (v *fixedView) Nominated(unit int) bool    { return at(v.nominated, unit) }

func (v *fixedView) Closed(unit int) (string, Passed) {
	if by := at(v.closedBy, unit); by != "" {
		return at(v.closed, unit), by
	}
	return at(v.closed, unit), PassedSoldOut
}

func (v *fixedView) Room(unit int) Room {
	v.asked = append(v.asked, unit)
	return at(v.room, unit)
}

func (v *fixedView) Since(unit int, start bool) time.Time {
	if since, ok := v.clocks[unit]; ok || !start {
		return since
	}
	if v.clocks == nil {
		v.clocks = map[int]time.Time{}
	}
	v.clocks[unit] = begin
	return begin
}

func TestDecide(t *testing.T) {
	threeUnits := wrappers.MakePolicy("p").
		Unit(wrappers.ECS().On("paidtype", "subscription").Max(2)).
		Unit(wrappers.ECS().On("paidtype", "pay-as-you-go").MaxResource("cpu", "4").MaxResource("memory", "8Gi")).
		Unit(wrappers.ECI())
	first := "unit 0 (ecs, paidtype=subscription): "
	second := "unit 1 (ecs, paidtype=pay-as-you-go): "
	cases := map[string]struct {
		view        fixedView
		wantOutcome Outcome
		wantUnit    int
		wantMessage string
		wantAsked   []int
		wantPassed  Passed
	}{
		"the first unit takes the pod; the others are not looked at": {wantOutcome: Placed, wantAsked: []int{0}},
		"a full unit is passed over without looking for room": {
			view:        fixedView{usage: []Usage{{Pods: 2}}},
			wantOutcome: Placed, wantPassed: PassedFull, wantUnit: 1, wantMessage: first + "full, max 2", wantAsked: []int{1},
		},
		"one below max is not full": {view: fixedView{usage: []Usage{{Pods: 1}}}, wantOutcome: Placed, wantAsked: []int{0}},
		"an edit has left more than max: full": {
			view:        fixedView{usage: []Usage{{Pods: 9}}},
			wantOutcome: Placed, wantPassed: PassedFull, wantUnit: 1, wantMessage: first + "full, max 2", wantAsked: []int{1},
		},
		"maxResources would be passed by this pod": {
			view:        fixedView{usage: []Usage{{Pods: 2}, {Pods: 1, Requests: []int64{2001, 0}}}},
			wantOutcome: Placed, wantPassed: PassedFull, wantUnit: 2, wantAsked: []int{2},
			wantMessage: first + "full, max 2; " + second + "full, maxResources cpu 4 leaves no room for the pod",
		},
		"maxResources is reached exactly": {
			view:        fixedView{usage: []Usage{{Pods: 2}, {Pods: 1, Requests: []int64{2000, 7 << 30}}}},
			wantOutcome: Placed, wantPassed: PassedFull, wantUnit: 1, wantMessage: first + "full, max 2", wantAsked: []int{1},
		},
		"the second resource decides": {
			view:        fixedView{usage: []Usage{{Pods: 2}, {Pods: 1, Requests: []int64{0, 7<<30 + 1}}}},
			wantOutcome: Placed, wantPassed: PassedFull, wantUnit: 2, wantAsked: []int{2},
			wantMessage: first + "full, max 2; " + second + "full, maxResources memory 8Gi leaves no room for the pod",
		},
		"a unit without room is passed over": {
			view:        fixedView{room: []Room{RoomNone, RoomNoNodes}},
			wantOutcome: Placed, wantPassed: PassedNoNodes, wantUnit: 2, wantAsked: []int{0, 1, 2},
			wantMessage: first + "no node has room for the pod; " + second + "no node is in this unit",
		},
		"a unit that the pod may not enter is passed over": {
			view:        fixedView{barred: []string{"its podLabels would give the pod to ResourcePolicy q"}},
			wantOutcome: Placed, wantPassed: PassedBarred, wantUnit: 1, wantAsked: []int{1}, wantMessage: first + "its podLabels would give the pod to ResourcePolicy q",
		},
		"no unit takes the pod": {
			view:        fixedView{room: []Room{RoomNone, RoomRefused, RoomUnfit}},
			wantOutcome: Failed, wantUnit: -1, wantAsked: []int{0, 1, 2},
			wantMessage: first + "no node has room for the pod; " + second + RoomRefused.String() + "; unit 2 (eci): no node passes all filters for the pod",
		},
		"ECI would not accept the pod": {
			view:        fixedView{room: []Room{RoomNone, RoomNone, RoomClosed}, closed: []string{"", "", "cn-beijing-j: out of stock for 2-4Gi (NoStock)"}},
			wantOutcome: Failed, wantUnit: -1, wantAsked: []int{0, 1, 2},
			wantMessage: first + "no node has room for the pod; " + second + "no node has room for the pod; unit 2 (eci): cn-beijing-j: out of stock for 2-4Gi (NoStock)",
		},
		"ECI has none, and a unit behind it has room": {
			view:        fixedView{room: []Room{RoomNone, RoomClosed}, closed: []string{"", "sold out"}},
			wantOutcome: Placed, wantPassed: PassedSoldOut, wantUnit: 2, wantAsked: []int{0, 1, 2},
			wantMessage: first + "no node has room for the pod; " + second + "sold out",
		},
		"the victims of the pod have still to end": {
			view:        fixedView{room: []Room{RoomNone}, nominated: []bool{true}},
			wantOutcome: Waiting, wantUnit: 0, wantAsked: []int{0},
			wantMessage: first + "no node has room for the pod, waits for the pods that it preempted to end",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			policy := Compile(threeUnits.Obj())
			got := policy.Decide(policy.Vector(wrappers.MakePod("pod").Request("cpu", "2").Request("memory", "1Gi").Spec.Containers[0].Resources.Requests), &tc.view, begin)
			if got.Outcome != tc.wantOutcome || got.Unit != tc.wantUnit {
				t.Errorf("outcome %d in unit %d, want %d in unit %d", got.Outcome, got.Unit, tc.wantOutcome, tc.wantUnit)
			}
			if diff := cmp.Diff(tc.wantMessage, got.Message()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantAsked, tc.view.asked); diff != "" {
				t.Errorf("units whose room was looked for (-want +got):\n%s", diff)
			}
			if got.Passed() != tc.wantPassed && tc.wantOutcome == Placed {
				t.Errorf("the unit before was passed over because %q, want %q", got.Passed(), tc.wantPassed)
			}
		})
	}
}

// TestWhenTryNextUnits has the cells of ACK's table: what happens in the first of two units, by whenTryNextUnits.policy and by what the unit is like.
func TestWhenTryNextUnits(t *testing.T) {
	const timeout = 15 * time.Minute
	uncapped := wrappers.ECS()
	capped := wrappers.ECS().Max(2)
	cappedByResources := wrappers.ECS().MaxResource("cpu", "100")
	labelled := wrappers.ECS().PodLabel(v1alpha1.LabelWait, "true")
	elastic := wrappers.Elastic()
	full := []Usage{{Pods: 2}}
	const next, stays = "next", "stays"
	cases := []struct {
		policy      v1alpha1.TryNextPolicy
		unit        *wrappers.Unit
		usage       []Usage
		terminating int64
		waited      time.Duration
		want        string
		wantWords   string
	}{
		{policy: v1alpha1.TryNextLackResourceOrExceedMax, unit: uncapped, want: next},
		{policy: v1alpha1.TryNextLackResourceOrExceedMax, unit: capped, want: next},
		{policy: v1alpha1.TryNextLackResourceOrExceedMax, unit: capped, usage: full, want: next},
		{policy: v1alpha1.TryNextLackResourceOrExceedMax, unit: labelled, terminating: 1, want: next},

		{policy: v1alpha1.TryNextExceedMax, unit: uncapped, want: next},
		{policy: v1alpha1.TryNextExceedMax, unit: capped, want: stays, wantWords: "waits for a node"},
		{policy: v1alpha1.TryNextExceedMax, unit: cappedByResources, want: stays, wantWords: "waits for a node"},
		{policy: v1alpha1.TryNextExceedMax, unit: capped, usage: full, want: next},
		{policy: v1alpha1.TryNextExceedMax, unit: labelled, want: next},

		{policy: v1alpha1.TryNextTimeoutOrExceedMax, unit: uncapped, want: next},
		{policy: v1alpha1.TryNextTimeoutOrExceedMax, unit: capped, want: stays, wantWords: "waits since 2026-11-23T21:00:00Z for at most 15m0s"},
		{policy: v1alpha1.TryNextTimeoutOrExceedMax, unit: capped, waited: timeout - time.Nanosecond, want: stays, wantWords: "waits since"},
		{policy: v1alpha1.TryNextTimeoutOrExceedMax, unit: capped, waited: timeout, want: next, wantWords: "waited since 2026-11-23T21:00:00Z for at most 15m0s"},
		{policy: v1alpha1.TryNextTimeoutOrExceedMax, unit: capped, usage: full, want: next},
		{policy: v1alpha1.TryNextTimeoutOrExceedMax, unit: cappedByResources, want: stays, wantWords: "waits since"},
		{policy: v1alpha1.TryNextTimeoutOrExceedMax, unit: labelled, want: stays, wantWords: "waits since"},
		{policy: v1alpha1.TryNextTimeoutOrExceedMax, unit: labelled, waited: timeout, want: next, wantWords: "waited since"},
		{policy: v1alpha1.TryNextTimeoutOrExceedMax, unit: elastic, want: stays, wantWords: "waits since"},
		{policy: v1alpha1.TryNextTimeoutOrExceedMax, unit: wrappers.ACS().Max(2), want: next},

		{policy: v1alpha1.TryNextLackResourceAndNoTerminating, unit: uncapped, want: next},
		{policy: v1alpha1.TryNextLackResourceAndNoTerminating, unit: uncapped, terminating: 1, want: stays, wantWords: "waits for its terminating pods"},
		{policy: v1alpha1.TryNextLackResourceAndNoTerminating, unit: capped, usage: full, want: next},
		{policy: v1alpha1.TryNextLackResourceAndNoTerminating, unit: capped, usage: full, terminating: 1, want: stays, wantWords: "full, max 2, waits for"},
		{policy: v1alpha1.TryNextLackResourceAndNoterminating, unit: uncapped, terminating: 1, want: stays, wantWords: "waits for its terminating pods"},
	}
	for _, tc := range cases {
		policy := Compile(wrappers.MakePolicy("p").TryNext(tc.policy).Unit(tc.unit).Unit(wrappers.ECI()).Obj())
		view := &fixedView{usage: tc.usage, room: []Room{RoomNone}, terminating: []int64{tc.terminating}}
		if tc.waited > 0 {
			view.clocks = map[int]time.Time{0: begin}
		}
		got := policy.Decide(make([]int64, policy.VectorLen()), view, begin.Add(tc.waited))
		outcome := map[Outcome]string{Placed: next, Waiting: stays}[got.Outcome]
		if outcome != tc.want || tc.want == stays && got.Unit != 0 || !contains(got.Message(), tc.wantWords) {
			t.Errorf("%s, %+v, usage %v, %d terminating, waited %s: outcome %d in unit %d (%s), want %s with %q",
				tc.policy, tc.unit.Unit, tc.usage, tc.terminating, tc.waited, got.Outcome, got.Unit, got.Message(), tc.want, tc.wantWords)
		}
		if wantUntil := tc.want == stays && tc.policy == v1alpha1.TryNextTimeoutOrExceedMax; wantUntil != got.Until.Equal(begin.Add(timeout)) {
			t.Errorf("%s: until %s", tc.policy, got.Until)
		}
	}
}

func TestDecideKeepsTheClockOfAUnitThatBecameFull(t *testing.T) {
	policy := Compile(wrappers.MakePolicy("p").TryNext(v1alpha1.TryNextTimeoutOrExceedMax).Unit(wrappers.ECS().Max(1)).Unit(wrappers.ECI()).Obj())
	view := &fixedView{usage: []Usage{{Pods: 1}}, room: []Room{RoomNone, RoomNone}, clocks: map[int]time.Time{0: begin}}
	got := policy.Decide(nil, view, begin)
	if since, ok := policy.Units[0].ReadClock(got.Message()); !ok || !since.Equal(begin) || got.Outcome != Failed {
		t.Errorf("outcome %d, message %q: the clock of unit 0 must be in it", got.Outcome, got.Message())
	}
}

func TestDecideHoldsWhenEveryUnitIsFull(t *testing.T) {
	policy := Compile(wrappers.MakePolicy("p").Unit(wrappers.ECS().Max(1)).Unit(wrappers.ECI().Max(1)).Obj())
	view := &fixedView{usage: []Usage{{Pods: 1}, {Pods: 1}}}
	got := policy.Decide(nil, view, begin)
	if got.Outcome != Held || got.NeedsRoom() || len(view.asked) > 0 {
		t.Errorf("outcome %d, needs room %v, asked %v: want Held, and no unit looked at", got.Outcome, got.NeedsRoom(), view.asked)
	}
	want := "unit 0 (ecs): full, max 1; unit 1 (eci): full, max 1"
	if got.Message() != want || policy.HeldMessage(nil, func(int) time.Time { return time.Time{} }) != want {
		t.Errorf("message %q, want %q", got.Message(), want)
	}
}

func TestDecideTriesPreemptionBeforeTheNextUnit(t *testing.T) {
	policy := Compile(wrappers.MakePolicy("p").PreemptFirst().Unit(wrappers.ECS().Max(1)).Unit(wrappers.ACS()).Unit(wrappers.ECI()).Obj())
	view := &fixedView{usage: []Usage{{Pods: 1}}, room: []Room{RoomYes, RoomNone, RoomNone}, preempt: []bool{true, true, true}}
	for _, want := range []struct {
		outcome Outcome
		unit    int
	}{{Preempting, 0}, {Preempting, 2}, {Failed, -1}} {
		got := policy.Decide(nil, view, begin)
		if got.Outcome != want.outcome || got.Unit != want.unit {
			t.Fatalf("outcome %d in unit %d, want %+v", got.Outcome, got.Unit, want)
		}
		if got.Unit >= 0 {
			view.preempt[got.Unit] = false
		}
	}
}

func TestDecideIgnoresResourcesThePodDoesNotRequest(t *testing.T) {
	policy := Compile(wrappers.MakePolicy("p").Unit(wrappers.ECS().MaxResource("nvidia.com/gpu", "1")).Obj())
	view := &fixedView{usage: []Usage{{Pods: 5, Requests: []int64{9}}}}
	if got := policy.Decide(policy.Vector(corev1.ResourceList{}), view, begin); got.Unit != 0 {
		t.Errorf("unit = %d, want 0: a pod without GPUs does not care that they are used up", got.Unit)
	}
}

func TestRoomHasWords(t *testing.T) {
	seen := map[string]bool{}
	for room := RoomYes; room <= RoomUnfit; room++ {
		if words := room.String(); seen[words] || words == "" {
			t.Errorf("Room(%d) has the words of another one, or none: %q", room, words)
		} else {
			seen[words] = true
		}
	}
}

// TestBarredIsNeverWaitedFor checks that a pod goes on from a unit that can never take it, whatever whenTryNextUnits says.
func TestBarredIsNeverWaitedFor(t *testing.T) {
	for _, tryNext := range []v1alpha1.TryNextPolicy{
		v1alpha1.TryNextLackResourceOrExceedMax, v1alpha1.TryNextExceedMax, v1alpha1.TryNextTimeoutOrExceedMax, v1alpha1.TryNextLackResourceAndNoTerminating,
	} {
		t.Run(string(tryNext), func(t *testing.T) {
			policy := Compile(wrappers.MakePolicy("p").TryNext(tryNext).PreemptFirst().Unit(wrappers.ECI().Max(10)).Unit(wrappers.ECS()).Obj())
			view := &fixedView{barred: []string{"ECI cannot run pods with hostNetwork"}, terminating: []int64{1}, preempt: []bool{true}, nominated: []bool{true}}
			if d := policy.Decide(nil, view, begin); d.Outcome != Placed || d.Unit != 1 {
				t.Errorf("outcome %v in unit %d, want %v in unit 1: %s", d.Outcome, d.Unit, Placed, d.Message())
			}
			// None of its virtual nodes may take the pod, whatever happens on them.
			view.barred, view.room, view.closed, view.closedBy = nil, []Room{RoomClosed}, []string{"no such capability"}, []Passed{PassedBarred}
			d := policy.Decide(nil, view, begin)
			if d.Outcome != Placed || d.Unit != 1 || d.Passed() != PassedBarred || d.Message() != "unit 0 (eci): no such capability" {
				t.Errorf("outcome %v in unit %d, passed %s, want %v in unit 1: %s", d.Outcome, d.Unit, d.Passed(), Placed, d.Message())
			}
		})
	}
}

func TestWhyAUnitWithThisRoomIsPassed(t *testing.T) {
	for room, want := range map[Room]Passed{
		RoomNoNodes: PassedNoNodes, RoomNone: PassedNoRoom, RoomComing: PassedNotReady, RoomRefused: PassedNodesClosed, RoomUnfit: PassedFilters,
	} {
		if got := room.passed(); got != want {
			t.Errorf("%s: %q, want %q", room, got, want)
		}
	}
}
