package deletioncost

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

const (
	cost     = corev1.PodDeletionCost
	user     = v1alpha1.AnnotationUserDeletionCost
	wrote    = v1alpha1.AnnotationDeletionCost
	noted    = v1alpha1.AnnotationPodLabels
	record   = v1alpha1.AnnotationUnit
	recorded = "ecs"
	gone     = "\x00" // stands for an annotation that is removed
)

func TestChanges(t *testing.T) {
	cases := map[string]struct {
		current map[string]string
		unit    int
		want    map[string]string
	}{
		"before the policy, without a cost": {
			unit: 1, want: map[string]string{cost: "-1000000", wrote: "-1000000"},
		},
		"before the policy, with a cost of the user's": {
			current: map[string]string{cost: "7"}, unit: 1, want: map[string]string{cost: "-999993", user: "7", wrote: "-999993"},
		},
		"by another scheduler, in the first unit, with the cost that is right by chance": {
			current: map[string]string{cost: "7"}, unit: 0, want: map[string]string{user: "7", wrote: "7"},
		},
		"a cost outside the band is kept, and works inside": {
			current: map[string]string{cost: "-2000000000"}, unit: 1, want: map[string]string{cost: "-1499999", user: "-2000000000", wrote: "-1499999"},
		},
		"a user's cost that looks like one of ours, without a record": {
			current: map[string]string{cost: "-1000000"}, unit: 2,
			want: map[string]string{cost: "-2499999", user: "-1000000", wrote: "-2499999"},
		},
		"an invalid cost counts as none and is kept": {
			current: map[string]string{cost: "dear"}, unit: 1, want: map[string]string{cost: "-1000000", user: "dear", wrote: "-1000000"},
		},
		"placed by the scheduler":                  {current: map[string]string{record: recorded, cost: "-1000000"}, unit: 1},
		"placed by the scheduler with a cost":      {current: map[string]string{record: recorded, cost: "-999993", user: "7"}, unit: 1},
		"placed by the scheduler in the first one": {current: map[string]string{record: recorded, cost: "0"}, unit: 0},
		"placed, then the units were reordered": {
			current: map[string]string{record: recorded, cost: "-999993", user: "7"}, unit: 3,
			want: map[string]string{cost: "-2999993", wrote: "-2999993"},
		},
		"placed, then the user gave it a cost": {
			current: map[string]string{record: recorded, cost: "5"}, unit: 1, want: map[string]string{cost: "-999995", user: "5", wrote: "-999995"},
		},
		"placed in the first unit, then the user gave it a cost, which is right as it is": {
			current: map[string]string{record: recorded, cost: "5"}, unit: 0, want: map[string]string{user: "5", wrote: "5"},
		},
		"placed with a cost, then the user gave it another one": {
			current: map[string]string{record: recorded, cost: "5", user: "7"}, unit: 1,
			want: map[string]string{cost: "-999995", user: "5", wrote: "-999995"},
		},
		"placed, then the user removed the cost": {
			current: map[string]string{record: recorded, user: "7"}, unit: 1, want: map[string]string{cost: "-1000000", user: gone, wrote: "-1000000"},
		},
		"written before and right": {current: map[string]string{cost: "-999993", user: "7", wrote: "-999993"}, unit: 1},
		"written before, then the units were reordered": {
			current: map[string]string{cost: "-999993", user: "7", wrote: "-999993"}, unit: 0, want: map[string]string{cost: "7", wrote: "7"},
		},
		"written before, then the user gave it a cost": {
			current: map[string]string{cost: "9", user: "7", wrote: "-999993"}, unit: 1,
			want: map[string]string{cost: "-999991", user: "9", wrote: "-999991"},
		},
		"written before, then the user gave it the cost of another unit": {
			current: map[string]string{record: recorded, cost: "-2000000", wrote: "-1000000"}, unit: 1,
			want: map[string]string{cost: "-1499999", user: "-2000000", wrote: "-1499999"},
		},
		"written before, then the user removed the cost": {
			current: map[string]string{user: "7", wrote: "-999993"}, unit: 1, want: map[string]string{cost: "-1000000", user: gone, wrote: "-1000000"},
		},
		"taken back, then governed again": {
			current: map[string]string{record: recorded, cost: "0", wrote: ""}, unit: 1, want: map[string]string{cost: "-1000000", user: "0", wrote: "-1000000"},
		},

		"written by Spillway 0.2": {
			current: map[string]string{record: recorded, cost: "-200000000", wrote: "-200000000"}, unit: 2,
			want: map[string]string{cost: "-2000000", wrote: "-2000000"},
		},
		"written by Spillway 0.2, with a cost of the user's": {
			current: map[string]string{record: recorded, cost: "-149999999", user: "-50000000", wrote: "-149999999"}, unit: 1,
			want: map[string]string{cost: "-1499999", wrote: "-1499999"},
		},
		"placed by Spillway 0.2, without a note": {
			current: map[string]string{record: recorded, cost: "-200000000"}, unit: 2,
			want: map[string]string{cost: "-2000000", wrote: "-2000000"},
		},
		"placed by Spillway 0.2, without a note, with a cost of the user's": {
			current: map[string]string{record: recorded, cost: "-50000001", user: "2147483647"}, unit: 1,
			want: map[string]string{cost: "-500001", wrote: "-500001"},
		},
		"placed by Spillway 0.2, then the user gave it a cost": {
			current: map[string]string{record: recorded, cost: "-99999992", user: "7"}, unit: 1,
			want: map[string]string{cost: "-1499999", user: "-99999992", wrote: "-1499999"},
		},
		"the user gave it a cost of Spillway 0.2": {
			current: map[string]string{record: recorded, cost: "-100000000", wrote: "-1000000"}, unit: 1,
			want: map[string]string{cost: "-1499999", user: "-100000000", wrote: "-1499999"},
		},
		"the user gave it a cost of Spillway 0.2 on the template": {
			current: map[string]string{cost: "-100000000"}, unit: 1,
			want: map[string]string{cost: "-1499999", user: "-100000000", wrote: "-1499999"},
		},
		"no unit any more, written by Spillway 0.2": {
			current: map[string]string{record: recorded, cost: "-99999993", user: "7"}, unit: noUnit,
			want: map[string]string{cost: "7", user: gone, wrote: ""},
		},

		"never governed":                         {current: map[string]string{"a": "b"}, unit: noUnit},
		"never governed, with a cost":            {current: map[string]string{cost: "7"}, unit: noUnit},
		"never governed, with one like ours":     {current: map[string]string{cost: "-1000000"}, unit: noUnit},
		"never governed, with an invalid cost":   {current: map[string]string{cost: "dear"}, unit: noUnit},
		"no unit any more, written by us":        {current: map[string]string{cost: "-1000000", wrote: "-1000000"}, unit: noUnit, want: map[string]string{cost: gone, wrote: gone}},
		"no unit any more, with a user's cost":   {current: map[string]string{cost: "-999993", user: "7", wrote: "-999993"}, unit: noUnit, want: map[string]string{cost: "7", user: gone, wrote: gone}},
		"no unit any more, and the user edited":  {current: map[string]string{cost: "9", user: "7", wrote: "-999993"}, unit: noUnit, want: map[string]string{user: gone, wrote: gone}},
		"no unit any more, and the user removed": {current: map[string]string{user: "7", wrote: "-999993"}, unit: noUnit, want: map[string]string{user: gone, wrote: gone}},
		"no unit any more, an invalid cost":      {current: map[string]string{cost: "0", user: "dear", wrote: "0"}, unit: noUnit, want: map[string]string{cost: gone, user: gone, wrote: gone}},
		"no unit any more, placed by the scheduler": {
			current: map[string]string{record: recorded, cost: "-1000000"}, unit: noUnit, want: map[string]string{cost: gone, wrote: ""},
		},
		"no unit any more, placed by the scheduler with a cost": {
			current: map[string]string{record: recorded, cost: "-999993", user: "7"}, unit: noUnit, want: map[string]string{cost: "7", user: gone, wrote: ""},
		},
		"taken back":                              {current: map[string]string{record: recorded, cost: "7", wrote: ""}, unit: noUnit},
		"taken back, nothing left":                {current: map[string]string{record: recorded, wrote: ""}, unit: noUnit},
		"taken back, then the user gave it ours":  {current: map[string]string{record: recorded, cost: "-1000000", wrote: ""}, unit: noUnit},
		"placed, and the user's own since then":   {current: map[string]string{record: recorded, cost: "9"}, unit: noUnit},
		"placed, and the user has removed it all": {current: map[string]string{record: recorded}, unit: noUnit},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := maps.Clone(tc.current)
			got := changes(tc.current, tc.unit)
			if diff := cmp.Diff(tc.want, texts(got)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, tc.current); diff != "" {
				t.Errorf("the pod's own annotations changed:\n%s", diff)
			}
			if again := changes(apply(tc.current, got), tc.unit); again != nil {
				t.Errorf("changes after the changes: %v", texts(again))
			}
		})
	}
}

// texts returns changes with gone for what is removed.
func texts(changes map[string]*string) map[string]string {
	var out map[string]string
	for key, value := range changes {
		if out == nil {
			out = map[string]string{}
		}
		out[key] = gone
		if value != nil {
			out[key] = *value
		}
	}
	return out
}

// apply returns the annotations with the changes.
func apply(current map[string]string, changes map[string]*string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, current)
	for key, value := range changes {
		if delete(out, key); value != nil {
			out[key] = *value
		}
	}
	return out
}

// TestTheUsersCostIsNeverLost lets a user, edits of the policy, and reconciliations that come late act on a pod in random order: whenever the controller has
// come to rest, the pod has the cost of its unit and of the user's last word, and without a unit exactly what the user said.
func TestTheUsersCostIsNeverLost(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			said := []string{"", "0", "7", "-7", "-1000000", "-2000000", "2147483647", "-499999", "-100000000"}
			own, unit := said[random.IntN(len(said))], random.IntN(16)
			pod := map[string]string{}
			if own != "" {
				pod[cost] = own
			}
			if random.IntN(2) == 0 { // Spillway's scheduler places it.
				pod[record] = recorded
				pod[cost] = strconv.Itoa(int(placement.DeletionCost(unit, own)))
				if own != "" {
					pod[user] = own
				}
				pod = settle(t, pod, unit)
			} else {
				unit = noUnit
			}
			for range 50 {
				switch random.IntN(3) {
				case 0: // The policy is edited, goes or comes.
					unit = random.IntN(17) - 1
				case 1: // The user speaks.
					word := said[random.IntN(len(said))]
					if unheard(pod, word) {
						break
					}
					own = word
					if delete(pod, cost); own != "" {
						pod[cost] = own
					}
				}
				pod = settle(t, pod, unit)
				want := own
				if unit != noUnit {
					want = strconv.Itoa(int(placement.DeletionCost(unit, own)))
				}
				if pod[cost] != want {
					t.Fatalf("unit %d, the user said %q: the cost is %q, want %q: %v", unit, own, pod[cost], want, pod)
				}
			}
		})
	}
}

// unheard tells whether nobody can know that a cost is the user's: it is there already, or the scheduler, which leaves no note, could have written it.
func unheard(pod map[string]string, word string) bool {
	_, noted := pod[wrote]
	return pod[cost] == word || !noted && placement.IsRecorded(pod) && placement.IsDeletionCost(word, pod[user])
}

// settle reconciles the pod, and checks that one patch is enough.
func settle(t *testing.T, pod map[string]string, unit int) map[string]string {
	t.Helper()
	pod = apply(pod, changes(pod, unit))
	if again := changes(pod, unit); again != nil {
		t.Fatalf("a second patch: %v of %v", texts(again), pod)
	}
	return pod
}
