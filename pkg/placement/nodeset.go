package placement

import (
	"maps"
	"slices"
	"strings"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// NodeSet says which nodes are in a unit (R2): the nodes of its resource that carry all its labels. Units of different policies that describe the
// same nodes have the same Key. Immutable.
type NodeSet struct {
	// Key describes the set in words, such as "ecs paidtype=subscription". Equal keys mean equal sets.
	Key string
	// Virtual is true for the nodes of ECI.
	Virtual bool

	labels []label
}

type label struct{ key, value string }

// newNodeSet returns the set of nodes of a unit.
func newNodeSet(unit *v1alpha1.Unit) NodeSet {
	s := NodeSet{Virtual: unit.Resource == v1alpha1.ResourceECI}
	words := []string{string(unit.Resource)}
	for _, l := range sortedLabels(unit.NodeSelector) {
		s.labels = append(s.labels, l)
		words = append(words, l.key+"="+l.value)
	}
	s.Key = strings.Join(words, " ")
	return s
}

// Contains tells whether a node with these labels is in the set.
func (s *NodeSet) Contains(nodeLabels map[string]string) bool {
	return s.Virtual == eciv1alpha1.IsVirtualNode(nodeLabels) && containsAll(nodeLabels, s.labels)
}

// containsAll tells whether the labels have all the wanted ones.
func containsAll(labels map[string]string, wanted []label) bool {
	for _, l := range wanted {
		if value, ok := labels[l.key]; !ok || value != l.value {
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
