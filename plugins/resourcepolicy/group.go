package resourcepolicy

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/pkg/admission"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// noUnit stands for the unit of a pod that waits in none.
const noUnit = -1

type groupKey struct {
	policy types.UID
	group  string
}

// group is what waits in one group of one policy.
type group struct {
	// tickets are nil for a policy that never holds pods: one of its units has no cap.
	tickets *admission.Tickets
	policy  *placement.Policy
	// pods are the pods with a ticket.
	pods map[types.UID]*corev1.Pod
	// blocked are the pods that are being tried, or wait in a unit that may become full.
	blocked map[types.UID]blockedPod
}

// blockedPod is a pod that is being tried, or waits in a unit.
type blockedPod struct {
	pod *corev1.Pod
	// trying is true until its attempt has ended.
	trying bool
	// unit is where it waits for a node, or noUnit. When that unit becomes full, the pod may go on (R6).
	unit int
}

// knowledge is what a cycle finds out about a group.
type knowledge struct {
	version   int64
	counts    []placement.Usage
	lowest    int32
	hasLowest bool
	nominated []nomination
}

// heldPod is why a pod is held.
type heldPod struct {
	policy *placement.Policy
	since  time.Time
	// full is true when the counts keep it out; otherwise the slots are kept for pods that are being tried or wait for a node.
	full bool
}

// tell tells the tickets of a group something, and acts on what follows from it. Nothing is told by a cycle that began before an edit of the policy.
func (a *gate) tell(policy *placement.Policy, groupName string, what func(*admission.Tickets) admission.Moves) {
	a.mu.Lock()
	g, ok := a.groups[groupKey{policy.UID, groupName}]
	if !ok || g.tickets == nil || g.policy.Generation != policy.Generation {
		a.mu.Unlock()
		return
	}
	free, held := a.podsOf(g, what(g.tickets))
	a.mu.Unlock()
	a.apply(free, held)
}

// tellOf is tell about a pod that still waits.
func (a *gate) tellOf(policy *placement.Policy, groupName string, pod *corev1.Pod, what func(*admission.Tickets) admission.Moves) {
	a.tell(policy, groupName, func(t *admission.Tickets) admission.Moves {
		if a.enter(policy, groupName, pod) == nil {
			return admission.Moves{}
		}
		return what(t)
	})
}

func (a *gate) apply(free, held []*corev1.Pod) {
	if len(held) > 0 {
		a.held(held)
	}
	if len(free) > 0 {
		a.wake(free)
	}
}

// enter gives a pod a place in the group, and takes the one that it had elsewhere. It returns nil for a pod that waits no more. The caller has the lock.
func (a *gate) enter(policy *placement.Policy, groupName string, pod *corev1.Pod) *group {
	key := groupKey{policy.UID, groupName}
	if old, ok := a.members[pod.UID]; ok && old != key {
		a.remove(old, pod.UID)
	}
	if !a.waits(pod) {
		return nil
	}
	g := a.group(policy, groupName)
	if g == nil {
		return nil
	}
	g.pods[pod.UID] = pod
	a.members[pod.UID] = key
	return g
}

// block notes what may help a pod. It returns nil for a pod that waits no more, and for a policy without caps. The caller has the lock.
func (a *gate) block(policy *placement.Policy, groupName string, b blockedPod) *group {
	if !policy.HasCaps() || !a.waits(b.pod) {
		return nil
	}
	key := groupKey{policy.UID, groupName}
	if old, ok := a.blockedIn[b.pod.UID]; ok && old != key {
		a.unblock(b.pod.UID)
	}
	g := a.group(policy, groupName)
	if g != nil {
		g.blocked[b.pod.UID], a.blockedIn[b.pod.UID] = b, key
	}
	return g
}

// leave drops the ticket of a pod: its attempt failed for a reason that is not the policy's, or it is not the policy's any more. Nothing happens for a
// pod without one.
func (a *gate) leave(pod types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if key, ok := a.members[pod]; ok {
		a.remove(key, pod)
	}
}

// remove drops a pod from its group, and passes on what it had there. The caller has the lock, and may have that of the queue.
func (a *gate) remove(key groupKey, pod types.UID) {
	delete(a.members, pod)
	a.noteHeld(pod, false)
	g := a.groups[key]
	delete(g.pods, pod)
	a.passOn(g, g.tickets.Fail(pod))
	a.dropIfEmpty(key, g)
}

// passOn acts on moves in another goroutine. The caller has the lock, and may have that of the queue.
func (a *gate) passOn(g *group, moves admission.Moves) {
	if free, held := a.podsOf(g, moves); len(free)+len(held) > 0 {
		a.soon(func() { a.apply(free, held) })
	}
}

// unblock drops a pod from those that a change of the counts may help. The caller has the lock.
func (a *gate) unblock(pod types.UID) {
	key, ok := a.blockedIn[pod]
	if !ok {
		return
	}
	delete(a.blockedIn, pod)
	g := a.groups[key]
	delete(g.blocked, pod)
	a.dropIfEmpty(key, g)
}

// dropIfEmpty drops a group in which nothing waits, so that the memory does not grow with every group that ever was. The caller has the lock.
func (a *gate) dropIfEmpty(key groupKey, g *group) {
	if len(g.pods) == 0 && len(g.blocked) == 0 {
		delete(a.groups, key)
	}
}

// group returns a group. After an edit of the policy it begins anew: the edit has made every waiting pod ask again. It returns nil for an older policy: a
// cycle that began before the edit has nothing to say any more. The caller has the lock.
func (a *gate) group(policy *placement.Policy, groupName string) *group {
	key := groupKey{policy.UID, groupName}
	g := a.groups[key]
	if g != nil && g.policy.Generation == policy.Generation {
		return g
	}
	if g != nil && g.policy.Generation > policy.Generation {
		return nil
	}
	blocked := map[types.UID]blockedPod{}
	if g != nil {
		blocked = g.blocked
		for pod := range g.pods {
			delete(a.members, pod)
			a.noteHeld(pod, false)
		}
	}
	g = &group{policy: policy, pods: map[types.UID]*corev1.Pod{}, blocked: blocked}
	if policy.CanHold() {
		g.tickets = admission.NewTickets(policy)
	}
	a.groups[key] = g
	return g
}

// podsOf returns the pods of moves. The caller has the lock.
func (a *gate) podsOf(g *group, moves admission.Moves) (free, held []*corev1.Pod) {
	for _, uid := range moves.Free {
		a.noteHeld(uid, false)
		free = append(free, g.pods[uid])
	}
	for _, uid := range moves.Held {
		a.noteHeld(uid, true)
		held = append(held, g.pods[uid])
	}
	return free, held
}

// noteHeld notes since when a pod is held, if it is. The caller has the lock.
func (a *gate) noteHeld(pod types.UID, held bool) {
	since, noted := a.heldAt[pod]
	switch {
	case held && !noted:
		a.heldAt[pod] = time.Now()
	case !held && noted:
		delete(a.heldAt, pod)
		a.holdEnded(time.Since(since))
	}
}
