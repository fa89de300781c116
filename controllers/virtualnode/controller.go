// Package virtualnode turns every VirtualNode into a Node whose capacity is what ECI would accept now, or, where the Node is another's, into a status that
// says so.
//
//   - controller.go: one reconciliation, and who owns the Node's name.
//   - events.go: what brings a reconciliation about.
//   - refresh.go: the status by what ECI said (package account), and what happens when it says nothing.
//   - capacity.go: from the quota, the addresses and the limits to the capacity (pure); use.go: what pods hold of it.
//   - stock.go: the stock-outs (pure); refused.go: the pods that ECI refuses, and where they go; jobs.go: which Jobs can afford that.
//   - node.go: the Node and its Lease.
//   - drain.go: the deletion of a VirtualNode.
//   - metrics.go: what is read when the metrics are scraped.
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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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
	// mostTold is how many pods are remembered that have been told that they stay.
	mostTold = 10_000
)

// Options are the settings of the controller.
type Options struct {
	// Readings are what ECI said, by credentials.
	Readings *account.Readings
	// Changed are VirtualNodes of which ECI has said something new.
	Changed <-chan event.GenericEvent
	// RefreshInterval is how often the Lease of the Node is renewed. At most 15 seconds, because the cluster takes a Node for dead whose Lease is 40 seconds
	// old.
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

	mu sync.Mutex
	// books remember the stock-outs of each VirtualNode that ended.
	books map[types.UID]stockBook
	// renewed is when the Lease of each VirtualNode was renewed last.
	renewed map[types.UID]time.Time
	// told are the pods that have been told that they stay where they are.
	told map[types.UID]bool
	// moves are the pods that were evicted lately.
	moves moves
}

var _ reconcile.ObjectReconciler[*v1alpha1.VirtualNode] = &Controller{}

// New returns the controller.
func New(c client.Client, reader client.Reader, options Options) *Controller {
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	return &Controller{
		client: c, reader: reader, options: options,
		books: map[types.UID]stockBook{}, renewed: map[types.UID]time.Time{}, told: map[types.UID]bool{},
	}
}

// Register adds the controller to the manager, which must have the index of podindex.
func (c *Controller) Register(mgr ctrl.Manager) error {
	metrics.ReadVirtualNodes(metrics.WhileLeading(mgr.Elected(), c.state))
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
			// The heartbeat of the Node is in the same reconciliation: no error may delay the next one for longer than a success does.
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

// Reconcile brings one VirtualNode up to date, and comes back for it after the refresh interval.
func (c *Controller) Reconcile(ctx context.Context, vn *v1alpha1.VirtualNode) (ctrl.Result, error) {
	if !vn.DeletionTimestamp.IsZero() {
		return c.drain(ctx, vn)
	}
	if vn.IsManaged() && !controllerutil.ContainsFinalizer(vn, v1alpha1.Finalizer) {
		before := vn.DeepCopy()
		controllerutil.AddFinalizer(vn, v1alpha1.Finalizer)
		if err := c.client.Patch(ctx, vn, client.MergeFrom(before)); err != nil {
			return ctrl.Result{}, fmt.Errorf("adding the finalizer: %w", err)
		}
	}
	before := vn.DeepCopy()
	refused, err := c.reconcileNode(ctx, vn)
	if err != nil {
		setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonNodeFailed, err.Error())
	}
	err = errors.Join(err, c.patchStatus(ctx, before, vn))
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: conflictRetry}, nil // The cache is behind what was written last.
	} else if err != nil {
		return ctrl.Result{}, err
	}
	countStockOuts(before, vn)
	// The scheduler must be able to know of a stock-out before the pod that takes the refused one's place is there.
	more, err := c.moveRefused(ctx, vn, refused)
	switch {
	case err != nil:
		return ctrl.Result{}, err
	case more:
		return ctrl.Result{RequeueAfter: moreSoon}, nil
	default:
		return ctrl.Result{RequeueAfter: c.options.RefreshInterval}, nil
	}
}

// reconcileNode refreshes the status and brings a Managed Node and its Lease in line, unless the Node's name is another's. It returns the pods that ECI
// refuses.
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
	if err := c.publish(ctx, vn); err != nil {
		return refused, err
	}
	return refused, c.renewLease(ctx, vn)
}

// bookOf returns what is remembered of the stock-outs of a VirtualNode that ended. The queue gives a VirtualNode to one worker at a time.
func (c *Controller) bookOf(vn *v1alpha1.VirtualNode) stockBook {
	c.mu.Lock()
	defer c.mu.Unlock()
	book := c.books[vn.UID]
	if book == nil {
		book = stockBook{}
		c.books[vn.UID] = book
	}
	return book
}

// forget drops what is remembered of a VirtualNode that is gone.
func (c *Controller) forget(vn *v1alpha1.VirtualNode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.books, vn.UID)
	delete(c.renewed, vn.UID)
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
	exists := err == nil
	if exists && owns(vn, node) {
		return "", nil
	}
	for i := range all.Items {
		other := &all.Items[i]
		if other.UID == vn.UID || other.NodeName() != vn.NodeName() {
			continue
		}
		if exists && owns(other, node) || (!exists || !other.IsManaged()) && goesFirst(other, vn) {
			return "VirtualNode " + other.Name, nil
		}
	}
	if exists && vn.IsManaged() {
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
	for _, name := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionCapacityKnown, v1alpha1.ConditionStockAvailable} {
		was, is := meta.FindStatusCondition(before.Status.Conditions, name), meta.FindStatusCondition(vn.Status.Conditions, name)
		if is != nil && (was == nil || was.Reason != is.Reason) {
			ctrl.LoggerFrom(ctx).Info("Condition changes", "condition", name, "status", is.Status, "reason", is.Reason, "message", is.Message)
		}
	}
	// The lock keeps what was worked out from an old cache from being written over what is newer.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	err := c.client.Status().Patch(ctx, vn, patch)
	metrics.WroteStatus(metrics.KindVirtualNode, metrics.ResultOf(client.IgnoreNotFound(err), apierrors.IsConflict))
	if err != nil {
		return fmt.Errorf("patching the status: %w", err)
	}
	return nil
}

// setCondition sets a condition: True for the reason that says all is well, otherwise False.
func setCondition(vn *v1alpha1.VirtualNode, conditionType, reason, message string) {
	status := metav1.ConditionFalse
	if reason == v1alpha1.ReasonNodeReady || reason == v1alpha1.ReasonRefreshed || reason == v1alpha1.ReasonInStock {
		status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&vn.Status.Conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: message, ObservedGeneration: vn.Generation,
	})
}
