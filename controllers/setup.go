// Package controllers lists the controllers of Spillway.
package controllers

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	schedulingv1alpha1 "github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/resourcepolicy"
	"github.com/spillway-k8s/spillway/controllers/virtualnode"
)

// Setup adds every controller to the manager.
func Setup(mgr ctrl.Manager, options virtualnode.Options) error {
	if err := resourcepolicy.New(mgr.GetClient()).Register(mgr); err != nil {
		return fmt.Errorf("registering %s: %w", resourcepolicy.Name, err)
	}
	if err := virtualnode.New(mgr.GetClient(), mgr.GetAPIReader(), options).Register(mgr); err != nil {
		return fmt.Errorf("registering %s: %w", virtualnode.Name, err)
	}
	return nil
}

// ManagerOptions returns what the controllers need of their manager: the types, and a cache that holds no more than they use.
func ManagerOptions() (ctrl.Options, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, schedulingv1alpha1.AddToScheme, eciv1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return ctrl.Options{}, fmt.Errorf("registering types: %w", err)
		}
	}
	ours, err := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: eciv1alpha1.LabelVirtualNode, Operator: metav1.LabelSelectorOpExists}},
	})
	if err != nil {
		return ctrl.Options{}, fmt.Errorf("selecting our Nodes: %w", err)
	}
	return ctrl.Options{
		Scheme: scheme,
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			// Of all Nodes only our own are watched; the node of another owner is read when its name is wanted.
			ByObject: map[client.Object]cache.ByObject{&corev1.Node{}: {Label: ours}},
		},
	}, nil
}
