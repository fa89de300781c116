package ecispec

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/spillway-k8s/spillway/apis/quantity"
)

const (
	// EnvIgnore is the environment variable by which a container, such as a sidecar, is left out when ECI works out the specification of a pod. It
	// counts when its value is TRUE, in any case (ECI: "Ignore specific containers during resource adjustment").
	EnvIgnore = "__ECI_RESOURCE_IGNORE__"

	resourceGPU corev1.ResourceName = "nvidia.com/gpu"
)

// request is what a pod asks of ECI. Nothing in it is negative.
type request struct {
	milliCPU, memory, gpus, storage int64
}

// choice picks the amount of a resource out of requests and limits.
type choice func(resources *corev1.ResourceRequirements, name corev1.ResourceName) (resource.Quantity, bool)

// limitFirst picks what ECI sizes an instance by.
func limitFirst(resources *corev1.ResourceRequirements, name corev1.ResourceName) (resource.Quantity, bool) {
	if quantity, ok := resources.Limits[name]; ok {
		return quantity, true
	}
	quantity, ok := resources.Requests[name]
	return quantity, ok
}

// requestFirst picks what the pod needs to run. As the API server does, it takes the limit where there is no request.
func requestFirst(resources *corev1.ResourceRequirements, name corev1.ResourceName) (resource.Quantity, bool) {
	if quantity, ok := resources.Requests[name]; ok {
		return quantity, true
	}
	quantity, ok := resources.Limits[name]
	return quantity, ok
}

// requestOf sums up a pod as Kubernetes does: its containers and sidecars, or more where an init container beside the sidecars that started before it
// needs more; the resources of the pod instead where they are set; and its overhead. Containers with EnvIgnore are left out.
func requestOf(pod *corev1.Pod, choose choice) request {
	var running, sidecars, peak request
	for i := range pod.Spec.Containers {
		running = running.plus(containerRequest(&pod.Spec.Containers[i], choose))
	}
	for i := range pod.Spec.InitContainers {
		container := &pod.Spec.InitContainers[i]
		own := containerRequest(container, choose)
		peak = peak.max(sidecars.plus(own))
		if container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			running, sidecars = running.plus(own), sidecars.plus(own)
		}
	}
	total := running.max(peak)
	if pod.Spec.Resources != nil {
		if chosen, ok := choose(pod.Spec.Resources, corev1.ResourceCPU); ok {
			total.milliCPU = quantity.Amount(corev1.ResourceCPU, chosen)
		}
		if chosen, ok := choose(pod.Spec.Resources, corev1.ResourceMemory); ok {
			total.memory = quantity.Amount(corev1.ResourceMemory, chosen)
		}
	}
	overhead := corev1.ResourceRequirements{Requests: pod.Spec.Overhead}
	return total.plus(resourcesRequest(&overhead, requestFirst))
}

func containerRequest(container *corev1.Container, choose choice) request {
	if isIgnored(container) {
		return request{}
	}
	return resourcesRequest(&container.Resources, choose)
}

func isIgnored(container *corev1.Container) bool {
	for i := range container.Env {
		if container.Env[i].Name == EnvIgnore {
			return strings.EqualFold(container.Env[i].Value, "true")
		}
	}
	return false
}

func resourcesRequest(resources *corev1.ResourceRequirements, choose choice) request {
	of := func(name corev1.ResourceName) int64 {
		chosen, _ := choose(resources, name)
		return quantity.Amount(name, chosen)
	}
	return request{
		milliCPU: of(corev1.ResourceCPU), memory: of(corev1.ResourceMemory), gpus: of(resourceGPU), storage: of(corev1.ResourceEphemeralStorage),
	}
}

func (r request) plus(other request) request {
	return request{
		milliCPU: plus(r.milliCPU, other.milliCPU), memory: plus(r.memory, other.memory),
		gpus: plus(r.gpus, other.gpus), storage: plus(r.storage, other.storage),
	}
}

func (r request) max(other request) request {
	return request{
		milliCPU: max(r.milliCPU, other.milliCPU), memory: max(r.memory, other.memory),
		gpus: max(r.gpus, other.gpus), storage: max(r.storage, other.storage),
	}
}

// fits tells whether a specification is enough. Memory that is not known is taken to be.
func (r request) fits(spec Spec) bool {
	unknown := spec.InstanceType != "" && spec.Memory == 0
	return spec.MilliCPU >= r.milliCPU && spec.GPUs >= r.gpus && (unknown || spec.Memory >= r.memory)
}

// String is what follows "asks for".
func (r request) String() string {
	words := formatDecimal(r.milliCPU, 3) + " vCPU and " + formatGiB(r.memory) + " GiB"
	if r.gpus > 0 {
		words += " and " + formatDecimal(r.gpus, 0) + " GPU"
	}
	return words
}
