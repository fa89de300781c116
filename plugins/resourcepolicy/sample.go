package resourcepolicy

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
)

// sampleSize is how many nodes with room the framework is given to choose from. Upstream never looks for fewer feasible nodes than that
// (minFeasibleNodesToFind in schedule_one.go), and for more in a large cluster, which costs it most of its time.
const sampleSize = 100

// handOver returns the names of the nodes of the unit that the framework is to look at: all, or a sample of those with room. A sample costs less and decides
// as well for a pod that asks for nothing but resources; when no node of it passes the other plugins' filters, PostFilter asks for all of them (R5). In the
// cycle of a pod group there is no PostFilter. While the pod's clock runs in the unit (R6), what PostFilter says to ask for all would take its place.
func (s *cycleState) handOver(state fwk.CycleState) sets.Set[string] {
	pl, pod := s.view.pl, s.view.pod
	if len(s.nodes.positions) <= pl.sampleSize || s.unit.Nodes.Virtual || state.IsPodGroupSchedulingCycle() || isChoosy(pod) ||
		pl.inflight.seesWhole(pod.UID, s.unit.ID) || !s.view.Since(s.unit.Index, false).IsZero() {
		return s.nodes.names
	}
	names := s.view.candidate.sample(s.nodes, pl.index.nodes, pl.sampleSize)
	s.sampled = len(names) < len(s.nodes.names)
	return names
}

// sample returns the names of nodes that could take the pod, at most so many, from where the last search ended. The next search goes on behind them, so that
// pods spread over the unit, unless fewer were found. Nodes with a taint that is only to be avoided are not among them; when it takes those, too, to have
// enough, all names are returned and the scores decide.
func (c *candidate) sample(m *members, nodes []fwk.NodeInfo, size int) sets.Set[string] {
	names := make(sets.Set[string], size)
	avoided := false
	for n := range m.positions {
		at := (m.next + n) % len(m.positions)
		info := nodes[m.positions[at]]
		if !c.request.fits(info) || c.rejectedOn(info.Node(), m.set.Virtual) != 0 {
			continue
		}
		if isToBeAvoided(info.Node()) {
			avoided = true
			continue
		}
		if names.Insert(info.Node().Name); len(names) == size {
			m.next = (at + 1) % len(m.positions)
			return names
		}
	}
	if avoided {
		return m.names
	}
	return names
}

// isToBeAvoided tells whether the node has a taint that keeps pods away where there is another one.
func isToBeAvoided(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool { return taint.Effect == corev1.TaintEffectPreferNoSchedule })
}

// isChoosy tells whether filters of other plugins may well refuse the pod on most nodes, or their scores find only some of them good.
func isChoosy(pod *corev1.Pod) bool {
	spec := &pod.Spec
	if len(spec.TopologySpreadConstraints) > 0 || len(spec.ResourceClaims) > 0 {
		return true
	}
	if a := spec.Affinity; a != nil {
		preferred := a.NodeAffinity != nil && len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0
		if preferred || a.PodAffinity != nil || a.PodAntiAffinity != nil {
			return true
		}
	}
	if slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool { return v.PersistentVolumeClaim != nil || v.Ephemeral != nil }) {
		return true
	}
	return slices.ContainsFunc(spec.Containers, wantsHostPort) || slices.ContainsFunc(spec.InitContainers, wantsHostPort)
}

func wantsHostPort(c corev1.Container) bool {
	return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.HostPort > 0 })
}
