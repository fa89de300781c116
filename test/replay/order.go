package main

// watched follows the room of the paid machines, and for each pod that waits the machines that have had room for it since its creation. A machine on
// which room is made later does not count: the scheduler may have decided before.
type watched struct {
	plan    *plan
	room    []amount
	slots   []int64
	on      map[int]int
	waiting map[int]map[int]bool
	// doubtful are the machines on which the room at the creation of a waiting pod went to pods whose bindings were on their way by then. What was freed
	// there before they were seen is room that was made while it waited.
	doubtful map[int]map[int]bool
}

// violations counts the pods that were bound to ECI although a paid machine had room for them all the time, and those where that only seemed so: a
// scheduler decides one pod after the other, but bindings are seen in any order. If a pod that was waiting as well is seen on that machine within
// inFlight, the scheduler has probably decided for that pod first.
func violations(p *plan, events []event) (proven, seen int) {
	w := &watched{plan: p, on: map[int]int{}, waiting: map[int]map[int]bool{}, doubtful: map[int]map[int]bool{}}
	for i := range p.Machines {
		w.room = append(w.room, p.Machines[i].amount)
		w.slots = append(w.slots, mostPods)
	}
	for i, e := range events {
		switch e.kind {
		case created:
			w.create(e, events[i+1:])
		case bound:
			candidates := w.waiting[e.pod]
			delete(w.waiting, e.pod)
			if e.machine != onECI {
				w.bind(e.pod, e.machine)
				continue
			}
			if len(candidates) > 0 {
				seen++
			}
			if w.hasRoom(e, candidates, events[i+1:]) {
				proven++
			}
		case deleted:
			w.remove(e.pod)
		}
	}
	return proven, seen
}

func (w *watched) create(e event, later []event) {
	candidates, doubtful := map[int]bool{}, map[int]bool{}
	for m := range w.room {
		if !w.fits(e.pod, m, amount{}, 0) {
			continue
		}
		candidates[m] = true
		taken, pods := w.takenSoon(e, m, later)
		doubtful[m] = !w.fits(e.pod, m, taken, pods)
	}
	w.waiting[e.pod], w.doubtful[e.pod] = candidates, doubtful
}

func (w *watched) bind(pod, machine int) {
	w.room[machine] = w.room[machine].plus(w.plan.Pods[pod].amount, -1)
	w.slots[machine]--
	w.on[pod] = machine
	for waits, candidates := range w.waiting {
		if candidates[machine] && !w.fits(waits, machine, amount{}, 0) {
			delete(candidates, machine)
		}
	}
}

func (w *watched) remove(pod int) {
	delete(w.waiting, pod)
	delete(w.doubtful, pod)
	machine, ok := w.on[pod]
	if !ok {
		return
	}
	w.room[machine] = w.room[machine].plus(w.plan.Pods[pod].amount, 1)
	w.slots[machine]++
	delete(w.on, pod)
}

// hasRoom tells whether one of the machines has room for the pod of the event also when the pods have their place that were waiting as well and are bound
// soon after.
func (w *watched) hasRoom(e event, candidates map[int]bool, later []event) bool {
	for m := range candidates {
		taken, pods := w.takenSoon(e, m, later)
		if !w.doubtful[e.pod][m] && w.fits(e.pod, m, taken, pods) {
			return true
		}
	}
	return false
}

// takenSoon returns what pods that wait at the moment of an event are seen to take on a machine soon after.
func (w *watched) takenSoon(e event, machine int, later []event) (taken amount, pods int64) {
	for _, next := range later {
		if next.at-e.at > inFlight {
			break
		}
		if _, waits := w.waiting[next.pod]; waits && next.kind == bound && next.machine == machine {
			taken = taken.plus(w.plan.Pods[next.pod].amount, 1)
			pods++
		}
	}
	return taken, pods
}

// fits tells whether a machine has room for the pod beside what else is taken.
func (w *watched) fits(pod, machine int, taken amount, pods int64) bool {
	left := w.room[machine].plus(taken, -1).plus(w.plan.Pods[pod].amount, -1)
	return left.MilliCPU >= 0 && left.MemoryMiB >= 0 && left.GPUs >= 0 && w.slots[machine]-pods > 0
}
