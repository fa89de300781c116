package main

import "testing"

func TestViolations(t *testing.T) {
	// Two machines with 4 and 8 vCPUs; each pod has the size that its place in the plan says.
	size := []amount{0: cpu(4), 1: cpu(8), 2: cpu(4), 3: cpu(4), 4: {MilliCPU: 1000, GPUs: 1}, 5: {MilliCPU: 1000, MemoryMiB: 4096}, 6: cpu(1), 7: cpu(2), 8: cpu(2), 9: cpu(2)}
	for name, tc := range map[string]struct {
		events       []event
		proven, seen int
	}{
		"order kept":                 {events: []event{c(0, 0), b(0.1, 0, 0), c(1, 1), b(1.1, 1, 1), c(2, 2), b(2.1, 2, onECI)}},
		"an empty machine":           {events: []event{c(0, 0), b(0.1, 0, onECI)}, proven: 1, seen: 1},
		"room on one machine of two": {events: []event{c(0, 0), b(0.1, 0, 0), c(1, 2), b(1.1, 2, onECI)}, proven: 1, seen: 1},
		"no GPU on any machine":      {events: []event{c(0, 4), b(0.1, 4, onECI)}},
		"no memory":                  {events: []event{c(0, 5), b(0.1, 5, onECI)}},
		"room that was freed while it waited": {
			events: []event{c(0, 0), b(0.1, 0, 0), c(0.2, 1), b(0.3, 1, 1), c(1, 2), d(1.1, 0), b(1.2, 2, onECI)},
		},
		"room that was freed before it came": {
			events: []event{c(0, 0), b(0.1, 0, 0), c(0.2, 1), b(0.3, 1, 1), d(0.9, 0), c(1, 2), b(1.2, 2, onECI)}, proven: 1, seen: 1,
		},
		"room that went to another while it waited": {
			events: []event{c(0, 1), b(0.1, 1, 1), c(1, 2), c(1, 0), b(1.1, 0, 0), d(1.2, 0), b(1.3, 2, onECI)},
		},
		"a binding that is overtaken": {
			events: []event{c(0, 1), b(0.1, 1, 1), c(1, 0), c(1, 2), b(1.1, 2, onECI), b(1.2, 0, 0)}, seen: 1,
		},
		"a binding much later is none that was overtaken": {
			events: []event{c(0, 1), b(0.1, 1, 1), c(1, 0), c(1, 2), b(1.1, 2, onECI), b(1.5, 0, 0)}, proven: 1, seen: 1,
		},
		"nor one of a pod that came later": {
			events: []event{c(0, 1), b(0.1, 1, 1), c(1, 2), b(1.1, 2, onECI), c(1.11, 0), b(1.12, 0, 0)}, proven: 1, seen: 1,
		},
		"an overtaken binding leaves room enough": {
			events: []event{c(0, 0), b(0.1, 0, 0), c(1, 2), c(1, 3), b(1.1, 2, onECI), b(1.2, 3, 1)}, proven: 1, seen: 1,
		},
		"room that was freed while a binding was on its way that had taken what there was": {
			// Pod 7 leaves room for one more of its size. Pod 8 takes that, and pod 9 comes; pod 7 ends before the binding of 8 is seen.
			events: []event{c(0, 1), b(0.1, 1, 1), c(0.2, 7), b(0.3, 7, 0), c(1, 8), c(1.001, 9), d(1.002, 7), b(1.01, 8, 0), b(1.011, 9, onECI)}, seen: 1,
		},
		"a pod deleted before it is bound": {events: []event{c(0, 0), d(0.1, 0), c(0.2, 1), b(0.3, 1, 1)}},
	} {
		t.Run(name, func(t *testing.T) {
			p := &plan{Machines: []machine{{Name: "small", amount: cpu(4)}, {Name: "large", amount: cpu(8)}}}
			for i := range size {
				p.Pods = append(p.Pods, plannedPod{amount: size[i]})
			}
			proven, seen := violations(p, tc.events)
			if proven != tc.proven || seen != tc.seen {
				t.Errorf("got %d violations and %d that seemed so, want %d and %d", proven, seen, tc.proven, tc.seen)
			}
		})
	}
}

func TestViolationsByNumberOfPods(t *testing.T) {
	p := &plan{Machines: []machine{{Name: "m", amount: cpu(1000)}}}
	var events []event
	for i := range mostPods + 1 {
		p.Pods = append(p.Pods, plannedPod{amount: cpu(1)})
		machine := 0
		if i == mostPods {
			machine = onECI
		}
		events = append(events, c(float64(i), i), b(float64(i)+0.5, i, machine))
	}
	if proven, _ := violations(p, events); proven != 0 {
		t.Errorf("got %d violations with %d pods on the machine, want none", proven, mostPods)
	}
	// With one pod less there is room.
	if proven, _ := violations(p, events[2:]); proven != 1 {
		t.Errorf("got %d violations with %d pods on the machine, want 1", proven, mostPods-1)
	}
}
