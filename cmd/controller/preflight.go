package main

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	schedulingv1alpha1 "github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/config"
	"github.com/spillway-k8s/spillway/pkg/preflight"
)

// role is the ClusterRole of the controller.
const role = "spillway-controller"

// checkCluster waits for the API server, and returns what the cluster lacks for the controller to work. Without metricsAuth the chart does not give the rights to ask who reads the metrics.
func checkCluster(ctx context.Context, client *rest.Config, metricsAuth bool) error {
	if err := preflight.Wait(ctx, client, func(err error) { klog.ErrorS(err, "Waiting for the API server") }); err != nil {
		return fmt.Errorf("waiting for the API server: %w", err)
	}
	access, err := preflight.AccessOf(config.ControllerRole, role)
	if err != nil {
		return fmt.Errorf("reading the role of the controller: %w", err)
	}
	if !metricsAuth {
		access = slices.DeleteFunc(access, func(a preflight.Access) bool {
			return a.Resource == "tokenreviews" || a.Resource == "subjectaccessreviews"
		})
	}
	warnings, err := preflight.Check(ctx, client, &preflight.Needs{
		Resources: []preflight.Resource{
			{GroupVersion: schedulingv1alpha1.GroupVersion, Plural: "resourcepolicies", Status: true},
			{GroupVersion: eciv1alpha1.GroupVersion, Plural: "virtualnodes", Status: true},
		},
		Access: access,
		Role:   role,
	})
	for _, warning := range warnings {
		klog.InfoS("Checking the cluster", "warning", warning)
	}
	return err
}
