// Package virtualnode turns every VirtualNode into a Node whose capacity is what ECI would accept now, or, where the Node is another's, into a status that
// says so.
//
//   - controller.go: one reconciliation.
//   - events.go: what brings a reconciliation about.
//   - refresh.go: the status by what ECI said (package account), and what happens when it says nothing.
//   - capacity.go: from the quota, the addresses and the limits to the capacity (pure); use.go: what pods hold of it.
//   - stock.go: the stock-outs (pure); refused.go: the pods that ECI refuses, and where they go; jobs.go: which Jobs can afford that.
//   - node.go: the Node, and whose it is; status.go: the status, and which errors the condition Ready tells of.
//   - lease.go: the heartbeat of the Nodes. It runs beside the reconciliations and waits for none of them.
//   - drain.go: the deletion of a VirtualNode; evict.go: what one pass of evictions may take.
//   - memory.go: all that is remembered between two reconciliations.
//   - metrics.go: what is read when the metrics are scraped.
package virtualnode

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/pkg/metrics"
)

const (
	// Name is the name of the controller.
	Name = "virtualnode"
	// workers is how many VirtualNodes are reconciled at once.
	workers = 8
	// conflictRetry is how soon a write is tried again that met another one, and moreSoon how soon more pods are moved.
	conflictRetry = 100 * time.Millisecond
	moreSoon      = 200 * time.Millisecond
)

// Options are the settings of the controller.
type Options struct {
	// Readings are what ECI said, by credentials.
	Readings *account.Readings
	// Changed are VirtualNodes of which ECI has said something new.
	Changed <-chan event.GenericEvent
	// RefreshInterval is how often a VirtualNode is looked at.
	RefreshInterval time.Duration
	// StockInterval is how often the stock is read.
	StockInterval time.Duration
	// MaxAge is how old the capacity may become before the node is closed to new pods.
	MaxAge time.Duration
	// SchedulerName is the schedulerName of the pods that may be moved when ECI refuses them.
	SchedulerName string
	// Recorder tells users of pods that ECI refuses.
	Recorder events.EventRecorder
	// Clock is the real clock unless a test sets another one.
	Clock clock.PassiveClock
}

// Controller reconciles VirtualNodes.
type Controller struct {
	client client.Client
	// reader asks the API server directly: Nodes are cached without what this controller writes on them.
	reader  client.Reader
	options Options
	memory  *memory
}

var _ reconcile.ObjectReconciler[*v1alpha1.VirtualNode] = &Controller{}

// New returns the controller.
func New(c client.Client, reader client.Reader, options Options) *Controller {
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	return &Controller{client: c, reader: reader, options: options, memory: newMemory()}
}

// Register adds the controller to the manager, which must have the index of podindex.
func (c *Controller) Register(mgr ctrl.Manager) error {
	metrics.ReadVirtualNodes(metrics.WhileLeading(mgr.Elected(), c.state))
	if err := mgr.Add(&heartbeat{Controller: c}); err != nil {
		return fmt.Errorf("adding the heartbeat: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&v1alpha1.VirtualNode{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(c.byNode), builder.WithPredicates(nodeComesOrGoes)).
		Watches(&v1alpha1.VirtualNode{}, handler.EnqueueRequestsFromMapFunc(c.bySibling),
			builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, accountChanges))).
		Watches(&v1alpha1.VirtualNode{}, forgetsMetrics).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(c.byPod), builder.WithPredicates(eciDecides)).
		WatchesRawSource(source.Channel(c.options.Changed, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			// The capacity becomes too old to place pods by: no error may delay the next look for longer than a success
			// does.
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](100*time.Millisecond, c.options.RefreshInterval),
		}).
		Complete(reconcile.AsReconciler(c.client, c))
}

// +kubebuilder:rbac:groups=eci.spillway.dev,resources=virtualnodes,verbs=list;watch;patch
// +kubebuilder:rbac:groups=eci.spillway.dev,resources=virtualnodes/status,verbs=patch
// +kubebuilder:rbac:groups=eci.spillway.dev,resources=virtualnodes/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=nodes/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch;delete
// +kubebuilder:rbac:groups="",resources=pods/eviction,verbs=create
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;create;update;delete,namespace=kube-node-lease
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create

// Reconcile brings one VirtualNode up to date, and comes back for it after the refresh interval. A conflict is no
// error: the cache is behind what was written last.
func (c *Controller) Reconcile(ctx context.Context, vn *v1alpha1.VirtualNode) (ctrl.Result, error) {
	reconcile := c.keepUp
	if !vn.DeletionTimestamp.IsZero() {
		reconcile = c.drain
	}
	result, err := reconcile(ctx, vn)
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: conflictRetry}, nil
	}
	return result, err
}

// keepUp brings one VirtualNode up to date that is not being deleted.
func (c *Controller) keepUp(ctx context.Context, vn *v1alpha1.VirtualNode) (ctrl.Result, error) {
	if vn.IsManaged() && !controllerutil.ContainsFinalizer(vn, v1alpha1.Finalizer) {
		before := vn.DeepCopy()
		controllerutil.AddFinalizer(vn, v1alpha1.Finalizer)
		if err := c.client.Patch(ctx, vn, client.MergeFrom(before)); err != nil {
			return ctrl.Result{}, fmt.Errorf("adding the finalizer: %w", err)
		}
	}
	before := vn.DeepCopy()
	refused, nodeErr := c.reconcileNode(ctx, vn)
	c.setNodeFailed(before, vn, nodeErr)
	if err := c.patchStatus(ctx, before, vn); err != nil {
		return ctrl.Result{}, errors.Join(nodeErr, err)
	}
	countStockOuts(before, vn)
	// The scheduler must be able to know of a stock-out before the pod that takes the refused one's place is there. A
	// Node that cannot be written keeps no pod where ECI refuses it.
	more, err := c.moveRefused(ctx, vn, refused)
	switch err := errors.Join(err, nodeErr); {
	case err != nil:
		return ctrl.Result{}, err
	case more:
		return ctrl.Result{RequeueAfter: moreSoon}, nil
	default:
		return ctrl.Result{RequeueAfter: c.options.RefreshInterval}, nil
	}
}

// reconcileNode refreshes the status and brings a Managed Node in line, unless the Node's name is another's. It returns
// the pods that ECI refuses.
func (c *Controller) reconcileNode(ctx context.Context, vn *v1alpha1.VirtualNode) ([]refusedPod, error) {
	owner, err := c.nodeOwner(ctx, vn)
	if err != nil {
		return nil, err
	}
	if owner != "" {
		setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonNodeNameTaken,
			fmt.Sprintf("Node %s belongs to %s: delete that, or this VirtualNode", vn.NodeName(), owner))
		return nil, nil
	}
	pods, err := c.podsOn(ctx, vn.NodeName())
	if err != nil {
		return nil, err
	}
	refused, err := c.refresh(ctx, vn, pods)
	if err != nil || !vn.IsManaged() || vn.Status.LastRefreshTime == nil {
		return refused, err // There is no Node before its capacity has been known once.
	}
	return refused, c.publish(ctx, vn)
}
