package resourcepolicy

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

const (
	// betweenWrites is the time between two writes of statuses, of all policies together, while there are more than writesAtOnce to be written. A cluster in
	// which hundreds of policies place pods at the same time would otherwise pay a write for nearly every pod.
	betweenWrites = 20 * time.Millisecond
	writesAtOnce  = 100
	// reservedFor is how long a write that was waited for may be late.
	reservedFor = time.Minute
)

// pace gives every policy one turn in an interval, and all policies together so many writes. Events come by the hundred while pods are placed; one look
// serves them all.
type pace struct {
	interval time.Duration
	clock    clock.PassiveClock

	mu sync.Mutex
	// turns are the last turns of policies; those that are over are forgotten.
	turns map[types.NamespacedName]turn
	// nextWrite is when the next write is due if all come at the same distance.
	nextWrite time.Time
}

// turn is the last turn of a policy.
type turn struct {
	// looked is when it was looked at, and over when it can have the next turn.
	looked, over time.Time
	// reserved is true when the policy has waited for its write.
	reserved bool
}

func newPace(interval time.Duration, passive clock.PassiveClock) *pace {
	return &pace{interval: interval, clock: passive, turns: map[types.NamespacedName]turn{}}
}

// wait returns how long the policy has to wait for its turn. With 0 it has the turn. One that was edited does not wait for the write of what was found
// before.
func (p *pace) wait(policy types.NamespacedName, edited bool) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	maps.DeleteFunc(p.turns, func(_ types.NamespacedName, t turn) bool { return !t.keptUntil().After(now) })
	last := p.turns[policy]
	if edited && last.reserved {
		last.over, last.reserved = last.looked.Add(p.interval), false
	}
	if rest := last.over.Sub(now); rest > 0 {
		return rest
	}
	p.turns[policy] = turn{looked: now, over: now.Add(p.interval), reserved: last.reserved}
	return 0
}

// waitToWrite returns how long the policy, which has the turn, has to wait until its status may be written. With 0 it may be written now; otherwise its next
// turn is then, and with it the write.
func (p *pace) waitToWrite(policy types.NamespacedName) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	if mine := p.turns[policy]; mine.reserved {
		mine.reserved = false
		p.turns[policy] = mine
		return 0
	}
	due := p.nextWrite
	if earliest := now.Add(-(writesAtOnce - 1) * betweenWrites); due.Before(earliest) {
		due = earliest
	}
	p.nextWrite = due.Add(betweenWrites)
	if !due.After(now) {
		return 0
	}
	p.turns[policy] = turn{looked: now, over: due, reserved: true}
	return due.Sub(now)
}

// keep gives the policy its write again, which was refused because the policy had just been changed.
func (p *pace) keep(policy types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mine := p.turns[policy]
	mine.reserved = true
	p.turns[policy] = mine
}

// drop takes the write from a policy that has nothing to write.
func (p *pace) drop(policy types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if mine := p.turns[policy]; mine.reserved {
		mine.reserved = false
		p.turns[policy] = mine
	}
}

// waiting returns how many policies wait for their write.
func (p *pace) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, waiting := p.clock.Now(), 0
	for _, t := range p.turns {
		if t.reserved && t.keptUntil().After(now) {
			waiting++
		}
	}
	return waiting
}

// keptUntil returns until when a turn is remembered.
func (t *turn) keptUntil() time.Time {
	if t.reserved {
		return t.over.Add(reservedFor)
	}
	return t.over
}
