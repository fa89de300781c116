package ecispec

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// maxRecorded bounds the specifications of a record: those of an annotation, and the one that the pod's resources round up to.
const maxRecorded = mostUseSpecs + 1

// Record writes a bill as AnnotationECISpecs records it on a pod at its binding. Bound reads it.
func (b Bill) Record() string {
	var names []string
	for _, spec := range b.Specs {
		names = append(names, spec.String())
	}
	return strings.Join(names, ",")
}

// Bound returns what ECI may bill for a bound pod, as far as its fields tell. It never fails: a bound pod runs, and runs up a bill, whatever is written on it
// later (R13).
//
//   - AnnotationUseSpecs decides if the record of the binding says the same: it was there when the pod was placed.
//   - Otherwise, because there is no record or somebody has edited one of them, each of them counts that can be read, and so do the pod's limits and
//     requests: the bill is at least the largest of them.
//
// certain is false in the second case. Which specification ECI has taken is not looked at: see Taken.
func Bound(pod *corev1.Pod, region string) (bill Bill, certain bool) {
	possible := Bill{Specs: []Spec{byResources(pod, region)}}
	asked, err := wanted(pod, region)
	recorded := readRecord(pod, region)
	switch {
	case err == nil && recorded.isAmong(asked) && asked.isAmong(recorded):
		return asked, true
	case err == nil:
		possible = asked.union(possible)
	}
	return possible.union(recorded), false
}

// Taken returns the specification that ECI has taken for a bound pod with this bill, by AnnotationInstanceSpec. The annotation counts only if ECI sells that
// specification in the region and it is one of the bill's, or the next above one of them: whoever may edit the pod can write anything.
func (b Bill) Taken(pod *corev1.Pod, region string) (Spec, bool) {
	text, ok := pod.Annotations[AnnotationInstanceSpec]
	if !ok {
		return Spec{}, false
	}
	actual, err := Parse(text)
	if err != nil {
		return Spec{}, false
	}
	return actual, slices.ContainsFunc(b.Specs, func(spec Spec) bool { return actual == spec || isNextAbove(region, spec, actual) })
}

// byResources returns what the resources of a pod round up to, its annotations aside. What is more than ECI sells counts as the largest that it does.
func byResources(pod *corev1.Pod, region string) Spec {
	asked := requestOf(pod, limitFirst)
	if asked.milliCPU == 0 && asked.memory == 0 && asked.gpus == 0 {
		return Default()
	}
	spec, ok := RoundUp(region, asked.milliCPU, asked.memory)
	if !ok {
		spec = largest
	}
	spec.GPUs = asked.gpus // ECI sells none without an instance type, but the pod is there.
	return spec
}

// readRecord reads the record of a binding. It is empty when there is none that can be read, or one with what ECI does not sell: anybody could have written it.
func readRecord(pod *corev1.Pod, region string) Bill {
	text, ok := pod.Annotations[v1alpha1.AnnotationECISpecs]
	if !ok {
		return Bill{}
	}
	var bill Bill
	for name := range strings.SplitSeq(text, ",") {
		spec, err := Parse(name)
		if err != nil || len(bill.Specs) == maxRecorded || spec.InstanceType == "" && !slices.Contains(sold(region), spec) {
			return Bill{}
		}
		bill.Specs = append(bill.Specs, spec)
	}
	return bill
}

func (b Bill) isAmong(possible Bill) bool {
	return !slices.ContainsFunc(b.Specs, func(spec Spec) bool { return !slices.Contains(possible.Specs, spec) })
}

// union returns the specifications of both bills. It leaves out those of the other bill that one of this bill covers: they change neither amount nor price.
func (b Bill) union(other Bill) Bill {
	all := Bill{Specs: slices.Clone(b.Specs)}
	for _, spec := range other.Specs {
		covered := func(s Spec) bool {
			return s == spec || s.InstanceType == "" && spec.InstanceType == "" && s.covers(spec)
		}
		if !slices.ContainsFunc(all.Specs, covered) {
			all.Specs = append(all.Specs, spec)
		}
	}
	return all
}

func (s Spec) covers(other Spec) bool {
	return s.MilliCPU >= other.MilliCPU && s.Memory >= other.Memory && s.GPUs >= other.GPUs
}
