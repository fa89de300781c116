package placement

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

// fixedView answers from two lists, one entry for each unit.
type fixedView struct {
	usage []Usage
	room  []Room
	asked []int
}

func (v *fixedView) Usage(unit int) Usage { return v.usage[unit] }

func (v *fixedView) Room(unit int) Room {
	v.asked = append(v.asked, unit)
	return v.room[unit]
}

func TestDecide(t *testing.T) {
	threeUnits := wrappers.MakePolicy("p").
		Unit(wrappers.ECS().On("paidtype", "subscription").Max(2)).
		Unit(wrappers.ECS().On("paidtype", "pay-as-you-go").MaxResource("cpu", "4").MaxResource("memory", "8Gi")).
		Unit(wrappers.ECI())
	pod := wrappers.MakePod("pod").Request("cpu", "2").Request("memory", "1Gi")
	cases := map[string]struct {
		usage       []Usage
		room        []Room
		wantUnit    int
		wantMessage string
		wantAsked   []int
	}{
		"the first unit has room": {
			usage: make([]Usage, 3), room: []Room{RoomYes, RoomYes, RoomYes},
			wantUnit: 0, wantAsked: []int{0},
		},
		"max is reached: the room of the unit is not even looked for": {
			usage: []Usage{{Pods: 2}, {}, {}}, room: []Room{RoomYes, RoomYes, RoomYes},
			wantUnit: 1, wantMessage: "unit 0 (ecs, paidtype=subscription): full, max 2", wantAsked: []int{1},
		},
		"max is passed, after an edit": {
			usage: []Usage{{Pods: 7}, {}, {}}, room: []Room{RoomYes, RoomYes, RoomYes},
			wantUnit: 1, wantMessage: "unit 0 (ecs, paidtype=subscription): full, max 2", wantAsked: []int{1},
		},
		"one below max": {
			usage: []Usage{{Pods: 1}, {}, {}}, room: []Room{RoomYes, RoomYes, RoomYes},
			wantUnit: 0, wantAsked: []int{0},
		},
		"no room in the first unit": {
			usage: make([]Usage, 3), room: []Room{RoomNone, RoomYes, RoomYes},
			wantUnit: 1, wantMessage: "unit 0 (ecs, paidtype=subscription): no node has room for the pod", wantAsked: []int{0, 1},
		},
		"maxResources would be passed": {
			usage: []Usage{{Pods: 2}, {Pods: 1, Requests: []int64{2001, 0}}, {}}, room: []Room{RoomYes, RoomYes, RoomYes},
			wantUnit:    2,
			wantMessage: "unit 0 (ecs, paidtype=subscription): full, max 2; unit 1 (ecs, paidtype=pay-as-you-go): full, maxResources cpu 4 leaves no room for the pod",
			wantAsked:   []int{2},
		},
		"maxResources is met exactly": {
			usage: []Usage{{Pods: 2}, {Pods: 1, Requests: []int64{2000, 7 << 30}}, {}}, room: []Room{RoomYes, RoomYes, RoomYes},
			wantUnit: 1, wantMessage: "unit 0 (ecs, paidtype=subscription): full, max 2", wantAsked: []int{1},
		},
		"no unit is left": {
			usage: []Usage{{Pods: 2}, {}, {}}, room: []Room{RoomYes, RoomUnfit, RoomNoNodes},
			wantUnit: -1,
			wantMessage: "unit 0 (ecs, paidtype=subscription): full, max 2; unit 1 (ecs, paidtype=pay-as-you-go): no node passes all filters for the pod; " +
				"unit 2 (eci): no node is in this unit",
			wantAsked: []int{1, 2},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			policy := Compile(threeUnits.Obj())
			view := &fixedView{usage: tc.usage, room: tc.room}
			got := policy.Decide(policy.Vector(pod.Spec.Containers[0].Resources.Requests), view)
			if got.Unit != tc.wantUnit {
				t.Errorf("unit = %d, want %d", got.Unit, tc.wantUnit)
			}
			if diff := cmp.Diff(tc.wantMessage, got.Message()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantAsked, view.asked); diff != "" {
				t.Errorf("units whose room was looked for (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecideIgnoresResourcesThePodDoesNotRequest(t *testing.T) {
	policy := Compile(wrappers.MakePolicy("p").Unit(wrappers.ECS().MaxResource("nvidia.com/gpu", "1")).Obj())
	view := &fixedView{usage: []Usage{{Pods: 5, Requests: []int64{9}}}, room: []Room{RoomYes}}
	if got := policy.Decide(policy.Vector(corev1.ResourceList{}), view); got.Unit != 0 {
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
	if got, want := Room(99).String(), "Room(99)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
