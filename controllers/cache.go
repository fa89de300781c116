package controllers

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

// Pods and Nodes are watched in the whole cluster and kept without what no controller looks at. So they must only ever be patched with what changed,
// never updated as a whole. The virtualnode controller reads its Nodes from the API server.

// keptConditions are what is looked at: when the pod was scheduled, whether it can be resized, which decides what it requests, and what ECI says of it.
var keptConditions = []corev1.PodConditionType{corev1.PodScheduled, corev1.PodResizePending, eciv1alpha1.ConditionContainerInstanceCreated}

// slimPod keeps of a pod its metadata, what it requests and how far it is.
func slimPod(obj any) (any, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil
	}
	return &corev1.Pod{
		TypeMeta:   pod.TypeMeta,
		ObjectMeta: slimMeta(&pod.ObjectMeta),
		Spec: corev1.PodSpec{
			NodeName: pod.Spec.NodeName, SchedulerName: pod.Spec.SchedulerName, SchedulingGates: pod.Spec.SchedulingGates,
			Containers: slimContainers(pod.Spec.Containers), InitContainers: slimContainers(pod.Spec.InitContainers),
			Overhead: pod.Spec.Overhead, Resources: pod.Spec.Resources,
		},
		Status: corev1.PodStatus{
			Phase: pod.Status.Phase, StartTime: pod.Status.StartTime,
			Conditions: slices.DeleteFunc(slices.Clone(pod.Status.Conditions), func(c corev1.PodCondition) bool {
				return !slices.Contains(keptConditions, c.Type)
			}),
			ContainerStatuses: slimStatuses(pod.Status.ContainerStatuses), InitContainerStatuses: slimStatuses(pod.Status.InitContainerStatuses),
			Resources: pod.Status.Resources, AllocatedResources: pod.Status.AllocatedResources,
		},
	}, nil
}

// slimNode keeps of a node its metadata and what it has for pods.
func slimNode(obj any) (any, error) {
	node, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	slim := &corev1.Node{TypeMeta: node.TypeMeta, ObjectMeta: slimMeta(&node.ObjectMeta)}
	slim.Annotations = nil
	slim.Status.Capacity, slim.Status.Allocatable = node.Status.Capacity, node.Status.Allocatable
	return slim, nil
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

func slimContainers(containers []corev1.Container) []corev1.Container {
	var slim []corev1.Container
	for i := range containers {
		c := &containers[i]
		slim = append(slim, corev1.Container{Name: c.Name, Resources: c.Resources, RestartPolicy: c.RestartPolicy, Env: slimEnv(c.Env)})
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

// slimStatuses keeps what containers have been given, which may differ from what they ask for while they are resized.
func slimStatuses(statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	var slim []corev1.ContainerStatus
	for i := range statuses {
		s := &statuses[i]
		if s.AllocatedResources != nil || s.Resources != nil {
			slim = append(slim, corev1.ContainerStatus{Name: s.Name, AllocatedResources: s.AllocatedResources, Resources: s.Resources})
		}
	}
	return slim
}
