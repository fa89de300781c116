package main

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/util/compatibility"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	schedulingv1alpha1 "github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/config"
	"github.com/spillway-k8s/spillway/pkg/preflight"
	"github.com/spillway-k8s/spillway/pkg/version"
	"github.com/spillway-k8s/spillway/plugins"
)

// asKubeScheduler is a part of what the roles of kube-scheduler allow: enough to tell whether they are bound.
var asKubeScheduler = []preflight.Access{
	{Resource: "pods", Verb: "list"},
	{Resource: "nodes", Verb: "list"},
	{Resource: "pods", Subresource: "binding", Verb: "create"},
	{Resource: "pods", Subresource: "status", Verb: "patch"},
	{Group: "storage.k8s.io", Resource: "storageclasses", Verb: "list"},
}

// checked returns a factory that checks the cluster before it makes its plugin. The first moment at which the flags, the configuration and the client are
// known is when kube-scheduler makes its plugins; nothing has been read or written then.
func checked(factory plugins.Factory, once *sync.Once) plugins.Factory {
	return func(ctx context.Context, args runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
		var err error
		once.Do(func() { err = check(ctx, handle) })
		if err != nil {
			return nil, err
		}
		return factory(ctx, args, handle)
	}
}

func check(ctx context.Context, handle fwk.Handle) error {
	klog.FromContext(ctx).Info("Starting spillway-scheduler", "version", version.Get().String())
	access, err := preflight.AccessOf(config.SchedulerRole, "spillway-scheduler")
	if err != nil {
		return fmt.Errorf("reading the role of the scheduler: %w", err)
	}
	warnings, err := preflight.Check(ctx, handle.KubeConfig(), &preflight.Needs{
		ActsAs: compatibility.DefaultComponentGlobalsRegistry.EffectiveVersionFor(basecompatibility.DefaultKubeComponent).EmulationVersion(),
		Resources: []preflight.Resource{
			{GroupVersion: schedulingv1alpha1.GroupVersion, Plural: "resourcepolicies"},
			{GroupVersion: eciv1alpha1.GroupVersion, Plural: "virtualnodes"},
		},
		Access: append(access, asKubeScheduler...),
		Role:   "spillway-scheduler, system:kube-scheduler and system:volume-scheduler",
	})
	for _, warning := range warnings {
		klog.FromContext(ctx).Info("Checking the cluster", "warning", warning)
	}
	return err
}
