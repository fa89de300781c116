package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// secondsPerDay is a day of the trace.
const secondsPerDay = 24 * 3600

// plan is what is replayed, the same under each scheduler.
type plan struct {
	// Start is the second of the trace at which the replay begins.
	Start int64
	// Factor is how many seconds of the trace go by in one second of the replay, and Duration how long the replay takes.
	Factor   float64
	Duration time.Duration
	// Pods are those that run at the start, and then those that come, by time.
	Pods []plannedPod
	// Machines are the paid ones.
	Machines []machine
	// Peak is the most that pods of the plan would request at the same time if none waited.
	Peak amount
}

// plannedPod is a pod with times of the replay.
type plannedPod struct {
	Name string
	amount
	// Running is true for a pod that runs already when the replay begins.
	Running bool
	// At is when it is created, and Lifetime how long after its binding it is deleted; a pod that runs at the start, so long after the start.
	At, Lifetime time.Duration
}

// settings are what the user chooses.
type settings struct {
	// pods is how many pods come during the replay; 0 is all of the trace.
	pods int
	// duration is how long the replay takes.
	duration time.Duration
	// paid is the part of the peak of vCPUs that the paid machines have.
	paid float64
}

// makePlan takes the busiest window of the trace, compresses its time, and chooses the paid machines.
func makePlan(pods []tracePod, machines []machine, s settings) (plan, error) {
	pods = slices.Clone(pods)
	slices.SortStableFunc(pods, func(a, b tracePod) int { return cmp.Compare(a.Created, b.Created) })
	if s.pods <= 0 || s.pods > len(pods) {
		s.pods = len(pods)
	}
	first := busiest(pods, s.pods)
	start, end := pods[first].Created, pods[first+s.pods-1].Created
	if end <= start {
		return plan{}, fmt.Errorf("the busiest %d pods of the trace come in the same second, %d: take more pods", s.pods, start)
	}
	p := plan{Start: start, Factor: float64(end-start) / s.duration.Seconds(), Duration: s.duration}
	for i := range pods[:first+s.pods] {
		if planned, ok := p.compress(&pods[i]); ok {
			p.Pods = append(p.Pods, planned)
		}
	}
	p.Peak = peak(p.Pods)
	p.Machines = choose(machines, int64(s.paid*float64(p.Peak.MilliCPU)))
	return p, nil
}

// seconds are those of the trace in so much time of the replay.
func (p *plan) seconds(d time.Duration) float64 { return d.Seconds() * p.Factor }

// busiest returns the first of n pods, sorted by time, that come in the shortest time.
func busiest(pods []tracePod, n int) int {
	best, shortest := 0, int64(math.MaxInt64)
	for i := 0; i+n <= len(pods); i++ {
		if length := pods[i+n-1].Created - pods[i].Created; length < shortest {
			best, shortest = i, length
		}
	}
	return best
}

// compress returns the pod in times of the replay, and false when it has ended before the start.
func (p *plan) compress(pod *tracePod) (plannedPod, bool) {
	planned := plannedPod{Name: pod.Name, amount: pod.amount, Running: pod.Created < p.Start}
	left := pod.Lifetime
	if planned.Running {
		if left < forever-pod.Created {
			left -= p.Start - pod.Created
		}
		if left <= 0 {
			return plannedPod{}, false
		}
	} else {
		planned.At = p.compressed(pod.Created - p.Start)
	}
	planned.Lifetime = p.compressed(left)
	return planned, true
}

// compressed is the time of the replay for so many seconds of the trace. What lasts longer than the replay is cut, so that nothing overflows.
func (p *plan) compressed(seconds int64) time.Duration {
	wall := float64(seconds) / p.Factor
	if wall > 2*p.Duration.Seconds() {
		return 2 * p.Duration
	}
	return time.Duration(wall * float64(time.Second))
}

// change is a moment at which demand changes.
type change struct {
	at    time.Duration
	sign  int64
	delta amount
}

// demand returns the changes of what pods would request if none waited, by time. At the same time what ends comes first, because its pod is further up.
func demand(pods []plannedPod) []change {
	var all []change
	for i := range pods {
		p := &pods[i]
		all = append(all, change{p.At, 1, p.amount}, change{p.At + p.Lifetime, -1, p.amount})
	}
	slices.SortStableFunc(all, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	return all
}

func peak(pods []plannedPod) amount {
	var now, most amount
	for _, c := range demand(pods) {
		now = now.plus(c.delta, c.sign)
		most = amount{max(most.MilliCPU, now.MilliCPU), max(most.MemoryMiB, now.MemoryMiB), max(most.GPUs, now.GPUs)}
	}
	return most
}

// choose returns machines that are spread evenly over the list, so that their mix is that of the list; as many as come nearest to so many vCPUs.
func choose(machines []machine, milliCPU int64) []machine {
	var best []machine
	off := int64(math.MaxInt64)
	for n := 1; n <= len(machines); n++ {
		var chosen []machine
		var sum int64
		for i := range n {
			m := machines[(2*i+1)*len(machines)/(2*n)]
			chosen = append(chosen, m)
			sum += m.MilliCPU
		}
		if distance := max(sum-milliCPU, milliCPU-sum); distance < off {
			best, off = chosen, distance
		}
		if sum > 4*milliCPU {
			break // More machines only have more: no need to try a thousand.
		}
	}
	return best
}

// total is what the paid machines have.
func total(machines []machine) amount {
	var all amount
	for i := range machines {
		all = all.plus(machines[i].amount, 1)
	}
	return all
}

func (a amount) plus(b amount, times int64) amount {
	return amount{a.MilliCPU + times*b.MilliCPU, a.MemoryMiB + times*b.MemoryMiB, a.GPUs + times*b.GPUs}
}

// describe is the plan in a few lines.
func (p *plan) describe() string {
	var machines []string
	for i := range p.Machines {
		m := &p.Machines[i]
		machines = append(machines, fmt.Sprintf("%d/%d/%d", m.MilliCPU/1000, m.MemoryMiB/1024, m.GPUs))
	}
	running := p.running()
	return fmt.Sprintf("%d pods come in %.1f days of the trace from second %d on, and %d run at the start; a second is %.0f s of the trace\n"+
		"most requested at the same time: %s\npaid: %s (vCPU/GiB/GPUs %s)\n", len(p.Pods)-running, p.seconds(p.Duration)/secondsPerDay, p.Start, running, p.Factor,
		p.Peak, total(p.Machines), strings.Join(machines, ", "))
}

// running is how many pods run at the start.
func (p *plan) running() int {
	n := 0
	for n < len(p.Pods) && p.Pods[n].Running {
		n++
	}
	return n
}

// String is the amount in words.
func (a amount) String() string {
	return fmt.Sprintf("%d vCPU, %d GiB, %d GPUs", a.MilliCPU/1000, a.MemoryMiB/1024, a.GPUs)
}
