package resourcepolicy

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
)

// PostFilter moves a governed pod on to the next unit when the nodes of its unit seemed to have room but no other plugin's filters let it in, such as
// for a host port or an anti-affinity (R5). The next attempt follows at once and passes the unit over, unless room was freed there.
//
// It also ends the PostFilter phase for governed pods: preemption for them (R8) is not built yet, and the stock one would evict pods in whichever
// unit happens to be tried. Pods without a policy are left to the plugins that follow.
func (pl *ResourcePolicy) PostFilter(
	ctx context.Context, state fwk.CycleState, pod *corev1.Pod, _ fwk.NodeToStatusReader,
) (*fwk.PostFilterResult, *fwk.Status) {
	s := stateOf(state)
	if s == nil {
		return nil, fwk.NewStatus(fwk.Unschedulable)
	}
	if s.unit == nil {
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable)
	}
	unfit := map[string]int64{}
	maps.Copy(unfit, s.view.unfit)
	if _, again := unfit[s.unit.ID]; again {
		// It failed although room had been freed since the last time. In a unit where pods come and go all the time a third try would be followed by a
		// fourth, and the pod would never leave it.
		unfit[s.unit.ID] = whateverIsFreed
	} else {
		unfit[s.unit.ID] = s.nodes.freed
	}
	next := *s.view
	next.unfit = unfit
	decision := s.policy.Decide(s.requests, &next)
	if decision.Unit < 0 {
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, decision.Message())
	}
	logger := klog.FromContext(ctx)
	logger.V(4).Info("Moving pod on to the next unit", "pod", klog.KObj(pod), "unit", s.unit.ID, "next", s.policy.Units[decision.Unit].ID)
	pl.inflight.markUnfit(pod.UID, unfit)
	pl.handle.Activate(logger, map[string]*corev1.Pod{string(pod.UID): pod})
	return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, fmt.Sprintf("%s; trying unit %d next", decision.Message(), decision.Unit))
}
