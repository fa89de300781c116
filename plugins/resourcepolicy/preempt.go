package resourcepolicy

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/defaultpreemption"
	"k8s.io/kubernetes/pkg/scheduler/framework/preemption"

	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
)

// PreemptionName is the name of the plugin that preempts for governed pods in a KubeSchedulerConfiguration.
const PreemptionName = Name + "Preemption"

// Preemption is the plugin that preempts for governed pods at the end of their walk through the units, where preemptPolicy wants it last (R8). It is one of its
// own, because the PostFilter of other plugins runs between the walk and the preemption, as it does for pods without a policy (R14): DynamicResources may free
// the claim that keeps the pod out.
type Preemption struct{ pl *ResourcePolicy }

var _ fwk.PostFilterPlugin = &Preemption{}

// Name returns the name of the plugin.
func (*Preemption) Name() string { return PreemptionName }

// PostFilter tries preemption in the units, first unit first. A governed pod is not left to DefaultPreemption, which knows nothing of units.
func (p *Preemption) PostFilter(
	ctx context.Context, state fwk.CycleState, pod *corev1.Pod, statuses fwk.NodeToStatusReader,
) (*fwk.PostFilterResult, *fwk.Status) {
	s := stateOf(state)
	if s == nil {
		return nil, fwk.NewStatus(fwk.Unschedulable)
	}
	if s.mayPreempt {
		for i := range s.policy.Units {
			if !s.view.mayPreemptIn(i) {
				continue
			}
			if result, status := p.pl.preemptIn(ctx, state, pod, i, statuses); result != nil || status != nil {
				return result, status
			}
		}
	}
	if s.mayPreempt && s.failed {
		metrics.Decided(metrics.OutcomeFailed, metrics.NoUnit, false)
	}
	return s.nomination(), s.end()
}

// usePreemption takes the DefaultPreemption of the profile, with its arguments, for governed pods; without it nobody preempts. Upstream activates a preemptor
// after its asynchronous evictions only when one failed or was in memory. When the last victim had gone already, no deletion event follows, and the preemptor
// sleeps until the five-minute flush (kubernetes/kubernetes#141694). Here it is activated then, too.
func (pl *ResourcePolicy) usePreemption() {
	profile, ok := pl.handle.(interface{ PreEnqueuePlugins() []fwk.PreEnqueuePlugin })
	if !ok {
		return
	}
	for _, plugin := range profile.PreEnqueuePlugins() {
		if p, ok := plugin.(*defaultpreemption.DefaultPreemption); ok {
			pl.preemption = pl.newPreemptor(p)
		}
	}
}

func (pl *ResourcePolicy) newPreemptor(p *defaultpreemption.DefaultPreemption) *preemptor {
	selection := &selection{Interface: p, victims: map[string][]*corev1.Pod{}}
	p.Evaluator.Interface = selection
	evict := p.Executor.PreemptPod
	p.Executor.PreemptPod = func(
		ctx context.Context, c preemption.Candidate, by preemption.ExecutorPreemptor, victim *corev1.Pod, plugin string,
	) (bool, error) {
		inMemory, err := evict(ctx, c, by, victim, plugin)
		if err != nil {
			pl.inflight.dropNomination(by.UID())
		}
		shown, missing := pl.podLister.Pods(victim.Namespace).Get(victim.Name)
		return inMemory || missing != nil || shown.UID != victim.UID, err
	}
	return &preemptor{DefaultPreemption: p, selection: selection}
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
// nodes at once. It remembers those of pods without a policy, too, until the next one.
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

// preemptIn tries preemption on the nodes of one unit. It returns nil and nil when it cannot help there.
func (pl *ResourcePolicy) preemptIn(
	ctx context.Context, state fwk.CycleState, pod *corev1.Pod, unit int, statuses fwk.NodeToStatusReader,
) (*fwk.PostFilterResult, *fwk.Status) {
	s := stateOf(state)
	s.enter(unit)
	virtualnode.Tolerate(state, s.view.asking(s.unit))
	pl.preemption.take("")
	result, status := pl.preemption.PostFilter(ctx, state, pod, unitNodes{NodeToStatusReader: statuses, names: s.nodes.names})
	switch {
	case status.IsSuccess():
		slot := s.view.slot(unit)
		slot.usage = placement.Usage{}.Add(s.view.requests)
		slot.node, slot.victims = result.NominatedNodeName, pl.preemption.take(result.NominatedNodeName)
		pl.inflight.nominate(slot)
		pl.inflight.unhold(pod.UID)
		pl.admission.keep(s.policy, s.view.group, pod, unit)
		pl.waker.Forget(pod.UID) // Its victims wake it.
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
