package main

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

const (
	region = "cn-beijing"
	// cpuSecond and gibSecond are ECI's list prices in CNY, of a vCPU and of a GiB for a second (ECI: "Billing of ECI instances").
	cpuSecond, gibSecond = "0.000049", "0.00000613"
	secondsPerHour       = 3600
)

// gpuTypes are ECS instance types with GPUs that ECI runs (ECI: "Create a GPU-accelerated ECI pod"), with the sizes that ECS documents, from small to large:
// a pod asks for the first that holds it.
var gpuTypes = []struct {
	name             string
	vCPUs, gib, gpus int64
}{
	{"ecs.gn6i-c4g1.xlarge", 4, 15, 1},
	{"ecs.gn6i-c8g1.2xlarge", 8, 31, 1},
	{"ecs.gn6i-c16g1.4xlarge", 16, 62, 1},
	{"ecs.gn6i-c24g1.6xlarge", 24, 93, 1},
	{"ecs.gn7i-c32g1.8xlarge", 32, 188, 1},
	{"ecs.gn6i-c24g1.12xlarge", 48, 186, 2},
	{"ecs.gn7i-c32g1.16xlarge", 64, 376, 2},
	{"ecs.gn6i-c24g1.24xlarge", 96, 372, 4},
	{"ecs.gn7i-c32g1.32xlarge", 128, 752, 4},
	{"ecs.gn6v-c8g1.16xlarge", 64, 256, 8},
	{"ecs.gn7e-c16g1.32xlarge", 128, 1000, 8},
}

// cost is what ECI asks for a pod, in CNY. A pod that is not sold is one for which ECI has nothing that is large enough.
type cost struct {
	perSecond float64
	sold      bool
}

// gpuTypeFor returns the instance type that a pod with GPUs asks ECI for, and false where none is large enough.
func gpuTypeFor(a amount) (string, bool) {
	for _, t := range gpuTypes {
		if t.gpus >= a.GPUs && t.vCPUs*1000 >= a.MilliCPU && t.gib*1024 >= a.MemoryMiB {
			return t.name, true
		}
	}
	return "", false
}

// makeRates returns ECI's prices. ECI has no list price for a GPU alone: an instance type costs what its vCPUs and memory cost, and so much an hour for
// each GPU.
func makeRates(gpuHour string) (ecispec.Rates, error) {
	perGPU, err := ecispec.ParsePico(gpuHour)
	if err != nil {
		return ecispec.Rates{}, fmt.Errorf("reading the price of a GPU: %w", err)
	}
	rates := ecispec.Rates{InstanceTypes: map[string]ecispec.Pico{}}
	if rates.CPUSecond, err = ecispec.ParsePico(cpuSecond); err != nil {
		return ecispec.Rates{}, fmt.Errorf("reading the price of a vCPU: %w", err)
	}
	if rates.GiBSecond, err = ecispec.ParsePico(gibSecond); err != nil {
		return ecispec.Rates{}, fmt.Errorf("reading the price of memory: %w", err)
	}
	for _, t := range gpuTypes {
		rates.InstanceTypes[t.name] = ecispec.Pico(t.vCPUs)*rates.CPUSecond + ecispec.Pico(t.gib)*rates.GiBSecond + ecispec.Pico(t.gpus)*perGPU/secondsPerHour
	}
	return rates, nil
}

// costOf is what ECI asks for the pod, by the arithmetic of Spillway.
func costOf(pod *corev1.Pod, rates ecispec.Rates) cost {
	bill, err := ecispec.For(pod, region)
	if err != nil {
		return cost{}
	}
	price, ok := rates.PerSecond(bill.Most())
	return cost{perSecond: price.Units(), sold: ok}
}
