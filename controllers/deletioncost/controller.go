// Package deletioncost keeps the controller.kubernetes.io/pod-deletion-cost of bound pods right (R10), so that a ReplicaSet scales in from the last unit:
// of pods that were there before their policy or were placed by another scheduler, after edits of policies, nodes and costs, and when a policy goes. What
// the scheduler placed carries its cost from the start.
//
// It also writes the podLabels of a unit, once, on pods that the scheduler placed there without them: API servers
// before 1.35, and those with PodTopologyLabelsAdmission switched off, do not copy the labels of a Binding (R9), and an
// edit of the policy may have added some.
//
//   - controller.go: one reconciliation of a pod, with at most one patch.
//   - cost.go: the annotations that a pod should have (pure).
//   - labels.go: the labels that a pod has still to get.
//   - events.go: what concerns which pods.
package deletioncost

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/lru"
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
	"github.com/spillway-k8s/spillway/pkg/placement"
)

const (
	// Name is the name of the controller.
	Name = "deletioncost"
	// fieldOwner is the name under which the annotations and labels are written.
	fieldOwner = "spillway-deletion-cost"
	// conflictRetry gives the cache time to see the write that was in the way.
	conflictRetry = time.Second
	// patchesPerSecond keeps an edit of a policy with thousands of pods from taking the API server to itself.
	patchesPerSecond = 100
	// workers is how many patches are on their way at once.
	workers = 4
	// rememberedPods is of how many pods it is remembered which labels they had. Of one that is forgotten, a label that
	// somebody removed is written once more.
	rememberedPods = 100_000
)

// Options are what the controller works with.
type Options struct {
	// Policies are the policies of the cache.
	Policies *governing.Source
	// Owners are what the owners of pods select.
	Owners *owners.Selectors
}

// Controller keeps the deletion cost of pods.
type Controller struct {
	client  client.Client
	options Options
	limiter flowcontrol.RateLimiter
	// seen are notes about the labels that pods had, by their UID.
	seen *lru.Cache
}

var _ reconcile.ObjectReconciler[*corev1.Pod] = &Controller{}

// New returns the controller.
func New(c client.Client, options Options) *Controller {
	return &Controller{
		client: c, options: options, seen: lru.New(rememberedPods),
		limiter: flowcontrol.NewTokenBucketRateLimiter(patchesPerSecond, patchesPerSecond),
	}
}

// Register adds the controller to the manager, which must have the index of podindex.
func (c *Controller) Register(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		Watches(&corev1.Pod{}, podEvents(), builder.WithPredicates(costChanges)).
		Watches(&v1alpha1.ResourcePolicy{}, handler.EnqueueRequestsFromMapFunc(c.podsOfNamespace), builder.WithPredicates(governing.Edited, governing.Later)).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(c.podsOfNode), builder.WithPredicates(nodeMoves)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(reconcile.AsReconciler(c.client, c))
}

// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch;patch
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups=scheduling.alibabacloud.com,resources=resourcepolicies,verbs=list;watch

// Reconcile patches a bound pod whose cost or labels are not right.
func (c *Controller) Reconcile(ctx context.Context, pod *corev1.Pod) (ctrl.Result, error) {
	if !concerns(pod) {
		return ctrl.Result{}, nil
	}
	wanted, err := c.look(ctx, pod)
	if err != nil || wanted.isEmpty() {
		return ctrl.Result{}, err
	}
	if err := c.limiter.Wait(ctx); err != nil {
		return ctrl.Result{}, fmt.Errorf("waiting for the turn to patch: %w", err)
	}
	patch, err := wanted.patch(pod)
	if err != nil {
		return ctrl.Result{}, err
	}
	err = c.client.Patch(ctx, pod, patch, client.FieldOwner(fieldOwner))
	metrics.WroteDeletionCost(metrics.ResultOf(client.IgnoreNotFound(err), apierrors.IsConflict))
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: conflictRetry}, nil
	} else if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("patching the pod: %w", err)
	}
	return ctrl.Result{}, nil
}

// change is what to change about a pod; nil values remove an annotation.
type change struct {
	annotations map[string]*string
	labels      map[string]string
}

func (c *change) isEmpty() bool { return len(c.annotations)+len(c.labels) == 0 }

// note adds the note about labels.
func (c *change) note(text string) {
	if c.annotations == nil {
		c.annotations = map[string]*string{}
	}
	c.annotations[v1alpha1.AnnotationPodLabels] = &text
}

// patch returns the merge patch of the change. It is refused when the pod has changed meanwhile, so that no edit of the user is overwritten unseen.
func (c *change) patch(pod *corev1.Pod) (client.Patch, error) {
	metadata := map[string]any{"uid": pod.UID, "resourceVersion": pod.ResourceVersion}
	if len(c.annotations) > 0 {
		metadata["annotations"] = c.annotations
	}
	if len(c.labels) > 0 {
		metadata["labels"] = c.labels
	}
	data, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return nil, fmt.Errorf("encoding the patch: %w", err)
	}
	return client.RawPatch(types.MergePatchType, data), nil
}

// look returns what to change about a bound pod.
func (c *Controller) look(ctx context.Context, pod *corev1.Pod) (change, error) {
	policies, err := c.options.Policies.Policies(ctx, pod.Namespace)
	if err != nil {
		return change{}, err
	}
	policy := policies.Governing(pod.Namespace, pod.Labels)
	if policy == nil {
		return change{annotations: changes(pod.Annotations, noUnit)}, nil
	}
	if policy.Refusal != "" {
		return change{}, nil // Its units say nothing until it is corrected.
	}
	nodeLabels, err := c.nodeLabels(ctx, pod.Spec.NodeName)
	if err != nil {
		return change{}, err
	}
	bound := placement.NewBoundPod(pod, nodeLabels)
	unit := policy.UnitOf(&bound)
	if unit < 0 {
		if nodeLabels == nil {
			return change{}, nil // The node is not known yet, or any more.
		}
		return change{annotations: changes(pod.Annotations, noUnit)}, nil
	}
	labels, note, err := c.dueLabels(ctx, pod, lookup{policies: policies, policy: policy, unit: &policy.Units[unit]})
	if err != nil {
		return change{}, err
	}
	wanted := change{annotations: changes(pod.Annotations, unit), labels: labels}
	if len(labels) > 0 {
		wanted.note(note)
	}
	return wanted, nil
}

// nodeLabels returns the labels of a node, or nil when it does not exist.
func (c *Controller) nodeLabels(ctx context.Context, name string) (map[string]string, error) {
	node := &corev1.Node{}
	if err := c.client.Get(ctx, client.ObjectKey{Name: name}, node, client.UnsafeDisableDeepCopy); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("getting the node of the pod: %w", err)
	}
	if node.Labels == nil {
		return map[string]string{}, nil
	}
	return node.Labels, nil
}

// concerns tells whether the cost of a pod matters: it is on a node and neither ends nor has ended.
func concerns(pod *corev1.Pod) bool {
	return pod.Spec.NodeName != "" && pod.DeletionTimestamp == nil &&
		pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}
