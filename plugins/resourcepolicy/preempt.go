package resourcepolicy

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/defaultpreemption"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/preemption"

	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
)

// newPreemption returns upstream's preemption with its default arguments, for governed pods (R8). Upstream activates a preemptor after its asynchronous
// evictions only when one failed or no deletion event will follow; when the last victim had gone already, no event follows either, and the preemptor
// sleeps until the five-minute flush (kubernetes/kubernetes#141694). Here it is always activated; until all victims have left the snapshot it then waits.
// failed is called with the preemptor when an eviction failed.
func newPreemption(ctx context.Context, handle fwk.Handle, failed func(types.UID)) (*preemptor, error) {
	args := &schedulerconfig.DefaultPreemptionArgs{MinCandidateNodesPercentage: 10, MinCandidateNodesAbsolute: 100}
	p, err := defaultpreemption.New(ctx, args, handle, feature.NewSchedulerFeaturesFromGates(utilfeature.DefaultFeatureGate))
	if err != nil {
		return nil, fmt.Errorf("creating the preemption of governed pods: %w", err)
	}
	selection := &selection{Interface: p, victims: map[string][]*corev1.Pod{}}
	p.Evaluator.Interface = selection
	evict := p.Executor.PreemptPod
	p.Executor.PreemptPod = func(
		ctx context.Context, c preemption.Candidate, preemptor preemption.ExecutorPreemptor, victim *corev1.Pod, plugin string,
	) (bool, error) {
		_, err := evict(ctx, c, preemptor, victim, plugin)
		if err != nil {
			failed(preemptor.UID())
		}
		return true, err
	}
	return &preemptor{DefaultPreemption: p, selection: selection}, nil
}

// evictor makes room for a pod by evicting others.
type evictor interface {
	fwk.PreEnqueuePlugin
	fwk.PostFilterPlugin
	// take returns the pods that the last PostFilter chose on a node, once.
	take(node string) map[types.UID]bool
}

// preemptor is upstream's preemption, and which pods it chose.
type preemptor struct {
	*defaultpreemption.DefaultPreemption
	selection *selection
}

var _ evictor = &preemptor{}

func (p *preemptor) take(node string) map[types.UID]bool { return p.selection.take(node) }

// selection remembers the victims on each node that the last simulation found: upstream tells only the node that it chose. The simulation runs on many
// nodes at once.
type selection struct {
	preemption.Interface
	mu      sync.Mutex
	victims map[string][]*corev1.Pod
}

// SelectVictimsOnNode is upstream's.
func (s *selection) SelectVictimsOnNode(
	ctx context.Context, state fwk.CycleState, pod *corev1.Pod, node fwk.NodeInfo, possible []*preemption.DomainVictim, budgets []*policyv1.PodDisruptionBudget,
) ([]*corev1.Pod, int, *fwk.Status) {
	victims, violations, status := s.Interface.SelectVictimsOnNode(ctx, state, pod, node, possible, budgets)
	if status.IsSuccess() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.victims[node.Node().Name] = victims
	}
	return victims, violations, status
}

// take returns the victims on a node, and forgets those of all nodes.
func (s *selection) take(node string) map[types.UID]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	victims := map[types.UID]bool{}
	for _, pod := range s.victims[node] {
		victims[pod.UID] = true
	}
	clear(s.victims)
	return victims
}

// PreEnqueue keeps a governed pod out of the queue while the pods that it preempts are being evicted, as DefaultPreemption does for others.
func (pl *ResourcePolicy) PreEnqueue(ctx context.Context, pod *corev1.Pod) *fwk.Status {
	if pl.preemption == nil {
		return nil
	}
	return pl.preemption.PreEnqueue(ctx, pod)
}

// preemptIn tries preemption on the nodes of one unit. It returns nil and nil when it cannot help there.
func (pl *ResourcePolicy) preemptIn(
	ctx context.Context, state fwk.CycleState, pod *corev1.Pod, unit int, statuses fwk.NodeToStatusReader,
) (*fwk.PostFilterResult, *fwk.Status) {
	s := stateOf(state)
	s.enter(unit)
	virtualnode.Tolerate(state, s.view.asking(s.unit))
	result, status := pl.preemption.PostFilter(ctx, state, pod, unitNodes{NodeToStatusReader: statuses, names: s.nodes.names})
	switch {
	case status.IsSuccess():
		slot := s.view.slot(unit)
		slot.usage = placement.Usage{}.Add(s.view.requests)
		slot.node, slot.victims = result.NominatedNodeName, pl.preemption.take(result.NominatedNodeName)
		pl.inflight.nominate(slot)
		pl.admission.keep(s.policy, s.view.group, pod, unit)
		pl.waker.Ended(pod.UID, false)
		decided(metrics.OutcomePreempting, s.unit)
		klog.FromContext(ctx).V(3).Info("Preempting for pod", "pod", klog.KObj(pod), "unit", s.unit.ID, "node", slot.node)
		return result, status
	case status.Code() == fwk.Error:
		pl.admission.leave(pod.UID)
		return nil, status
	case result == nil:
		// Pods that this one preempted before have still to end.
		decided(metrics.OutcomeWaiting, s.unit)
		pl.inflight.beginWait(pod, s.unit.ID)
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, status.Message())
	default:
		return nil, nil
	}
}

// unitNodes shows preemption the nodes of one unit as those where it may help, unless their filters have said that it cannot. Nodes of other units were
// not looked at in this cycle.
type unitNodes struct {
	fwk.NodeToStatusReader
	names sets.Set[string]
}

// Get returns the status of a node. One that was not looked at is taken for one where preemption may help.
func (u unitNodes) Get(name string) *fwk.Status {
	status := u.NodeToStatusReader.Get(name)
	switch {
	case !u.names.Has(name):
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable)
	case status.Code() == fwk.UnschedulableAndUnresolvable && status.Plugin() != "" && status.Plugin() != Name:
		return status
	default:
		return fwk.NewStatus(fwk.Unschedulable)
	}
}

// NodesForStatusCode returns the nodes of the unit with a status.
func (u unitNodes) NodesForStatusCode(lister fwk.NodeInfoLister, code fwk.Code) ([]fwk.NodeInfo, error) {
	all, err := lister.List()
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	var nodes []fwk.NodeInfo
	for _, node := range all {
		if u.names.Has(node.Node().Name) && u.Get(node.Node().Name).Code() == code {
			nodes = append(nodes, node)
		}
	}
	return nodes, nil
}
