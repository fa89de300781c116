package eci

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// minPause and maxPause bound how long an action rests after it was throttled.
	minPause = time.Second
	maxPause = time.Minute
	// defaultPerMinute is the rate of an action that Alibaba Cloud publishes none for: the lowest that ECI's page "Limits" gives for an action that reads
	// (DescribeContainerLog).
	defaultPerMinute = 500
)

// perMinute are the rates of an account in a region (source: ECI, "Limits", in calls per minute). None is published for ListUsage, DescribeRegions,
// DescribeAvailableResource, DescribeContainerGroupStatus and VPC's DescribeVSwitches: they have defaultPerMinute.
var perMinute = map[string]int{
	"DescribeContainerGroups":     2000,
	"DescribeContainerGroupPrice": 1000,
}

// Limiter keeps calls below the rates that Alibaba Cloud allows, which are counted per account, region and action: every client of an account in a region
// must share one. An action that is throttled anyway, because others use the same account, rests for 1 s, and for twice as long each time that it is
// throttled again, up to 60 s, until a call succeeds. It is safe for concurrent use.
type Limiter struct {
	mu      sync.Mutex
	buckets map[string]*bucket
}

// bucket is the state of one action.
type bucket struct {
	tokens *rate.Limiter
	// until is when the last pause ends, and pause how long it was; zero after a success.
	until time.Time
	pause time.Duration
}

// NewLimiter returns a limiter with full buckets, which hold the calls of one second.
func NewLimiter() *Limiter {
	return &Limiter{buckets: map[string]*bucket{}}
}

// wait returns when the action may be called, or an *Error of ClassThrottled as soon as it is clear that this is not before ctx ends.
func (l *Limiter) wait(ctx context.Context, action string) error {
	refused := &Error{Class: ClassThrottled, Message: fmt.Sprintf("%s was not sent: its rate limit leaves no room before the deadline", action)}
	for {
		tokens, rest := l.look(action)
		if rest > 0 {
			if !sleep(ctx, rest) {
				return refused
			}
			continue
		}
		if tokens.Wait(ctx) != nil {
			return refused
		}
		// Another call may have been throttled while this one waited for its token.
		if _, rest = l.look(action); rest <= 0 {
			return nil
		}
	}
}

// look returns the tokens of the action, and for how long it has to rest.
func (l *Limiter) look(action string) (*rate.Limiter, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(action)
	return b.tokens, time.Until(b.until)
}

// throttled lets the action rest. Calls that were on their way when the rest began are answered the same, which says nothing new.
func (l *Limiter) throttled(action string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(action)
	if now := time.Now(); !now.Before(b.until) {
		b.pause = min(max(2*b.pause, minPause), maxPause)
		b.until = now.Add(b.pause)
	}
}

// succeeded forgets how long the action rested. A call that was on its way when a rest began does not end it.
func (l *Limiter) succeeded(action string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.bucket(action); !time.Now().Before(b.until) {
		b.pause = 0
	}
}

// bucket returns the bucket of the action. The caller holds the lock.
func (l *Limiter) bucket(action string) *bucket {
	b, ok := l.buckets[action]
	if !ok {
		each := perMinute[action]
		if each == 0 {
			each = defaultPerMinute
		}
		perSecond := float64(each) / time.Minute.Seconds()
		b = &bucket{tokens: rate.NewLimiter(rate.Limit(perSecond), int(math.Ceil(perSecond)))}
		l.buckets[action] = b
	}
	return b
}

// sleep waits for d, and returns false as soon as it is clear that ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
