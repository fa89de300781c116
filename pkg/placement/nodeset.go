package placement

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// NodeSet says which nodes are in a unit (R2): the nodes of its resource that carry all its labels and meet its expressions. Units of different
// policies that describe the same nodes have the same Key. Immutable.
type NodeSet struct {
	// Key describes the set in words, such as "ecs paidtype=subscription". Equal keys mean equal sets.
	Key string
	// Virtual is true for the nodes of ECI and ACS.
	Virtual bool

	// title is Key as messages write it: "ecs, paidtype=subscription".
	title        string
	labels       []label
	requirements []labels.Requirement
}

type label struct{ key, value string }

// newNodeSet returns the set of nodes of a unit. A requirement that cannot be met is Validate's to refuse.
func newNodeSet(unit *v1alpha1.Unit) NodeSet {
	s := NodeSet{Virtual: unit.Resource == v1alpha1.ResourceECI || unit.Resource == v1alpha1.ResourceACS}
	words := []string{string(unit.Resource)}
	for _, l := range sortedLabels(unit.NodeSelector) {
		s.labels = append(s.labels, l)
		words = append(words, l.key+"="+l.value)
	}
	for i := range unit.MatchExpressions {
		if requirement, err := newRequirement(&unit.MatchExpressions[i]); err == nil {
			s.requirements = append(s.requirements, *requirement)
			words = append(words, requirement.String())
		}
	}
	s.Key, s.title = strings.Join(words, " "), strings.Join(words, ", ")
	return s
}

// newRequirement reads a requirement as the node affinity of a pod does.
func newRequirement(spec *v1alpha1.NodeRequirement) (*labels.Requirement, error) {
	operators := map[corev1.NodeSelectorOperator]selection.Operator{
		corev1.NodeSelectorOpIn: selection.In, corev1.NodeSelectorOpNotIn: selection.NotIn,
		corev1.NodeSelectorOpExists: selection.Exists, corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist,
		corev1.NodeSelectorOpGt: selection.GreaterThan, corev1.NodeSelectorOpLt: selection.LessThan,
	}
	values := make([]string, 0, len(spec.Values))
	for _, value := range spec.Values {
		values = append(values, string(value))
	}
	return labels.NewRequirement(spec.Key, operators[spec.Operator], values)
}

// Contains tells whether a node with these labels is in the set.
func (s *NodeSet) Contains(nodeLabels map[string]string) bool {
	if s.Virtual != eciv1alpha1.IsVirtualNode(nodeLabels) || !containsAll(nodeLabels, s.labels) {
		return false
	}
	for i := range s.requirements {
		if !s.requirements[i].Matches(labels.Set(nodeLabels)) {
			return false
		}
	}
	return true
}

// within tells whether every node of s is certain to be in other.
func (s *NodeSet) within(other *NodeSet) bool {
	if s.Virtual != other.Virtual || !hasAll(s.labels, other.labels) {
		return false
	}
	return !slices.ContainsFunc(other.requirements, func(wanted labels.Requirement) bool {
		return !slices.ContainsFunc(s.requirements, func(r labels.Requirement) bool { return r.Equal(wanted) })
	})
}

// containsAll tells whether the set has all the wanted ones.
func containsAll(set map[string]string, wanted []label) bool {
	for _, l := range wanted {
		if value, ok := set[l.key]; !ok || value != l.value {
			return false
		}
	}
	return true
}

// sortedLabels returns the set ordered by key, so that equal sets are equal slices.
func sortedLabels(set v1alpha1.LabelSet) []label {
	var out []label
	for _, key := range slices.Sorted(maps.Keys(set)) {
		out = append(out, label{key: key, value: string(set[key])})
	}
	return out
}
