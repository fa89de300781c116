package resourcepolicy

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
)

// sampleSize is how many nodes with room the framework is given to choose from. It is the number that is good enough for the framework itself in any
// cluster (minFeasibleNodesToFind in upstream's schedule_one.go), which passes many more through all filters and scores in a large one.
const sampleSize = 100

// handOver returns the names of the nodes of the unit that the framework is to look at: all, or a sample of those with room. A sample costs less and decides
// as well for a pod that asks for nothing but resources; when no node of it passes the other plugins' filters, PostFilter asks for all of them (R5).
func (s *cycleState) handOver() sets.Set[string] {
	size := s.view.pl.sampleSize
	if len(s.nodes.positions) <= size || s.unit.Nodes.Virtual || s.view.walk.whole[s.unit.ID] || isChoosy(s.view.pod) {
		return s.nodes.names
	}
	s.sampled = true
	return s.view.candidate.sample(s.nodes, s.view.pl.index.nodes, size)
}

// sample returns the names of nodes that could take the pod, at most so many, from where the last search ended. The next search goes on behind them, so that
// pods spread over the unit, unless fewer were found.
func (c *candidate) sample(m *members, nodes []fwk.NodeInfo, size int) sets.Set[string] {
	names := make(sets.Set[string], size)
	for n := range m.positions {
		at := (m.next + n) % len(m.positions)
		info := nodes[m.positions[at]]
		if !c.request.fits(info) || !c.allowedOn(info.Node(), m.set.Virtual) {
			continue
		}
		if names.Insert(info.Node().Name); len(names) == size {
			m.next = (at + 1) % len(m.positions)
			break
		}
	}
	return names
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
	return slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.HostPort > 0 })
	})
}
