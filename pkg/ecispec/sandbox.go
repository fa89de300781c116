package ecispec

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/pkg/owner"
)

const (
	// mostContainers and mostVolumes are what an instance takes (ECI: "Limits").
	mostContainers = 20
	mostVolumes    = 20
)

// Unsupported tells why ECI cannot run a pod, in words that name the field, such as "ECI cannot run pods with hostNetwork". It is empty when ECI can
// (ECI: "Limits"). Privileged containers, and all capabilities at once, are refused although "Configure a security
// context for a pod or container" (ECI) names the fields: the first is for invited accounts only (ECI:
// "CreateContainerGroup"). Capabilities by name are AddedCapabilities, on which each VirtualNode decides. It does not
// allocate for a pod that ECI can run.
func Unsupported(pod *corev1.Pod) string {
	if reason := unsupportedPod(pod); reason != "" {
		return reason
	}
	for i := range pod.Spec.Volumes {
		if pod.Spec.Volumes[i].HostPath != nil {
			return "ECI cannot run pods with hostPath volumes (volume " + pod.Spec.Volumes[i].Name + ")"
		}
	}
	for i := range pod.Spec.InitContainers {
		if reason := unsupportedContainer(&pod.Spec.InitContainers[i]); reason != "" {
			return reason
		}
	}
	for i := range pod.Spec.Containers {
		if reason := unsupportedContainer(&pod.Spec.Containers[i]); reason != "" {
			return reason
		}
	}
	return ""
}

func unsupportedPod(pod *corev1.Pod) string {
	containers := len(pod.Spec.InitContainers) + len(pod.Spec.Containers) + len(pod.Spec.EphemeralContainers)
	switch {
	case pod.Spec.HostNetwork:
		return "ECI cannot run pods with hostNetwork"
	case pod.Spec.HostPID:
		return "ECI cannot run pods with hostPID"
	case pod.Spec.HostIPC:
		return "ECI cannot run pods with hostIPC"
	case containers > mostContainers:
		return "ECI cannot run pods with more than " + strconv.Itoa(mostContainers) + " containers (this one has " + strconv.Itoa(containers) + ")"
	case len(pod.Spec.Volumes) > mostVolumes:
		return "ECI cannot run pods with more than " + strconv.Itoa(mostVolumes) + " volumes (this one has " + strconv.Itoa(len(pod.Spec.Volumes)) + ")"
	}
	for i := range pod.OwnerReferences {
		if owner.IsDaemonSet(&pod.OwnerReferences[i]) {
			return "ECI cannot run pods of a DaemonSet (owner " + pod.OwnerReferences[i].Name + ")"
		}
	}
	return ""
}

func unsupportedContainer(container *corev1.Container) string {
	if security := container.SecurityContext; security != nil {
		if security.Privileged != nil && *security.Privileged {
			return "ECI cannot run privileged containers (container " + container.Name + ")"
		}
		if security.Capabilities != nil {
			for _, capability := range security.Capabilities.Add {
				if !isGrantable(capabilityName(capability)) {
					return fmt.Sprintf("ECI cannot run containers with the added capability %.64q (container %s)", capability, container.Name)
				}
			}
		}
	}
	for i := range container.Ports {
		port := &container.Ports[i]
		if port.HostPort != 0 {
			return "ECI cannot run pods with hostPort " + strconv.Itoa(int(port.HostPort)) + " (container " + container.Name + ")"
		}
		if isReserved(port.ContainerPort) {
			return "ECI cannot run pods with containerPort " + strconv.Itoa(int(port.ContainerPort)) + ", which it reserves (container " + container.Name + ")"
		}
	}
	return ""
}

// isReserved tells whether ECI keeps a port for itself (ECI: "Limits").
func isReserved(port int32) bool { return port == 111 || port == 10250 || port == 10255 }
