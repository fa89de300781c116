package eci

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func wantThrottled(t *testing.T, err error) {
	t.Helper()
	var failed *Error
	if !errors.As(err, &failed) || failed.Class != ClassThrottled {
		t.Errorf("error = %v, want one of class %s", err, ClassThrottled)
	}
}

func TestLimiterRates(t *testing.T) {
	for action, perMinute := range map[string]int{"DescribeContainerGroups": 2000, "DescribeContainerGroupPrice": 1000, "ListUsage": 500} {
		synctest.Test(t, func(t *testing.T) {
			l, start, calls := NewLimiter(), time.Now(), 0
			for time.Since(start) < time.Minute {
				if err := l.wait(t.Context(), action); err != nil {
					t.Fatal(err)
				}
				calls++
			}
			// The bucket starts with the calls of one second.
			if most := perMinute + perMinute/60 + 2; calls < perMinute || calls > most {
				t.Errorf("%s: %d calls in a minute, want %d to %d", action, calls, perMinute, most)
			}
		})
	}
}

func TestLimiterPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter()
		rest := func() time.Duration {
			start := time.Now()
			if err := l.wait(t.Context(), "ListUsage"); err != nil {
				t.Fatal(err)
			}
			return time.Since(start)
		}
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			l.throttled("ListUsage")
			l.throttled("ListUsage") // The answer of a call that was on its way does not count twice,
			l.succeeded("ListUsage") // and such a success does not end the rest.
			if got := rest(); got != want*time.Second {
				t.Errorf("rested for %v, want %v", got, want*time.Second)
			}
		}
		l.succeeded("ListUsage")
		l.throttled("ListUsage")
		if got := rest(); got != time.Second {
			t.Errorf("rested for %v after a success, want 1s", got)
		}
		l.throttled("ListUsage")
		start := time.Now()
		if err := l.wait(t.Context(), "DescribeRegions"); err != nil || time.Since(start) > 0 {
			t.Errorf("another action waited for %v: %v", time.Since(start), err)
		}
	})
}

func TestLimiterEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter()
		l.throttled("ListUsage")
		start := time.Now()
		short, cancel := context.WithTimeout(t.Context(), 999*time.Millisecond)
		defer cancel()
		wantThrottled(t, l.wait(short, "ListUsage"))
		if waited := time.Since(start); waited > 0 {
			t.Errorf("waited for %v in vain", waited)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		time.AfterFunc(500*time.Millisecond, cancel)
		wantThrottled(t, l.wait(cancelled, "ListUsage"))
		if waited := time.Since(start); waited != 500*time.Millisecond {
			t.Errorf("waited for %v, want 500ms", waited)
		}
		long, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.wait(long, "ListUsage"); err != nil {
			t.Error(err)
		}
	})
}

// TestLimiterPauseWhileWaiting checks that a call which waits for its token does not break a rest that began meanwhile.
func TestLimiterPauseWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, start := NewLimiter(), time.Now()
		for time.Since(start) == 0 {
			if err := l.wait(t.Context(), "ListUsage"); err != nil {
				t.Fatal(err)
			}
		}
		begin := time.Now()
		time.AfterFunc(time.Millisecond, func() { l.throttled("ListUsage") })
		if err := l.wait(t.Context(), "ListUsage"); err != nil || time.Since(begin) < time.Second {
			t.Errorf("waited for %v: %v", time.Since(begin), err)
		}
	})
}
