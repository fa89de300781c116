package virtualnode

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
)

// leaseDuration is that of the kubelet: the cluster's node lifecycle controller takes a Node for dead when its Lease is older.
const leaseDuration = 40 * time.Second

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
	return c.updateNode(ctx, vn, node, closed)
}

// updateNode writes the labels, the taints, the capacity and the health of the Node where they differ. closed is the taint that keeps all pods away, or "".
func (c *Controller) updateNode(ctx context.Context, vn *v1alpha1.VirtualNode, node *corev1.Node, closed string) error {
	before := node.DeepCopy()
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	maps.Copy(node.Labels, newNode(vn).Labels)
	node.Spec.Taints = taints(node.Spec.Taints, closed)
	if !maps.Equal(before.Labels, node.Labels) || !equality.Semantic.DeepEqual(before.Spec, node.Spec) {
		// The lock keeps taints that others set at the same moment.
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		if err := c.client.Patch(ctx, node, patch); err != nil {
			return fmt.Errorf("patching the labels and taints of the Node: %w", err)
		}
	}
	before = node.DeepCopy()
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

// renewLease is the heartbeat of the Node. Reconciliations that pods bring about do not renew it.
func (c *Controller) renewLease(ctx context.Context, vn *v1alpha1.VirtualNode) error {
	c.mu.Lock()
	recent := c.options.Clock.Since(c.renewed[vn.UID]) < c.options.RefreshInterval/2
	c.mu.Unlock()
	if recent {
		return nil
	}
	lease := &coordinationv1.Lease{}
	err := c.reader.Get(ctx, client.ObjectKey{Namespace: corev1.NamespaceNodeLease, Name: vn.NodeName()}, lease)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return fmt.Errorf("getting the Lease: %w", err)
	}
	lease.Namespace, lease.Name = corev1.NamespaceNodeLease, vn.NodeName()
	lease.Spec.HolderIdentity = ptr.To(vn.NodeName())
	lease.Spec.LeaseDurationSeconds = ptr.To(int32(leaseDuration.Seconds()))
	lease.Spec.RenewTime = &metav1.MicroTime{Time: c.options.Clock.Now()}
	if err := controllerutil.SetControllerReference(vn, lease, c.client.Scheme()); err != nil {
		return fmt.Errorf("setting the owner of the Lease: %w", err)
	}
	if missing {
		err = c.client.Create(ctx, lease)
	} else {
		err = c.client.Update(ctx, lease)
	}
	if err != nil {
		return fmt.Errorf("renewing the Lease: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.renewed[vn.UID] = c.options.Clock.Now()
	return nil
}
