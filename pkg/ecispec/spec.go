// Package ecispec is the arithmetic of ECI's specifications: what is billed for a pod, what it costs, and what ECI cannot run. It is pure.
//
//   - spec.go: a specification, its name, and how names are read.
//   - decimal.go: numbers with decimals, kept in integers.
//   - table.go: the specifications that ECI sells, and rounding up to one of them.
//   - bill.go: from a pod to the specifications that ECI may bill for it.
//   - bound.go: the same for a bound pod, whatever its user has written on it since (R13).
//   - request.go: what a pod asks for.
//   - sandbox.go: what ECI's sandbox cannot run.
//   - capability.go: the capabilities that containers add, which ECI grants to some accounts.
//   - restriction.go: pods that take only a part of what ECI has.
//   - price.go: from a specification to money.
package ecispec

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

const (
	gib = 1 << 30
	// mostXLarge bounds the size of an ECS instance type: the largest that ECS sells have 48xlarge or 52xlarge in their names.
	mostXLarge = 64
	// mostThousandths bounds the vCPUs and the GiB of a name, in thousandths, far beyond what ECI sells, so that nothing overflows.
	mostThousandths = 1_000_000_000
)

var (
	instanceTypes = regexp.MustCompile(`^ecs\.([a-z][a-z0-9]*(?:-[a-z0-9]+)*)\.(small|medium|large|([1-9][0-9]{0,2})?xlarge)$`)
	// gpuRatio is the part of a family's name that says how many vCPUs come with how many GPUs.
	gpuRatio  = regexp.MustCompile(`-c([1-9][0-9]{0,2})g([1-9][0-9]?)(?:-|$)`)
	gpuFamily = regexp.MustCompile(`^(?:ebm|scc|s|v)?gn[0-9]`)
)

// Spec is a specification that ECI bills: so many vCPUs with so much memory, or an ECS instance type.
type Spec struct {
	// MilliCPU is in thousandths of a vCPU.
	MilliCPU int64
	// Memory is in bytes; 0 for an instance type whose memory its name does not tell.
	Memory int64
	// GPUs is the number of whole GPUs.
	GPUs int64
	// InstanceType is the ECS instance type, such as ecs.c6.large; empty for a specification of vCPUs and memory.
	InstanceType string
}

// Parse reads a specification as the annotations k8s.aliyun.com/eci-use-specs and k8s.aliyun.com/eci-instance-spec spell it: "2-4Gi", "0.5-1Gi", or an ECS
// instance type (ACK: "Specify the compute specification when creating an ECI pod"). Both numbers have at most three decimals. That ECI sells the
// specification is not checked: see RoundUp. The error names the text and what is allowed.
//
// Of an instance type the name is all that is known, so its size is a guess:
//
//   - vCPUs by the size: small and medium 1, large 2, xlarge 4, <n>xlarge 4n. A few large types have up to four fewer or two more.
//   - GPUs in the families gn, sgn and vgn, also behind ebm and scc: by the ratio of vCPUs to GPUs in the name, so 1 for ecs.gn6i-c4g1.xlarge and 2 for
//     ecs.gn6i-c24g1.12xlarge; without a ratio 1, also where a GPU is shared. In other families 0.
//   - Memory per vCPU in the families c, g and r that go on with their generation, such as c6 or g7ne: 2, 4 and 8 GiB. The 26xlarge of generation 6
//     has a little less. In other families 0, that is unknown.
func Parse(text string) (Spec, error) {
	if name := instanceTypes.FindStringSubmatch(text); name != nil && number(name[3]) <= mostXLarge {
		return guess(name), nil
	}
	vCPUs, rest, found := strings.Cut(text, "-")
	gibs, unit := strings.CutSuffix(rest, "Gi")
	if found && unit {
		milliCPU, thousandths := readThousandths(vCPUs), readThousandths(gibs)
		if milliCPU > 0 && thousandths > 0 {
			return Spec{MilliCPU: milliCPU, Memory: thousandths * gib / 1000}, nil
		}
	}
	return Spec{}, fmt.Errorf("specification %.100q must be <vCPU>-<memory>Gi such as 2-4Gi, or an ECS instance type such as ecs.c6.large", text)
}

// String returns the name that Parse reads: the instance type, or vCPUs and GiB such as "0.25-0.5Gi". Memory is rounded up to thousandths of a GiB.
func (s Spec) String() string {
	if s.InstanceType != "" {
		return s.InstanceType
	}
	return formatDecimal(s.MilliCPU, 3) + "-" + formatGiB(s.Memory) + "Gi"
}

// guess is the size of an instance type by the parts of its name: all of it, the family, the size, and the number before xlarge.
func guess(name []string) Spec {
	family := name[1]
	s := Spec{InstanceType: name[0]}
	vCPUs := vCPUsOf(name[2], name[3])
	s.MilliCPU = vCPUs * 1000
	if len(family) > 1 && isDigits(family[1:2]) {
		s.Memory = vCPUs * gibPerVCPU(family[0]) * gib
	}
	if gpuFamily.MatchString(family) {
		s.GPUs = 1
		if ratio := gpuRatio.FindStringSubmatch(family); ratio != nil {
			per, gpus := number(ratio[1]), number(ratio[2])
			s.GPUs = max(gpus, vCPUs*gpus/per)
		}
	}
	return s
}

func vCPUsOf(size, times string) int64 {
	switch {
	case size == "small", size == "medium":
		return 1
	case size == "large":
		return 2
	case times == "":
		return 4
	default:
		return 4 * number(times)
	}
}

// gibPerVCPU is the memory of the general families by their letter, and 0 for all others.
func gibPerVCPU(letter byte) int64 {
	switch letter {
	case 'c':
		return 2
	case 'g':
		return 4
	case 'r':
		return 8
	default:
		return 0
	}
}

// number reads what a regular expression has found to be a short number.
func number(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}

// readThousandths returns 0 for what is no positive number of at most three decimals.
func readThousandths(text string) int64 {
	value, cut, ok := parseDecimal(text, 3)
	if !ok || cut || value > mostThousandths {
		return 0
	}
	return value
}

// formatGiB rounds up, so that what is named is never less than what is meant.
func formatGiB(bytes int64) string {
	thousandths := bytes / gib * 1000
	if rest := bytes % gib; rest > 0 {
		thousandths += (rest*1000 + gib - 1) / gib
	}
	return formatDecimal(thousandths, 3)
}
