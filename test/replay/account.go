package main

import (
	"cmp"
	"slices"
	"time"
)

const (
	created eventKind = iota
	bound
	deleted

	// inFlight is how long a binding may take from the decision until it is seen. Bindings overtake each other.
	inFlight = 250 * time.Millisecond
	// mostPods is how many pods a machine takes.
	mostPods = 110
	// buckets is how many points a curve has.
	buckets = 240
)

// eventKind says what happened to a pod.
type eventKind int

// event is something that was seen to happen to a pod, in the order of the API server.
type event struct {
	kind eventKind
	// at is the time since the start of the replay; before it, negative.
	at time.Duration
	// pod is its place in the plan.
	pod int
	// machine is the place of the paid machine in the plan to which it was bound, or onECI.
	machine int
}

// onECI stands for the virtual node.
const onECI = -1

// outcome is what a scheduler made of the plan.
type outcome struct {
	Scheduler string `json:"scheduler"`
	Round     int    `json:"round"`
	// Pods is how many there were, Placed how many of them were bound, OnECI how many on the virtual node.
	Pods   int `json:"pods"`
	Placed int `json:"placed"`
	OnECI  int `json:"onECI"`
	// ECISeconds are seconds of the trace that pods were on ECI.
	ECISeconds float64 `json:"eciSeconds"`
	// Cost is for ECI in CNY, of pods without and with GPUs. Unsold is how many pods on ECI have nothing there that is large enough.
	Cost    float64 `json:"cost"`
	GPUCost float64 `json:"gpuCost"`
	Unsold  int     `json:"unsold"`
	// Queued is how long pods that came during the replay waited, in milliseconds of the replay.
	QueuedMedian float64 `json:"queuedMedianMilliseconds"`
	QueuedP99    float64 `json:"queuedP99Milliseconds"`
	QueuedMax    float64 `json:"queuedMaxMilliseconds"`
	// Violations are pods on ECI for which a paid machine had room all the time from their creation to their binding. SeenRoom counts also those where that
	// room went to a pod whose binding was seen just afterwards.
	Violations int `json:"violations"`
	SeenRoom   int `json:"seenRoom"`
	// PodsOnECI and PaidCPU are means over equal times of the replay.
	PodsOnECI []float64 `json:"podsOnECI"`
	PaidCPU   []float64 `json:"paidVCPUInUse"`
}

// stay is a pod's time on a node, in the replay.
type stay struct {
	pod, machine int
	from, to     time.Duration
}

// account makes up what was seen.
func account(p *plan, events []event, costs []cost) outcome {
	var o outcome
	for i := range events {
		switch e := &events[i]; e.kind {
		case created:
			o.Pods++
		case bound:
			o.Placed++
			if e.machine == onECI {
				o.OnECI++
				if !costs[e.pod].sold {
					o.Unsold++
				}
			}
		case deleted:
		}
	}
	stays := staysOf(events, p.Duration)
	eci, paid := make([]float64, buckets), make([]float64, buckets)
	for _, s := range stays {
		pod := &p.Pods[s.pod]
		if s.machine != onECI {
			spread(paid, s, p.Duration, float64(pod.MilliCPU)/1000)
			continue
		}
		spread(eci, s, p.Duration, 1)
		seconds := p.seconds(s.to - s.from)
		o.ECISeconds += seconds
		if pod.GPUs > 0 {
			o.GPUCost += seconds * costs[s.pod].perSecond
		} else {
			o.Cost += seconds * costs[s.pod].perSecond
		}
	}
	o.PodsOnECI, o.PaidCPU = eci, paid
	o.QueuedMedian, o.QueuedP99, o.QueuedMax = queued(p, events)
	o.Violations, o.SeenRoom = violations(p, events)
	return o
}

// staysOf returns where each pod was during the replay.
func staysOf(events []event, duration time.Duration) []stay {
	open := map[int]stay{}
	var all []stay
	end := func(s stay, at time.Duration) {
		s.from, s.to = min(max(s.from, 0), duration), min(max(at, 0), duration)
		if s.to > s.from {
			all = append(all, s)
		}
	}
	for _, e := range events {
		switch e.kind {
		case created:
		case bound:
			open[e.pod] = stay{pod: e.pod, machine: e.machine, from: e.at}
		case deleted:
			if s, ok := open[e.pod]; ok {
				end(s, e.at)
				delete(open, e.pod)
			}
		}
	}
	for _, e := range events { // In the order of events, so that the same events give the same sums.
		if s, ok := open[e.pod]; ok && e.kind == bound {
			end(s, duration)
		}
	}
	return all
}

// spread adds a stay to a curve.
func spread(curve []float64, s stay, duration time.Duration, weight float64) {
	length := duration.Seconds() / float64(len(curve))
	for i := int(s.from.Seconds() / length); i < len(curve); i++ {
		begin, end := float64(i)*length, float64(i+1)*length
		if begin >= s.to.Seconds() {
			return
		}
		curve[i] += weight * (min(end, s.to.Seconds()) - max(begin, s.from.Seconds())) / length
	}
}

// queued returns the median, the 99th percentile and the most of the time from creation to binding, in milliseconds.
func queued(p *plan, events []event) (median, p99, most float64) {
	since := map[int]time.Duration{}
	var all []time.Duration
	for _, e := range events {
		switch {
		case p.Pods[e.pod].Running:
		case e.kind == created:
			since[e.pod] = e.at
		case e.kind == bound:
			all = append(all, e.at-since[e.pod])
		}
	}
	if len(all) == 0 {
		return 0, 0, 0
	}
	slices.SortFunc(all, cmp.Compare[time.Duration])
	at := func(part float64) float64 {
		return float64(all[int(part*float64(len(all)-1)+0.5)].Microseconds()) / 1000
	}
	return at(0.5), at(0.99), at(1)
}
