// Package controllers lists the controllers of Spillway.
package controllers

import (
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	schedulingv1alpha1 "github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/controllers/deletioncost"
	"github.com/spillway-k8s/spillway/controllers/governing"
	"github.com/spillway-k8s/spillway/controllers/owners"
	"github.com/spillway-k8s/spillway/controllers/podindex"
	"github.com/spillway-k8s/spillway/controllers/resourcepolicy"
	"github.com/spillway-k8s/spillway/controllers/virtualnode"
	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

// reconcileTimeout bounds each reconciliation: a webhook, or an API server, that does not answer must not keep a worker
// for ever.
const reconcileTimeout = time.Minute

// Options are the settings of the controllers.
type Options struct {
	// SchedulerName is the schedulerName of the pods that Spillway places.
	SchedulerName string
	// AllowedPodKeys are the keys that units may write on pods. nil: the default.
	AllowedPodKeys *placement.PodKeys
	// Account says how ECI is asked. Its SchedulerName is set by Setup.
	Account account.Options
	// MaxCapacityAge is how old the capacity of a virtual node may become before it gets no new pods.
	MaxCapacityAge time.Duration
}

// registerMetrics adds the metrics to those that the manager serves. A process may have several managers, one after the other.
var registerMetrics = sync.OnceFunc(func() { ctrlmetrics.Registry.MustRegister(metrics.Controller.Collectors()...) })

// What serves the metrics asks the API server who scrapes them, and whether they may.
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// Setup adds every controller to the manager.
func Setup(mgr ctrl.Manager, options Options) error {
	registerMetrics()
	if options.AllowedPodKeys == nil {
		options.AllowedPodKeys = placement.DefaultPodKeys()
	}
	if err := podindex.Register(mgr); err != nil {
		return err
	}
	policies, selectors := governing.NewSource(mgr.GetClient(), options.AllowedPodKeys), owners.NewSelectors(mgr.GetAPIReader())
	status := resourcepolicy.New(mgr.GetClient(), resourcepolicy.Options{SchedulerName: options.SchedulerName, Policies: policies, Owners: selectors})
	if err := status.Register(mgr); err != nil {
		return fmt.Errorf("registering %s: %w", resourcepolicy.Name, err)
	}
	cost := deletioncost.New(mgr.GetClient(), deletioncost.Options{Policies: policies, Owners: selectors})
	if err := cost.Register(mgr); err != nil {
		return fmt.Errorf("registering %s: %w", deletioncost.Name, err)
	}
	return setUpECI(mgr, options)
}

// setUpECI adds the controllers of virtual nodes.
func setUpECI(mgr ctrl.Manager, options Options) error {
	options.Account.SchedulerName = options.SchedulerName
	asker := account.New(mgr.GetClient(), mgr.GetAPIReader(), options.Account)
	if err := asker.Register(mgr); err != nil {
		return fmt.Errorf("registering %s: %w", account.Name, err)
	}
	nodes := virtualnode.New(mgr.GetClient(), mgr.GetAPIReader(), virtualnode.Options{
		Readings: asker.Readings(), Changed: asker.Changed(), RefreshInterval: options.Account.RefreshInterval, StockInterval: options.Account.StockInterval,
		MaxAge: options.MaxCapacityAge, SchedulerName: options.SchedulerName, Recorder: mgr.GetEventRecorder("spillway-controller"),
	})
	if err := nodes.Register(mgr); err != nil {
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
	return ctrl.Options{
		Scheme:     scheme,
		Controller: config.Controller{ReconciliationTimeout: reconcileTimeout},
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject: map[client.Object]cache.ByObject{
				&corev1.Pod{}:  {Transform: newSlimmer().pod},
				&corev1.Node{}: {Transform: slimNode},
			},
		},
	}, nil
}
