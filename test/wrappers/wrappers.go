// Package wrappers builds the objects of tests, so that a test shows only what it is about.
package wrappers

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/quantity"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// SchedulerName is the profile of Spillway's scheduler.
const SchedulerName = "spillway-scheduler"

// Policy builds a ResourcePolicy.
type Policy struct{ v1alpha1.ResourcePolicy }

// MakePolicy returns a policy without units. Its UID is its name.
func MakePolicy(name string) *Policy {
	p := &Policy{}
	p.ResourcePolicy.Namespace, p.Name, p.UID = metav1.NamespaceDefault, name, types.UID(name)
	return p
}

// Obj returns the policy.
func (p *Policy) Obj() *v1alpha1.ResourcePolicy { return &p.ResourcePolicy }

// Namespace sets the namespace.
func (p *Policy) Namespace(namespace string) *Policy {
	p.ResourcePolicy.Namespace = namespace
	return p
}

// Created sets the age of the policy, in seconds since a fixed moment.
func (p *Policy) Created(seconds int64) *Policy {
	p.CreationTimestamp = metav1.Time{Time: time.Unix(1_800_000_000+seconds, 0)}
	return p
}

// Selector adds a label to the selector.
func (p *Policy) Selector(key, value string) *Policy {
	if p.Spec.Selector == nil {
		p.Spec.Selector = v1alpha1.LabelSet{}
	}
	p.Spec.Selector[key] = v1alpha1.LabelValue(value)
	return p
}

// GroupBy adds a key to matchLabelKeys.
func (p *Policy) GroupBy(key string) *Policy {
	p.Spec.MatchLabelKeys = append(p.Spec.MatchLabelKeys, v1alpha1.LabelKey(key))
	return p
}

// TryNext sets whenTryNextUnits.policy.
func (p *Policy) TryNext(policy v1alpha1.TryNextPolicy) *Policy {
	if p.Spec.WhenTryNextUnits == nil {
		p.Spec.WhenTryNextUnits = &v1alpha1.WhenTryNextUnits{}
	}
	p.Spec.WhenTryNextUnits.Policy = policy
	return p
}

// Timeout sets whenTryNextUnits.timeout.
func (p *Policy) Timeout(timeout time.Duration) *Policy {
	if p.Spec.WhenTryNextUnits == nil {
		p.Spec.WhenTryNextUnits = &v1alpha1.WhenTryNextUnits{}
	}
	p.Spec.WhenTryNextUnits.Timeout = &metav1.Duration{Duration: timeout}
	return p
}

// PreemptFirst sets preemptPolicy to BeforeNextUnit.
func (p *Policy) PreemptFirst() *Policy {
	p.Spec.PreemptPolicy = v1alpha1.PreemptBeforeNextUnit
	return p
}

// IgnorePrevious sets ignorePreviousPod.
func (p *Policy) IgnorePrevious() *Policy {
	p.Spec.IgnorePreviousPod = new(true)
	return p
}

// CountTerminating sets ignoreTerminatingPod to false.
func (p *Policy) CountTerminating() *Policy {
	p.Spec.IgnoreTerminatingPod = new(false)
	return p
}

// Unit adds a unit.
func (p *Policy) Unit(u *Unit) *Policy { p.Spec.Units = append(p.Spec.Units, u.Unit); return p }

// Unit builds a unit.
type Unit struct{ v1alpha1.Unit }

// ECS returns an ecs unit.
func ECS() *Unit { return &Unit{v1alpha1.Unit{Resource: v1alpha1.ResourceECS}} }

// ECI returns an eci unit.
func ECI() *Unit { return &Unit{v1alpha1.Unit{Resource: v1alpha1.ResourceECI}} }

// Elastic returns an elastic unit.
func Elastic() *Unit { return &Unit{v1alpha1.Unit{Resource: v1alpha1.ResourceElastic}} }

// ACS returns an acs unit.
func ACS() *Unit { return &Unit{v1alpha1.Unit{Resource: v1alpha1.ResourceACS}} }

// Named sets the name.
func (u *Unit) Named(name string) *Unit { u.Name = name; return u }

// PodLabel adds a label to podLabels.
func (u *Unit) PodLabel(key, value string) *Unit {
	if u.PodLabels == nil {
		u.PodLabels = v1alpha1.LabelSet{}
	}
	u.PodLabels[key] = v1alpha1.LabelValue(value)
	return u
}

// PodAnnotation adds an annotation to podAnnotations.
func (u *Unit) PodAnnotation(key, value string) *Unit {
	if u.PodAnnotations == nil {
		u.PodAnnotations = map[string]v1alpha1.AnnotationValue{}
	}
	u.PodAnnotations[key] = v1alpha1.AnnotationValue(value)
	return u
}

// Where adds a requirement to matchExpressions.
func (u *Unit) Where(key string, operator corev1.NodeSelectorOperator, values ...v1alpha1.LabelValue) *Unit {
	u.MatchExpressions = append(u.MatchExpressions, v1alpha1.NodeRequirement{Key: key, Operator: operator, Values: values})
	return u
}

// On adds a label to the nodeSelector.
func (u *Unit) On(key, value string) *Unit {
	if u.NodeSelector == nil {
		u.NodeSelector = v1alpha1.LabelSet{}
	}
	u.NodeSelector[key] = v1alpha1.LabelValue(value)
	return u
}

// Max sets the cap on pods.
func (u *Unit) Max(pods int32) *Unit { u.Unit.Max = &pods; return u }

// MaxResource sets the cap on one resource.
func (u *Unit) MaxResource(name corev1.ResourceName, amount string) *Unit {
	if u.MaxResources == nil {
		u.MaxResources = map[corev1.ResourceName]quantity.Quantity{}
	}
	u.MaxResources[name] = quantity.MustParse(amount)
	return u
}

// Pod builds a pod.
type Pod struct{ corev1.Pod }

// MakePod returns a pod of Spillway's scheduler without requests. Its UID is its name.
func MakePod(name string) *Pod {
	p := &Pod{}
	p.Pod.Namespace, p.Name, p.UID = metav1.NamespaceDefault, name, types.UID(name)
	p.Spec.SchedulerName = SchedulerName
	p.Spec.Containers = []corev1.Container{{Name: "main", Image: "nginx"}}
	return p
}

// Obj returns the pod.
func (p *Pod) Obj() *corev1.Pod { return &p.Pod }

// Namespace sets the namespace.
func (p *Pod) Namespace(namespace string) *Pod { p.Pod.Namespace = namespace; return p }

// Label adds a label.
func (p *Pod) Label(key, value string) *Pod {
	metav1.SetMetaDataLabel(&p.ObjectMeta, key, value)
	return p
}

// Annotation adds an annotation.
func (p *Pod) Annotation(key, value string) *Pod {
	metav1.SetMetaDataAnnotation(&p.ObjectMeta, key, value)
	return p
}

// Request adds a request, and the same as limit, as extended resources demand.
func (p *Pod) Request(name corev1.ResourceName, quantity string) *Pod {
	resources := &p.Spec.Containers[0].Resources
	if resources.Requests == nil {
		resources.Requests, resources.Limits = corev1.ResourceList{}, corev1.ResourceList{}
	}
	resources.Requests[name], resources.Limits[name] = resource.MustParse(quantity), resource.MustParse(quantity)
	return p
}

// Node binds the pod.
func (p *Pod) Node(name string) *Pod { p.Spec.NodeName = name; return p }

// Priority sets the priority.
func (p *Pod) Priority(priority int32) *Pod { p.Spec.Priority = &priority; return p }

// Class sets the priority class.
func (p *Pod) Class(name string) *Pod { p.Spec.PriorityClassName = name; return p }

// NoGrace makes the pod end at once when it is deleted.
func (p *Pod) NoGrace() *Pod {
	p.Spec.TerminationGracePeriodSeconds = new(int64(0))
	return p
}

// Terminating sets the time of deletion.
func (p *Pod) Terminating() *Pod {
	p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1_800_000_000, 0)}
	return p
}

// HostPort makes the pod take a port of its node.
func (p *Pod) HostPort(port int32) *Pod {
	p.Spec.Containers[0].Ports = append(p.Spec.Containers[0].Ports, corev1.ContainerPort{ContainerPort: port, HostPort: port})
	return p
}

// Add makes the container of the pod add capabilities.
func (p *Pod) Add(capabilities ...corev1.Capability) *Pod {
	p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: capabilities}}
	return p
}

// Init adds an init container that drops all capabilities and adds these.
func (p *Pod) Init(name string, capabilities ...corev1.Capability) *Pod {
	p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{
		Name: name, Image: "nginx",
		SecurityContext: &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: capabilities, Drop: []corev1.Capability{"ALL"}}},
	})
	return p
}

// Scheduler sets the scheduler.
func (p *Pod) Scheduler(name string) *Pod { p.Spec.SchedulerName = name; return p }

// Tolerate adds a toleration for every taint with this key.
func (p *Pod) Tolerate(key string) *Pod {
	p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists})
	return p
}

// Node builds a node.
type Node struct{ corev1.Node }

// MakeNode returns an ECS node with room for 110 pods and nothing else.
func MakeNode(name string) *Node {
	n := &Node{}
	n.Name, n.UID = name, types.UID(name)
	return n.Capacity(corev1.ResourcePods, "110")
}

// MakeVirtualNode returns a virtual node of ECI with room for 110 pods and nothing else.
func MakeVirtualNode(name string) *Node {
	return MakeNode(name).Label(eciv1alpha1.LabelNodeType, eciv1alpha1.NodeTypeVirtualKubelet).Taint(eciv1alpha1.TaintProvider, eciv1alpha1.TaintProviderValue)
}

// Obj returns the node.
func (n *Node) Obj() *corev1.Node { return &n.Node }

// Label adds a label.
func (n *Node) Label(key, value string) *Node {
	metav1.SetMetaDataLabel(&n.ObjectMeta, key, value)
	return n
}

// Taint adds a taint with the effect NoSchedule.
func (n *Node) Taint(key, value string) *Node {
	n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffectNoSchedule})
	return n
}

// Capacity sets what the node has of a resource, and how much of it pods may request.
func (n *Node) Capacity(name corev1.ResourceName, quantity string) *Node {
	if n.Status.Capacity == nil {
		n.Status.Capacity, n.Status.Allocatable = corev1.ResourceList{}, corev1.ResourceList{}
	}
	n.Status.Capacity[name], n.Status.Allocatable[name] = resource.MustParse(quantity), resource.MustParse(quantity)
	return n
}
