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
	// ResourceElastic is ECS nodes of an autoscaled pool; ACK deprecates it. Not supported yet: the policy is refused by condition Ready.
	ResourceElastic ResourceType = "elastic"
	// ResourceACS is ACS compute power. Not supported yet: the policy is refused by condition Ready.
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
	// PreemptBeforeNextUnit tries preemption in each unit before going on. Not supported yet: the policy is refused by condition Ready.
	PreemptBeforeNextUnit PreemptPolicy = "BeforeNextUnit"
)

// TryNextPolicy says when a pod may go on to the next unit.
// +kubebuilder:validation:Enum=LackResourceOrExceedMax;ExceedMax;TimeoutOrExceedMax;LackResourceAndNoTerminating;LackResourceAndNoterminating;Timeout
type TryNextPolicy string

const (
	// TryNextLackResourceOrExceedMax goes on when the unit is full or none of its nodes can take the pod. The default.
	TryNextLackResourceOrExceedMax TryNextPolicy = "LackResourceOrExceedMax"
	// TryNextExceedMax goes on when the unit is full or has no cap. Not supported yet: the policy is refused by condition Ready.
	TryNextExceedMax TryNextPolicy = "ExceedMax"
	// TryNextTimeoutOrExceedMax goes on when the unit is full or the pod has waited for the timeout. Not supported yet.
	TryNextTimeoutOrExceedMax TryNextPolicy = "TimeoutOrExceedMax"
	// TryNextLackResourceAndNoTerminating goes on when the unit cannot take the pod and none of its pods is terminating. Not supported yet.
	TryNextLackResourceAndNoTerminating TryNextPolicy = "LackResourceAndNoTerminating"
	// TryNextLackResourceAndNoterminating is the same policy in the spelling of ACK's own CRD.
	TryNextLackResourceAndNoterminating TryNextPolicy = "LackResourceAndNoterminating"
	// TryNextTimeout is listed by ACK's own CRD but documented nowhere. Not supported.
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
	// resource is the kind of capacity: ecs (nodes that are not virtual), eci (virtual nodes), elastic or acs.
	// A virtual node carries the label type=virtual-kubelet or k8s.aliyun.com/vnode=true.
	// +required
	Resource ResourceType `json:"resource"`

	// nodeSelector narrows the unit to the nodes that carry all these labels. Empty: all nodes of the resource.
	// +optional
	NodeSelector LabelSet `json:"nodeSelector,omitempty"`

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

	// podLabels are written on the pods placed in the unit; only pods that carry them count for it. Not supported yet: see condition Ready.
	// +optional
	PodLabels LabelSet `json:"podLabels,omitempty"`

	// podAnnotations are written on the pods placed in the unit; only pods that carry them count for it. Not supported yet: see condition Ready.
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

// AnnotationValue is the value of an annotation that a unit writes on its pods. At most 1,024 characters.
// +kubebuilder:validation:MaxLength=1024
type AnnotationValue string

// WhenTryNextUnits says when a pod may go on to the next unit.
type WhenTryNextUnits struct {
	// policy is the rule. Only LackResourceOrExceedMax is supported yet; with another one the policy is refused by condition Ready.
	// +optional
	// +default="LackResourceOrExceedMax"
	Policy TryNextPolicy `json:"policy,omitempty"`

	// timeout is the longest wait in one unit under TimeoutOrExceedMax, such as 90s, 15m or 1h30m. Unset: 15 minutes.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,6})?(ms|s|m|h))+$')",message="timeout must be a duration such as 90s, 15m or 1h30m"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}([.][0-9]{1,6})?(ms|s|m|h))+$') || duration(self) <= duration('168h')",message="timeout must be at most 168h"
	// +kubebuilder:validation:Type=string
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

// ResourcePolicySpec is the order in which nodes are filled, and up to where.
// +kubebuilder:validation:XValidation:rule="self.units.all(a, self.units.exists_one(b, a.resource == b.resource && (has(a.nodeSelector) ? a.nodeSelector : {}) == (has(b.nodeSelector) ? b.nodeSelector : {}) && (has(a.podLabels) ? a.podLabels : {}) == (has(b.podLabels) ? b.podLabels : {}) && (has(a.podAnnotations) ? a.podAnnotations : {}) == (has(b.podAnnotations) ? b.podAnnotations : {})))",message="two units have the same resource, nodeSelector, podLabels and podAnnotations: remove one or make them differ"
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

	// preemptPolicy says when preemption is tried. Only AfterAllUnits is supported yet; with another one the policy is refused by condition Ready.
	// +optional
	// +default="AfterAllUnits"
	PreemptPolicy PreemptPolicy `json:"preemptPolicy,omitempty"`

	// ignorePreviousPod leaves pods that were scheduled before the policy was created out of the counts. Only false is supported yet.
	// +optional
	// +default=false
	IgnorePreviousPod *bool `json:"ignorePreviousPod,omitempty"`

	// ignoreTerminatingPod leaves terminating pods out of the counts. Only true is supported yet.
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

// ResourcePolicyStatus is what the controller found about the policy.
type ResourcePolicyStatus struct {
	// observedGeneration is the generation of the spec that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready and Shadowed.
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
// +kubebuilder:printcolumn:name="Shadowed",type=string,JSONPath=`.status.conditions[?(@.type=="Shadowed")].status`
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
