package wakeup

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// annotationsOfECI is how the annotations begin by which a pod tells ECI what it wants.
const annotationsOfECI = "k8s.aliyun.com/eci-"

// ShapeOf returns the same for pods that are likely to be placed or to fail together: all by which a pod fits on nodes, whoever owns it. The names of pods, and
// what the API server writes into each pod, are not in it.
func ShapeOf(pod *corev1.Pod) string {
	sum := fnv.New128a()
	add := func(words ...any) { _, _ = fmt.Fprintln(sum, words...) }
	spec := &pod.Spec
	add(spec.SchedulerName, spec.NodeSelector, spec.Affinity.String(), spec.HostNetwork, ptr.Deref(spec.RuntimeClassName, ""))
	for i := range spec.Tolerations {
		add(spec.Tolerations[i].String())
	}
	for i := range spec.TopologySpreadConstraints {
		add(spec.TopologySpreadConstraints[i].String())
	}
	for i := range spec.ResourceClaims {
		add(spec.ResourceClaims[i].String())
	}
	for i := range spec.Volumes {
		if v := &spec.Volumes[i]; v.PersistentVolumeClaim != nil || v.Ephemeral != nil || v.HostPath != nil {
			add(v.Name, v.PersistentVolumeClaim.String(), v.Ephemeral.String(), v.HostPath.String())
		}
	}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			c := &containers[i]
			addResources(add, &c.Resources)
			add(c.Ports, c.SecurityContext.String())
		}
	}
	if spec.Resources != nil {
		addResources(add, spec.Resources)
	}
	for _, key := range slices.Sorted(maps.Keys(pod.Annotations)) {
		if strings.HasPrefix(key, annotationsOfECI) {
			add(key, pod.Annotations[key])
		}
	}
	return string(sum.Sum(nil))
}

func addResources(add func(...any), resources *corev1.ResourceRequirements) {
	for _, list := range []corev1.ResourceList{resources.Requests, resources.Limits} {
		for _, name := range slices.Sorted(maps.Keys(list)) {
			quantity := list[name]
			add(name, quantity.String())
		}
		add()
	}
}

// NamespaceTopic is what every pod of a namespace waits for: an edit of the policies there.
func NamespaceTopic(namespace string) string { return "namespace/" + namespace }
