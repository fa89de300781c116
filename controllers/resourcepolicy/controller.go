// Package resourcepolicy reports in the status of every ResourcePolicy whether the scheduler acts on it, how full its units are, which pods wait, and
// what its author may not have meant.
//
//   - controller.go: one reconciliation: look, compute, one patch.
//   - events.go: what concerns which policy.
//   - pace.go: a policy is looked at once a second at most, and not all at once are written.
//   - fleet.go: what the nodes are, worked out once for each change of a node.
//   - count.go: which pods count for which unit (pure).
//   - status.go, amount.go: the numbers of the status (pure).
//   - conditions.go: the conditions (pure).
//   - findings.go: what condition Misconfigured is made from.
//   - podsfound.go: what is found about single pods.
//   - metrics.go: what is read when the metrics are scraped.
package resourcepolicy

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/governing"
	"github.com/spillway-k8s/spillway/controllers/owners"
	"github.com/spillway-k8s/spillway/pkg/metrics"
)

const (
	// Name is the name of the controller.
	Name = "resourcepolicy"
	// conflictRetry gives the cache time to see the write that was in the way.
	conflictRetry = time.Second
	// interval is the shortest time between two looks at a policy, and so between two writes of its status.
	interval = time.Second
	// workers is how many policies are looked at side by side, so that one that asks for the owners of pods delays no other.
	workers = 4
)

// Options are what the controller works with.
type Options struct {
	// SchedulerName is the scheduler whose pods can wait or be held.
	SchedulerName string
	// Policies are the policies of the cache.
	Policies *governing.Source
	// Owners are what the owners of pods select.
	Owners *owners.Selectors
}

// Controller keeps the status of ResourcePolicies.
type Controller struct {
	client  client.Client
	options Options
	pace    *pace
	fleets  fleets
}

var _ reconcile.ObjectReconciler[*v1alpha1.ResourcePolicy] = &Controller{}

// New returns the controller.
func New(c client.Client, options Options) *Controller {
	return &Controller{client: c, options: options, pace: newPace(interval, clock.RealClock{})}
}

// Register adds the controller to the manager.
func (c *Controller) Register(mgr ctrl.Manager) error {
	metrics.ReadPolicies(metrics.WhileLeading(mgr.Elected(), c.state))
	return ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&v1alpha1.ResourcePolicy{}, builder.WithPredicates(governing.Edited)).
		Watches(&v1alpha1.ResourcePolicy{}, handler.EnqueueRequestsFromMapFunc(c.policiesOfNamespace), builder.WithPredicates(governing.Edited, governing.Later)).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(c.policyOfPod), builder.WithPredicates(podCounts)).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(c.allPolicies), builder.WithPredicates(nodeMoves)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(reconcile.AsReconciler(c.client, c))
}

// +kubebuilder:rbac:groups=scheduling.alibabacloud.com,resources=resourcepolicies,verbs=list;watch
// +kubebuilder:rbac:groups=scheduling.alibabacloud.com,resources=resourcepolicies/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch

// Reconcile computes the status of a policy and writes it when it changed. It comes back later when the policy has been looked at just now, or when many
// statuses are to be written.
func (c *Controller) Reconcile(ctx context.Context, rp *v1alpha1.ResourcePolicy) (ctrl.Result, error) {
	// Whoever has edited a policy waits to be told whether it is acted on.
	key, edited := client.ObjectKeyFromObject(rp), rp.Status.ObservedGeneration != rp.Generation
	if rest := c.pace.wait(key, edited); rest > 0 {
		return ctrl.Result{RequeueAfter: rest}, nil
	}
	before := rp.DeepCopy()
	status, err := c.look(ctx, rp)
	if err != nil {
		return ctrl.Result{}, err
	}
	rp.Status = status
	if equality.Semantic.DeepEqual(before.Status, rp.Status) {
		c.pace.drop(key)
		return ctrl.Result{}, nil
	}
	if !edited {
		if rest := c.pace.waitToWrite(key); rest > 0 {
			return ctrl.Result{RequeueAfter: rest}, nil
		}
	}
	// The lock keeps a slow reconciliation from writing the conditions of an older spec.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	err = c.client.Status().Patch(ctx, rp, patch)
	metrics.WroteStatus(metrics.KindResourcePolicy, metrics.ResultOf(client.IgnoreNotFound(err), apierrors.IsConflict))
	if apierrors.IsConflict(err) {
		c.pace.keep(key)
		return ctrl.Result{RequeueAfter: conflictRetry}, nil
	} else if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("patching the status: %w", err)
	}
	return ctrl.Result{}, nil
}

// look returns the status that a policy should have.
func (c *Controller) look(ctx context.Context, rp *v1alpha1.ResourcePolicy) (v1alpha1.ResourcePolicyStatus, error) {
	var none v1alpha1.ResourcePolicyStatus
	policies, err := c.options.Policies.Policies(ctx, rp.Namespace)
	if err != nil {
		return none, err
	}
	selected := client.MatchingLabels{}
	for key, value := range rp.Spec.Selector {
		selected[key] = string(value)
	}
	pods := &corev1.PodList{}
	if err := c.client.List(ctx, pods, client.InNamespace(rp.Namespace), selected, client.UnsafeDisableDeepCopy); err != nil {
		return none, fmt.Errorf("listing the pods that the policy selects: %w", err)
	}
	nodes, err := c.fleets.get(func() ([]corev1.Node, error) { return c.listNodes(ctx) })
	if err != nil {
		return none, err
	}
	seen := scene{policy: c.options.Policies.Compile(rp), policies: policies, pods: pods.Items, fleet: nodes}
	counted := seen.count(c.options.SchedulerName)
	lost, err := c.labelsThatLosePods(ctx, seen.policy, counted.unplaced)
	if err != nil {
		return none, err
	}
	return seen.status(rp, counted, lost), nil
}

func (c *Controller) listNodes(ctx context.Context) ([]corev1.Node, error) {
	nodes := &corev1.NodeList{}
	if err := c.client.List(ctx, nodes, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	return nodes.Items, nil
}
