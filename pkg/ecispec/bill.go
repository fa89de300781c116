package ecispec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/spillway-k8s/spillway/apis/quantity"
)

const (
	// AnnotationUseSpecs lists up to five specifications, which ECI tries in this order (ACK: "Specify the compute specification when creating an ECI
	// pod").
	AnnotationUseSpecs = "k8s.aliyun.com/eci-use-specs"
	// AnnotationInstanceSpec is the specification that ECI has taken. It is set on the pod after its creation (same page).
	AnnotationInstanceSpec = "k8s.aliyun.com/eci-instance-spec"
	// AnnotationExtraStorage is the ephemeral storage that the pod gets beyond the 30 GiB of every instance, as a quantity such as 20Gi (ECI: "Scale up
	// the temporary storage space").
	AnnotationExtraStorage = "k8s.aliyun.com/eci-extra-ephemeral-storage"

	mostUseSpecs = 5
	freeStorage  = 30 * gib
)

// storageText is a quantity without sign and exponent: a scheduler must not be kept busy by the digits of 1e-1000000000.
var storageText = regexp.MustCompile(`^[0-9]{1,9}(?:\.[0-9]{1,3})?(?:[KMGT]i|[kMGT])?$`)

// Bill is what ECI may bill for a pod.
type Bill struct {
	// Specs are the specifications in the order in which ECI tries them. A Bill that For returned without an error has at least one.
	Specs []Spec
}

// For returns the specifications of which ECI bills one for the pod in a region, such as cn-hangzhou:
//
//   - what AnnotationInstanceSpec says, on a bound pod, if it is one of those below or the next above one of them: then the instance is there. Whoever
//     creates the pod could have written anything else;
//   - else the entries of AnnotationUseSpecs, those of vCPUs and memory rounded up to what ECI sells. Entries with less than the pod requests are no
//     candidates. Limits do not count here, since the annotation is how a pod gets less than its limits. An instance type whose memory is not known is
//     compared by its vCPUs and GPUs;
//   - else what its containers ask for, rounded up: per container and resource the limit, or the request where there is no limit. See EnvIgnore for
//     containers that do not count;
//   - and Default for a pod that asks for neither vCPUs nor memory.
//
// What is absurdly large counts as the largest number, and what is negative as nothing. It is an error, of one sentence that names the field and what
// is allowed, when an annotation cannot be read, when no entry is enough, when ECI sells nothing as large, when GPUs are asked for without
// AnnotationUseSpecs, and when more ephemeral storage is asked for than the instance has.
func For(pod *corev1.Pod, region string) (Bill, error) {
	bill, err := wanted(pod, region)
	if err == nil && pod.Spec.NodeName != "" {
		if actual, ok := bill.Taken(pod, region); ok {
			return Bill{Specs: []Spec{actual}}, nil
		}
	}
	return bill, err
}

// wanted returns the specifications that the pod asks for.
func wanted(pod *corev1.Pod, region string) (Bill, error) {
	asked := requestOf(pod, limitFirst)
	if err := checkStorage(pod, asked.storage); err != nil {
		return Bill{}, err
	}
	if text, ok := pod.Annotations[AnnotationUseSpecs]; ok {
		return candidates(text, region, requestOf(pod, requestFirst))
	}
	if asked.gpus > 0 {
		return Bill{}, fmt.Errorf("the pod asks for %d %s and needs the annotation %s with an ECS instance type that has GPUs, such as ecs.gn6i-c4g1.xlarge",
			asked.gpus, resourceGPU, AnnotationUseSpecs)
	}
	if asked.milliCPU == 0 && asked.memory == 0 {
		return Bill{Specs: []Spec{Default()}}, nil
	}
	spec, ok := RoundUp(region, asked.milliCPU, asked.memory)
	if !ok {
		return Bill{}, fmt.Errorf("the pod asks for %s; the largest ECI specification is %s", asked, largest)
	}
	return Bill{Specs: []Spec{spec}}, nil
}

// Most returns the most vCPUs, memory and GPUs of any of the specifications, which is what has to be free whichever ECI takes. It has an instance type
// only when there is a single specification. Memory that is not known does not count.
func (b Bill) Most() Spec {
	if len(b.Specs) == 1 {
		return b.Specs[0]
	}
	var most Spec
	for _, spec := range b.Specs {
		most.MilliCPU = max(most.MilliCPU, spec.MilliCPU)
		most.Memory = max(most.Memory, spec.Memory)
		most.GPUs = max(most.GPUs, spec.GPUs)
	}
	return most
}

// IsLess reports whether a specification is more than every one of the bill in something, or there is none.
func (b Bill) IsLess(spec Spec) bool {
	return !slices.ContainsFunc(b.Specs, func(s Spec) bool { return s == spec || s.covers(spec) })
}

// candidates are the entries of AnnotationUseSpecs that are enough for the pod.
func candidates(text, region string, needed request) (Bill, error) {
	var bill Bill
	entries := 0
	for entry := range strings.SplitSeq(text, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		if entries++; entries > mostUseSpecs {
			break
		}
		spec, err := soldFor(entry, region)
		if err != nil {
			return Bill{}, err
		}
		if needed.fits(spec) {
			bill.Specs = append(bill.Specs, spec)
		}
	}
	switch {
	case entries == 0 || entries > mostUseSpecs:
		return Bill{}, fmt.Errorf("annotation %s: %.100q must have 1 to %d specifications, separated by commas", AnnotationUseSpecs, text, mostUseSpecs)
	case len(bill.Specs) == 0:
		return Bill{}, fmt.Errorf("annotation %s: no specification in %.100q is enough for the pod, which requests %s", AnnotationUseSpecs, text, needed)
	}
	return bill, nil
}

// soldFor is what ECI sells for an entry of AnnotationUseSpecs.
func soldFor(entry, region string) (Spec, error) {
	spec, err := Parse(entry)
	if err != nil {
		return Spec{}, fmt.Errorf("annotation %s: %w", AnnotationUseSpecs, err)
	}
	if spec.InstanceType != "" {
		return spec, nil
	}
	rounded, ok := RoundUp(region, spec.MilliCPU, spec.Memory)
	if !ok {
		return Spec{}, fmt.Errorf("annotation %s: the largest ECI specification is %s, which is less than %.100q", AnnotationUseSpecs, largest, entry)
	}
	return rounded, nil
}

// checkStorage refuses a pod that asks for more bytes of ephemeral storage than its instance has. That ECI also enlarges it for a request alone (ECI:
// "Scale up the temporary storage space") does not count: what costs extra has to be in the annotation.
func checkStorage(pod *corev1.Pod, asked int64) error {
	var extra int64
	if text, ok := pod.Annotations[AnnotationExtraStorage]; ok {
		if !storageText.MatchString(text) {
			return fmt.Errorf("annotation %s: %.100q must be a quantity such as 20Gi", AnnotationExtraStorage, text)
		}
		extra = quantity.Amount(corev1.ResourceEphemeralStorage, resource.MustParse(text))
	}
	if has := plus(freeStorage, extra); asked > has {
		return fmt.Errorf("the pod asks for %s GiB of ephemeral storage and gets %s GiB: annotation %s adds to the %s GiB of every instance",
			formatGiB(asked), formatGiB(has), AnnotationExtraStorage, formatGiB(freeStorage))
	}
	return nil
}
