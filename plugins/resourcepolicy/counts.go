package resourcepolicy

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// snapshot shows the scheduler's snapshot to the ledger: which pods count for which unit (R3, R4).
type snapshot struct {
	nodes    []fwk.NodeInfo
	departed []departedNode
	policies *placement.Policies
	inflight *inflight
	fresh    *fresh
}

var _ ledger.Snapshot = &snapshot{}

// Len returns the number of nodes, with the departed ones at the end.
func (s *snapshot) Len() int { return len(s.nodes) + len(s.departed) }

// Node returns the name and generation of a node. The scheduler's cache gives every change of any node a new generation; nodes with pods of which more
// is known than the cache shows have one of their own.
func (s *snapshot) Node(i int) (string, int64) {
	if i >= len(s.nodes) {
		gone := &s.departed[i-len(s.nodes)]
		return gone.name, gone.generation
	}
	if len(s.fresh.generations) > 0 {
		if generation, ok := s.fresh.generations[i]; ok {
			return s.nodes[i].Node().Name, generation
		}
	}
	return s.nodes[i].Node().Name, s.nodes[i].GetGeneration()
}

// Count adds the pods of a node that count for a unit.
func (s *snapshot) Count(i int, add func(ledger.Key, ledger.Pod)) {
	if i >= len(s.nodes) {
		gone := &s.departed[i-len(s.nodes)]
		for _, pod := range gone.pods {
			s.countPod(pod, gone.labels, add)
		}
		return
	}
	nodeLabels := labelsOf(s.nodes[i])
	for _, info := range s.nodes[i].GetPods() {
		if pod := s.fresh.version(info.GetPod()); pod != nil {
			s.countPod(pod, nodeLabels, add)
		}
	}
}

// labelsOf returns the labels of a node, never nil: the node is known, even if it has none.
func labelsOf(node fwk.NodeInfo) map[string]string {
	if labels := node.Node().Labels; labels != nil {
		return labels
	}
	return map[string]string{}
}

// countPod adds a bound pod if it counts for a unit. Pods in a terminal phase are not among those that the scheduler sees. nil labels are those of a
// node that is not known any more: the record on the pod decides alone.
func (s *snapshot) countPod(pod *corev1.Pod, nodeLabels map[string]string, add func(ledger.Key, ledger.Pod)) {
	policy := s.policies.Governing(pod.Namespace, pod.Labels)
	if policy == nil {
		return
	}
	bound := s.boundPod(policy, pod, nodeLabels)
	unit := policy.UnitOf(&bound)
	if unit < 0 {
		return
	}
	counted := ledger.Pod{Requests: vector(policy, pod), Priority: corev1helpers.PodPriority(pod)}
	if bound.Terminating {
		add(ledger.Key{Policy: policy.UID, Unit: unit, Terminating: true}, counted)
	}
	if group, err := policy.Group(pod.Labels); err == nil && policy.Counts(&bound) {
		// A pod without a group cannot have been placed by the policy and counts for none of its groups.
		add(ledger.Key{Policy: policy.UID, Group: group, Unit: unit}, counted)
	}
}

// boundPod returns what counts of a pod. Its unit is the one that the plugin remembers from placing it, until the binding has come back from the API
// server with the same. The memory goes first because a new pod can be a copy of one that carries a record.
func (s *snapshot) boundPod(policy *placement.Policy, pod *corev1.Pod, nodeLabels map[string]string) placement.BoundPod {
	bound := placement.NewBoundPod(pod, nodeLabels)
	if remembered := s.inflight.unit(pod.UID); remembered != "" {
		if bound.Unit == remembered {
			s.inflight.forget(pod.UID)
		}
		bound.Unit, bound.Policy = remembered, policy.Name
	}
	return bound
}

// vector returns the requests of a pod as the policy tracks them. A pod that is being resized in place counts with what it holds.
func vector(policy *placement.Policy, pod *corev1.Pod) []int64 {
	if !policy.TracksResources() {
		return nil
	}
	return policy.Vector(resource.PodRequests(pod, resource.PodResourcesOptions{UseStatusResources: true}))
}
