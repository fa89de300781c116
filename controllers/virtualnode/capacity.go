package virtualnode

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/eci"
)

const (
	// memoryPerCPU is the most memory that ECI sells with a vCPU: 8 GiB (ECI, "Specify the number of vCPUs and memory size": 2-16, 4-32, 64-512).
	// ECI has a quota on vCPUs and none on memory, so this bounds the memory.
	memoryPerCPU = 8 << 30
	// smallestMilliCPU is the smallest instance: 0.25 vCPU (same page). It bounds the number of pods.
	smallestMilliCPU = 250
	// storagePerPod is the ephemeral storage that comes with every instance: 30 GiB (same page).
	storagePerPod = 30 << 30
)

// capacityOf returns what the pods on the node may request in total, and in words what bounds its cpu: the smaller of its part of the
// account's free quota and the limits. Spillway does not run pods on ECI itself yet, so nothing of the used quota is its own.
func capacityOf(vn *v1alpha1.VirtualNode, usage eci.Usage, part share) (corev1.ResourceList, string) {
	limits := vn.Spec.Limits
	milliCPU := part.milliCPU
	limitedBy := fmt.Sprintf("vCPU quota of %s: %s, used %s", vn.Spec.Region, cores(usage.MaxMilliCPU), cores(usage.UsedMilliCPU))
	if part.nodes > 1 {
		limitedBy += fmt.Sprintf(", shared by %d virtual nodes", part.nodes)
	}
	if limit, ok := limits[corev1.ResourceCPU]; ok && limit.MilliValue() < milliCPU {
		milliCPU = limit.MilliValue()
		limitedBy = fmt.Sprintf("spec.limits.cpu: %s", limit.String())
	}
	memory := milliCPU/1000*memoryPerCPU + milliCPU%1000*memoryPerCPU/1000
	if limit, ok := limits[corev1.ResourceMemory]; ok {
		memory = min(memory, limit.Value())
	}
	pods := milliCPU / smallestMilliCPU
	if limit, ok := limits[corev1.ResourcePods]; ok {
		pods = min(pods, limit.Value())
	}
	return corev1.ResourceList{
		corev1.ResourceCPU:              *cpu(milliCPU),
		corev1.ResourceMemory:           *resource.NewQuantity(memory, resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(pods, resource.DecimalSI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(pods*storagePerPod, resource.BinarySI),
	}, limitedBy
}

func cpu(milli int64) *resource.Quantity { return resource.NewMilliQuantity(milli, resource.DecimalSI) }

// cores writes thousandths of a vCPU as vCPUs.
func cores(milli int64) string { return strconv.FormatFloat(float64(milli)/1000, 'f', -1, 64) }
