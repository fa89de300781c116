package resourcepolicy

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
)

// PostFilter is what happens to a governed pod that was not placed in this cycle. It tries preemption where preemptPolicy says so (R8). When the nodes
// of the unit seemed to have room but no other plugin's filters let the pod in, such as for a host port or an anti-affinity, it sends the pod on to the
// next unit (R5): the next attempt follows at once and passes the unit over, unless room was freed there. When those nodes were a sample, the next attempt
// sees the whole unit. And it tells the tickets what became of the attempt (R7). Pods without a policy are left to the plugins that follow.
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
	if s.view == nil || refusedBefore(statuses) {
		// The policy cannot place the pod at all, or another plugin has refused it whatever the unit.
		if s.view != nil {
			metrics.Decided(metrics.OutcomeOther, metrics.NoUnit, false)
		}
		pl.admission.leave(pod.UID)
		pl.inflight.stopWait(pod.UID)
		pl.park(s, pod, nil)
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable)
	}
	s.view.walk = s.view.walk.on()
	s.view.walk.since = s.since
	s.view.walk.refused = s.view.walk.refused || virtualnode.Refused(state)
	switch {
	case s.sampled:
		pl.inflight.showWhole(pod, s.unit.ID)
	case s.outcome == placement.Placed:
		s.view.walk.fail(s.unit.ID, s.nodes.freed)
	}
	for {
		decision := s.decide()
		switch decision.Outcome {
		case placement.Preempting:
			if result, status := pl.preemptIn(ctx, state, pod, decision.Unit, statuses); result != nil || status != nil {
				return result, status
			}
			s.view.walk.preempted[s.policy.Units[decision.Unit].ID] = true
		case placement.Placed:
			return pl.goOn(ctx, s, pod, &decision)
		default:
			return pl.giveUp(ctx, state, pod, &decision, statuses)
		}
	}
}

// refusedBefore tells whether another plugin refused the pod in PreFilter, before any node was looked at, so that another unit would not help it. The
// framework gives the status of that plugin to every node.
func refusedBefore(statuses fwk.NodeToStatusReader) bool {
	if statuses == nil {
		return false
	}
	// No node has the empty name.
	by := statuses.Get("").Plugin()
	return by != "" && by != Name
}

// goOn sends the pod on to the unit of the decision in its next attempt, which may be the same, seen whole.
func (pl *ResourcePolicy) goOn(ctx context.Context, s *cycleState, pod *corev1.Pod, decision *placement.Decision) (*fwk.PostFilterResult, *fwk.Status) {
	logger := klog.FromContext(ctx)
	logger.V(4).Info("Moving pod on to the next unit", "pod", klog.KObj(pod), "unit", s.policy.Units[decision.Unit].ID)
	decided(metrics.OutcomeRetrying, &s.policy.Units[decision.Unit])
	pl.inflight.keepWalk(pod.UID, s.view.walk)
	pl.admission.ended(s.policy, s.view.group, pod, decision)
	// While the pod is in its cycle, Activate can only make it follow after its backoff. The start of the next cycle activates it again.
	pl.handle.Activate(logger, map[string]*corev1.Pod{string(pod.UID): pod})
	pl.walkers = append(pl.walkers, pod)
	next := fmt.Sprintf("trying unit %d next", decision.Unit)
	if s.sampled {
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

// giveUp ends the attempt of a pod that no unit can take now: after preemption, where the policy wants it last, it waits or is held.
func (pl *ResourcePolicy) giveUp(
	ctx context.Context, state fwk.CycleState, pod *corev1.Pod, decision *placement.Decision, statuses fwk.NodeToStatusReader,
) (*fwk.PostFilterResult, *fwk.Status) {
	s := stateOf(state)
	if decision.Outcome != placement.Waiting && !s.policy.PreemptsFirst() {
		for i := range s.policy.Units {
			if !s.view.mayPreemptIn(i) {
				continue
			}
			if result, status := pl.preemptIn(ctx, state, pod, i, statuses); result != nil || status != nil {
				return result, status
			}
		}
	}
	pl.inflight.setUndecided(pod, len(s.view.walk.unfit) > 0)
	pl.attemptEnded(s, decision)
	pl.park(s, pod, decision)
	var result *fwk.PostFilterResult
	if decision.Outcome != placement.Waiting {
		pl.inflight.dropNomination(pod.UID)
		if pod.Status.NominatedNodeName != "" {
			result = framework.NewPostFilterResultWithNominatedNode("")
		}
	}
	if s.outcome == decision.Outcome {
		// PreFilter has given the reason already.
		return result, fwk.NewStatus(fwk.UnschedulableAndUnresolvable)
	}
	return result, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, decision.Message())
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
		metrics.Decided(metrics.OutcomeFailed, metrics.NoUnit, false)
	}
	pl.inflight.stopWait(s.view.pod.UID)
}

// on returns the walk as one that can be added to.
func (w walk) on() walk {
	next := walk{unfit: map[string]int64{}, preempted: map[string]bool{}, refused: w.refused}
	maps.Copy(next.unfit, w.unfit)
	maps.Copy(next.preempted, w.preempted)
	return next
}

// fail remembers that the nodes of a unit failed the pod. freed is how often room had been freed on them by then.
func (w walk) fail(unit string, freed int64) {
	if _, again := w.unfit[unit]; again {
		// It failed although room had been freed since the last time. In a unit where pods come and go all the time a third try would be followed by a
		// fourth, and the pod would never leave it.
		freed = whateverIsFreed
	}
	w.unfit[unit] = freed
}
