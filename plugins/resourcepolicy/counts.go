package resourcepolicy

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
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
	// seen are the nodes of the last cycle; frame keeps its answers there for the next ones.
	seen []seenNode
	// framed is the place of the node that frame was asked for last, and lastFrame its answer.
	framed    int
	lastFrame *nodeFrame
}

// nodeFrame is all of a node by which its pods count. It is never changed.
type nodeFrame struct {
	uid    types.UID
	name   string
	labels map[string]string
}

// shownPod is a pod of the snapshot with all by which it counts: a change of the pod or of its node's labels makes it another one.
type shownPod struct {
	// node is nil on a departed one.
	node *nodeFrame
	info fwk.PodInfo
	// newest is the version that counts instead of the one that the snapshot shows, or alone where it shows none; nil with gone when the pod has gone.
	newest *corev1.Pod
	gone   bool
}

var _ ledger.Snapshot[shownPod] = &snapshot{}

// Len returns the number of nodes, with the departed ones at the end.
func (s *snapshot) Len() int { return len(s.nodes) + len(s.departed) }

// Generation returns the generation of a node. The scheduler's cache gives every change of any node a new one; nodes with pods of which more is known than
// the cache shows have one of their own.
func (s *snapshot) Generation(i int) int64 {
	if i >= len(s.nodes) {
		return s.departed[i-len(s.nodes)].generation
	}
	if len(s.fresh.generations) > 0 {
		if generation, ok := s.fresh.generations[i]; ok {
			return generation
		}
	}
	return s.nodes[i].GetGeneration()
}

// Name returns the name of a node.
func (s *snapshot) Name(i int) string {
	if i >= len(s.nodes) {
		return s.departed[i-len(s.nodes)].name
	}
	return s.nodes[i].Node().Name
}

// Pods is the number of pods on a node.
func (s *snapshot) Pods(i int) int {
	if i >= len(s.nodes) {
		return len(s.departed[i-len(s.nodes)].pods)
	}
	return len(s.nodes[i].GetPods()) + len(s.fresh.added[i])
}

// Pod returns a pod on a node.
func (s *snapshot) Pod(i, at int) shownPod {
	if i >= len(s.nodes) {
		return shownPod{newest: s.departed[i-len(s.nodes)].pods[at]}
	}
	known := len(s.nodes[i].GetPods())
	if at >= known {
		return shownPod{node: s.frame(i), newest: s.fresh.added[i][at-known]}
	}
	shown := shownPod{node: s.frame(i), info: s.nodes[i].GetPods()[at]}
	if len(s.fresh.versions) > 0 {
		if newest, ok := s.fresh.versions[podPlace{node: i, pod: at}]; ok {
			shown.newest, shown.gone = newest, newest == nil
		}
	}
	return shown
}

// frame returns a node as its pods see it: the same one as long as its labels are, so that what else changes about it, such as its heartbeats and what is
// allocatable, does not make all pods on it other ones.
func (s *snapshot) frame(i int) *nodeFrame {
	if s.lastFrame != nil && s.framed == i {
		return s.lastFrame
	}
	node := s.nodes[i].Node()
	s.framed, s.lastFrame = i, &nodeFrame{uid: node.UID, name: node.Name, labels: labelsOf(node)}
	if i < len(s.seen) {
		seen := &s.seen[i]
		if f := seen.frame; f != nil && f.uid == node.UID && f.name == node.Name && maps.Equal(f.labels, s.lastFrame.labels) {
			s.lastFrame = f
		} else if seen.object.Name == node.Name {
			seen.frame = s.lastFrame
		}
	}
	return s.lastFrame
}

// Owner returns the namespace and the labels by which policies select a pod. A pod that has gone is nobody's.
func (*snapshot) Owner(shown shownPod) (string, map[string]string) {
	if pod := shown.pod(); pod != nil {
		return pod.Namespace, pod.Labels
	}
	return "", nil
}

// pod returns the version of the pod that counts; nil when it has gone.
func (s *shownPod) pod() *corev1.Pod {
	switch {
	case s.gone:
		return nil
	case s.newest != nil:
		return s.newest
	default:
		return s.info.GetPod()
	}
}

// is reports whether the pod has this UID, in whichever version.
func (s *shownPod) is(uid types.UID) bool {
	if s.info != nil {
		return s.info.GetPod().UID == uid
	}
	return s.newest.UID == uid
}

// Contribution returns what a pod on a node counts for.
func (s *snapshot) Contribution(i int, shown shownPod) ledger.Contribution {
	pod := shown.pod()
	switch {
	case pod == nil:
		return ledger.Contribution{}
	case shown.node == nil:
		return s.contribution(pod, s.departed[i-len(s.nodes)].labels)
	default:
		return s.contribution(pod, shown.node.labels)
	}
}

// labelsOf returns the labels of a node, never nil: the node is known, even if it has none.
func labelsOf(node *corev1.Node) map[string]string {
	if node.Labels != nil {
		return node.Labels
	}
	return map[string]string{}
}

// contribution returns what a bound pod counts for. Pods in a terminal phase are not among those that the scheduler sees. nil labels are those of a node
// that is not known any more: the record on the pod decides alone.
func (s *snapshot) contribution(pod *corev1.Pod, nodeLabels map[string]string) ledger.Contribution {
	policy := s.policies.Governing(pod.Namespace, pod.Labels)
	if policy == nil {
		return ledger.Contribution{}
	}
	bound := s.boundPod(policy, pod, nodeLabels)
	unit := policy.UnitOf(&bound)
	if unit < 0 {
		return ledger.Contribution{Policy: policy.UID}
	}
	c := ledger.Contribution{
		Policy: policy.UID, Unit: unit, Terminating: bound.Terminating, Requests: vector(policy, pod), Priority: corev1helpers.PodPriority(pod),
	}
	if group, err := policy.Group(pod.Labels); err == nil && policy.Counts(&bound) {
		// A pod without a group cannot have been placed by the policy and counts for none of its groups.
		c.Group, c.Counts = group, true
	}
	return c
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
