package placement

import "testing"

func TestDeletionCost(t *testing.T) {
	cases := map[string]struct {
		unit int
		user string
		want int32
	}{
		"first unit":                           {want: 0},
		"second unit":                          {unit: 1, want: -100_000_000},
		"last unit that the CRD allows":        {unit: 15, want: -1_500_000_000},
		"the user's cost in the first unit":    {user: "7", want: 7},
		"the user's cost in a later unit":      {unit: 2, user: "-7", want: -200_000_007},
		"a huge cost stays in the band":        {unit: 1, user: "2147483647", want: -100_000_000 + costReach},
		"a hugely negative one, too":           {unit: 15, user: "-2147483648", want: -1_500_000_000 - costReach},
		"a cost that is no integer is no cost": {unit: 1, user: "cheap", want: -100_000_000},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := DeletionCost(tc.unit, tc.user); got != tc.want {
				t.Errorf("cost = %d, want %d", got, tc.want)
			}
		})
	}
}

// TestDeletionCostBandsDoNotTouch holds R10: whatever costs users set, every pod of a later unit goes before every pod of an earlier one.
func TestDeletionCostBandsDoNotTouch(t *testing.T) {
	const highest, lowest = "2147483647", "-2147483648"
	for unit := range 15 {
		if later, earlier := DeletionCost(unit+1, highest), DeletionCost(unit, lowest); later >= earlier {
			t.Errorf("unit %d can cost %d, unit %d only %d", unit+1, later, unit, earlier)
		}
	}
}
