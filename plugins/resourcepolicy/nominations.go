package resourcepolicy

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/pkg/placement"
)

// nomination is the slot of a pod that has preempted others.
type nomination struct {
	pod           *corev1.Pod
	policy, group string
	unit, node    string
	priority      int32
	usage         placement.Usage
	// victims are the pods that it preempts.
	victims map[types.UID]bool
}

// nominate keeps a slot for a pod that preempts others.
func (f *inflight) nominate(n nomination) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waits(n.pod) {
		f.nominations[n.pod.UID] = n
	}
}

// unitOf returns the index of the unit of the slot; noUnit when the policy has that unit no more.
func (n *nomination) unitOf(policy *placement.Policy) int {
	return slices.IndexFunc(policy.Units, func(unit placement.Unit) bool { return unit.ID == n.unit })
}

// nominees returns the slots that the pods of a group have made for themselves.
func (f *inflight) nominees(policy, group string) []nomination {
	f.mu.Lock()
	defer f.mu.Unlock()
	var slots []nomination
	for _, n := range f.nominations {
		if n.policy == policy && n.group == group {
			slots = append(slots, n)
		}
	}
	return slots
}

// nominated returns the nomination of a pod.
func (f *inflight) nominated(pod types.UID) (nomination, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, ok := f.nominations[pod]
	return n, ok
}

// isVictimOn tells whether a pod is being preempted on a node, for whichever pod.
func (f *inflight) isVictimOn(node string, pod types.UID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.nominations {
		if n.node == node && n.victims[pod] {
			return true
		}
	}
	return false
}

// dropNomination gives the slot of a pod back. It tells whether there was one.
func (f *inflight) dropNomination(pod types.UID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.nominations[pod]
	delete(f.nominations, pod)
	return ok
}

// nominatedIn adds up the slots like this one that other pods of at least its priority have.
func (f *inflight) nominatedIn(slot nomination) placement.Usage {
	f.mu.Lock()
	defer f.mu.Unlock()
	var usage placement.Usage
	for uid, n := range f.nominations {
		if uid != slot.pod.UID && n.policy == slot.policy && n.group == slot.group && n.unit == slot.unit && n.priority >= slot.priority {
			usage = usage.Merge(n.usage)
		}
	}
	return usage
}
