package virtualnode

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/plugins/wakeup"
)

const (
	// ReasonUntoleratedTaint is the reason for a node whose taints the pod does not tolerate, as TaintToleration words it.
	ReasonUntoleratedTaint = "node(s) had untolerated taint(s)"

	tolerateKey fwk.StateKey = "Tolerate" + Name
	governedKey fwk.StateKey = "Governed" + Name
	askingKey   fwk.StateKey = "PreFilter" + Name
)

// tolerated marks a cycle in which the taint of virtual nodes is tolerated, with what the pod asks of ECI.
type tolerated struct{ asking *Asking }

// Clone returns the mark itself: it never changes.
func (t tolerated) Clone() fwk.StateData { return t }

// governed marks a cycle of a pod that a ResourcePolicy governs.
type governed struct{}

// Clone returns the mark itself.
func (g governed) Clone() fwk.StateData { return g }

// cycle is the state of a cycle. A simulation changes the changes, never in place.
type cycle struct {
	// asking is nil when no VirtualNode was known at the beginning of the cycle.
	asking  *Asking
	changes changes
}

// noVirtualNodes is the state of every cycle in a cluster without VirtualNodes. It is never changed.
var noVirtualNodes = &cycle{}

var errNoPreFilter = errors.New("PreFilter of plugin " + Name + " did not run: enable it in the profile")

// Clone returns a copy that can be changed.
func (c *cycle) Clone() fwk.StateData {
	clone := *c
	return &clone
}

// Tolerate makes the pod of this cycle tolerate the taint of virtual nodes and ask for them as it will be in its unit; nil ends that. The ResourcePolicy
// plugin calls it with the unit that it looks at.
func Tolerate(state fwk.CycleState, asking *Asking) {
	if asking != nil {
		state.Write(tolerateKey, tolerated{asking})
	} else {
		state.Delete(tolerateKey)
	}
}

// Governed notes in the state of a cycle that a ResourcePolicy governs the pod: the ResourcePolicy plugin parks it.
func Governed(state fwk.CycleState) { state.Write(governedKey, governed{}) }

// HasUntoleratedTaint tells whether a taint of the node keeps the pod away. With virtual, the taint of virtual nodes does not count.
func HasUntoleratedTaint(logger klog.Logger, node *corev1.Node, pod *corev1.Pod, virtual bool) bool {
	for i := range node.Spec.Taints {
		taint := &node.Spec.Taints[i]
		if taint.Effect != corev1.TaintEffectNoSchedule && taint.Effect != corev1.TaintEffectNoExecute {
			continue
		}
		if virtual && eciv1alpha1.IsVirtualNodeTaint(taint) {
			continue
		}
		// The API server admits tolerations with comparison operators only where the cluster has them switched on.
		if !corev1helpers.TolerationsTolerateTaint(logger, pod.Spec.Tolerations, taint, true) {
			return true
		}
	}
	return false
}

// PreFilter prepares for virtual nodes. It refuses nothing.
func (pl *VirtualNode) PreFilter(_ context.Context, state fwk.CycleState, pod *corev1.Pod, _ []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	if pod.Spec.NodeName != "" {
		return nil, fwk.NewStatus(fwk.Skip) // It is bound, and comes back for a resize that its node has deferred.
	}
	pl.offers.Waker.Begin(state)
	pl.offers.Follow(state)
	if len(pl.offers.pinned.nodes) == 0 {
		state.Write(askingKey, noVirtualNodes)
		return nil, nil
	}
	state.Write(askingKey, &cycle{asking: pl.offers.Ask(pod, nil)})
	return nil, nil
}

// PreFilterExtensions returns the plugin: what pods that a simulation adds and removes hold counts (R8).
func (pl *VirtualNode) PreFilterExtensions() fwk.PreFilterExtensions { return pl }

// AddPod counts what a pod holds that a simulation puts on a node.
func (pl *VirtualNode) AddPod(_ context.Context, state fwk.CycleState, _ *corev1.Pod, added fwk.PodInfo, node fwk.NodeInfo) *fwk.Status {
	pl.simulate(state, added, node, 1)
	return nil
}

// RemovePod counts what a pod holds no longer that a simulation takes from a node.
func (pl *VirtualNode) RemovePod(_ context.Context, state fwk.CycleState, _ *corev1.Pod, removed fwk.PodInfo, node fwk.NodeInfo) *fwk.Status {
	pl.simulate(state, removed, node, -1)
	return nil
}

func (pl *VirtualNode) simulate(state fwk.CycleState, pod fwk.PodInfo, node fwk.NodeInfo, sign int64) {
	c := cycleOf(state)
	if c == nil || c.asking == nil {
		return
	}
	if described := c.asking.catalog.nodes[node.Node().Name]; described != nil {
		c.changes = c.changes.with(described.Name, change{held: pl.offers.counted(pod, described), sign: sign})
	}
}

// Filter refuses nodes with a taint that the pod does not tolerate, and virtual nodes on which ECI would refuse it.
func (pl *VirtualNode) Filter(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, nodeInfo fwk.NodeInfo) *fwk.Status {
	node := nodeInfo.Node()
	if len(node.Spec.Taints) == 0 && !eciv1alpha1.IsVirtualNode(node.Labels) {
		return nil // Reading the state is not free, and most nodes have no taint.
	}
	c := cycleOf(state)
	if c == nil {
		return fwk.AsStatus(errNoPreFilter)
	}
	var asking *Asking
	if mark, err := state.Read(tolerateKey); err == nil {
		asking = mark.(tolerated).asking
	}
	if HasUntoleratedTaint(klog.FromContext(ctx), node, pod, asking != nil) {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ReasonUntoleratedTaint)
	}
	if c.asking == nil {
		return nil
	}
	if asking == nil {
		asking = c.asking
	}
	verdict, described := pl.offers.check(asking, node.Name, c.changes)
	switch {
	case !described || verdict.Why == "":
		return nil
	case verdict.Full:
		c.asking.refuse()
		return fwk.NewStatus(fwk.Unschedulable, verdict.Why)
	default:
		if asking.Never() == "" {
			c.asking.refuse() // Only an edit helps a pod that ECI can never run.
		}
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, verdict.Why)
	}
}

// PostFilter parks a pod without a policy: it is tried again when it may have one, and, if a virtual node refused it, when ECI would accept more. It helps no
// pod itself.
func (pl *VirtualNode) PostFilter(
	_ context.Context, state fwk.CycleState, pod *corev1.Pod, _ fwk.NodeToStatusReader,
) (*fwk.PostFilterResult, *fwk.Status) {
	if _, err := state.Read(governedKey); err == nil || pod.Spec.NodeName != "" {
		return nil, fwk.NewStatus(fwk.Unschedulable)
	}
	topics := []string{wakeup.NamespaceTopic(pod.Namespace)}
	if Refused(state) {
		topics = append(topics, TopicECI)
	}
	pl.offers.Waker.Park(wakeup.Parking{Pod: pod, Shape: wakeup.ShapeOf(pod), Topics: topics, Since: wakeup.Since(state)})
	pl.offers.RetryIfChanged(pod)
	return nil, fwk.NewStatus(fwk.Unschedulable)
}

// Refused reports whether Filter refused the pod of this cycle on a virtual node for what may change without an event of the cluster.
func Refused(state fwk.CycleState) bool {
	c := cycleOf(state)
	return c != nil && c.asking != nil && c.asking.wasRefused()
}

// cycleOf returns the state of this cycle, or nil when PreFilter did not run.
func cycleOf(state fwk.CycleState) *cycle {
	data, err := state.Read(askingKey)
	if err != nil {
		return nil
	}
	return data.(*cycle)
}
