package resourcepolicy

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/pkg/admission"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// gate hands out the tickets of all groups (R7). PreEnqueue asks it under the lock of the scheduling queue, the scheduling goroutine and the handlers
// of the informers tell it what happened. Only computation happens under its lock; pods are woken after it is released, because waking takes the lock of
// the queue.
type gate struct {
	// wake retries pods that are sure of a slot, retry those that may be placed, and wakeSlots those for which a full unit of a group was in the way. held
	// tells that pods are held now. They are called without the lock.
	wake      func(pods []*corev1.Pod)
	retry     func(pods []*corev1.Pod)
	wakeSlots func(groupKey)
	held      func(pods []*corev1.Pod)
	// waits tells whether a pod still waits, by the informer's store, which is changed before any handler runs: the end of a pod that a ticket is given
	// to is therefore seen either here or by forget.
	waits func(pod *corev1.Pod) bool
	// holdEnded is told how long a hold was. It is called with the lock, and must not ask.
	holdEnded func(held time.Duration)
	// soon runs a function in another goroutine, which does not have the lock of the queue.
	soon func(func())

	mu     sync.Mutex
	groups map[groupKey]*group
	// members are the groups of the pods that have a ticket.
	members map[types.UID]groupKey
	// blockedIn are the groups of the pods that are blocked.
	blockedIn map[types.UID]groupKey
	// heldAt is since when held pods are.
	heldAt map[types.UID]time.Time
}

func newGate() *gate {
	return &gate{groups: map[groupKey]*group{}, members: map[types.UID]groupKey{}, blockedIn: map[types.UID]groupKey{}, heldAt: map[types.UID]time.Time{}}
}

// ask tells whether the pod may be tried. A pod that asks again although it was tried, and of which nothing was heard since, has met an error: it comes
// behind the others.
func (a *gate) ask(policy *placement.Policy, groupName string, pod *corev1.Pod) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.enter(policy, groupName, pod)
	if g == nil {
		return true
	}
	if b, ok := g.blocked[pod.UID]; ok && b.trying {
		delete(g.blocked, pod.UID)
		delete(a.blockedIn, pod.UID)
		a.passOn(g, g.tickets.Fail(pod.UID))
	}
	admitted := g.tickets.Ask(applicantOf(policy, pod))
	a.noteHeld(pod.UID, !admitted)
	return admitted
}

// expect makes the waiting pods of a group known, and wakes those that may be tried. The others are held.
func (a *gate) expect(policy *placement.Policy, groupName string, pods []*corev1.Pod) {
	a.mu.Lock()
	applicants := make([]admission.Applicant, 0, len(pods))
	var g *group
	for _, pod := range pods {
		if entered := a.enter(policy, groupName, pod); entered != nil {
			g = entered
			applicants = append(applicants, applicantOf(policy, pod))
		}
	}
	if g == nil {
		a.mu.Unlock()
		return
	}
	free, held := a.podsOf(g, g.tickets.Expect(applicants))
	for _, pod := range pods {
		if g.tickets.IsHeld(pod.UID) {
			a.noteHeld(pod.UID, true)
			held = append(held, pod)
		}
	}
	a.mu.Unlock()
	a.apply(free, held)
}

// begin notes that the pod is about to be tried, and returns the version of what is known about its group. It must be called before the counts are read:
// an event that frees a slot after that will find the pod.
func (a *gate) begin(policy *placement.Policy, groupName string, pod *corev1.Pod) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.block(policy, groupName, blockedPod{pod: pod, trying: true, unit: noUnit})
	if g == nil || g.tickets == nil {
		return 0
	}
	return g.tickets.Version()
}

// sync tells the counts of a group by unit, and the lowest priority among the counted pods. nominated are the pods that have made a slot for themselves.
func (a *gate) sync(policy *placement.Policy, groupName string, known knowledge) {
	a.tell(policy, groupName, func(t *admission.Tickets) admission.Moves {
		var free []types.UID
		for _, n := range known.nominated {
			if g := a.enter(policy, groupName, n.pod); g != nil {
				if t.IsHeld(n.pod.UID) {
					free = append(free, n.pod.UID) // It was held after an edit of the policy, which began the tickets anew.
				}
				t.Keep(applicantOf(policy, n.pod), n.unitOf(policy))
			}
		}
		t.SetLowest(known.lowest, known.hasLowest)
		moves := t.Sync(known.version, known.counts)
		moves.Free = append(moves.Free, free...)
		return moves
	})
}

// ended tells how the attempt of a pod ended that was not placed.
func (a *gate) ended(policy *placement.Policy, groupName string, pod *corev1.Pod, decision *placement.Decision) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if decision.Outcome == placement.Waiting {
		a.block(policy, groupName, blockedPod{pod: pod, unit: decision.Unit})
	} else {
		a.unblock(pod.UID)
	}
}

// filled tells what a group has in a unit after a placement. Pods that wait there for a node and find it full now may go on to the next unit (R6).
func (a *gate) filled(policy *placement.Policy, groupName string, unit int, usage placement.Usage) {
	if !policy.WaitsUntilFull() || !policy.Units[unit].HasCap() {
		return
	}
	a.mu.Lock()
	var free []*corev1.Pod
	if g, ok := a.groups[groupKey{policy.UID, groupName}]; ok {
		for _, b := range g.blocked {
			if b.unit == unit && policy.Full(unit, usage, vector(policy, b.pod)) {
				free = append(free, b.pod)
			}
		}
	}
	a.mu.Unlock()
	if len(free) > 0 {
		a.retry(free)
	}
}

// placed tells that the pod was placed in a unit.
func (a *gate) placed(policy *placement.Policy, groupName string, pod *corev1.Pod, unit int) {
	a.mu.Lock()
	a.unblock(pod.UID)
	a.mu.Unlock()
	a.tell(policy, groupName, func(t *admission.Tickets) admission.Moves { return t.Place(applicantOf(policy, pod), unit) })
	a.leave(pod.UID)
}

// wait tells that the pod waits for a node.
func (a *gate) wait(policy *placement.Policy, groupName string, pod *corev1.Pod) {
	a.tellOf(policy, groupName, pod, func(t *admission.Tickets) admission.Moves { return t.Wait(applicantOf(policy, pod)) })
}

// hold tells that every unit was found full for the pod.
func (a *gate) hold(policy *placement.Policy, groupName string, pod *corev1.Pod) {
	// From now on the tickets wake it.
	a.mu.Lock()
	a.unblock(pod.UID)
	a.mu.Unlock()
	a.tellOf(policy, groupName, pod, func(t *admission.Tickets) admission.Moves { return t.Hold(applicantOf(policy, pod)) })
}

// keep tells that the pod has made a slot for itself in a unit by preemption.
func (a *gate) keep(policy *placement.Policy, groupName string, pod *corev1.Pod, unit int) {
	a.mu.Lock()
	a.unblock(pod.UID)
	a.mu.Unlock()
	a.tellOf(policy, groupName, pod, func(t *admission.Tickets) admission.Moves {
		a.noteHeld(pod.UID, false) // Its attempt may have found every unit full before.
		t.Keep(applicantOf(policy, pod), unit)
		return admission.Moves{}
	})
}

// freed tells that a slot of a group may have become free.
func (a *gate) freed(key groupKey) {
	a.mu.Lock()
	var free, held []*corev1.Pod
	if g, ok := a.groups[key]; ok && g.tickets != nil {
		free, held = a.podsOf(g, g.tickets.Doubt())
	}
	a.mu.Unlock()
	a.apply(free, held)
	a.wakeSlots(key)
}

// freedIn is freed for all groups of the policies that match.
func (a *gate) freedIn(matches func(*placement.Policy) bool) {
	a.mu.Lock()
	var keys []groupKey
	for key, g := range a.groups {
		if matches(g.policy) {
			keys = append(keys, key)
		}
	}
	a.mu.Unlock()
	for _, key := range keys {
		a.freed(key)
	}
}

// forget drops a pod that is not waiting any more. What it had is free.
func (a *gate) forget(pod types.UID) {
	a.mu.Lock()
	a.unblock(pod)
	a.mu.Unlock()
	a.leave(pod)
}

// isHeld tells why the pod is held; false when it is not.
func (a *gate) isHeld(pod types.UID) (heldPod, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key, ok := a.members[pod]
	if !ok || !a.groups[key].tickets.IsHeld(pod) {
		return heldPod{}, false
	}
	g := a.groups[key]
	return heldPod{policy: g.policy, since: a.heldAt[pod], full: g.tickets.Full(pod)}, true
}

// heldPods returns all pods that are held.
func (a *gate) heldPods() []*corev1.Pod {
	a.mu.Lock()
	defer a.mu.Unlock()
	var held []*corev1.Pod
	for uid := range a.heldAt {
		if key, ok := a.members[uid]; ok {
			held = append(held, a.groups[key].pods[uid])
		}
	}
	return held
}
