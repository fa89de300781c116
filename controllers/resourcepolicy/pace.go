package resourcepolicy

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// pace gives every policy one turn in an interval. Events come by the hundred while pods are placed; one look serves them all.
type pace struct {
	interval time.Duration
	clock    clock.PassiveClock

	mu sync.Mutex
	// turns are when policies had their last turn; those that are over are forgotten.
	turns map[types.NamespacedName]time.Time
}

func newPace(interval time.Duration, passive clock.PassiveClock) *pace {
	return &pace{interval: interval, clock: passive, turns: map[types.NamespacedName]time.Time{}}
}

// wait returns how long the policy has to wait for its turn. With 0 it has the turn.
func (p *pace) wait(policy types.NamespacedName) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	maps.DeleteFunc(p.turns, func(_ types.NamespacedName, turn time.Time) bool { return !turn.Add(p.interval).After(now) })
	if turn, ok := p.turns[policy]; ok {
		return turn.Add(p.interval).Sub(now)
	}
	p.turns[policy] = now
	return 0
}
