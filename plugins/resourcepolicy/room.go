package resourcepolicy

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/component-helpers/resource"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"

	"github.com/spillway-k8s/spillway/apis/quantity"
	"github.com/spillway-k8s/spillway/pkg/offer"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
)

// request is what a pod asks of a node.
type request struct {
	milliCPU, memory, ephemeralStorage int64
	// scalars are the other resources; nil for most pods.
	scalars map[corev1.ResourceName]scalar
}

// scalar is an amount of a resource that not every node has.
type scalar struct {
	amount int64
	// elsewhere is true when a node that reports nothing of the resource may have it nevertheless.
	elsewhere bool
}

// rejectedBy is a set of plugins whose filters would have rejected nodes that were passed over without asking them.
type rejectedBy uint8

// addTo has the names in the same order.
const (
	rejectedByFit rejectedBy = 1 << iota
	rejectedByCordon
	// rejectedByVirtualNode stands for taints, too: the plugin does TaintToleration's work.
	rejectedByVirtualNode
	rejectedByAffinity
)

// addTo adds the names of the plugins to a set.
func (r rejectedBy) addTo(plugins sets.Set[string]) {
	for i, name := range [...]string{names.NodeResourcesFit, names.NodeUnschedulable, virtualnode.Name, names.NodeAffinity} {
		if r&(1<<i) != 0 {
			plugins.Insert(name)
		}
	}
}

// candidate is a pod that is looking for room.
type candidate struct {
	pod      *corev1.Pod
	request  request
	affinity nodeaffinity.RequiredNodeAffinity
	logger   klog.Logger
}

// newCandidate returns a pod that is looking for room. elsewhere tells of a resource whether nodes that report nothing of it may have it.
func newCandidate(logger klog.Logger, pod *corev1.Pod, elsewhere func(corev1.ResourceName) bool) *candidate {
	c := &candidate{pod: pod, affinity: nodeaffinity.GetRequiredNodeAffinity(pod), logger: logger}
	for name, requested := range resource.PodRequests(pod, resource.PodResourcesOptions{}) {
		switch name {
		case corev1.ResourceCPU:
			c.request.milliCPU = quantity.Amount(name, requested)
		case corev1.ResourceMemory:
			c.request.memory = quantity.Amount(name, requested)
		case corev1.ResourceEphemeralStorage:
			c.request.ephemeralStorage = quantity.Amount(name, requested)
		default:
			if c.request.scalars == nil {
				c.request.scalars = map[corev1.ResourceName]scalar{}
			}
			c.request.scalars[name] = scalar{amount: quantity.Amount(name, requested), elsewhere: elsewhere(name)}
		}
	}
	return c
}

// room searches the members for a node that could take the pod. It may say yes where another plugin's filter says no (PostFilter then moves the pod
// on), but never no where all filters say yes: a unit is not passed over by mistake (R5).
func (c *candidate) room(m *members, nodes []fwk.NodeInfo) placement.Room {
	if len(m.positions) == 0 {
		return placement.RoomNoNodes
	}
	if m.tooBigVersion == m.version && c.request.atLeast(&m.tooBig) {
		return placement.RoomNone
	}
	outOfResources, coming := true, false
	for n := range m.positions {
		at := (m.next + n) % len(m.positions)
		info := nodes[m.positions[at]]
		if !c.request.fits(info) {
			continue
		}
		outOfResources = false
		if c.rejectedOn(info.Node(), m.set.Virtual) == 0 {
			m.next = at
			return placement.RoomYes
		}
		coming = coming || isNotReady(info.Node())
	}
	switch {
	case coming:
		return placement.RoomComing
	case !outOfResources:
		return placement.RoomRefused
	}
	m.tooBig, m.tooBigVersion = c.request, m.version
	return placement.RoomNone
}

// virtualRoom searches virtual nodes, of which there are few, for one that could take the pod. takes tells what ECI says of a node; the refusals are those
// of the nodes that it wants and where ECI refuses it.
func (c *candidate) virtualRoom(
	m *members, nodes []fwk.NodeInfo, takes func(node string) (offer.Verdict, bool),
) (placement.Room, []offer.Verdict) {
	if len(m.positions) == 0 {
		return placement.RoomNoNodes, nil
	}
	room, coming := placement.RoomNone, false
	var refusals []offer.Verdict
	for _, at := range m.positions {
		info := nodes[at]
		if !c.matches(info.Node()) {
			room = max(room, placement.RoomRefused)
			continue
		}
		verdict, taken := takes(info.Node().Name)
		switch {
		case !taken:
			refusals = append(refusals, verdict)
		case !c.request.fits(info):
		case c.rejectedOn(info.Node(), true) == 0:
			return placement.RoomYes, nil
		case isNotReady(info.Node()):
			coming = true
		default:
			room = max(room, placement.RoomRefused)
		}
	}
	switch {
	case coming:
		room = placement.RoomComing
	case len(refusals) > 0:
		room = placement.RoomClosed
	}
	return room, refusals
}

// rejectors adds the plugins to a set that would have rejected the members if they had been asked: of each node the first one, as the framework does. closed
// is true when ECI accepts the pod on none of them.
func (c *candidate) rejectors(m *members, nodes []fwk.NodeInfo, closed bool, plugins sets.Set[string]) {
	var all rejectedBy
	for _, at := range m.positions {
		by := c.rejectedOn(nodes[at].Node(), m.set.Virtual)
		switch {
		case by != 0:
		case closed:
			by = rejectedByVirtualNode
		case !c.request.fits(nodes[at]):
			by = rejectedByFit
		}
		all |= by
	}
	all.addTo(plugins)
}

// matches tells whether the labels of the node are those that the pod wants.
func (c *candidate) matches(node *corev1.Node) bool {
	matches, err := c.affinity.Match(node)
	// An affinity that cannot be read is the NodeAffinity plugin's to explain.
	return matches || err != nil
}

// rejectedOn returns which of the node's cordon, taints and labels keeps the pod away, in the order of the filters; zero when none does.
func (c *candidate) rejectedOn(node *corev1.Node, virtual bool) rejectedBy {
	switch {
	case node.Spec.Unschedulable && !c.toleratesUnschedulable():
		return rejectedByCordon
	case virtualnode.HasUntoleratedTaint(c.logger, node, c.pod, virtual):
		return rejectedByVirtualNode
	case !c.matches(node):
		return rejectedByAffinity
	default:
		return 0
	}
}

// isNotReady tells whether the node is not ready yet, or not any more, as the taint says that the node lifecycle controller gives it.
func isNotReady(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool { return taint.Key == corev1.TaintNodeNotReady })
}

// toleratesUnschedulable tells whether the pod may go on cordoned nodes, as the NodeUnschedulable plugin does.
func (c *candidate) toleratesUnschedulable() bool {
	cordon := corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}
	return corev1helpers.TolerationsTolerateTaint(c.logger, c.pod.Spec.Tolerations, &cordon, true)
}

// fits tells whether the node has the requested resources free, as the NodeResourcesFit plugin counts them. A resource that may come from elsewhere is left
// to that plugin on a node that reports nothing of it.
func (r *request) fits(info fwk.NodeInfo) bool {
	allocatable, used := info.GetAllocatable(), info.GetRequested()
	switch {
	case len(info.GetPods())+1 > allocatable.GetAllowedPodNumber(),
		r.milliCPU > 0 && r.milliCPU > allocatable.GetMilliCPU()-used.GetMilliCPU(),
		r.memory > 0 && r.memory > allocatable.GetMemory()-used.GetMemory(),
		r.ephemeralStorage > 0 && r.ephemeralStorage > allocatable.GetEphemeralStorage()-used.GetEphemeralStorage():
		return false
	}
	for name, s := range r.scalars {
		total := allocatable.GetScalarResources()[name]
		if s.amount > 0 && s.amount > total-used.GetScalarResources()[name] && (total > 0 || !s.elsewhere) {
			return false
		}
	}
	return true
}

// atLeast tells whether the request asks for no less than other of everything, so that where other does not fit it does not either.
func (r *request) atLeast(other *request) bool {
	if r.milliCPU < other.milliCPU || r.memory < other.memory || r.ephemeralStorage < other.ephemeralStorage {
		return false
	}
	for name, s := range other.scalars {
		if own := r.scalars[name]; own.amount < s.amount || own.elsewhere && !s.elsewhere {
			return false
		}
	}
	return true
}
