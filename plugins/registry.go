// Package plugins lists the scheduler plugins of Spillway.
package plugins

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/component-base/metrics/legacyregistry"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler"

	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/plugins/resourcepolicy"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
)

// Factory makes a plugin for one profile of the scheduler.
type Factory = func(ctx context.Context, args runtime.Object, handle fwk.Handle) (fwk.Plugin, error)

// register adds the metrics to those that kube-scheduler serves. A process may have several schedulers.
var register = sync.OnceFunc(func() { legacyregistry.RawMustRegister(metrics.Scheduler.Collectors()...) })

// All returns every plugin of Spillway by name, for one scheduler, and what wraps the failure handler of that scheduler. Without the wrapper pods are placed as
// with it, but a pod that finds every unit full looks unschedulable for a moment.
func All() (map[string]Factory, func(scheduler.FailureHandlerFn) scheduler.FailureHandlerFn) {
	register()
	offers := virtualnode.NewOffers()
	policies := resourcepolicy.NewSet(offers)
	return map[string]Factory{
		resourcepolicy.Name:           policies.New,
		resourcepolicy.AdmissionName:  policies.NewAdmission,
		resourcepolicy.PreemptionName: policies.NewPreemption,
		virtualnode.Name:              offers.New,
	}, policies.FailureHandler
}
