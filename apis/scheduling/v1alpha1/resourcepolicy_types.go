package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/apis/quantity"
)

// ResourceType is the kind of capacity that a unit stands for.
// +kubebuilder:validation:Enum=ecs;eci;elastic;acs
type ResourceType string

const (
	// ResourceECS is every node that is not a virtual node.
	ResourceECS ResourceType = "ecs"
	// ResourceECI is every virtual node. Its taint is tolerated inside the scheduler; the pod's spec is not changed.
	ResourceECI ResourceType = "eci"
	// ResourceElastic is ecs with the wait label: pods wait there for an autoscaled pool to grow. ACK deprecates it in favour of the label.
	ResourceElastic ResourceType = "elastic"
	// ResourceACS is every virtual node, as eci; its pods get the labels of ACS compute power unless they or podLabels have them:
	// alibabacloud.com/compute-class=general-purpose and alibabacloud.com/compute-qos=default. No preemption and no waiting by timeout happens there.
	ResourceACS ResourceType = "acs"
)

// Strategy says what happens to the order of the units.
// +kubebuilder:validation:Enum=prefer
type Strategy string

// StrategyPrefer fills the units in order. It is the only strategy that ACK accepts. Nodes outside all units are not used.
const StrategyPrefer Strategy = "prefer"

// PreemptPolicy says when preemption is tried for a governed pod.
// +kubebuilder:validation:Enum=AfterAllUnits;BeforeNextUnit
type PreemptPolicy string

const (
	// PreemptAfterAllUnits tries preemption only after the last unit failed. The default.
	PreemptAfterAllUnits PreemptPolicy = "AfterAllUnits"
	// PreemptBeforeNextUnit tries preemption in each unit before going on.
	PreemptBeforeNextUnit PreemptPolicy = "BeforeNextUnit"
)

// TryNextPolicy says when a pod may go on to the next unit.
// +kubebuilder:validation:Enum=LackResourceOrExceedMax;ExceedMax;TimeoutOrExceedMax;LackResourceAndNoTerminating;LackResourceAndNoterminating;Timeout
type TryNextPolicy string

const (
	// TryNextLackResourceOrExceedMax goes on when the unit is full or none of its nodes can take the pod. The default.
	TryNextLackResourceOrExceedMax TryNextPolicy = "LackResourceOrExceedMax"
	// TryNextExceedMax goes on when the unit is full, or has neither max nor maxResources and none of its nodes can take the pod.
	TryNextExceedMax TryNextPolicy = "ExceedMax"
	// TryNextTimeoutOrExceedMax goes on when the unit is full, or the pod has waited there for the timeout. It waits only in a unit that has max or
	// maxResources, or the wait label; from another one it goes on when none of its nodes can take the pod.
	TryNextTimeoutOrExceedMax TryNextPolicy = "TimeoutOrExceedMax"
	// TryNextLackResourceAndNoTerminating goes on when the unit cannot take the pod and none of its pods is terminating. It is meant for rolling
	// updates.
	TryNextLackResourceAndNoTerminating TryNextPolicy = "LackResourceAndNoTerminating"
	// TryNextLackResourceAndNoterminating is the same policy in the spelling of ACK's own CRD.
	TryNextLackResourceAndNoterminating TryNextPolicy = "LackResourceAndNoterminating"
	// TryNextTimeout is listed by ACK's own CRD but documented nowhere. A policy with it is refused by condition Ready.
	TryNextTimeout TryNextPolicy = "Timeout"
)

// LabelValue is a label value as Kubernetes allows it: at most 63 characters.
// +kubebuilder:validation:MaxLength=63
type LabelValue string

// LabelKey is a label key as Kubernetes allows it: an optional DNS prefix and a slash, then a name of at most 63 characters.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=317
// +kubebuilder:validation:XValidation:rule="!format.qualifiedName().validate(self).hasValue()",message="must be a label key such as app or example.com/app: an optional DNS prefix and a slash, then at most 63 letters, digits, '-', '_' or '.'"
type LabelKey string

// LabelSet is a set of labels that must all be present with exactly these values. At most 16.
// +kubebuilder:validation:MaxProperties=16
// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="every key must be a label key such as app or example.com/app: an optional DNS prefix and a slash, then at most 63 letters, digits, '-', '_' or '.'"
// +kubebuilder:validation:XValidation:rule="self.all(k, !format.labelValue().validate(self[k]).hasValue())",message="every value must be a label value: at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit"
type LabelSet map[string]LabelValue

// Unit is one step of the order: a set of nodes and the most that may be placed on it.
type Unit struct {
	// name names the unit in messages, in the status and in the record on its pods. Only Spillway has it. Unset: the unit is named by its resource and
	// labels. A unit that is given a name, or another one, while it has pods counts those by their nodes. Names are unique in a policy.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="name must be lower case letters, digits and '-', beginning and ending with a letter or digit"
	Name string `json:"name,omitempty"`

	// resource is the kind of capacity: ecs (nodes that are not virtual), eci (virtual nodes), elastic or acs.
	// A virtual node carries the label type=virtual-kubelet or k8s.aliyun.com/vnode=true.
	// +required
	Resource ResourceType `json:"resource"`

	// nodeSelector narrows the unit to the nodes that carry all these labels. Empty: all nodes of the resource.
	// +optional
	NodeSelector LabelSet `json:"nodeSelector,omitempty"`

	// matchExpressions narrows the unit further, to the nodes whose labels meet all these requirements. Only Spillway has it. At most 8.
	// A requirement that cannot be met by any label is refused by condition Ready.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	MatchExpressions []NodeRequirement `json:"matchExpressions,omitempty"`

	// max is the most pods of a group that may be in the unit: a hard cap, never passed. 0 closes the unit. Unset: no cap.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= 0",message="max must be 0 or more"
	Max *int32 `json:"max,omitempty"`

	// maxResources is the most that the requests of a group's pods in the unit may add up to, by resource: a hard cap, never passed.
	// Resources that are not named are not limited. Every quantity must be more than 0, otherwise the policy is refused by condition Ready (the API
	// server's budget for rules is too small to check quantities in a list).
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(r, !format.qualifiedName().validate(r).hasValue())",message="every key of maxResources must be a resource name such as cpu, memory or nvidia.com/gpu"
	MaxResources map[corev1.ResourceName]quantity.Quantity `json:"maxResources,omitempty"`

	// podLabels are written on the pods placed in the unit, over what they carry, once: what is changed on a pod
	// afterwards stays. A pod that was not placed by the policy counts for the unit only if it carries them. The
	// installation says which keys are allowed (allowedPodKeys of the chart): a policy with another one is refused by
	// condition Ready. They may not change the labels that selector or matchLabelKeys name. A pod that they would give
	// to another policy, or take from the selector of its ReplicaSet, StatefulSet or ReplicationController, is not
	// placed in the unit. The label k8s.aliyun.com/resource-policy-wait-for-ecs-scaling is not written and not needed
	// for counting: "true" makes pods wait in the unit under TimeoutOrExceedMax although it has no cap.
	// +optional
	PodLabels LabelSet `json:"podLabels,omitempty"`

	// podAnnotations are written on the pods placed in the unit, over what they carry. A pod that was not placed by the policy counts for the unit only
	// if it carries them. Keys that the installation does not allow (allowedPodKeys of the chart), Spillway's own and
	// controller.kubernetes.io/pod-deletion-cost are refused by condition Ready.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="every key of podAnnotations must be an annotation key such as note or example.com/note"
	PodAnnotations map[string]AnnotationValue `json:"podAnnotations,omitempty"`

	// spotInstance is listed by ACK's own CRD but not documented. Not supported: see condition Ready.
	// +optional
	SpotInstance *bool `json:"spotInstance,omitempty"`

	// scaleInWeight is listed by ACK's own CRD but not documented. Not supported: see condition Ready.
	// +optional
	ScaleInWeight *int32 `json:"scaleInWeight,omitempty"`
}

// NodeRequirement is a requirement on one label of a node, as in the node affinity of a pod.
type NodeRequirement struct {
	// key is the label.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	Key string `json:"key"`

	// operator is In, NotIn, Exists, DoesNotExist, Gt or Lt.
	// +required
	// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist;Gt;Lt
	Operator corev1.NodeSelectorOperator `json:"operator"`

	// values are one or more for In and NotIn, one integer for Gt and Lt, none for Exists and DoesNotExist. At most 32.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Values []LabelValue `json:"values,omitempty"`
}

// AnnotationValue is the value of an annotation that a unit writes on its pods. At most 1,024 characters.
// +kubebuilder:validation:MaxLength=1024
type AnnotationValue string

// WhenTryNextUnits says when a pod may go on to the next unit.
type WhenTryNextUnits struct {
	// policy is the rule.
	// +optional
	// +default="LackResourceOrExceedMax"
	Policy TryNextPolicy `json:"policy,omitempty"`

	// timeout is the longest wait in one unit under TimeoutOrExceedMax, such as 90s, 15m or 1h30m; other policies do not look at it. It begins with the
	// first attempt that failed in that unit, and a restart of the scheduler does not begin it again. Unset: 15 minutes. 0s: pods do not wait, which
	// condition Misconfigured tells. At most 168h.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,6})?(ms|s|m|h))+$')",message="timeout must be a duration such as 90s, 15m or 1h30m"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}([.][0-9]{1,6})?(ms|s|m|h))+$') || duration(self) <= duration('168h')",message="timeout must be at most 168h"
	// +kubebuilder:validation:Type=string
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

// ResourcePolicySpec is the order in which nodes are filled, and up to where.
// +kubebuilder:validation:XValidation:rule="self.units.all(a, has(a.name) || has(a.matchExpressions) || self.units.exists_one(b, !has(b.name) && !has(b.matchExpressions) && a.resource == b.resource && (has(a.nodeSelector) ? a.nodeSelector : {}) == (has(b.nodeSelector) ? b.nodeSelector : {}) && (has(a.podLabels) ? a.podLabels : {}) == (has(b.podLabels) ? b.podLabels : {}) && (has(a.podAnnotations) ? a.podAnnotations : {}) == (has(b.podAnnotations) ? b.podAnnotations : {})))",message="two units have the same resource, nodeSelector, podLabels and podAnnotations: remove one or make them differ"
type ResourcePolicySpec struct {
	// selector picks the pods of the policy's namespace that carry all these labels. Empty: all pods of the namespace.
	// If several policies match a pod, the one with the most keys governs it, then the oldest, then the first by name; the others get
	// condition Shadowed.
	// +optional
	Selector LabelSet `json:"selector,omitempty"`

	// strategy is prefer, the only one that ACK accepts.
	// +optional
	// +default="prefer"
	Strategy Strategy `json:"strategy,omitempty"`

	// units is the order: pods fill the first unit before the second, and are scaled in from the last. 1 to 16 units.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:XValidation:rule="size(self) > 0",message="units must name at least one unit, such as resource: ecs"
	// +kubebuilder:validation:MaxItems=16
	Units []Unit `json:"units"`

	// preemptPolicy says when preemption is tried for a pod with a higher priority: AfterAllUnits, only when the last unit failed, first unit first; or
	// BeforeNextUnit, in each unit before going on. In acs units there is none. Pods with preemptionPolicy Never preempt nothing.
	// +optional
	// +default="AfterAllUnits"
	PreemptPolicy PreemptPolicy `json:"preemptPolicy,omitempty"`

	// ignorePreviousPod leaves pods that were scheduled before the policy was created out of the counts.
	// +optional
	// +default=false
	IgnorePreviousPod *bool `json:"ignorePreviousPod,omitempty"`

	// ignoreTerminatingPod leaves terminating pods out of the counts.
	// +optional
	// +default=true
	IgnoreTerminatingPod *bool `json:"ignoreTerminatingPod,omitempty"`

	// matchLabelKeys splits the governed pods into groups by the values of these label keys, such as pod-template-hash; max and maxResources
	// apply to each group. A pod that lacks one of the keys is not scheduled. At most 8 keys.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	MatchLabelKeys []LabelKey `json:"matchLabelKeys,omitempty"`

	// whenTryNextUnits says when a pod may go on to the next unit.
	// +optional
	WhenTryNextUnits *WhenTryNextUnits `json:"whenTryNextUnits,omitempty"`

	// matchExpressions is listed by ACK's own CRD but not documented. Not supported: see condition Ready.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	MatchExpressions []metav1.LabelSelectorRequirement `json:"matchExpressions,omitempty"`

	// consumerRef is listed by ACK's own CRD but not documented. Not supported: see condition Ready.
	// +optional
	ConsumerRef *corev1.ObjectReference `json:"consumerRef,omitempty"`
}

// UnitStatus is how full a unit is.
type UnitStatus struct {
	// name is the unit's name, or its resource and labels.
	// +required
	// +kubebuilder:validation:MaxLength=2048
	Name string `json:"name"`

	// nodes is the number of nodes in the unit.
	// +required
	Nodes int32 `json:"nodes"`

	// pods is the number of pods that count for the unit, of all groups.
	// +required
	Pods int32 `json:"pods"`

	// maxPods is the cap on the pods of a group. Unset: no cap.
	// +optional
	MaxPods *int32 `json:"maxPods,omitempty"`

	// freePods is how many more pods the cap admits in the group that has the least room. Unset: no cap.
	// +optional
	FreePods *int32 `json:"freePods,omitempty"`

	// requests is what the pods of all groups request of the resources that the policy caps.
	// +optional
	// +kubebuilder:validation:MaxProperties=256
	Requests map[corev1.ResourceName]quantity.Quantity `json:"requests,omitempty"`

	// maxResources is the cap on the requests of a group.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	MaxResources map[corev1.ResourceName]quantity.Quantity `json:"maxResources,omitempty"`

	// freeResources is how much more the caps admit in the group that has the least room.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	FreeResources map[corev1.ResourceName]quantity.Quantity `json:"freeResources,omitempty"`
}

// ResourcePolicyStatus is what the controller found about the policy. It follows the pods within a second or so; the scheduler does not read it.
type ResourcePolicyStatus struct {
	// observedGeneration is the generation of the spec that the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// fill is how full the units are, in one line: "2/2 ecs, paidtype=subscription | 4 eci".
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Fill string `json:"fill,omitempty"`

	// units are the units in order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Units []UnitStatus `json:"units,omitempty"`

	// waitingPods is the number of pods that are not placed although a unit has room under its caps: they look unschedulable, and a new node may help.
	// +optional
	WaitingPods int32 `json:"waitingPods,omitempty"`

	// heldPods is the number of pods that are not placed because every unit is full: no new node can help them (R7).
	// +optional
	HeldPods int32 `json:"heldPods,omitempty"`

	// conditions are Ready, Shadowed, Exhausted, OverCap, Misconfigured and PodsTolerateECI.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ResourcePolicy says in which order the nodes of the cluster are filled with the pods it governs, and up to where.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=rp
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Fill",type=string,JSONPath=`.status.fill`
// +kubebuilder:printcolumn:name="Waiting",type=integer,JSONPath=`.status.waitingPods`
// +kubebuilder:printcolumn:name="Held",type=integer,JSONPath=`.status.heldPods`
// +kubebuilder:printcolumn:name="Shadowed",type=string,JSONPath=`.status.conditions[?(@.type=="Shadowed")].status`,priority=1
// +kubebuilder:printcolumn:name="Misconfigured",type=string,JSONPath=`.status.conditions[?(@.type=="Misconfigured")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ResourcePolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the order in which nodes are filled, and up to where.
	// +required
	Spec ResourcePolicySpec `json:"spec"`

	// status is what the controller found about the policy.
	// +optional
	Status ResourcePolicyStatus `json:"status,omitempty"`
}

// ResourcePolicyList is a list of ResourcePolicies.
// +kubebuilder:object:root=true
type ResourcePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ResourcePolicy `json:"items"`
}
