package ecispec

import (
	"cmp"
	"slices"
)

// everywhere and inSomeRegions are the tables of "Specify the number of vCPUs and memory size to create a pod" (ECI), sorted by vCPUs and then memory.
// The second also has what the first has.
var (
	everywhere = table(
		menu(250, gib/2, 1*gib),
		menu(500, 1*gib, 2*gib),
		menu(1000, gibs(2, 4, 8)...),
		menu(2000, gibs(1, 2, 4, 8, 16)...),
		menu(4000, gibs(2, 4, 8, 16, 32)...),
		menu(8000, gibs(4, 8, 16, 32, 64)...),
		menu(12000, gibs(12, 24, 48, 96)...),
		menu(16000, gibs(16, 32, 64, 128)...),
		menu(24000, gibs(24, 48, 96, 192)...),
		menu(32000, gibs(32, 64, 128, 256)...),
		menu(52000, gibs(96, 192, 384)...),
		menu(64000, gibs(128, 256, 512)...),
	)
	inSomeRegions = table(
		everywhere,
		menu(2000, gibs(6, 10, 12, 14)...),
		menu(4000, gibs(6, 10, 12, 14, 18, 20, 22, 24, 26, 28, 30)...),
		menu(6000, evenGiBs(6, 48)...),
		menu(8000, gibs(10, 12, 14)...),
		menu(8000, evenGiBs(18, 30)...),
		menu(8000, evenGiBs(34, 62)...),
	)
	largest = everywhere[len(everywhere)-1]
)

// Default is the specification that ECI bills for a pod without requests and limits: 2-4Gi.
func Default() Spec { return Spec{MilliCPU: 2000, Memory: 4 * gib} }

// RoundUp returns the specification that ECI sells in a region, such as cn-hangzhou, for so many thousandths of a vCPU and bytes of memory: of those
// with at least both, the one with the fewest vCPUs, and of these the one with the least memory. Less than the smallest, also 0 and less, counts as the
// smallest. It returns false when not even the largest is enough. A region that is not known has what all regions have.
func RoundUp(region string, milliCPU, memory int64) (Spec, bool) {
	specs := sold(region)
	for i := range specs {
		if specs[i].MilliCPU >= milliCPU && specs[i].Memory >= memory {
			return specs[i], true
		}
	}
	return Spec{}, false
}

// isNextAbove reports whether ECI sells a specification in a region that is one step above another: with as many vCPUs the next memory, or with the next
// number of vCPUs the least memory that is no less. A step of the table that all regions have is one everywhere.
func isNextAbove(region string, spec, above Spec) bool {
	return spec.InstanceType == "" && (isStep(sold(region), spec, above) || isStep(everywhere, spec, above))
}

func isStep(specs []Spec, spec, above Spec) bool {
	memory := slices.IndexFunc(specs, func(s Spec) bool { return s.MilliCPU == spec.MilliCPU && s.Memory > spec.Memory })
	vCPUs := slices.IndexFunc(specs, func(s Spec) bool { return s.MilliCPU > spec.MilliCPU && s.Memory >= spec.Memory })
	return memory >= 0 && above == specs[memory] || vCPUs >= 0 && above == specs[vCPUs]
}

// sold returns what ECI sells in a region, sorted by vCPUs and then memory.
func sold(region string) []Spec {
	if hasMore(region) {
		return inSomeRegions
	}
	return everywhere
}

// hasMore tells whether a region has the specifications that the table lists as "available only in some regions".
func hasMore(region string) bool {
	switch region {
	case "cn-hangzhou", "cn-shanghai", "cn-qingdao", "cn-beijing", "cn-zhangjiakou", "cn-huhehaote", "cn-wulanchabu", "cn-shenzhen", "cn-heyuan",
		"cn-guangzhou", "cn-chengdu", "ap-southeast-1":
		return true
	}
	return false
}

func table(menus ...[]Spec) []Spec {
	specs := slices.Concat(menus...)
	slices.SortFunc(specs, compare)
	return specs
}

// compare orders by vCPUs and then memory: the order in which RoundUp looks.
func compare(a, b Spec) int {
	return cmp.Or(cmp.Compare(a.MilliCPU, b.MilliCPU), cmp.Compare(a.Memory, b.Memory))
}

func menu(milliCPU int64, memory ...int64) []Spec {
	specs := make([]Spec, len(memory))
	for i := range memory {
		specs[i] = Spec{MilliCPU: milliCPU, Memory: memory[i]}
	}
	return specs
}

func gibs(amounts ...int64) []int64 {
	for i := range amounts {
		amounts[i] *= gib
	}
	return amounts
}

func evenGiBs(from, to int64) []int64 {
	var amounts []int64
	for amount := from; amount <= to; amount += 2 {
		amounts = append(amounts, amount)
	}
	return gibs(amounts...)
}
