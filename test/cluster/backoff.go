package main

import "time"

const (
	// firstDelay is how long a part that has ended waits before it is started again. A kubelet begins with 10 s, which
	// is long for who looks on.
	firstDelay = time.Second
	maxDelay   = 30 * time.Second
	// steadyAfter is how long a part must have run for its next end to be taken for the first one.
	steadyAfter = 5 * time.Minute
)

// backoff is the delay of one part. The zero value is that of a part that has not ended yet.
type backoff struct{ delay time.Duration }

// next returns how long to wait with the next start of a part that has ended after it ran for a while.
func (b *backoff) next(ran time.Duration) time.Duration {
	if b.delay == 0 || ran >= steadyAfter {
		b.delay = firstDelay
	} else {
		b.delay = min(2*b.delay, maxDelay)
	}
	return b.delay
}
