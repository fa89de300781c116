package resourcepolicy

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
)

// PostFilter is what happens to a governed pod that was not placed in this cycle. When the nodes of the unit seemed to have room but no other plugin's
// filters let the pod in, such as for a host port or an anti-affinity, it looks for the next unit in which they do, and sends the pod there (R5): the next
// attempt follows at once. When those nodes were a sample, it looks at the whole unit first. Where preemptPolicy says so, it tries preemption before it goes
// on (R8); the Preemption plugin does so at the end of the walk. PostFilter tells the tickets what became of the attempt (R7). Pods without a policy, and those
// whose walk is over, are left to the plugins that follow (R14).
func (pl *ResourcePolicy) PostFilter(
	ctx context.Context, state fwk.CycleState, pod *corev1.Pod, statuses fwk.NodeToStatusReader,
) (*fwk.PostFilterResult, *fwk.Status) {
	s := stateOf(state)
	if s == nil {
		// A pod without a policy, which the VirtualNode plugin parks; or one that another plugin refused before this one was asked.
		pl.admission.leave(pod.UID)
		pl.inflight.stopWait(pod.UID)
		return nil, fwk.NewStatus(fwk.Unschedulable)
	}
	if s.view == nil { // The policy cannot place the pod at all, and the other plugins have not prepared for it.
		pl.refused(s, pod)
		return s.nomination(), fwk.NewStatus(fwk.UnschedulableAndUnresolvable)
	}
	if code, refused := refusedBefore(statuses); refused && (s.outcome == placement.Placed || s.outcome == placement.Preempting) {
		metrics.Decided(metrics.OutcomeOther, metrics.NoUnit, false)
		s.mayPreempt = code == fwk.Unschedulable
		pl.refused(s, pod)
		return nil, fwk.NewStatus(fwk.Unschedulable)
	}
	known := s.judgeUnit(statuses)
	pl.noteUnit(ctx, state, s)
	walk := s.view.walk
	for {
		decision := s.decide()
		switch decision.Outcome {
		case placement.Preempting:
			if result, status := pl.preemptIn(ctx, state, pod, decision.Unit, statuses); result != nil || status != nil {
				return result, status
			}
			walk.preempted.Insert(s.policy.Units[decision.Unit].ID)
		case placement.Placed:
			if pl.passesIn(ctx, state, pod, decision.Unit) {
				walk.rejectors = walk.rejectors.Union(known)
				return pl.goOn(ctx, s, pod, &decision)
			}
			walk.failed.Insert(s.policy.Units[decision.Unit].ID)
		default:
			return pl.giveUp(s, pod, &decision)
		}
	}
}

// noteUnit notes in the walk what the framework has found in the unit of this cycle: that an earlier one is open again, that a sample of its nodes was not
// enough, or that no node passes the filters.
func (pl *ResourcePolicy) noteUnit(ctx context.Context, state fwk.CycleState, s *cycleState) {
	walk := s.view.walk
	walk.begin()
	walk.since = s.since
	walk.refused = walk.refused || virtualnode.Refused(state)
	switch {
	case s.earlier != nil && s.earlier.isOpen(ctx, state, s):
		open := s.policy.Units[s.earlier.open].ID
		walk.failed.Delete(open)
		walk.returns[open]++
	case s.sampled:
		pl.inflight.showWhole(s.view.pod, s.unit.ID)
	case s.outcome == placement.Placed:
		walk.failed.Insert(s.unit.ID)
	}
}

// refused ends the attempt of a pod that its policy cannot place at all, or that another plugin refused whatever the unit.
func (pl *ResourcePolicy) refused(s *cycleState, pod *corev1.Pod) {
	pl.admission.leave(pod.UID)
	pl.inflight.stopWait(pod.UID)
	pl.inflight.reject(pod, newRejection(s, nil))
	pl.park(s, pod, nil)
}

// refusedBefore tells whether another plugin refused the pod in PreFilter, before any node was looked at, so that another unit would not help it, and by which
// code. The framework gives the status of that plugin to every node.
func refusedBefore(statuses fwk.NodeToStatusReader) (fwk.Code, bool) {
	if statuses == nil {
		return fwk.Success, false
	}
	// No node has the empty name.
	status := statuses.Get("")
	by := status.Plugin()
	return status.Code(), by != "" && by != Name
}

// goOn sends the pod on to the unit of the decision in its next attempt, which may be the same, seen whole.
func (pl *ResourcePolicy) goOn(ctx context.Context, s *cycleState, pod *corev1.Pod, decision *placement.Decision) (*fwk.PostFilterResult, *fwk.Status) {
	logger := klog.FromContext(ctx)
	logger.V(4).Info("Moving pod on to the next unit", "pod", klog.KObj(pod), "unit", s.policy.Units[decision.Unit].ID)
	decided(metrics.OutcomeRetrying, &s.policy.Units[decision.Unit])
	pl.inflight.keepWalk(pod.UID, s.view.walk)
	pl.inflight.reject(pod, newRejection(s, decision))
	pl.admission.ended(s.policy, s.view.group, pod, decision)
	// While the pod is in its cycle, Activate can only make it follow after its backoff. The start of the next cycle activates it again.
	pl.handle.Activate(logger, map[string]*corev1.Pod{string(pod.UID): pod})
	pl.walkers = append(pl.walkers, pod)
	next := fmt.Sprintf("trying unit %d next", decision.Unit)
	if s.sampled && s.unit.Index == decision.Unit {
		next = fmt.Sprintf("the first nodes of unit %d do not pass all filters for the pod; trying all of them next", s.unit.Index)
	}
	if passedOver := decision.Message(); passedOver != "" {
		next = passedOver + "; " + next
	}
	return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, next)
}

// wakeWalkers retries the pods that go on to their next unit: their cycle is over now, and they are back in the queue; all but the pod of the cycle that
// begins, which is being tried already: after it the queue would try it once more, and so on for ever.
func (pl *ResourcePolicy) wakeWalkers(logger klog.Logger, begins *corev1.Pod) {
	if len(pl.walkers) == 0 {
		return
	}
	pods := make(map[string]*corev1.Pod, len(pl.walkers))
	for _, pod := range pl.walkers {
		if pod.UID != begins.UID {
			pods[string(pod.UID)] = pod
		}
	}
	if pl.walkers = nil; len(pods) > 0 {
		pl.handle.Activate(logger, pods)
	}
}

// giveUp ends the attempt of a pod that no unit can take now: it waits or is held, unless the plugins that follow help it. Preemption is one of them, where
// the policy wants it last.
func (pl *ResourcePolicy) giveUp(s *cycleState, pod *corev1.Pod, decision *placement.Decision) (*fwk.PostFilterResult, *fwk.Status) {
	pl.inflight.reject(pod, newRejection(s, decision))
	s.waits = decision.Outcome == placement.Waiting
	s.mayPreempt = !s.waits && !s.policy.PreemptsFirst() && s.view.mayPreemptAnywhere()
	pl.attemptEnded(s, decision)
	pl.park(s, pod, decision)
	if !s.waits {
		pl.inflight.dropNomination(pod.UID)
	}
	if s.outcome != decision.Outcome {
		s.why = decision.Message() // Otherwise PreFilter has given the reason already.
	}
	if s.outcome == placement.Waiting || decision.Outcome == placement.Held && !s.mayPreempt {
		// The plugins that follow can do nothing for a pod that waits or is held, and may lack the state of their PreFilter.
		return s.nomination(), s.end()
	}
	return nil, fwk.NewStatus(fwk.Unschedulable)
}

// end returns the status that ends the chain of plugins, with the reason for the user: the framework forgets those of the plugins before.
func (s *cycleState) end() *fwk.Status {
	if s.why == "" {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable)
	}
	return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, s.why)
}

// nomination returns the result for a pod that is not nominated any more; nil for one that waits, which may be.
func (s *cycleState) nomination() *fwk.PostFilterResult {
	if s.waits {
		return nil
	}
	return framework.NewPostFilterResultWithNominatedNode("")
}

// attemptEnded tells the tickets and the timers why the pod was not placed.
func (pl *ResourcePolicy) attemptEnded(s *cycleState, decision *placement.Decision) {
	if !decision.Until.IsZero() {
		pl.timers.wake(s.view.pod, decision.Until)
	}
	pl.admission.ended(s.policy, s.view.group, s.view.pod, decision)
	pl.note(s, decision)
	if !s.policy.CanHold() {
		return
	}
	switch {
	case decision.Outcome == placement.Held:
		pl.admission.hold(s.policy, s.view.group, s.view.pod)
	case decision.Leaving(), decision.Outcome == placement.Waiting && s.view.Nominated(decision.Unit):
		// The slot that it has made for itself, or is about to take, is nobody else's: it keeps its ticket.
	case decision.Outcome == placement.Waiting, decision.NeedsRoom():
		pl.admission.wait(s.policy, s.view.group, s.view.pod)
	default:
		pl.admission.leave(s.view.pod.UID)
	}
}

// note counts the attempt of a pod that was not placed. That it is held is counted when its user is told. The moment until a pod that has ended leaves its
// node neither begins a wait nor ends one.
func (pl *ResourcePolicy) note(s *cycleState, decision *placement.Decision) {
	switch decision.Outcome {
	case placement.Waiting:
		decided(metrics.OutcomeWaiting, &s.policy.Units[decision.Unit])
		if !decision.Leaving() {
			pl.inflight.beginWait(s.view.pod, s.policy.Units[decision.Unit].ID)
		}
		return
	case placement.Failed:
		if s.failed = true; !s.mayPreempt {
			metrics.Decided(metrics.OutcomeFailed, metrics.NoUnit, false)
		}
	}
	pl.inflight.stopWait(s.view.pod.UID)
}
