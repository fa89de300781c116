// Package explain says in words why a pod is where it is, and how full policies and virtual nodes are. It is pure: objects in, text out.
//
//   - explain.go: what is known, and the answer about a pod.
//   - placed.go: a pod on a node.
//   - waiting.go: a pod that no node has yet.
//   - virtualnode.go: what ECI would accept, and what it costs.
//   - status.go: all policies and virtual nodes.
package explain

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// Cluster is what is known of a cluster at one moment.
type Cluster struct {
	Now time.Time
	// SchedulerName is the schedulerName of the pods that Spillway places.
	SchedulerName string
	// Policies are those of the pod's namespace; for Status all that are to be shown.
	Policies []v1alpha1.ResourcePolicy
	// Node is the pod's node; nil when it has none, or it was not read.
	Node *corev1.Node
	// VirtualNodes are all of them. nil: they were not read.
	VirtualNodes []eciv1alpha1.VirtualNode
	// ECIPods are the pods on the nodes of the VirtualNodes, of all namespaces. nil: they were not read.
	ECIPods []corev1.Pod
	// Unread has a sentence for each thing that was not read, which is why the answer says nothing about it.
	Unread []string
}

// explanation is what is said about one pod.
type explanation struct {
	strings.Builder
	pod     *corev1.Pod
	cluster *Cluster
	// policy governs the pod (R1), and object is what it was compiled from; nil when there is none.
	policy *placement.Policy
	object *v1alpha1.ResourcePolicy
	// here is the unit that the pod is in; -1 when it is on no node, or in none, or that is not known.
	here int
	// uncounted says why the pod uses no part of its unit's caps (R4); empty when it does.
	uncounted string
}

// Pod answers why a pod is where it is, or why it waits, in lines of text.
func Pod(pod *corev1.Pod, cluster *Cluster) string {
	e := &explanation{pod: pod, cluster: cluster, here: -1}
	e.govern()
	switch {
	case e.ended():
		e.line("%s has ended (%s); it uses no capacity.", e.name(), pod.Status.Phase)
	case pod.Spec.NodeName != "":
		e.placed()
	default:
		e.waiting()
	}
	if pod.DeletionTimestamp != nil {
		e.line("It is being deleted.")
	}
	e.units()
	e.findings()
	e.virtualNodes()
	for _, sentence := range cluster.Unread {
		e.line("\n%s", sentence)
	}
	return e.String()
}

// govern finds the policy of the pod the way the scheduler does.
func (e *explanation) govern() {
	compiled := make([]*placement.Policy, 0, len(e.cluster.Policies))
	for i := range e.cluster.Policies {
		compiled = append(compiled, placement.Compile(&e.cluster.Policies[i]))
	}
	e.policy = placement.NewPolicies().WithNamespace(e.pod.Namespace, compiled).Governing(e.pod.Namespace, e.pod.Labels)
	for i := range e.cluster.Policies {
		if e.policy != nil && e.cluster.Policies[i].Name == e.policy.Name {
			e.object = &e.cluster.Policies[i]
		}
	}
	if e.policy != nil && e.policy.Refusal == "" {
		e.policy = refusedBy(e.policy, e.object)
	}
}

// refusedBy returns the policy as its condition says it is. Which keys the units may write on pods is known to the installation alone.
func refusedBy(policy *placement.Policy, object *v1alpha1.ResourcePolicy) *placement.Policy {
	ready := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status != metav1.ConditionFalse || ready.ObservedGeneration != object.Generation {
		return policy
	}
	refused := *policy
	refused.Refusal = fmt.Sprintf("ResourcePolicy %s is refused: %s", policy.Name, strings.TrimPrefix(ready.Message, v1alpha1.RefusedMessagePrefix))
	return &refused
}

func (e *explanation) name() string { return fmt.Sprintf("Pod %s/%s", e.pod.Namespace, e.pod.Name) }

func (e *explanation) ended() bool {
	return e.pod.Status.Phase == corev1.PodSucceeded || e.pod.Status.Phase == corev1.PodFailed
}

func (e *explanation) line(format string, args ...any) {
	_, _ = fmt.Fprintf(e, format+"\n", args...)
}

// unitName names a unit of the policy as the scheduler's messages do.
func (e *explanation) unitName(unit int) string {
	return fmt.Sprintf("unit %d (%s)", unit, e.policy.Units[unit].Title)
}

// ungoverned says that no policy governs the pod, and which there are.
func (e *explanation) ungoverned() {
	if len(e.cluster.Policies) == 0 {
		e.line("No ResourcePolicy governs it: namespace %s has none.", e.pod.Namespace)
		return
	}
	var selectors []string
	for i := range e.cluster.Policies {
		selectors = append(selectors, fmt.Sprintf("%s selects %s", e.cluster.Policies[i].Name, selectorOf(&e.cluster.Policies[i])))
	}
	e.line("No ResourcePolicy governs it: its labels are %s, and in namespace %s %s.",
		joined(e.pod.Labels), e.pod.Namespace, strings.Join(selectors, ", "))
}

// units shows how full the units of the policy are.
func (e *explanation) units() {
	if e.policy == nil || e.policy.Refusal != "" || len(e.object.Status.Units) != len(e.policy.Units) {
		return
	}
	e.line("\nResourcePolicy %s now (%s):", e.policy.Name, selectorOf(e.object))
	rows := [][]string{{"  UNIT", "NODES", "USED", "STATE"}}
	for i := range e.object.Status.Units {
		unit := &e.object.Status.Units[i]
		here := ""
		if i == e.here {
			here = "this pod is here"
		}
		rows = append(rows, append([]string{fmt.Sprintf("  %d %s", i, unit.Name)}, usageOf(unit, e.policy.Grouped(), here)...))
	}
	e.WriteString(table(rows))
}

// findings shows the conditions of the policy that its author should know of.
func (e *explanation) findings() {
	if e.object == nil {
		return
	}
	for _, sentence := range policyFindings(e.object) {
		e.line("ResourcePolicy %s: %s", e.object.Name, sentence)
	}
}

// ago says how long before now a moment was, such as 3m12s.
func (c *Cluster) ago(moment time.Time) string { return duration.HumanDuration(c.Now.Sub(moment)) }
