package main

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// mirror follows the cluster as an administrator: so it is seen at once when the statuses are right, without asking.
type mirror struct{ policies, nodes, pods toolscache.Store }

// startMirror begins to follow the cluster, until the context ends.
func startMirror(ctx context.Context, c *cluster) (*mirror, error) {
	followed, err := cache.New(c.config, cache.Options{
		Scheme: c.scheme, DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{&corev1.Pod{}: {Transform: shorten}, &corev1.Node{}: {Transform: shorten}},
	})
	if err != nil {
		return nil, fmt.Errorf("following the cluster: %w", err)
	}
	go func() { _ = followed.Start(ctx) }() // It ends with the context.
	m := &mirror{}
	for object, store := range map[client.Object]*toolscache.Store{&v1alpha1.ResourcePolicy{}: &m.policies, &corev1.Node{}: &m.nodes, &corev1.Pod{}: &m.pods} {
		informer, err := followed.GetInformer(ctx, object)
		if err != nil {
			return nil, fmt.Errorf("following %T: %w", object, err)
		}
		shared, ok := informer.(toolscache.SharedIndexInformer)
		if !ok {
			return nil, errors.New("following the cluster: the cache has no store")
		}
		*store = shared.GetStore()
	}
	return m, nil
}

// contents returns the objects of the cluster. They must not be changed.
func (m *mirror) contents() *contents {
	return &contents{policies: all[*v1alpha1.ResourcePolicy](m.policies), nodes: all[*corev1.Node](m.nodes), pods: all[*corev1.Pod](m.pods)}
}

// list reads the contents from the API server.
func (c *cluster) list(ctx context.Context) (*contents, error) {
	policies, nodes, pods := &v1alpha1.ResourcePolicyList{}, &corev1.NodeList{}, &corev1.PodList{}
	for _, list := range []client.ObjectList{policies, nodes, pods} {
		if err := c.api.List(ctx, list); err != nil {
			return nil, fmt.Errorf("listing %T: %w", list, err)
		}
	}
	return &contents{policies: pointers(policies.Items), nodes: pointers(nodes.Items), pods: pointers(pods.Items)}, nil
}

// shorten keeps what the recount looks at.
func shorten(obj any) (any, error) {
	switch o := obj.(type) {
	case *corev1.Pod:
		o.ManagedFields, o.Spec.Volumes, o.Spec.InitContainers, o.Status.ContainerStatuses = nil, nil, nil, nil
		for i := range o.Spec.Containers {
			o.Spec.Containers[i] = corev1.Container{Resources: o.Spec.Containers[i].Resources}
		}
	case *corev1.Node:
		o.ManagedFields, o.Status = nil, corev1.NodeStatus{}
	}
	return obj, nil
}

func all[T any](store toolscache.Store) []T {
	objects := store.List()
	out := make([]T, 0, len(objects))
	for _, object := range objects {
		if typed, ok := object.(T); ok {
			out = append(out, typed)
		}
	}
	return out
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}
