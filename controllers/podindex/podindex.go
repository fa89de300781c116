// Package podindex is the index of the cached pods that the controllers share.
package podindex

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// Field is the index of pods by the name of their node.
	Field = "spec.nodeName"
	// unbound is where pods without a node are: no node can have the name.
	unbound = "-"
)

// Register adds the index to the manager's cache.
func Register(mgr ctrl.Manager) error {
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &corev1.Pod{}, Field, NodeOf); err != nil {
		return fmt.Errorf("indexing pods by node: %w", err)
	}
	return nil
}

// NodeOf is the function of the index.
func NodeOf(obj client.Object) []string {
	pod, ok := obj.(*corev1.Pod)
	switch {
	case !ok:
		return nil
	case pod.Spec.NodeName == "":
		return []string{unbound}
	default:
		return []string{pod.Spec.NodeName}
	}
}

// On selects the pods on a node.
func On(node string) client.MatchingFields { return client.MatchingFields{Field: node} }

// Unbound selects the pods without a node.
func Unbound() client.MatchingFields { return client.MatchingFields{Field: unbound} }
