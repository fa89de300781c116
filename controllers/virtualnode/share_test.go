package virtualnode

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestDivide(t *testing.T) {
	cases := map[string]struct {
		free   int64
		own    claim
		others []claim
		want   int64
	}{
		"two empty nodes, the other one has not made room yet": {free: 10, others: []claim{{offered: 10}}, want: 0},
		"two empty nodes, the other one has made room":         {free: 10, others: []claim{{offered: 5}}, want: 5},
		"the other one's pods are not given away":              {free: 10, own: claim{offered: 5}, others: []claim{{offered: 7, requested: 4}}, want: 3},
		"own pods keep their room":                             {free: 10, own: claim{offered: 6, requested: 6}, others: []claim{{offered: 2}}, want: 8},
		"three nodes":                                          {free: 9, others: []claim{{offered: 3}, {offered: 3}}, want: 3},
		"more is requested than is free":                       {free: 4, own: claim{offered: 6, requested: 6}, others: []claim{{offered: 2, requested: 2}}, want: 2},
		"nothing is free":                                      {free: 0, own: claim{offered: 6}, others: []claim{{offered: 2}}, want: 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := divide(tc.free, tc.own, tc.others); got.milliCPU != tc.want {
				t.Errorf("part = %d, want %d", got.milliCPU, tc.want)
			}
		})
	}
}

// TestDivideNeverPromisesTwice refreshes nodes in random order while pods come and go: as long as the quota stays, the offers never exceed it, and
// no more pods run than it allows.
func TestDivideNeverPromisesTwice(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			const free = 1000
			nodes := make([]claim, 2+random.IntN(3))
			for step := range 500 {
				i := random.IntN(len(nodes))
				switch random.IntN(3) {
				case 0: // The scheduler places a pod where it fits.
					if pod := random.Int64N(300); nodes[i].requested+pod <= nodes[i].offered {
						nodes[i].requested += pod
					}
				case 1: // Pods end.
					nodes[i].requested = random.Int64N(nodes[i].requested + 1)
				default:
					others := append(append([]claim{}, nodes[:i]...), nodes[i+1:]...)
					nodes[i].offered = divide(free, nodes[i], others).milliCPU
				}
				var offered, requested int64
				for _, n := range nodes {
					offered, requested = offered+n.offered, requested+n.requested
				}
				if offered > free || requested > free {
					t.Fatalf("step %d: offered %d, requested %d of %d: %v", step, offered, requested, free, nodes)
				}
			}
		})
	}
}
