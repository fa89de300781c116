package placement

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/quantity"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// Unit is a compiled unit. Immutable.
type Unit struct {
	// Index is the place of the unit in the order, from 0.
	Index int
	// ID tells the unit from the others of its policy and stays the same when units are reordered: it is recorded on pods (R3). It is the unit's name,
	// or what makes the unit: its nodes, podLabels and podAnnotations.
	ID string
	// Title is how messages name the unit: its name, or "ecs, paidtype=subscription". Two units of a policy have different titles.
	Title string
	// Nodes are the nodes of the unit (R2).
	Nodes NodeSet
	// ECI is true for eci units, whose pods ECI must be able to run.
	ECI bool

	// maxPods is the cap on pods, or NoCap.
	maxPods int64
	// maxRequests are the caps on sums of requests in the order of Policy.tracked, each an amount or NoCap.
	maxRequests []int64
	// maxTexts are the caps of maxRequests as the user wrote them.
	maxTexts []string
	// waitLabel is true when the unit has the wait label: pods wait in it under TimeoutOrExceedMax although it has no cap.
	waitLabel bool
	// noWait and noPreemption are true for acs units.
	noWait, noPreemption bool
	// podLabels and podAnnotations are written on the pods of the unit, over what they carry.
	podLabels, podAnnotations []label
	// defaultLabels are written on pods that do not carry the keys.
	defaultLabels []label
}

// compileUnit returns the unit at a place in the order. tracked are the resources that the policy caps.
func compileUnit(index int, spec *v1alpha1.Unit, tracked []corev1.ResourceName) Unit {
	nodes := newNodeSet(spec)
	unit := Unit{
		Index: index, ID: unitID(spec, &nodes), Title: spec.Name, Nodes: nodes, ECI: spec.Resource == v1alpha1.ResourceECI, maxPods: NoCap,
		waitLabel:      spec.Resource == v1alpha1.ResourceElastic || spec.PodLabels[v1alpha1.LabelWait] == "true",
		noWait:         spec.Resource == v1alpha1.ResourceACS,
		noPreemption:   spec.Resource == v1alpha1.ResourceACS,
		podLabels:      writtenLabels(spec.PodLabels),
		podAnnotations: sortedAnnotations(spec.PodAnnotations),
		defaultLabels:  defaultLabels(spec),
	}
	if unit.Title == "" {
		unit.Title = nodes.title
	}
	if spec.Max != nil {
		unit.maxPods = int64(*spec.Max)
	}
	for _, name := range tracked {
		limit, text := NoCap, ""
		if most, ok := spec.MaxResources[name]; ok {
			limit, text = quantity.Amount(name, most.Quantity), most.String()
		}
		unit.maxRequests, unit.maxTexts = append(unit.maxRequests, limit), append(unit.maxTexts, text)
	}
	return unit
}

// unitID returns the name of a unit, or what makes it. The CRD admits no two units with the same nodes, podLabels and podAnnotations.
func unitID(spec *v1alpha1.Unit, nodes *NodeSet) string {
	if spec.Name != "" {
		return spec.Name
	}
	words := []string{nodes.Key}
	for _, l := range sortedLabels(spec.PodLabels) {
		words = append(words, "label:"+l.key+"="+l.value)
	}
	for _, l := range sortedAnnotations(spec.PodAnnotations) {
		words = append(words, "annotation:"+l.key+"="+l.value)
	}
	return strings.Join(words, " ")
}

// writtenLabels returns the labels that are written on pods: all but the wait label.
func writtenLabels(set v1alpha1.LabelSet) []label {
	return slices.DeleteFunc(sortedLabels(set), func(l label) bool { return l.key == v1alpha1.LabelWait })
}

// defaultLabels returns the labels that pods in an acs unit get unless they have them (source: ACK, units of resource acs).
func defaultLabels(spec *v1alpha1.Unit) []label {
	if spec.Resource != v1alpha1.ResourceACS {
		return nil
	}
	var out []label
	if _, ok := spec.PodLabels[v1alpha1.LabelComputeClass]; !ok {
		out = append(out, label{v1alpha1.LabelComputeClass, v1alpha1.ComputeClassDefault})
	}
	_, chosen := spec.PodLabels[v1alpha1.LabelComputeQoS]
	_, strategy := spec.PodAnnotations[v1alpha1.AnnotationComputeQoSStrategy]
	if !chosen && !strategy {
		out = append(out, label{v1alpha1.LabelComputeQoS, v1alpha1.ComputeQoSDefault})
	}
	return out
}

// MaxPods is the cap on the pods of a group, or NoCap.
func (u *Unit) MaxPods() int64 { return u.maxPods }

// HasCap tells whether max or maxResources is set. A unit without is never full.
func (u *Unit) HasCap() bool {
	return u.maxPods != NoCap || slices.ContainsFunc(u.maxRequests, func(limit int64) bool { return limit != NoCap })
}

// NoPreemption tells whether pods in the unit are never preempted (ACK: not for ACS).
func (u *Unit) NoPreemption() bool { return u.noPreemption }

// LabelsFor returns the labels that a placement in the unit writes on a pod with these labels: those that it lacks or has with another value. It
// returns nil when there are none.
func (u *Unit) LabelsFor(podLabels map[string]string) map[string]string {
	var out map[string]string
	set := func(l label) {
		if out == nil {
			out = map[string]string{}
		}
		out[l.key] = l.value
	}
	for _, l := range u.podLabels {
		if value, ok := podLabels[l.key]; !ok || value != l.value {
			set(l)
		}
	}
	for _, l := range u.defaultLabels {
		if _, ok := podLabels[l.key]; !ok {
			set(l)
		}
	}
	return out
}

// Annotations returns the podAnnotations of the unit.
func (u *Unit) Annotations() map[string]string {
	out := make(map[string]string, len(u.podAnnotations))
	for _, l := range u.podAnnotations {
		out[l.key] = l.value
	}
	return out
}

// carriedBy tells whether a pod carries the podLabels and podAnnotations of the unit.
func (u *Unit) carriedBy(podLabels, podAnnotations map[string]string) bool {
	return containsAll(podLabels, u.podLabels) && containsAll(podAnnotations, u.podAnnotations)
}

// sortedAnnotations returns the annotations ordered by key.
func sortedAnnotations(set map[string]v1alpha1.AnnotationValue) []label {
	var out []label
	for _, key := range slices.Sorted(maps.Keys(set)) {
		out = append(out, label{key: key, value: string(set[key])})
	}
	return out
}
