package ecispec

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const (
	// allCapabilities is how a pod adds all capabilities at once.
	allCapabilities = "ALL"
	// capabilityPrefix is what the names of capabilities begin with in Linux, and not in Kubernetes.
	capabilityPrefix = "CAP_"
	// maxCapabilityName is the maximum length of a name in spec.allowedCapabilities of a VirtualNode.
	maxCapabilityName = 32
	// maxAddedCapabilities is one more than spec.allowedCapabilities of a VirtualNode can have: no list allows as many.
	maxAddedCapabilities = 65
)

// AddedCapability is a capability that a container adds.
type AddedCapability struct {
	// Name is the capability as spec.allowedCapabilities of a VirtualNode has it: in upper case, without CAP_.
	Name string
	// Container is the first container of the pod that adds it.
	Container string
}

// AddedCapabilities returns the capabilities that the containers of a pod add beyond those that container runtimes
// grant to every container: each once, init containers and sidecars first, in the order of the pod. Names are read as
// container runtimes read them, in upper or lower case, with CAP_ or without. What a container drops does not matter.
// It is nil, without an allocation, for a pod that adds none. Names for which Unsupported has a reason are left out.
//
// Nobody limits how many a pod adds, so that at most maxAddedCapabilities are returned: more than any VirtualNode allows.
func AddedCapabilities(pod *corev1.Pod) []AddedCapability {
	return addedBy(pod.Spec.Containers, addedBy(pod.Spec.InitContainers, nil))
}

// addedBy appends what the containers add to what others add.
func addedBy(containers []corev1.Container, added []AddedCapability) []AddedCapability {
	for i := range containers {
		container := &containers[i]
		if container.SecurityContext == nil || container.SecurityContext.Capabilities == nil {
			continue
		}
		for _, capability := range container.SecurityContext.Capabilities.Add {
			name := capabilityName(capability)
			known := func(other AddedCapability) bool { return other.Name == name }
			if len(added) == maxAddedCapabilities {
				return added
			}
			if isGrantable(name) && !isGranted(name) && !slices.ContainsFunc(added, known) {
				added = append(added, AddedCapability{Name: name, Container: container.Name})
			}
		}
	}
	return added
}

// capabilityName returns a capability as spec.allowedCapabilities of a VirtualNode would have it.
func capabilityName(capability corev1.Capability) string {
	return strings.TrimPrefix(strings.ToUpper(string(capability)), capabilityPrefix)
}

// isGrantable reports whether a name may be one of a capability that ECI grants: the API server would take it in
// spec.allowedCapabilities.
func isGrantable(name string) bool {
	if name == "" || len(name) > maxCapabilityName || name == allCapabilities || strings.HasPrefix(name, capabilityPrefix) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'A' || c > 'Z') && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// isGranted reports whether containerd grants a capability to every container, so that adding it changes nothing.
// NET_RAW is not among them although containerd grants it: ECI does not by default (ECI: "CreateContainerGroup").
func isGranted(name string) bool {
	switch name {
	case "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
		"SETGID", "SETPCAP", "SETUID", "SYS_CHROOT":
		return true
	}
	return false
}
