package resourcepolicy

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// lifeEvictor makes room on the first node where that helps, as upstream's preemption does: it takes away every pod of a lower priority, and spares those
// beside which the pod fits all the same. What the plugin counts is compared with a recount at each step.
type lifeEvictor struct {
	*life
	node    string
	victims map[types.UID]bool
}

var _ evictor = &lifeEvictor{}

func (*lifeEvictor) Name() string { return "lifeEvictor" }

func (*lifeEvictor) PreEnqueue(context.Context, *v1Pod) *fwk.Status { return nil }

func (e *lifeEvictor) PostFilter(
	_ context.Context, state fwk.CycleState, pod *v1Pod, statuses fwk.NodeToStatusReader,
) (*fwk.PostFilterResult, *fwk.Status) {
	for _, info := range e.list {
		name := info.Node().Name
		if statuses.Get(name).Code() != fwk.Unschedulable || !passes(info) {
			continue
		}
		victims := e.simulate(state.Clone(), pod, info)
		if len(victims) == 0 {
			continue
		}
		e.node, e.victims = name, map[types.UID]bool{}
		for _, victim := range victims {
			e.victims[victim.UID] = true
			if truth := e.pods[victim.UID]; truth != nil {
				e.change(truth, nil)
			}
		}
		// Upstream activates the pod when its victims have been deleted.
		e.toPlugin = append(e.toPlugin, func() { e.activate(map[string]*corev1.Pod{string(pod.UID): pod}) })
		return framework.NewPostFilterResultWithNominatedNode(name), nil
	}
	return framework.NewPostFilterResultWithNominatedNode(""), fwk.NewStatus(fwk.Unschedulable)
}

func (e *lifeEvictor) take(node string) map[types.UID]bool {
	if node != e.node {
		return nil
	}
	return e.victims
}

// simulate returns the pods that have to leave a node for a pod to fit there.
func (e *lifeEvictor) simulate(state fwk.CycleState, pod *v1Pod, info fwk.NodeInfo) []*v1Pod {
	free := info.GetAllocatable().GetMilliCPU() - info.GetRequested().GetMilliCPU()
	removed := map[types.UID]bool{}
	move := func(p fwk.PodInfo, away bool) {
		if away {
			e.pl.RemovePod(e.ctx, state, pod, p, info)
			e.vn.RemovePod(e.ctx, state, pod, p, info)
			free += milliCPUOf(p.GetPod())
		} else {
			e.pl.AddPod(e.ctx, state, pod, p, info)
			e.vn.AddPod(e.ctx, state, pod, p, info)
			free -= milliCPUOf(p.GetPod())
		}
		removed[p.GetPod().UID] = away
		e.checkSimulated(state, removed)
	}
	fits := func() bool { return free >= milliCPUOf(pod) && e.filter(state, pod, info) }
	lower := slices.DeleteFunc(slices.Clone(info.GetPods()), func(p fwk.PodInfo) bool {
		return corev1helpers.PodPriority(p.GetPod()) >= corev1helpers.PodPriority(pod)
	})
	for _, p := range lower {
		move(p, true)
	}
	if !fits() {
		return nil
	}
	var victims []*v1Pod
	for _, p := range lower {
		if move(p, false); !fits() {
			move(p, true)
			victims = append(victims, p.GetPod())
		}
	}
	return victims
}

// checkSimulated compares the usage of a simulation with a recount without the pods that were removed.
func (e *lifeEvictor) checkSimulated(state fwk.CycleState, removed map[types.UID]bool) {
	s := stateOf(state)
	want := e.counted[s.key()]
	for uid, away := range removed {
		if counted := e.countedPods[uid]; away && counted.key == s.key() {
			want.pods -= counted.pods
			want.milliCPU -= counted.milliCPU
		}
	}
	kept := e.pl.inflight.nominatedIn(s.view.slot(s.unit.Index))
	got := tally{pods: s.usage.Pods - kept.Pods, milliCPU: want.milliCPU}
	if e.policy.TracksResources() && len(s.usage.Requests) > 0 {
		if got.milliCPU = s.usage.Requests[0]; len(kept.Requests) > 0 {
			got.milliCPU -= kept.Requests[0]
		}
	}
	if got != want {
		e.fatalf("in a simulation %+v is counted, a recount finds %+v", got, want)
	}
}
