package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/apis/quantity"
)

// Ownership says who writes the Node object.
// +kubebuilder:validation:Enum=Managed
type Ownership string

// OwnershipManaged is a Node that Spillway creates, heartbeats and deletes.
const OwnershipManaged Ownership = "Managed"

// Credentials names the Alibaba Cloud account that is asked for capacity.
type Credentials struct {
	// secretName is a Secret in the namespace of the Spillway controller with the keys accessKeyID and accessKeySecret.
	// No other namespace is ever read, so whoever may write a VirtualNode cannot reach other Secrets through it.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="secretName must be the name of a Secret, such as eci-credentials"
	SecretName string `json:"secretName"`
}

// VirtualNodeSpec describes one zone of ECI.
// +kubebuilder:validation:XValidation:rule="self.zone.startsWith(self.region) && self.zone.substring(size(self.region)).matches('^-?[a-z]{1,2}$')",message="zone must be a zone of the region, such as cn-beijing-j in cn-beijing or ap-southeast-1a in ap-southeast-1"
// +kubebuilder:validation:XValidation:rule="self.zone == oldSelf.zone && self.region == oldSelf.region",message="region and zone cannot be changed: create another VirtualNode"
type VirtualNodeSpec struct {
	// region is the Alibaba Cloud region whose quota bounds the node, such as cn-beijing. It cannot be changed.
	// +required
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]+(-[a-z0-9]+)+$')",message="region must be an Alibaba Cloud region ID such as cn-beijing or ap-southeast-1"
	Region string `json:"region"`

	// zone is the zone of the region in which pods run, such as cn-beijing-j. The Node is named virtual-kubelet-<zone>. It cannot be changed.
	// If several VirtualNodes name one zone, the oldest has the Node, then the first by name; the others get Ready=False.
	// +required
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]+(-[a-z0-9]+)+$')",message="zone must be an Alibaba Cloud zone ID such as cn-beijing-j or ap-southeast-1a"
	Zone string `json:"zone"`

	// credentials names the account that is asked for capacity.
	// +required
	Credentials Credentials `json:"credentials"`

	// ownership is Managed: Spillway creates, heartbeats and deletes the Node.
	// +optional
	// +default="Managed"
	Ownership Ownership `json:"ownership,omitempty"`

	// limits is the most that the node may offer, whatever the account's quota is, for example to bound what the pods can cost.
	// cpu, memory and pods can be limited.
	// +optional
	// +kubebuilder:validation:MaxProperties=3
	// +kubebuilder:validation:XValidation:rule="self.all(r, r in ['cpu', 'memory', 'pods'])",message="limits can name cpu, memory and pods only"
	// +kubebuilder:validation:XValidation:rule="self.all(r, quantity(string(self[r])).isGreaterThan(quantity('0')))",message="every limit must be more than 0, such as cpu: 100; to stop using ECI delete the VirtualNode or cordon its Node"
	Limits map[corev1.ResourceName]quantity.Quantity `json:"limits,omitempty"`
}

// VirtualNodeStatus is the one truth about what ECI would accept; the Node mirrors it.
type VirtualNodeStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// nodeName is the Node that stands for this VirtualNode.
	// +optional
	NodeName string `json:"nodeName,omitempty"`

	// capacity is what the pods on the node may request in total, as published in the Node's allocatable.
	// +optional
	Capacity corev1.ResourceList `json:"capacity,omitempty"`

	// limitedBy says in words what bounds the cpu of the capacity, such as "vCPU quota of cn-beijing: 1000, used 11".
	// +optional
	LimitedBy string `json:"limitedBy,omitempty"`

	// lastRefreshTime is when the capacity was last read from ECI. It is renewed at every successful refresh, every 10 seconds by default.
	// +optional
	LastRefreshTime *metav1.Time `json:"lastRefreshTime,omitempty"`

	// conditions are Ready and CapacityKnown.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// VirtualNode is one zone of ECI, offered to the cluster as a Node whose capacity is what ECI would accept now.
//
// Deleting a VirtualNode closes its Node to new pods, evicts the pods that are left (disruption budgets are respected), removes those whose grace
// period is over, and then deletes the Node and its Lease.
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="the name must have at most 63 characters, because the Node carries it as a label"
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=vn
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.status.nodeName`
// +kubebuilder:printcolumn:name="CPU",type=string,JSONPath=`.status.capacity.cpu`
// +kubebuilder:printcolumn:name="Limited by",type=string,JSONPath=`.status.limitedBy`
// +kubebuilder:printcolumn:name="Refreshed",type=date,JSONPath=`.status.lastRefreshTime`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
type VirtualNode struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the zone.
	// +required
	Spec VirtualNodeSpec `json:"spec"`

	// status is the one truth about what ECI would accept.
	// +optional
	Status VirtualNodeStatus `json:"status,omitempty"`
}

// VirtualNodeList is a list of VirtualNodes.
// +kubebuilder:object:root=true
type VirtualNodeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []VirtualNode `json:"items"`
}

// NodeName is the name of the Node that stands for the VirtualNode, as ACK names its virtual nodes.
func (v *VirtualNode) NodeName() string {
	return "virtual-kubelet-" + v.Spec.Zone
}
