package ecisim

import (
	"math"
	"time"
)

// bucket holds the calls of an action that may come at once.
type bucket struct {
	perMinute float64
	calls     float64
	filled    time.Time
}

// take takes a call from the bucket of an action, and tells whether there was one. The bucket holds what comes in a second, and at least one.
func (s *Server) take(action string, now time.Time) bool {
	perMinute := s.state.Actions[action].PerMinute
	if perMinute == 0 {
		delete(s.buckets, action)
		return true
	}
	burst := math.Max(1, math.Ceil(perMinute/60))
	b := s.buckets[action]
	if b == nil || b.perMinute != perMinute {
		b = &bucket{perMinute: perMinute, calls: burst, filled: now}
		s.buckets[action] = b
	}
	b.calls, b.filled = math.Min(burst, b.calls+now.Sub(b.filled).Minutes()*perMinute), now
	if b.calls < 1 {
		return false
	}
	b.calls--
	return true
}
