package v1alpha1

import corev1 "k8s.io/api/core/v1"

const (
	// LabelNodeType is the label by which ACK marks its virtual nodes, with the value NodeTypeVirtualKubelet.
	LabelNodeType = "type"
	// NodeTypeVirtualKubelet is the value of LabelNodeType on virtual nodes.
	NodeTypeVirtualKubelet = "virtual-kubelet"
	// LabelVNode is the label, and the key of the taint, of the VNodes of self-managed clusters, with the value "true".
	LabelVNode = "k8s.aliyun.com/vnode"

	// TaintProvider is the key of the taint of ACK's virtual nodes, with the value TaintProviderValue.
	TaintProvider = "virtual-kubelet.io/provider"
	// TaintProviderValue is the value of TaintProvider on ECI's virtual nodes.
	TaintProviderValue = "alibabacloud"
	// TaintCapacityUnknown closes a node whose capacity could not be read for a while. Nothing tolerates it.
	TaintCapacityUnknown = "eci.spillway.dev/capacity-unknown"
	// TaintDraining closes the node of a VirtualNode that is being deleted. Nothing tolerates it.
	TaintDraining = "eci.spillway.dev/draining"

	// ConditionContainerInstanceCreated is the condition by which ECI tells on a pod whether it has created its instance (ECI, "Custom conditions").
	ConditionContainerInstanceCreated corev1.PodConditionType = "ContainerInstanceCreated"
	// AnnotationInstanceID is set on a pod by the virtual-kubelet: the ID of its ECI instance.
	AnnotationInstanceID = "k8s.aliyun.com/eci-instance-id"

	// LabelDiskZone is the label by which PersistentVolumes of ACK's disk driver select nodes, with the zone
	// (kubernetes-sigs/alibaba-cloud-csi-driver, pkg/disk; ECI, "Mount a disk volume"). On machines the driver sets it;
	// on virtual nodes it does not run.
	LabelDiskZone = "topology.diskplugin.csi.alibabacloud.com/zone"
	// LabelDiskRegion is the same for disks that every zone of a region can attach.
	LabelDiskRegion = "topology.diskplugin.csi.alibabacloud.com/region"

	// LabelVirtualNode is on every Node that Spillway created: the name of its VirtualNode.
	LabelVirtualNode = "eci.spillway.dev/virtual-node"
	// Finalizer keeps a VirtualNode until its Node and Lease are gone.
	Finalizer = "eci.spillway.dev/node"
)

// IsVirtualNode tells from a node's labels whether it is a virtual node (R2).
func IsVirtualNode(labels map[string]string) bool {
	return labels[LabelNodeType] == NodeTypeVirtualKubelet || labels[LabelVNode] == "true"
}

// IsVirtualNodeTaint tells whether the taint only says that the node is a virtual one, so that pods placed in an eci unit tolerate it.
func IsVirtualNodeTaint(taint *corev1.Taint) bool {
	if taint.Effect != corev1.TaintEffectNoSchedule {
		return false
	}
	return taint.Key == TaintProvider && taint.Value == TaintProviderValue || taint.Key == LabelVNode && taint.Value == "true"
}
