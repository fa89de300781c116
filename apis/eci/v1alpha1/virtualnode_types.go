package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/apis/quantity"
)

// Ownership says who writes the Node object.
// +kubebuilder:validation:Enum=Managed;External
type Ownership string

const (
	// OwnershipManaged is a Node that Spillway creates, heartbeats and deletes.
	OwnershipManaged Ownership = "Managed"
	// OwnershipExternal is a Node that another virtual-kubelet writes, such as ack-virtual-node. Spillway never writes it: the capacity is in the status of
	// the VirtualNode only, and Spillway's scheduler holds its pods to it.
	OwnershipExternal Ownership = "External"
)

// Credentials names the Alibaba Cloud account that is asked for capacity: by an access key, or by RRSA.
// +kubebuilder:validation:XValidation:rule="has(self.secretName) != has(self.rrsa)",message="credentials must have exactly one of secretName and rrsa"
type Credentials struct {
	// secretName is a Secret in the namespace of the Spillway controller with the keys accessKeyID and accessKeySecret, and securityToken for temporary
	// credentials of STS. It is read at every refresh, so that whoever renews it need do no more.
	// No other namespace is ever read, so whoever may write a VirtualNode cannot reach other Secrets through it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="secretName must be the name of a Secret, such as eci-credentials"
	SecretName string `json:"secretName,omitempty"`

	// rrsa takes the credentials of a RAM role by the token of the controller's own ServiceAccount (ACK, "Use RRSA to authorize different pods").
	// +optional
	RRSA *RRSA `json:"rrsa,omitempty"`
}

// RRSA is a RAM role that the controller may assume by an OIDC token.
type RRSA struct {
	// roleARN is the role, such as acs:ram::113511544585:role/spillway.
	// +required
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^acs:ram::[0-9]+:role/.+$')",message="roleARN must be the ARN of a RAM role, such as acs:ram::113511544585:role/spillway"
	RoleARN string `json:"roleARN"`

	// oidcProviderARN is the identity provider of the cluster, such as acs:ram::113511544585:oidc-provider/ack-rrsa-c123.
	// +required
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^acs:ram::[0-9]+:oidc-provider/.+$')",message="oidcProviderARN must be the ARN of an OIDC provider, such as acs:ram::113511544585:oidc-provider/ack-rrsa-c123"
	OIDCProviderARN string `json:"oidcProviderARN"`
}

// VirtualNodeSpec describes one zone of ECI.
// +kubebuilder:validation:XValidation:rule="self.zone.startsWith(self.region) && self.zone.substring(size(self.region)).matches('^-?[a-z]{1,2}$')",message="zone must be a zone of the region, such as cn-beijing-j in cn-beijing or ap-southeast-1a in ap-southeast-1"
// +kubebuilder:validation:XValidation:rule="self.zone == oldSelf.zone && self.region == oldSelf.region",message="region and zone cannot be changed: create another VirtualNode"
// +kubebuilder:validation:XValidation:rule="self.ownership == oldSelf.ownership",message="ownership cannot be changed: delete the VirtualNode and create it again"
// +kubebuilder:validation:XValidation:rule="has(self.nodeName) == has(oldSelf.nodeName) && (!has(self.nodeName) || self.nodeName == oldSelf.nodeName)",message="nodeName cannot be changed: delete the VirtualNode and create it again"
// +kubebuilder:validation:XValidation:rule="!has(self.nodeName) || self.ownership == 'External'",message="nodeName can be set with ownership External only; a Managed node is named virtual-kubelet-<zone>"
type VirtualNodeSpec struct {
	// region is the Alibaba Cloud region whose quota bounds the node, such as cn-beijing. It cannot be changed.
	// +required
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]+(-[a-z0-9]+)+$')",message="region must be an Alibaba Cloud region ID such as cn-beijing or ap-southeast-1"
	Region string `json:"region"`

	// zone is the zone of the region in which pods run, such as cn-beijing-j. The Node is named virtual-kubelet-<zone>. It cannot be changed.
	// If several VirtualNodes name one Node, the oldest has the Node, then the first by name; the others get Ready=False.
	// +required
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]+(-[a-z0-9]+)+$')",message="zone must be an Alibaba Cloud zone ID such as cn-beijing-j or ap-southeast-1a"
	Zone string `json:"zone"`

	// credentials names the account that is asked for capacity.
	// +required
	Credentials Credentials `json:"credentials"`

	// ownership says who writes the Node. Managed: Spillway creates, heartbeats and deletes it. External: another virtual-kubelet does, and Spillway
	// leaves it alone. It cannot be changed.
	// +optional
	// +default="Managed"
	Ownership Ownership `json:"ownership,omitempty"`

	// nodeName is the Node of an External virtual-kubelet when it is not named virtual-kubelet-<zone>, as those of ack-virtual-node are.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="nodeName must be the name of a Node, such as virtual-kubelet-cn-beijing-j"
	NodeName string `json:"nodeName,omitempty"`

	// vSwitches are the vSwitches, in the zone, from which pods get their addresses: one each. Their free addresses bound the number of pods.
	// Empty: addresses do not bound it.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(v, v.matches('^vsw-[a-z0-9-]+$'))",message="vSwitches must be IDs of vSwitches, such as vsw-bp1xpiowfm5vo8o3c"
	VSwitches []string `json:"vSwitches,omitempty"`

	// allowedCapabilities are the Linux capabilities that containers of pods on the node may add, beside those that
	// container runtimes grant to every container, such as CHOWN. A pod with a container that adds another one is not
	// placed on the node. List what ECI grants to the account; it does not say so itself. Without a list these are
	// NET_ADMIN and NET_RAW, which ECI documents, NET_RAW after a ticket. An empty list allows none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.matches('^[A-Z][A-Z0-9_]*$') && !c.startsWith('CAP_'))",message="allowedCapabilities must be names of Linux capabilities in upper case and without CAP_, such as NET_ADMIN"
	// +kubebuilder:validation:XValidation:rule="!('ALL' in self)",message="allowedCapabilities cannot have ALL, which ECI refuses: name each capability, such as NET_ADMIN"
	AllowedCapabilities []string `json:"allowedCapabilities,omitzero"`

	// maxSpendPerHour is the most that the pods on the node may cost in an hour, in the account's currency, by ECI's list of prices without images,
	// traffic and disks, such as "12.50". While prices are not known no new pods are placed on the node.
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).isGreaterThan(quantity('0'))",message="maxSpendPerHour must be more than 0, such as \"12.50\""
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('1M')) <= 0",message="maxSpendPerHour must be at most 1000000; leave it out for no limit"
	MaxSpendPerHour *quantity.Quantity `json:"maxSpendPerHour,omitempty"`

	// limits is the most that the node may offer, whatever the account's quota is, in what ECI bills: requests rounded up to its specifications.
	// cpu, memory, pods and nvidia.com/gpu can be limited. Without a limit on nvidia.com/gpu a Managed node offers no GPUs.
	// +optional
	// +kubebuilder:validation:MaxProperties=4
	// +kubebuilder:validation:XValidation:rule="self.all(r, r in ['cpu', 'memory', 'pods', 'nvidia.com/gpu'])",message="limits can name cpu, memory, pods and nvidia.com/gpu only"
	// +kubebuilder:validation:XValidation:rule="self.all(r, quantity(string(self[r])).isGreaterThan(quantity('0')))",message="every limit must be more than 0, such as cpu: 100; to stop using ECI delete the VirtualNode or cordon its Node"
	// +kubebuilder:validation:XValidation:rule="self.all(r, quantity(string(self[r])).compareTo(quantity('1P')) <= 0)",message="every limit must be at most 1P; leave it out for no limit"
	Limits map[corev1.ResourceName]quantity.Quantity `json:"limits,omitempty"`
}

// VirtualNodeStatus is the one truth about what ECI would accept; a Managed Node mirrors it.
type VirtualNodeStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// nodeName is the Node that stands for this VirtualNode.
	// +optional
	NodeName string `json:"nodeName,omitempty"`

	// account is the region and the credentials that the capacity was read with: the Secret, or the RAM role and its
	// identity provider.
	// +optional
	Account string `json:"account,omitempty"`

	// accountID is the ID of the Alibaba Cloud account that these credentials belong to, by STS GetCallerIdentity.
	// VirtualNodes of one region and account ID share the account's quota. No pods are placed on the node before it is
	// known.
	// +optional
	AccountID string `json:"accountID,omitempty"`

	// capacity is what the pods on the node may hold in total, those that are there included, in what ECI bills. The allocatable of a Managed Node is the
	// same.
	// +optional
	Capacity corev1.ResourceList `json:"capacity,omitempty"`

	// quotaCPU is how many vCPUs the pods on all virtual nodes of the region and the account may hold together: the account's quota without what others
	// use of it. Spillway's scheduler holds the sum to it.
	// +optional
	QuotaCPU *resource.Quantity `json:"quotaCPU,omitempty"`

	// limitedBy says in words what bounds the capacity most closely, such as "vSwitch vsw-a, 12 free IPs" or "vCPU quota of cn-beijing: 1000, used 11".
	// +optional
	LimitedBy string `json:"limitedBy,omitempty"`

	// lastRefreshTime is when the capacity was last read from ECI. It is renewed at every successful refresh, every 10 seconds by default.
	// +optional
	LastRefreshTime *metav1.Time `json:"lastRefreshTime,omitempty"`

	// freshUntil is when the capacity becomes too old to place pods by, unless it is refreshed before: one minute after lastRefreshTime by default.
	// +optional
	FreshUntil *metav1.Time `json:"freshUntil,omitempty"`

	// price is what ECI asks in the zone. It is read once an hour. With spec.maxSpendPerHour, no pod is placed by a
	// price that was read more than a day ago.
	// +optional
	Price *Price `json:"price,omitempty"`

	// stockOuts are the specifications that ECI does not have in the zone now.
	// +optional
	// +listType=map
	// +listMapKey=spec
	// +kubebuilder:validation:MaxItems=64
	StockOuts []StockOut `json:"stockOuts,omitempty"`

	// lowStock are the specifications that will soon be sold out in the zone; other zones are preferred for them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	LowStock []string `json:"lowStock,omitempty"`

	// conditions are Ready, CapacityKnown and StockAvailable.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Price is what ECI asks in a zone. Amounts are decimal numbers of the currency.
type Price struct {
	// readTime is when the price was read from ECI. A price without it is taken for too old.
	// +optional
	ReadTime *metav1.Time `json:"readTime,omitempty"`
	// currency is that of the account, such as CNY or USD.
	// +required
	Currency string `json:"currency"`
	// cpuPerHour is the price of a vCPU for an hour, such as 0.1764.
	// +required
	CPUPerHour string `json:"cpuPerHour"`
	// memoryPerHour is the price of a GiB of memory for an hour.
	// +required
	MemoryPerHour string `json:"memoryPerHour"`
	// instanceTypes are the prices of the ECS instance types that pods ask for.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=64
	InstanceTypes []InstanceTypePrice `json:"instanceTypes,omitempty"`
}

// InstanceTypePrice is what an ECS instance type costs on ECI.
type InstanceTypePrice struct {
	// type is the instance type, such as ecs.c6.large.
	// +required
	Type string `json:"type"`
	// perHour is its price for an hour.
	// +required
	PerHour string `json:"perHour"`
}

// StockOutSource says how a stock-out became known.
// +kubebuilder:validation:Enum=Inventory;Pod
type StockOutSource string

const (
	// SourceInventory is ECI's own answer to what it has in stock. The stock-out ends when that answer changes.
	SourceInventory StockOutSource = "Inventory"
	// SourcePod is a pod that ECI refused. After until one pod may try again: if it is created the stock-out ends, if it is refused until moves on.
	SourcePod StockOutSource = "Pod"
)

// StockOut is a specification that ECI does not have in a zone now.
type StockOut struct {
	// spec is the specification as the annotation k8s.aliyun.com/eci-use-specs writes it, such as 2-4Gi or ecs.c6.large; * for all of the zone. With
	// " (choosy)" behind it, it is for pods that take only spot instances; with " (choosy, instance-family=ecs.c7)" or " (choosy, vswitch=vsw-1)", for those
	// that are restricted by the same values: a family, or a vSwitch, private pool or address of their own. Values that are long are replaced by their hash.
	// +required
	Spec string `json:"spec"`
	// reason is that of ECI: NoStock, StockClose, IpNotEnough or one of a quota, of the pod's condition ContainerInstanceCreated; WithoutStock,
	// ClosedWithoutStock or NotSold of the inventory.
	// +required
	Reason string `json:"reason"`
	// source says how it became known.
	// +required
	Source StockOutSource `json:"source"`
	// since is when it became known.
	// +required
	Since metav1.Time `json:"since"`
	// lastFailure is when a pod was last refused, or the inventory last said so.
	// +required
	LastFailure metav1.Time `json:"lastFailure"`
	// until is when one pod may try again.
	// +required
	Until metav1.Time `json:"until"`
	// failures is how often pods were refused in a row, each after the other's until; it doubles the wait, from 30 seconds to 30 minutes.
	// +optional
	Failures int32 `json:"failures,omitempty"`
}

// VirtualNode is one zone of ECI, offered to the cluster as a Node whose capacity is what ECI would accept now.
//
// Deleting a Managed VirtualNode closes its Node to new pods, evicts the pods that are left (disruption budgets are respected), removes those whose grace
// period is over, and then deletes the Node and its Lease. Deleting an External one leaves everything as it is.
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="the name must have at most 63 characters, because the Node carries it as a label"
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=vn
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.status.nodeName`,priority=1
// +kubebuilder:printcolumn:name="CPU",type=string,JSONPath=`.status.capacity.cpu`
// +kubebuilder:printcolumn:name="Pods",type=string,JSONPath=`.status.capacity.pods`
// +kubebuilder:printcolumn:name="Limited by",type=string,JSONPath=`.status.limitedBy`
// +kubebuilder:printcolumn:name="Refreshed",type=date,JSONPath=`.status.lastRefreshTime`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Capacity",type=string,JSONPath=`.status.conditions[?(@.type=="CapacityKnown")].reason`
// +kubebuilder:printcolumn:name="Stock",type=string,JSONPath=`.status.conditions[?(@.type=="StockAvailable")].reason`
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

// NodeName is the name of the Node that stands for the VirtualNode: spec.nodeName, or as ACK names its virtual nodes.
func (v *VirtualNode) NodeName() string {
	if v.Spec.NodeName != "" {
		return v.Spec.NodeName
	}
	return "virtual-kubelet-" + v.Spec.Zone
}

// IsManaged tells whether Spillway writes the Node.
func (v *VirtualNode) IsManaged() bool { return v.Spec.Ownership != OwnershipExternal }

// AllowedCapabilities are the capabilities that containers may add on the node, beside those that container runtimes
// grant. The default is not one of the CRD, so that an upgrade changes no VirtualNode.
func (v *VirtualNode) AllowedCapabilities() []string {
	if v.Spec.AllowedCapabilities == nil {
		return []string{"NET_ADMIN", "NET_RAW"}
	}
	return v.Spec.AllowedCapabilities
}

// CredentialsKey names the region and the credentials with which ECI is asked: the VirtualNodes of one key have one
// reading. A role that does not work must show on its own VirtualNode, whatever other roles the account has.
func (v *VirtualNode) CredentialsKey() string {
	if role := v.Spec.Credentials.RRSA; role != nil {
		return v.Spec.Region + " role " + role.RoleARN + " by " + role.OIDCProviderARN
	}
	return v.Spec.Region + " Secret " + v.Spec.Credentials.SecretName
}

// Account names the region and the account whose quota the VirtualNode draws on: those of equal name share it. Two
// Secrets, or a Secret and a role, may belong to one account: only its ID tells. While that is not known it is the
// UnknownAccount.
func (v *VirtualNode) Account() string {
	if v.Status.AccountID == "" {
		return UnknownAccount(v.Spec.Region)
	}
	return v.Spec.Region + " account " + v.Status.AccountID
}

// UnknownAccount is the Account of the VirtualNodes of a region whose account is not known: it may be any account, so
// that what their pods hold counts in all of them.
func UnknownAccount(region string) string { return region + " account unknown" }
