package ecispec

import (
	"math"
	"testing"
)

func TestTimesOver(t *testing.T) {
	cases := map[string]struct {
		a, b int64
		per  uint64
		want int64
	}{
		"exact":                               {a: 6, b: 7, per: 2, want: 21},
		"rounded up":                          {a: 5, b: 5, per: 2, want: 13},
		"the product needs 128 bits":          {a: math.MaxInt64, b: 1000, per: 1000, want: math.MaxInt64},
		"more than 63 bits":                   {a: math.MaxInt64, b: 2, per: 1, want: math.MaxInt64},
		"64 bits, and more than the quotient": {a: 1 << 62, b: 4, per: 1, want: math.MaxInt64},
		"rounded up to the largest":           {a: math.MaxInt64 - 1, b: 3, per: 3, want: math.MaxInt64 - 1},
		"negative":                            {a: -1, b: 5, per: 1, want: 0},
		"both negative":                       {a: -1, b: -5, per: 1, want: 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := timesOver(tc.a, tc.b, tc.per); got != tc.want {
				t.Errorf("%d, want %d", got, tc.want)
			}
		})
	}
}
