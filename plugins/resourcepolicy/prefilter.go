package resourcepolicy

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
	"github.com/spillway-k8s/spillway/plugins/wakeup"
)

// keepFor is how long what is held of the snapshot is kept while no governed pod is tried: longer than a walk is (walkFor), which refers to it.
const keepFor = time.Minute

// PreFilter chooses the unit of a governed pod (R4, R5) and hands over the nodes of that unit only. It skips pods without a policy.
func (pl *ResourcePolicy) PreFilter(
	ctx context.Context, state fwk.CycleState, pod *corev1.Pod, nodes []fwk.NodeInfo,
) (*fwk.PreFilterResult, *fwk.Status) {
	pl.becomeActive()
	pl.wakeWalkers(klog.FromContext(ctx), pod)
	if pod.Spec.NodeName != "" {
		// A bound pod comes back for a resize that its node has deferred. It stays in its unit; upstream's DeferredPodScheduling holds it to its node.
		return nil, fwk.NewStatus(fwk.Skip)
	}
	pl.waker.Begin(state)
	pl.inflight.forgetRejection(pod.UID)
	policies := pl.policies.Policies()
	policy := policies.Governing(pod.Namespace, pod.Labels)
	if policy == nil {
		pl.letGo()
		pl.inflight.stopWait(pod.UID) // It may have had a policy.
		return nil, fwk.NewStatus(fwk.Skip)
	}
	s := &cycleState{policy: policy, now: time.Now(), since: wakeup.Since(state), outcome: placement.Failed}
	state.Write(stateKey, s)
	virtualnode.Governed(state)
	if policy.Refusal != "" {
		return refuse(state, policy.Refusal)
	}
	group, err := policy.Group(pod.Labels)
	if err != nil {
		return refuse(state, err.Error())
	}
	version := pl.admission.begin(policy, group, pod)
	pl.follow(state, policies, nodes)
	s.view = pl.newView(ctx, policies, policy, pod, group)
	if begun := s.view.walk.since; begun > 0 {
		s.since = begun
	}

	decision := s.decide()
	if decision.Outcome != placement.Placed && len(s.view.walk.failed) > 0 {
		// The unit that was left cannot take the pod any more. The others may by now: the filters are asked again.
		clear(s.view.walk.failed)
		decision = s.decide()
	}
	s.outcome, s.passed = decision.Outcome, decision.Passed()
	pl.syncAdmission(s, version)
	result, status := pl.answer(state, s, &decision)
	metrics.DecisionTook(time.Since(s.now))
	return result, status
}

// refuse answers for a pod that its policy cannot place at all.
func refuse(state fwk.CycleState, why string) (*fwk.PreFilterResult, *fwk.Status) {
	metrics.Decided(metrics.OutcomeRefused, metrics.NoUnit, false)
	return nil, rejected(state, fwk.UnschedulableAndUnresolvable, why)
}

// rejected returns the answer for a pod that is not placed. In the cycle of a pod group no plugin's PreFilter may be left out: the PodGroupPostFilter of
// DynamicResources fails without the state of its own (dynamicresources.go).
func rejected(state fwk.CycleState, code fwk.Code, why string) *fwk.Status {
	if state.IsPodGroupSchedulingCycle() {
		code = fwk.Unschedulable
	}
	return fwk.NewStatus(code, why)
}

// answer tells the framework what was decided. A pod that no unit can take is Unschedulable, so that the other plugins prepare for their PostFilter, which
// may free what the pod needs (R14). One that waits or is held needs nothing else.
func (pl *ResourcePolicy) answer(state fwk.CycleState, s *cycleState, decision *placement.Decision) (*fwk.PreFilterResult, *fwk.Status) {
	switch decision.Outcome {
	case placement.Placed:
		s.enter(decision.Unit)
		s.earlier = s.view.newEarlier(decision.Unit)
		virtualnode.Tolerate(state, s.view.asking(s.unit))
		return &fwk.PreFilterResult{NodeNames: s.handOver(state)}, nil
	case placement.Failed, placement.Preempting:
		return nil, rejected(state, fwk.Unschedulable, decision.Message())
	case placement.Held:
		if s.view.mayPreemptAnywhere() {
			return nil, rejected(state, fwk.Unschedulable, decision.Message())
		}
	}
	return nil, rejected(state, fwk.UnschedulableAndUnresolvable, decision.Message())
}

// PreFilterExtensions returns the plugin: pods that a simulation adds and removes count (R8).
func (pl *ResourcePolicy) PreFilterExtensions() fwk.PreFilterExtensions { return pl }

// AddPod counts a pod that a simulation puts on a node. Nominated pods of the same group are counted already.
func (pl *ResourcePolicy) AddPod(_ context.Context, state fwk.CycleState, _ *corev1.Pod, added fwk.PodInfo, node fwk.NodeInfo) *fwk.Status {
	if s := stateOf(state); s != nil && s.unit != nil {
		if adds := s.countedAs(added.GetPod(), node); s.isCounted(&adds) {
			s.usage = s.usage.Add(adds.Requests)
		}
	}
	return nil
}

// RemovePod counts a pod no longer that a simulation takes from a node.
func (pl *ResourcePolicy) RemovePod(_ context.Context, state fwk.CycleState, _ *corev1.Pod, removed fwk.PodInfo, node fwk.NodeInfo) *fwk.Status {
	if s := stateOf(state); s != nil && s.unit != nil {
		if adds := s.countedAs(removed.GetPod(), node); s.isCounted(&adds) {
			s.usage = s.usage.Minus(placement.Usage{}.Add(adds.Requests))
		}
	}
	return nil
}

// countedAs returns what a pod on a node is in the counts of this cycle. A simulation must take away what the counts have, and not what the pod would count
// for by another version of it or of what is remembered: the informer may be ahead of the snapshot, and handlers run at any time (R13).
func (s *cycleState) countedAs(pod *corev1.Pod, node fwk.NodeInfo) ledger.Contribution {
	pl := s.view.pl
	if _, nominated := pl.inflight.nominated(pod.UID); nominated {
		return ledger.Contribution{}
	}
	counted, onNode := pl.counts.Counted(node.Node().Name, func(shown shownPod) bool { return shown.is(pod.UID) })
	if onNode {
		return counted
	}
	one := &snapshot{policies: s.view.policies, inflight: pl.inflight}
	return one.contribution(pod, labelsOf(node.Node()))
}

// isCounted reports whether a pod is in the usage of the state: it counts for its unit, and in its group.
func (s *cycleState) isCounted(adds *ledger.Contribution) bool {
	return adds.Counts && adds.Key() == s.key()
}

// key names the count that the usage of the state comes from.
func (s *cycleState) key() ledger.Key {
	return ledger.Key{Policy: s.policy.UID, Group: s.view.group, Unit: s.unit.Index}
}

// newView returns the view of a cycle.
func (pl *ResourcePolicy) newView(
	ctx context.Context, policies *placement.Policies, policy *placement.Policy, pod *corev1.Pod, group string,
) *view {
	return &view{
		pl: pl, policies: policies, policy: policy, pod: pod, group: group, requests: vector(policy, pod),
		candidate: newCandidate(klog.FromContext(ctx), pod, pl.comesFromElsewhere), walk: pl.inflight.takeWalk(pod.UID), started: time.Now().Truncate(time.Second),
		askings: map[int]*virtualnode.Asking{}, closed: map[int]closure{},
	}
}

// comesFromElsewhere tells whether a node that reports nothing of a resource may have it nevertheless: by DRA, by an extender, or because the scheduler is
// told to ignore the resource. A resource that some node reports is not ignored.
func (pl *ResourcePolicy) comesFromElsewhere(name corev1.ResourceName) bool {
	if pl.index.reported[name] == 0 || len(pl.handle.Extenders()) > 0 {
		return true
	}
	manager := pl.handle.SharedDRAManager()
	return manager != nil && manager.DeviceClassResolver().GetDeviceClass(name) != nil
}

// follow brings the counts and the node index up to date with the snapshot of this cycle.
func (pl *ResourcePolicy) follow(state fwk.CycleState, policies *placement.Policies, nodes []fwk.NodeInfo) {
	group := state.IsPodGroupSchedulingCycle()
	if group || pl.afterGroup {
		// A pod group's cycle changes the snapshot, and changes it back, without new generations (backend/cache/snapshot.go): count from scratch.
		pl.counts, pl.index = ledger.New[shownPod](), newNodeIndex()
	}
	pl.afterGroup, pl.followed = group, time.Now()
	pl.fresh.follow(nodes)
	edits := policies.EditsSince(pl.countedBy)
	pl.countedBy = policies
	change := pl.counts.Sync(edits, &snapshot{
		nodes: nodes, departed: pl.departed.follow(pl.index.nodes, nodes, pl.inflight), policies: policies, inflight: pl.inflight, fresh: pl.fresh,
		seen: pl.index.seen,
	})
	pl.index.follow(len(edits) > 0, nodes, change)
	metrics.SetLedger(pl.counts.Size())
	pl.offers.Follow(state)
}

// letGo drops what is held of the snapshot when no governed pod has been tried for a while: pods and nodes that have long gone must not stay in memory.
func (pl *ResourcePolicy) letGo() {
	if len(pl.index.seen) == 0 || time.Since(pl.followed) < keepFor {
		return
	}
	pl.departed.remember(pl.index.nodes)
	pl.counts, pl.index = ledger.New[shownPod](), newNodeIndex()
	pl.fresh.nodes, pl.fresh.places = nil, nil
	metrics.SetLedger(pl.counts.Size())
}

// syncAdmission tells the counts of the pod's group to the tickets (R7). The slots of pods that have preempted others are not among them: such a pod
// keeps its ticket.
func (pl *ResourcePolicy) syncAdmission(s *cycleState, version int64) {
	if !s.policy.CanHold() {
		return
	}
	known := knowledge{version: version, counts: make([]placement.Usage, len(s.policy.Units))}
	for i := range known.counts {
		known.counts[i] = s.view.counted(i)
		if lowest, ok := pl.counts.Lowest(ledger.Key{Policy: s.policy.UID, Group: s.view.group, Unit: i}); ok && (!known.hasLowest || lowest < known.lowest) {
			known.lowest, known.hasLowest = lowest, true
		}
	}
	known.nominated = pl.inflight.nominees(string(s.policy.UID), s.view.group)
	pl.admission.sync(s.policy, s.view.group, known)
}
