package resourcepolicy

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/spillway-k8s/spillway/pkg/placement"
)

// rejection is why the last attempt of a pod failed, as far as the scheduling queue does not know: it decides which events may help the pod.
type rejection struct {
	// plugins rejected the pod in units whose nodes the framework did not look at in that attempt. The queue asks the others itself.
	plugins sets.Set[string]
	// empty are the units without a node, by ID.
	empty sets.Set[string]
	// full is true when a unit was full, and barred when one can never take the pod as it is.
	full, barred bool
	// leaving is true when the pod waits for others to leave a node: for one that has ended, or for those that it has preempted.
	leaving bool
	// terminating is true when the pod waits for the terminating pods of its policy.
	terminating bool
	// held is the message of a pod that found every unit full; empty for others.
	held string
	// moving is true when the pod is about to be tried again: no node that an autoscaler could add is of use.
	moving bool
}

// newRejection returns the rejection of an attempt. decision is nil when the policy cannot place the pod at all.
func newRejection(s *cycleState, decision *placement.Decision) rejection {
	r := rejection{empty: sets.New[string]()}
	if decision == nil || s.view == nil {
		return r
	}
	r.plugins = s.view.walk.rejectors.Clone()
	r.full, r.terminating = decision.PassedFull(), decision.Terminating()
	r.leaving = decision.Leaving() || decision.VictimsRemain()
	r.moving = decision.Outcome == placement.Placed || decision.Leaving()
	if decision.Outcome == placement.Held {
		r.held = s.view.pl.heldMessage(s.policy, s.view.pod)
	}
	for i := range s.policy.Units {
		unit := &s.policy.Units[i]
		r.barred = r.barred || s.view.Barred(i) != ""
		nodes := s.view.pl.index.members(unit.Nodes)
		if len(nodes.positions) == 0 {
			r.empty.Insert(unit.ID)
		}
		if slices.Contains(s.view.noRoom, i) {
			s.view.candidate.rejectors(nodes, s.view.pl.index.nodes, s.view.closed[i].why != "", r.plugins)
		}
	}
	return r
}

// reject remembers why the attempt of a pod failed.
func (f *inflight) reject(pod *corev1.Pod, r rejection) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waits(pod) {
		f.rejections[pod.UID] = r
	} else {
		delete(f.rejections, pod.UID)
	}
}

// forgetRejection drops what is remembered of the last attempt of a pod: another one begins.
func (f *inflight) forgetRejection(pod types.UID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.rejections, pod)
}

// unhold notes that a pod that found every unit full is not held: it has preempted others.
func (f *inflight) unhold(pod types.UID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r, ok := f.rejections[pod]; ok {
		r.held = ""
		f.rejections[pod] = r
	}
}

// rejection returns why the last attempt of a pod failed; false when nothing is remembered.
func (f *inflight) rejection(pod types.UID) (rejection, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.rejections[pod]
	return r, ok
}
