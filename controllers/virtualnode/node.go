package virtualnode

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
)

// publish creates the Node, or brings it in line with the status.
func (c *Controller) publish(ctx context.Context, vn *v1alpha1.VirtualNode) error {
	node := &corev1.Node{}
	err := c.reader.Get(ctx, client.ObjectKey{Name: vn.NodeName()}, node)
	if apierrors.IsNotFound(err) {
		node = newNode(vn)
		if err := controllerutil.SetControllerReference(vn, node, c.client.Scheme()); err != nil {
			return fmt.Errorf("setting the owner of the Node: %w", err)
		}
		err = c.client.Create(ctx, node)
	}
	if err != nil {
		return fmt.Errorf("creating the Node: %w", err)
	}
	closed := ""
	if c.stale(vn) {
		closed = v1alpha1.TaintCapacityUnknown
	}
	if err := c.updateSpec(ctx, vn, node, closed); err != nil {
		return err
	}
	return c.updateStatus(ctx, vn, node)
}

// updateSpec writes the labels and taints of the Node where they differ. closed is the taint that keeps all pods away,
// or "".
func (c *Controller) updateSpec(ctx context.Context, vn *v1alpha1.VirtualNode, node *corev1.Node, closed string) error {
	before := node.DeepCopy()
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	maps.Copy(node.Labels, newNode(vn).Labels)
	node.Spec.Taints = taints(node.Spec.Taints, closed)
	if maps.Equal(before.Labels, node.Labels) && equality.Semantic.DeepEqual(before.Spec, node.Spec) {
		return nil
	}
	// The lock keeps taints that others set at the same moment.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.client.Patch(ctx, node, patch); err != nil {
		return fmt.Errorf("patching the labels and taints of the Node: %w", err)
	}
	return nil
}

// updateStatus writes the capacity and the health of the Node where they differ.
func (c *Controller) updateStatus(ctx context.Context, vn *v1alpha1.VirtualNode, node *corev1.Node) error {
	before := node.DeepCopy()
	node.Status.Capacity, node.Status.Allocatable = vn.Status.Capacity, vn.Status.Capacity
	for conditionType, healthy := range nodeConditions {
		setNodeCondition(node, conditionType, healthy, metav1.NewTime(c.options.Clock.Now()))
	}
	if equality.Semantic.DeepEqual(before.Status, node.Status) {
		return nil
	}
	if err := c.client.Status().Patch(ctx, node, client.StrategicMergeFrom(before)); err != nil {
		return fmt.Errorf("patching the status of the Node: %w", err)
	}
	return nil
}

// nodeConditions are the conditions that the cluster's node lifecycle controller expects of a healthy node.
var nodeConditions = map[corev1.NodeConditionType]corev1.ConditionStatus{
	corev1.NodeReady:          corev1.ConditionTrue,
	corev1.NodeMemoryPressure: corev1.ConditionFalse,
	corev1.NodeDiskPressure:   corev1.ConditionFalse,
	corev1.NodePIDPressure:    corev1.ConditionFalse,
}

// newNode returns the Node of a VirtualNode with the name, labels and taint of ACK's virtual nodes.
func newNode(vn *v1alpha1.VirtualNode) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: vn.NodeName(),
			Labels: map[string]string{
				v1alpha1.LabelNodeType:                                    v1alpha1.NodeTypeVirtualKubelet,
				v1alpha1.LabelVirtualNode:                                 vn.Name,
				corev1.LabelHostname:                                      vn.NodeName(),
				corev1.LabelOSStable:                                      "linux",
				corev1.LabelArchStable:                                    "amd64",
				corev1.LabelTopologyRegion:                                vn.Spec.Region,
				corev1.LabelTopologyZone:                                  vn.Spec.Zone,
				corev1.LabelFailureDomainBetaRegion:                       vn.Spec.Region,
				corev1.LabelFailureDomainBetaZone:                         vn.Spec.Zone,
				v1alpha1.LabelDiskRegion:                                  vn.Spec.Region,
				v1alpha1.LabelDiskZone:                                    vn.Spec.Zone,
				corev1.LabelNodeExcludeBalancers:                          "true",
				"kubernetes.io/role":                                      "agent",
				"alpha.service-controller.kubernetes.io/exclude-balancer": "true",
			},
		},
		Spec: corev1.NodeSpec{Taints: taints(nil, "")},
	}
}

// taints returns the taints with the one that marks virtual nodes, with the closing one if it is not "", and without any other closing one. Taints of
// others stay.
func taints(current []corev1.Taint, closed string) []corev1.Taint {
	wanted := []corev1.Taint{{Key: v1alpha1.TaintProvider, Value: v1alpha1.TaintProviderValue, Effect: corev1.TaintEffectNoSchedule}}
	if closed != "" {
		wanted = append(wanted, corev1.Taint{Key: closed, Effect: corev1.TaintEffectNoSchedule})
	}
	ours := []string{v1alpha1.TaintProvider, v1alpha1.TaintCapacityUnknown, v1alpha1.TaintDraining}
	for _, taint := range current {
		if !slices.Contains(ours, taint.Key) {
			wanted = append(wanted, taint)
		}
	}
	if sameTaints(current, wanted) {
		return current
	}
	return wanted
}

// sameTaints tells whether two lists have the same taints in any order.
func sameTaints(a, b []corev1.Taint) bool {
	set := func(taints []corev1.Taint) map[string]bool {
		keys := map[string]bool{}
		for i := range taints {
			keys[taints[i].ToString()] = true
		}
		return keys
	}
	return len(a) == len(b) && maps.Equal(set(a), set(b))
}

func setNodeCondition(node *corev1.Node, conditionType corev1.NodeConditionType, status corev1.ConditionStatus, now metav1.Time) {
	wanted := corev1.NodeCondition{
		Type: conditionType, Status: status, Reason: "VirtualNode", Message: "reported by the controller of Spillway",
		LastHeartbeatTime: now, LastTransitionTime: now,
	}
	at := slices.IndexFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == conditionType })
	if at < 0 {
		node.Status.Conditions = append(node.Status.Conditions, wanted)
		return
	}
	if current := &node.Status.Conditions[at]; current.Status != status {
		*current = wanted
	}
}

// nodeOwner returns who has the name of the VirtualNode's Node, in words, or "" when the VirtualNode itself has it or
// may take it. While there is a Node, it decides; otherwise the older VirtualNode, then the first by name.
func (c *Controller) nodeOwner(ctx context.Context, vn *v1alpha1.VirtualNode) (string, error) {
	all := &v1alpha1.VirtualNodeList{}
	if err := c.client.List(ctx, all); err != nil {
		return "", fmt.Errorf("listing VirtualNodes: %w", err)
	}
	node := &corev1.Node{}
	err := c.reader.Get(ctx, client.ObjectKey{Name: vn.NodeName()}, node)
	if client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("getting the Node: %w", err)
	}
	exists := err == nil
	if exists && owns(vn, node) {
		return "", nil
	}
	for i := range all.Items {
		other := &all.Items[i]
		if other.UID == vn.UID || other.NodeName() != vn.NodeName() {
			continue
		}
		if exists && owns(other, node) || (!exists || !other.IsManaged()) && goesFirst(other, vn) {
			return "VirtualNode " + other.Name, nil
		}
	}
	if exists && vn.IsManaged() {
		return "another virtual-kubelet or an administrator", nil
	}
	return "", nil
}

// owns tells whether the VirtualNode has made the Node. Either mark is enough: labels can be edited away.
func owns(vn *v1alpha1.VirtualNode, node *corev1.Node) bool {
	return node.Labels[v1alpha1.LabelVirtualNode] == vn.Name || metav1.IsControlledBy(node, vn)
}

// goesFirst tells whether a has the Node's name rather than b: the older, then the first by name.
func goesFirst(a, b *v1alpha1.VirtualNode) bool {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name)) < 0
}
