package main

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/quantity"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// contents are the objects of the cluster.
type contents struct {
	policies []*v1alpha1.ResourcePolicy
	nodes    []*corev1.Node
	pods     []*corev1.Pod
}

// tally is a recount of the pods of a policy. It knows the policies of the plan: the label app names the policy, and a node is in the unit that its own
// labels say. No code of the controllers counts here.
type tally struct {
	waiting, held int32
	units         [units]unitTally
}

// unitTally is a recount of a unit.
type unitTally struct {
	pods        int32
	cpu, memory int64
	groups      map[string]int32
}

// mistakes returns what is not as it must be, each in a sentence.
func (c *contents) mistakes() []string {
	nodes, months := c.countNodes()
	tallies, relabels := c.count(months), map[types.NamespacedName]bool{}
	var wrong []string
	for _, rp := range c.policies {
		name := types.NamespacedName{Namespace: rp.Namespace, Name: rp.Name}
		relabels[name] = len(rp.Spec.Units[spill].PodLabels) > 0
		counted := tallies[name]
		if counted == nil {
			counted = &tally{}
		}
		for _, what := range counted.compare(rp, nodes) {
			wrong = append(wrong, fmt.Sprintf("policy %s: %s", name, what))
		}
	}
	for _, pod := range c.pods {
		if pod.Spec.NodeName == "" {
			continue
		}
		policy := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Labels[labelApp]}
		if what := mistakeOf(pod, unitOf(pod, months), relabels[policy]); what != "" {
			wrong = append(wrong, fmt.Sprintf("pod %s/%s: %s", pod.Namespace, pod.Name, what))
		}
	}
	return wrong
}

// countNodes returns how many nodes each unit has, and those that are paid by the month.
func (c *contents) countNodes() (nodes [units]int32, months map[string]bool) {
	months = map[string]bool{}
	for _, node := range c.nodes {
		switch {
		case eciv1alpha1.IsVirtualNode(node.Labels):
			nodes[spill]++
		case node.Labels[labelPaid] == paidMonth:
			nodes[monthly]++
			months[node.Name] = true
		case node.Labels[labelPaid] == paidHour:
			nodes[hourly]++
		}
	}
	return nodes, months
}

// count returns the tally of each policy.
func (c *contents) count(months map[string]bool) map[types.NamespacedName]*tally {
	tallies := map[types.NamespacedName]*tally{}
	for _, pod := range c.pods {
		name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Labels[labelApp]}
		t := tallies[name]
		if t == nil {
			t = &tally{}
			tallies[name] = t
		}
		t.add(pod, months)
	}
	return tallies
}

// add counts a pod.
func (t *tally) add(pod *corev1.Pod, months map[string]bool) {
	if pod.Spec.NodeName == "" {
		switch reasonOf(pod) {
		case corev1.PodReasonSchedulingGated:
			t.held++
		case corev1.PodReasonUnschedulable:
			t.waiting++
		}
		return
	}
	u := &t.units[unitOf(pod, months)]
	u.pods++
	if u.groups == nil {
		u.groups = map[string]int32{}
	}
	u.groups[pod.Labels[labelHash]]++
	for i := range pod.Spec.Containers {
		requests := pod.Spec.Containers[i].Resources.Requests
		u.cpu += requests.Cpu().MilliValue()
		u.memory += requests.Memory().Value()
	}
}

// compare returns what the status of a policy says otherwise.
func (t *tally) compare(rp *v1alpha1.ResourcePolicy, nodes [units]int32) []string {
	status := &rp.Status
	if status.ObservedGeneration != rp.Generation || len(status.Units) != units {
		return []string{fmt.Sprintf("observedGeneration %d of %d, %d units", status.ObservedGeneration, rp.Generation, len(status.Units))}
	}
	var wrong []string
	check := func(what string, got, want any) {
		if got != want {
			wrong = append(wrong, fmt.Sprintf("%s is %v, recounted %v", what, got, want))
		}
	}
	check("waitingPods", status.WaitingPods, t.waiting)
	check("heldPods", status.HeldPods, t.held)
	for i := range status.Units {
		is, counted, spec := &status.Units[i], &t.units[i], &rp.Spec.Units[i]
		where := fmt.Sprintf("units[%d].", i)
		check(where+"pods", is.Pods, counted.pods)
		check(where+"nodes", is.Nodes, nodes[i])
		check(where+"freePods", ptr.Deref(is.FreePods, -1), counted.free(spec, len(rp.Spec.MatchLabelKeys) > 0))
		if len(rp.Spec.Units[monthly].MaxResources) > 0 {
			check(where+"requests of cpu", amount(is.Requests, corev1.ResourceCPU).MilliValue(), counted.cpu)
			check(where+"requests of memory", amount(is.Requests, corev1.ResourceMemory).Value(), counted.memory)
		}
		if most, ok := spec.MaxResources[corev1.ResourceCPU]; ok {
			check(where+"freeResources of cpu", amount(is.FreeResources, corev1.ResourceCPU).MilliValue(), max(0, most.MilliValue()-counted.cpu))
		}
	}
	return wrong
}

// free returns how many pods more the unit takes, where groups are counted one by one of the fullest; -1 when it has no cap.
func (u *unitTally) free(spec *v1alpha1.Unit, grouped bool) int32 {
	if spec.Max == nil {
		return -1
	}
	if !grouped {
		return max(0, *spec.Max-u.pods)
	}
	free := *spec.Max
	for _, pods := range u.groups {
		free = min(free, max(0, *spec.Max-pods))
	}
	return free
}

// mistakeOf returns what is wrong with a pod on a node: its deletion cost, or the labels of its unit. relabels tells whether the last unit has labels.
func mistakeOf(pod *corev1.Pod, unit int, relabels bool) string {
	if cost := pod.Annotations[corev1.PodDeletionCost]; cost != costIn(unit) {
		return fmt.Sprintf("deletion cost is %q, recounted %q", cost, costIn(unit))
	}
	if relabels && unit == spill && pod.Labels[labelSpill] != spillValue {
		return "the label of its unit is missing"
	}
	return ""
}

// unitOf returns the unit of a pod by its node. The Nodes of ECI may not be there yet.
func unitOf(pod *corev1.Pod, months map[string]bool) int {
	switch {
	case strings.HasPrefix(pod.Spec.NodeName, "virtual-kubelet-"):
		return spill
	case months[pod.Spec.NodeName]:
		return monthly
	default:
		return hourly
	}
}

// reasonOf returns why a pod without a node waits.
func reasonOf(pod *corev1.Pod) string {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodScheduled {
			return c.Reason
		}
	}
	return ""
}

func amount(of map[corev1.ResourceName]quantity.Quantity, name corev1.ResourceName) *resource.Quantity {
	q := of[name]
	return &q.Quantity
}
