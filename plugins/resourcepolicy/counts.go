package resourcepolicy

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// snapshot shows the scheduler's snapshot to the ledger: which pods count for which unit (R3, R4).
type snapshot struct {
	nodes    []fwk.NodeInfo
	departed []departedNode
	policies *placement.Policies
	inflight *inflight
}

var _ ledger.Snapshot = &snapshot{}

// Len returns the number of nodes, with the departed ones at the end.
func (s *snapshot) Len() int { return len(s.nodes) + len(s.departed) }

// Node returns the name and generation of a node. The scheduler's cache gives every change of any node a new generation.
func (s *snapshot) Node(i int) (string, int64) {
	if i >= len(s.nodes) {
		gone := &s.departed[i-len(s.nodes)]
		return gone.name, gone.generation
	}
	return s.nodes[i].Node().Name, s.nodes[i].GetGeneration()
}

// Count adds the pods of a node that count for a unit.
func (s *snapshot) Count(i int, add func(ledger.Key, []int64)) {
	if i >= len(s.nodes) {
		gone := &s.departed[i-len(s.nodes)]
		for _, pod := range gone.pods {
			s.countPod(pod, gone.labels, add)
		}
		return
	}
	nodeLabels := s.nodes[i].Node().Labels
	for _, info := range s.nodes[i].GetPods() {
		s.countPod(info.GetPod(), nodeLabels, add)
	}
}

// countPod adds a bound pod if it counts for a unit. Pods in a terminal phase are not among those that the scheduler sees. A terminating pod does not
// count (ignoreTerminatingPod, which is true). nil labels are those of a node that is not known any more: the record on the pod decides alone.
func (s *snapshot) countPod(pod *corev1.Pod, nodeLabels map[string]string, add func(ledger.Key, []int64)) {
	if pod.DeletionTimestamp != nil {
		return
	}
	policy := s.policies.Governing(pod.Namespace, pod.Labels)
	if policy == nil {
		return
	}
	group, err := policy.Group(pod.Labels)
	if err != nil {
		// A pod without a group cannot have been placed by the policy and counts for none of its groups.
		return
	}
	recorded := s.recordedUnit(pod)
	unit := policy.UnitOfBoundPod(recorded, nodeLabels)
	if nodeLabels == nil {
		unit = policy.UnitByID(recorded)
	}
	if unit >= 0 {
		add(ledger.Key{Policy: policy.UID, Group: group, Unit: unit}, vector(policy, pod))
	}
}

// recordedUnit returns the unit of a pod as the plugin remembers it from placing the pod, until the binding has come back from the API server with
// the same; then as it was recorded at binding. The memory goes first because a new pod can be a copy of one that carries a record.
func (s *snapshot) recordedUnit(pod *corev1.Pod) string {
	recorded, remembered := pod.Annotations[v1alpha1.AnnotationUnit], s.inflight.unit(pod.UID)
	if remembered == "" {
		return recorded
	}
	if recorded == remembered {
		s.inflight.forget(pod.UID)
	}
	return remembered
}

// vector returns the requests of a pod as the policy tracks them. A pod that is being resized in place counts with what it holds.
func vector(policy *placement.Policy, pod *corev1.Pod) []int64 {
	if !policy.TracksResources() {
		return nil
	}
	return policy.Vector(resource.PodRequests(pod, resource.PodResourcesOptions{UseStatusResources: true}))
}
