package controllers

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	k8sresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/resource"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/resourcepolicy"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

// Pods and Nodes are watched in the whole cluster and kept without what no controller looks at. So they must only ever be patched with what changed,
// never updated as a whole. The virtualnode controller reads its Nodes from the API server.

// keptConditions are what is looked at: when the pod was scheduled, whether it can be resized, which decides what it requests, and what ECI says of it.
var keptConditions = []corev1.PodConditionType{corev1.PodScheduled, corev1.PodResizePending, eciv1alpha1.ConditionContainerInstanceCreated}

// slimmer makes objects small for the cache.
type slimmer struct {
	// texts are labels and annotations, and lists what containers ask for.
	texts *pool[string, string]
	lists *pool[corev1.ResourceName, k8sresource.Quantity]
}

func newSlimmer() *slimmer {
	return &slimmer{
		texts: newPool[string](func(value string) string { return value }),
		lists: newPool[corev1.ResourceName](func(amount k8sresource.Quantity) string { return amount.String() }),
	}
}

// pod keeps of a pod its metadata, what it requests, how far it is, and whether it tolerates virtual nodes.
func (s *slimmer) pod(obj any) (any, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil
	}
	meta := slimMeta(&pod.ObjectMeta)
	meta.Labels, meta.Annotations = s.texts.one(meta.Labels), s.texts.one(meta.Annotations)
	return &corev1.Pod{
		TypeMeta:   pod.TypeMeta,
		ObjectMeta: meta,
		Spec: corev1.PodSpec{
			NodeName: pod.Spec.NodeName, SchedulerName: pod.Spec.SchedulerName, SchedulingGates: pod.Spec.SchedulingGates,
			Containers: s.containers(pod.Spec.Containers), InitContainers: s.containers(pod.Spec.InitContainers),
			Overhead: pod.Spec.Overhead, Resources: pod.Spec.Resources, Tolerations: slimTolerations(pod.Spec.Tolerations),
		},
		Status: corev1.PodStatus{
			Phase: pod.Status.Phase, StartTime: pod.Status.StartTime,
			Conditions:            slimConditions(pod.Status.Conditions),
			ContainerStatuses:     slimStatuses(pod, pod.Spec.Containers, pod.Status.ContainerStatuses),
			InitContainerStatuses: slimStatuses(pod, pod.Spec.InitContainers, pod.Status.InitContainerStatuses),
			Resources:             pod.Status.Resources, AllocatedResources: pod.Status.AllocatedResources,
		},
	}, nil
}

// slimNode keeps of a node its metadata, what it has for pods, and whether it is cordoned.
func slimNode(obj any) (any, error) {
	node, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	slim := &corev1.Node{TypeMeta: node.TypeMeta, ObjectMeta: slimMeta(&node.ObjectMeta)}
	slim.Annotations, slim.Spec.Unschedulable = nil, node.Spec.Unschedulable
	slim.Status.Capacity, slim.Status.Allocatable = node.Status.Capacity, node.Status.Allocatable
	return slim, nil
}

func slimConditions(conditions []corev1.PodCondition) []corev1.PodCondition {
	var slim []corev1.PodCondition
	for i := range conditions {
		if slices.Contains(keptConditions, conditions[i].Type) {
			slim = append(slim, conditions[i])
		}
	}
	return slim
}

// slimTolerations keeps those for the taints of virtual nodes. Nearly every pod has others, which the API server adds.
func slimTolerations(tolerations []corev1.Toleration) []corev1.Toleration {
	var slim []corev1.Toleration
	for i := range tolerations {
		if resourcepolicy.ToleratesVirtualNodes(&tolerations[i]) {
			slim = append(slim, tolerations[i])
		}
	}
	return slim
}

func slimMeta(meta *metav1.ObjectMeta) metav1.ObjectMeta {
	slim := *meta
	slim.ManagedFields = nil
	if _, ok := slim.Annotations[corev1.LastAppliedConfigAnnotation]; ok {
		slim.Annotations = maps.Clone(slim.Annotations)
		delete(slim.Annotations, corev1.LastAppliedConfigAnnotation)
	}
	return slim
}

func (s *slimmer) containers(containers []corev1.Container) []corev1.Container {
	if len(containers) == 0 {
		return nil
	}
	slim := make([]corev1.Container, 0, len(containers))
	for i := range containers {
		c := &containers[i]
		slim = append(slim, corev1.Container{Name: c.Name, Resources: s.resources(c.Resources), RestartPolicy: c.RestartPolicy, Env: slimEnv(c.Env)})
	}
	return slim
}

// slimEnv keeps the variable by which a container is left out of what ECI bills.
func slimEnv(env []corev1.EnvVar) []corev1.EnvVar {
	for i := range env {
		if env[i].Name == ecispec.EnvIgnore {
			return []corev1.EnvVar{{Name: env[i].Name, Value: env[i].Value}}
		}
	}
	return nil
}

func (s *slimmer) resources(resources corev1.ResourceRequirements) corev1.ResourceRequirements {
	resources.Requests, resources.Limits = s.lists.one(resources.Requests), s.lists.one(resources.Limits)
	return resources
}

// slimStatuses keeps what containers have been given, where it differs from what they ask for because they are being resized. Where nothing is said, what
// they ask for counts, unless a resize is refused.
func slimStatuses(pod *corev1.Pod, containers []corev1.Container, statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	var slim []corev1.ContainerStatus
	for i := range statuses {
		status := &statuses[i]
		if status.AllocatedResources == nil && status.Resources == nil {
			continue
		}
		at := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == status.Name })
		if at >= 0 && hasWhatItAsksFor(status, containers[at].Resources.Requests) && !resource.IsPodResizeInfeasible(pod) {
			continue
		}
		slim = append(slim, corev1.ContainerStatus{Name: status.Name, AllocatedResources: status.AllocatedResources, Resources: status.Resources})
	}
	return slim
}

// hasWhatItAsksFor tells whether a container has been given what it requests, as far as its status says.
func hasWhatItAsksFor(status *corev1.ContainerStatus, requests corev1.ResourceList) bool {
	return (status.AllocatedResources == nil || equality.Semantic.DeepEqual(status.AllocatedResources, requests)) &&
		(status.Resources == nil || status.Resources.Requests == nil || equality.Semantic.DeepEqual(status.Resources.Requests, requests))
}
