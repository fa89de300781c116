package resourcepolicy

import (
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/pkg/placement"
)

// unitNodes is what the nodes of a unit are.
type unitNodes struct {
	number int
	// resources are those that one of the nodes has some of.
	resources map[corev1.ResourceName]bool
}

// fleet is what the nodes of the cluster are at one moment. It is safe for concurrent use.
type fleet struct {
	// labels are those of every node by its name, none of them nil.
	labels map[string]map[string]string
	nodes  []corev1.Node

	mu sync.Mutex
	// units are the nodes of each set that was asked for, by its key: many policies name the same few kinds of nodes.
	units map[string]unitNodes
}

// fleets keeps the fleet until a node changes: there may be thousands of nodes, and a look at a policy must not go over all of them. It is safe for
// concurrent use.
type fleets struct {
	mu      sync.Mutex
	current *fleet
	// changes is how often a node has changed.
	changes int
}

func newFleet(nodes []corev1.Node) *fleet {
	f := &fleet{labels: make(map[string]map[string]string, len(nodes)), nodes: nodes, units: map[string]unitNodes{}}
	for i := range nodes {
		f.labels[nodes[i].Name] = labelsOf(&nodes[i])
	}
	return f
}

// in returns what the nodes of a set are (R2).
func (f *fleet) in(set *placement.NodeSet) unitNodes {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known, ok := f.units[set.Key]; ok {
		return known
	}
	found := unitNodes{resources: map[corev1.ResourceName]bool{}}
	for i := range f.nodes {
		node := &f.nodes[i]
		if !set.Contains(labelsOf(node)) {
			continue
		}
		found.number++
		for _, list := range []corev1.ResourceList{node.Status.Capacity, node.Status.Allocatable} {
			for name := range list {
				if !found.resources[name] && hasSome(node, name) {
					found.resources[name] = true
				}
			}
		}
	}
	f.units[set.Key] = found
	return found
}

// get returns the fleet. list lists the nodes if they are not known.
func (f *fleets) get(list func() ([]corev1.Node, error)) (*fleet, error) {
	f.mu.Lock()
	current, changes := f.current, f.changes
	f.mu.Unlock()
	if current != nil {
		return current, nil
	}
	nodes, err := list()
	if err != nil {
		return nil, err
	}
	current = newFleet(nodes)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changes == changes {
		f.current = current // Otherwise a node may have changed after the list was made.
	}
	return current, nil
}

// forget is called when a node has changed, before the policies are looked at again.
func (f *fleets) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current = nil
	f.changes++
}

// labelsOf returns the labels of a node that exists: never nil, which stands for a node that does not.
func labelsOf(node *corev1.Node) map[string]string {
	if node.Labels == nil {
		return map[string]string{}
	}
	return node.Labels
}

// hasSome tells whether a node has some of a resource. What it has for pods may be nothing for a moment while a device plugin starts again.
func hasSome(node *corev1.Node, name corev1.ResourceName) bool {
	capacity, allocatable := node.Status.Capacity[name], node.Status.Allocatable[name]
	return !capacity.IsZero() || !allocatable.IsZero()
}
