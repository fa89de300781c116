package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBackoff(t *testing.T) {
	const s = time.Second
	cases := map[string]struct{ ran, want []time.Duration }{
		"twice as long each time, up to half a minute": {
			ran:  []time.Duration{0, 0, 0, 0, 0, 0, 0},
			want: []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s},
		},
		"a part that ran for a while goes on": {
			ran: []time.Duration{0, 0, steadyAfter - 1}, want: []time.Duration{s, 2 * s, 4 * s},
		},
		"a part that was steady begins anew": {
			ran: []time.Duration{0, 0, steadyAfter, 0}, want: []time.Duration{s, 2 * s, s, 2 * s},
		},
		"a part that was steady from the first": {ran: []time.Duration{time.Hour, time.Hour}, want: []time.Duration{s, s}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var b backoff
			var got []time.Duration
			for _, ran := range tc.ran {
				got = append(got, b.next(ran))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("delays (-want +got):\n%s", diff)
			}
		})
	}
}
