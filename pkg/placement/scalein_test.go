package placement

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// highestUserCost and lowestUserCost are the limits of what the API server accepts as a pod-deletion-cost.
const highestUserCost, lowestUserCost = "2147483647", "-2147483648"

func TestDeletionCost(t *testing.T) {
	cases := map[string]struct {
		unit int
		user string
		want int32
	}{
		"first unit":                           {want: 0},
		"second unit":                          {unit: 1, want: -1_000_000},
		"last unit that the CRD allows":        {unit: 15, want: -15_000_000},
		"the user's cost in the first unit":    {user: "7", want: 7},
		"the user's cost in a later unit":      {unit: 2, user: "-7", want: -2_000_007},
		"a huge cost stays in the band":        {unit: 1, user: highestUserCost, want: -500_001},
		"a hugely negative one, too":           {unit: 15, user: lowestUserCost, want: -15_499_999},
		"a cost that is no integer is no cost": {unit: 1, user: "cheap", want: -1_000_000},
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
	for unit := range maxUnits - 1 {
		if later, earlier := DeletionCost(unit+1, highestUserCost), DeletionCost(unit, lowestUserCost); later >= earlier {
			t.Errorf("unit %d can cost %d, unit %d only %d", unit+1, later, unit, earlier)
		}
	}
}

// evictionCost is EvictionCost of sigs.k8s.io/karpenter v1.14.1, pkg/utils/disruption/disruption.go.
func evictionCost(deletionCost, priority int32) float64 {
	cost := 1 + float64(deletionCost)/math.Pow(2, 27) + float64(priority)/math.Pow(2, 25)
	return min(max(cost, -10), 10)
}

// TestDeletionCostKarpenter holds that Karpenter takes no node with placed pods for an empty one: one whose pods all have an eviction cost of 0 or less.
func TestDeletionCostKarpenter(t *testing.T) {
	for unit := range maxUnits {
		for _, user := range []string{"", highestUserCost, lowestUserCost} {
			for _, priority := range []int32{0, -1, -29_000_000, minPriority} {
				t.Run(fmt.Sprintf("unit=%d,user=%s,priority=%d", unit, user, priority), func(t *testing.T) {
					if got := evictionCost(DeletionCost(unit, user), priority); got <= 0 {
						t.Errorf("the eviction cost is %.4f: a node of such pods counts as empty", got)
					}
				})
			}
		}
	}
	if got := evictionCost(minCost, minPriority-1); got > 0 {
		t.Errorf("the eviction cost below minPriority is %.9f: minPriority is not the bound", got)
	}
}

func TestClampedCost(t *testing.T) {
	cases := map[string]struct {
		annotations map[string]string
		cost        int64
		clamped     bool
	}{
		"no cost":                                {},
		"no integer":                             {annotations: map[string]string{corev1.PodDeletionCost: "dear"}},
		"the highest that counts":                {annotations: map[string]string{corev1.PodDeletionCost: "499999"}, cost: 499_999},
		"the lowest that counts":                 {annotations: map[string]string{corev1.PodDeletionCost: "-499999"}, cost: -499_999},
		"too high":                               {annotations: map[string]string{corev1.PodDeletionCost: "500000"}, cost: 500_000, clamped: true},
		"too low":                                {annotations: map[string]string{corev1.PodDeletionCost: lowestUserCost}, cost: math.MinInt32, clamped: true},
		"Spillway's own is not the user's":       {annotations: map[string]string{corev1.PodDeletionCost: "-2000000", v1alpha1.AnnotationDeletionCost: "-2000000"}},
		"of a user on a pod that carries a note": {annotations: map[string]string{corev1.PodDeletionCost: "-2000000", v1alpha1.AnnotationDeletionCost: "-1000000"}, cost: -2_000_000, clamped: true},
		"kept beside Spillway's own": {
			annotations: map[string]string{
				corev1.PodDeletionCost: "-500001", v1alpha1.AnnotationDeletionCost: "-500001", v1alpha1.AnnotationUserDeletionCost: "600000",
			},
			cost: 600_000, clamped: true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cost, limit, clamped := ClampedCost(tc.annotations)
			if cost != tc.cost || limit != 499_999 || clamped != tc.clamped {
				t.Errorf("ClampedCost = %d, %d, %t; want %d, 499999, %t", cost, limit, clamped, tc.cost, tc.clamped)
			}
		})
	}
}

func TestFormerUnit(t *testing.T) {
	cost := func(text string) map[string]string { return map[string]string{corev1.PodDeletionCost: text} }
	for unit := range maxUnits {
		for _, user := range []string{"", highestUserCost, lowestUserCost} {
			if got := FormerUnit(cost(strconv.Itoa(int(costIn(unit, user, formerBand))))); got != unit {
				t.Errorf("the former cost of unit %d with %q is taken for one of unit %d", unit, user, got)
			}
			if got := FormerUnit(cost(strconv.Itoa(int(DeletionCost(unit, user))))); got != 0 {
				t.Errorf("the cost of unit %d with %q is taken for a former one of unit %d", unit, user, got)
			}
		}
	}
	for _, text := range []string{"", "dear", highestUserCost} {
		if got := FormerUnit(cost(text)); got != 0 {
			t.Errorf("the cost %q is taken for one of unit %d", text, got)
		}
	}
	if got := FormerUnit(cost(lowestUserCost)); got != maxUnits-1 {
		t.Errorf("the lowest cost is taken for one of unit %d", got)
	}
}
