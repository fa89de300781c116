// Package resourcepolicy reports in the status of every ResourcePolicy whether the scheduler acts on it, and which other policy takes its pods.
package resourcepolicy

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

const (
	// Name is the name of the controller.
	Name = "resourcepolicy"
	// conflictRetry gives the cache time to see the write that was in the way.
	conflictRetry = time.Second
)

// Controller keeps the status of ResourcePolicies.
type Controller struct {
	client client.Client
}

var _ reconcile.ObjectReconciler[*v1alpha1.ResourcePolicy] = &Controller{}

// recreated is a policy that was deleted and created again while the watch was interrupted: it comes as an update.
var recreated = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool { return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() }}

// New returns the controller.
func New(c client.Client) *Controller { return &Controller{client: c} }

// Register adds the controller to the manager. An edit of one policy concerns all policies of its namespace: it may shadow them, or do so no longer.
func (c *Controller) Register(mgr ctrl.Manager) error {
	edited := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, recreated))
	return ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&v1alpha1.ResourcePolicy{}, edited).
		Watches(&v1alpha1.ResourcePolicy{}, handler.EnqueueRequestsFromMapFunc(c.policiesOfNamespace), edited).
		Complete(reconcile.AsReconciler(c.client, c))
}

// +kubebuilder:rbac:groups=scheduling.alibabacloud.com,resources=resourcepolicies,verbs=get;list;watch
// +kubebuilder:rbac:groups=scheduling.alibabacloud.com,resources=resourcepolicies/status,verbs=patch

// Reconcile computes the status of a policy and writes it when it changed.
func (c *Controller) Reconcile(ctx context.Context, rp *v1alpha1.ResourcePolicy) (ctrl.Result, error) {
	policies := &v1alpha1.ResourcePolicyList{}
	if err := c.client.List(ctx, policies, client.InNamespace(rp.Namespace)); err != nil {
		return ctrl.Result{}, fmt.Errorf("listing the policies of the namespace: %w", err)
	}
	before := rp.DeepCopy()
	rp.Status = computeStatus(rp, policies.Items)
	if equality.Semantic.DeepEqual(before.Status, rp.Status) {
		return ctrl.Result{}, nil
	}
	// The lock keeps a slow reconciliation from writing the conditions of an older spec.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.client.Status().Patch(ctx, rp, patch); apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: conflictRetry}, nil
	} else if err != nil {
		return ctrl.Result{}, fmt.Errorf("patching the status: %w", err)
	}
	return ctrl.Result{}, nil
}

// policiesOfNamespace returns a request for every policy in the namespace of obj.
func (c *Controller) policiesOfNamespace(ctx context.Context, obj client.Object) []reconcile.Request {
	policies := &v1alpha1.ResourcePolicyList{}
	if err := c.client.List(ctx, policies, client.InNamespace(obj.GetNamespace())); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the policies of the namespace", "namespace", obj.GetNamespace())
		return nil
	}
	var requests []reconcile.Request
	for i := range policies.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&policies.Items[i])})
	}
	return requests
}

// computeStatus returns the status of a policy among the policies of its namespace.
func computeStatus(rp *v1alpha1.ResourcePolicy, all []v1alpha1.ResourcePolicy) v1alpha1.ResourcePolicyStatus {
	status := v1alpha1.ResourcePolicyStatus{ObservedGeneration: rp.Generation, Conditions: slices.Clone(rp.Status.Conditions)}
	for _, condition := range []metav1.Condition{readyCondition(rp), shadowedCondition(rp, all)} {
		condition.ObservedGeneration = rp.Generation
		meta.SetStatusCondition(&status.Conditions, condition)
	}
	return status
}

func readyCondition(rp *v1alpha1.ResourcePolicy) metav1.Condition {
	if errs := placement.Validate(rp); len(errs) > 0 {
		reason := v1alpha1.ReasonUnsupported
		if slices.ContainsFunc(errs, func(err *field.Error) bool { return err.Type == field.ErrorTypeInvalid }) {
			reason = v1alpha1.ReasonInvalid
		}
		return metav1.Condition{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason,
			Message: fmt.Sprintf("the pods of this policy wait: %v", errs.ToAggregate()),
		}
	}
	return metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAccepted,
		Message: "the scheduler acts on this policy",
	}
}

func shadowedCondition(rp *v1alpha1.ResourcePolicy, all []v1alpha1.ResourcePolicy) metav1.Condition {
	var others []*placement.Policy
	for i := range all {
		others = append(others, placement.Compile(&all[i]))
	}
	winner, same := placement.Compile(rp).ShadowedBy(others)
	condition := metav1.Condition{Type: v1alpha1.ConditionShadowed, Status: metav1.ConditionTrue}
	switch {
	case winner == nil:
		condition.Status, condition.Reason = metav1.ConditionFalse, v1alpha1.ReasonNotShadowed
		condition.Message = "no other policy of the namespace is certain to take pods from this one"
	case same:
		condition.Reason = v1alpha1.ReasonSameSelector
		condition.Message = fmt.Sprintf("ResourcePolicy %s has the same selector and goes first: it governs all pods of this policy", winner.Name)
	default:
		condition.Reason = v1alpha1.ReasonMoreSpecific
		condition.Message = fmt.Sprintf("ResourcePolicy %s has this selector and more keys: it governs the pods that carry them all", winner.Name)
	}
	return condition
}
