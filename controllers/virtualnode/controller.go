// Package virtualnode turns every VirtualNode into a Node whose capacity is what ECI would accept now.
//
//   - controller.go: one reconciliation, and who owns the Node's name.
//   - refresh.go: asks ECI, and what happens when it does not answer.
//   - capacity.go: from the account's quota and the limits to the capacity (pure).
//   - share.go: how the nodes of one region and account share its quota.
//   - node.go: the Node and its Lease.
//   - drain.go: the deletion of a VirtualNode.
package virtualnode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/eci"
)

const (
	// Name is the name of the controller.
	Name = "virtualnode"
	// workers is how many VirtualNodes are refreshed at once, so that an endpoint that does not answer delays no other node's heartbeat.
	workers = 8
)

// Options are the settings of the controller.
type Options struct {
	// Namespace is where the Secrets with credentials are.
	Namespace string
	// Endpoint, when set, replaces the ECI endpoints of all regions.
	Endpoint string
	// RefreshInterval is how often the capacity is read, and the Lease of the Node renewed. At most 15 seconds, because the cluster takes a Node for
	// dead whose Lease is 40 seconds old.
	RefreshInterval time.Duration
	// MaxAge is how old the capacity may become before the node is closed to new pods.
	MaxAge time.Duration
	// Clock is the real clock unless a test sets another one.
	Clock clock.PassiveClock
	// NewClient is eci.New unless a test sets another one.
	NewClient func(eci.Config) (eci.Client, error)
}

// Controller reconciles VirtualNodes.
type Controller struct {
	client client.Client
	// reader asks the API server directly: Secrets and pods are not worth a cache of the whole cluster's.
	reader  client.Reader
	options Options
	// sharing is held while a part of a quota is found and published.
	sharing sync.Mutex
}

var _ reconcile.ObjectReconciler[*v1alpha1.VirtualNode] = &Controller{}

// onlyDeletions lets only the deletion of a Node through: everything else on it is written by this controller or looked at when it comes back.
var onlyDeletions = predicate.Funcs{
	CreateFunc: func(event.CreateEvent) bool { return false },
	UpdateFunc: func(event.UpdateEvent) bool { return false },
}

// New returns the controller.
func New(c client.Client, reader client.Reader, options Options) *Controller {
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	if options.NewClient == nil {
		options.NewClient = eci.New
	}
	return &Controller{client: c, reader: reader, options: options}
}

// Register adds the controller to the manager. The Node is watched so that whoever deletes it gets it back.
func (c *Controller) Register(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&v1alpha1.VirtualNode{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&corev1.Node{}, builder.WithPredicates(onlyDeletions)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			// The heartbeat of the Node is in the same reconciliation: no error may delay the next one for longer than a success does.
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](100*time.Millisecond, c.options.RefreshInterval),
		}).
		Complete(reconcile.AsReconciler(c.client, c))
}

// +kubebuilder:rbac:groups=eci.spillway.dev,resources=virtualnodes,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=eci.spillway.dev,resources=virtualnodes/status,verbs=patch
// +kubebuilder:rbac:groups=eci.spillway.dev,resources=virtualnodes/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=nodes/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;delete
// +kubebuilder:rbac:groups="",resources=pods/eviction,verbs=create
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;create;update;delete,namespace=kube-node-lease
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get,namespace=spillway-system

// Reconcile refreshes one VirtualNode, and comes back for it after the refresh interval.
func (c *Controller) Reconcile(ctx context.Context, vn *v1alpha1.VirtualNode) (ctrl.Result, error) {
	if !vn.DeletionTimestamp.IsZero() {
		return c.drain(ctx, vn)
	}
	if !controllerutil.ContainsFinalizer(vn, v1alpha1.Finalizer) {
		before := vn.DeepCopy()
		controllerutil.AddFinalizer(vn, v1alpha1.Finalizer)
		if err := c.client.Patch(ctx, vn, client.MergeFrom(before)); err != nil {
			return ctrl.Result{}, fmt.Errorf("adding the finalizer: %w", err)
		}
	}
	before := vn.DeepCopy()
	err := c.reconcileNode(ctx, vn)
	if err != nil {
		setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonNodeFailed, err.Error())
	}
	return ctrl.Result{RequeueAfter: c.options.RefreshInterval}, errors.Join(err, c.patchStatus(ctx, before, vn))
}

// reconcileNode refreshes the capacity and brings the Node and its Lease in line, unless the Node's name is another's.
func (c *Controller) reconcileNode(ctx context.Context, vn *v1alpha1.VirtualNode) error {
	owner, err := c.nodeOwner(ctx, vn)
	if err != nil {
		return err
	}
	if owner != "" {
		setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonNodeNameTaken,
			fmt.Sprintf("Node %s belongs to %s: delete that, or this VirtualNode", vn.NodeName(), owner))
		return nil
	}
	if vn.Status.LastRefreshTime != nil {
		// The heartbeat goes first: it must not wait for an endpoint that does not answer.
		if err := c.renewLease(ctx, vn); err != nil {
			return err
		}
	}
	usage, unanswered := c.listUsage(ctx, vn)
	// What one node is given of a quota the others must not be given at the same moment.
	c.sharing.Lock()
	defer c.sharing.Unlock()
	if err := c.refresh(ctx, vn, usage, unanswered); err != nil {
		return err
	}
	if vn.Status.LastRefreshTime == nil {
		return nil // There is no Node before its capacity has been known once.
	}
	return c.publish(ctx, vn)
}

// nodeOwner returns who has the name of the VirtualNode's Node, in words, or "" when the VirtualNode itself has it or may take it. While there is a
// Node, it decides; otherwise the older VirtualNode, then the first by name.
func (c *Controller) nodeOwner(ctx context.Context, vn *v1alpha1.VirtualNode) (string, error) {
	all := &v1alpha1.VirtualNodeList{}
	if err := c.client.List(ctx, all); err != nil {
		return "", fmt.Errorf("listing VirtualNodes: %w", err)
	}
	node := &corev1.Node{}
	err := c.reader.Get(ctx, client.ObjectKey{Name: vn.NodeName()}, node)
	if client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("getting the Node: %w", err)
	}
	for i := range all.Items {
		other := &all.Items[i]
		if other.UID == vn.UID || other.NodeName() != vn.NodeName() {
			continue
		}
		if err == nil && owns(other, node) || err != nil && goesFirst(other, vn) {
			return "VirtualNode " + other.Name, nil
		}
	}
	if err == nil && !owns(vn, node) {
		return "another virtual-kubelet or an administrator", nil
	}
	return "", nil
}

// owns tells whether the VirtualNode has made the Node. Either mark is enough: labels can be edited away.
func owns(vn *v1alpha1.VirtualNode, node *corev1.Node) bool {
	return node.Labels[v1alpha1.LabelVirtualNode] == vn.Name || metav1.IsControlledBy(node, vn)
}

// goesFirst tells whether a has the Node's name rather than b: the older, then the first by name.
func goesFirst(a, b *v1alpha1.VirtualNode) bool {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name)) < 0
}

// patchStatus writes the status when it changed.
func (c *Controller) patchStatus(ctx context.Context, before, vn *v1alpha1.VirtualNode) error {
	vn.Status.ObservedGeneration = vn.Generation
	if equality.Semantic.DeepEqual(before.Status, vn.Status) {
		return nil
	}
	for _, name := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionCapacityKnown} {
		was, is := meta.FindStatusCondition(before.Status.Conditions, name), meta.FindStatusCondition(vn.Status.Conditions, name)
		if is != nil && (was == nil || was.Reason != is.Reason) {
			ctrl.LoggerFrom(ctx).Info("Condition changes", "condition", name, "status", is.Status, "reason", is.Reason, "message", is.Message)
		}
	}
	if err := c.client.Status().Patch(ctx, vn, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("patching the status: %w", err)
	}
	return nil
}

// setCondition sets a condition: True for the reason that says all is well, otherwise False.
func setCondition(vn *v1alpha1.VirtualNode, conditionType, reason, message string) {
	status := metav1.ConditionFalse
	if reason == v1alpha1.ReasonNodeReady || reason == v1alpha1.ReasonRefreshed {
		status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&vn.Status.Conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: message, ObservedGeneration: vn.Generation,
	})
}
