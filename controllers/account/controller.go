package account

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/eci"
)

const (
	// Name is the name of the controller.
	Name = "account"
	// workers is how many sets of credentials are used at once, so that an endpoint that does not answer delays no
	// others: it takes a worker half of the time.
	workers = 32
	// leastPatience is how long a refresh may take at least, however short the interval is.
	leastPatience = 5 * time.Second
	// maxBacklog is how many VirtualNodes can be told of a new reading before their controller has taken it up. The
	// others are looked at when their refresh interval is over.
	maxBacklog = 1024
)

// Options are the settings of the controller.
type Options struct {
	// Namespace is where the Secrets with credentials are.
	Namespace string
	// Endpoint, when set, replaces the endpoints of all regions.
	Endpoint string
	// TokenFile is the token of the controller's ServiceAccount for RRSA.
	TokenFile string
	// STSEndpoint, when set, replaces the endpoint of STS, which gives the sessions of roles and tells whose
	// credentials are.
	STSEndpoint string
	// SchedulerName is the schedulerName of the pods whose specifications the stock is asked of.
	SchedulerName string
	// RefreshInterval is how often the capacity is read.
	RefreshInterval time.Duration
	// StockInterval is how often the stock of each specification is read.
	StockInterval time.Duration
	// Clock is the real clock unless a test sets another one.
	Clock clock.PassiveClock
	// NewClient is eci.New unless a test sets another one.
	NewClient func(eci.Config) (eci.Client, error)
}

// Controller asks ECI.
type Controller struct {
	client client.Client
	// reader asks the API server directly: a cache would hold all Secrets of the namespace.
	reader  client.Reader
	options Options
	// Readings are the newest readings.
	readings *Readings
	// changed is told of the VirtualNodes of the credentials after each refresh.
	changed chan event.GenericEvent

	mu sync.Mutex
	// memories are by VirtualNode.CredentialsKey.
	memories map[string]*memory
	// limits are those of each account in each region, whatever its credentials. They are few.
	limits map[inRegion]*eci.Limiter
}

// inRegion is an account in a region.
type inRegion struct{ accountID, region string }

var _ reconcile.TypedReconciler[string] = &Controller{}

// New returns the controller.
func New(c client.Client, reader client.Reader, options Options) *Controller {
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	if options.NewClient == nil {
		options.NewClient = eci.New
	}
	return &Controller{
		client: c, reader: reader, options: options,
		readings: &Readings{}, changed: make(chan event.GenericEvent, maxBacklog),
		memories: map[string]*memory{}, limits: map[inRegion]*eci.Limiter{},
	}
}

// Readings returns the newest readings.
func (c *Controller) Readings() *Readings { return c.readings }

// Changed returns the VirtualNodes of the credentials after each refresh.
func (c *Controller) Changed() <-chan event.GenericEvent { return c.changed }

// Register adds the controller to the manager.
func (c *Controller) Register(mgr ctrl.Manager) error {
	return builder.TypedControllerManagedBy[string](mgr).
		Named(Name).
		Watches(&v1alpha1.VirtualNode{}, handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, obj client.Object) []string {
			return []string{obj.(*v1alpha1.VirtualNode).CredentialsKey()}
		}), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.TypedOptions[string]{
			MaxConcurrentReconciles: workers,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[string](100*time.Millisecond, c.options.RefreshInterval),
		}).
		Complete(c)
}

// +kubebuilder:rbac:groups=eci.spillway.dev,resources=virtualnodes,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch
// +kubebuilder:rbac:groups=scheduling.alibabacloud.com,resources=resourcepolicies,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=secrets,resourceNames=eci-credentials,verbs=get,namespace=spillway-system

// Reconcile asks ECI with one set of credentials in one region, and comes back for it after the refresh interval.
func (c *Controller) Reconcile(ctx context.Context, key string) (ctrl.Result, error) {
	nodes, err := c.nodesOf(ctx, key)
	if err != nil {
		return ctrl.Result{}, err
	}
	if len(nodes) == 0 {
		c.readings.set(key, nil)
		c.forget(key)
		return ctrl.Result{}, nil
	}
	m := c.memory(key)
	specs, types, err := c.inUse(ctx, nodes, m)
	if err != nil {
		return ctrl.Result{}, err
	}
	patience, cancel := context.WithTimeout(ctx, max(c.options.RefreshInterval, leastPatience))
	defer cancel()
	q := newQuestion(nodes, specs)
	if api, err := c.connect(patience, m, nodes[0]); err != nil {
		m.reading.Failure = err
	} else {
		m.types = types
		m.reading = c.ask(patience, api, m, &q)
	}
	reading := m.reading
	c.readings.set(key, &reading)
	for _, vn := range nodes {
		select {
		case c.changed <- event.GenericEvent{Object: vn}:
		default: // The next account does not wait for a controller that is behind.
		}
	}
	return ctrl.Result{RequeueAfter: c.options.RefreshInterval}, nil
}

// nodesOf returns the VirtualNodes of the credentials that are not being deleted, oldest first.
func (c *Controller) nodesOf(ctx context.Context, key string) ([]*v1alpha1.VirtualNode, error) {
	all := &v1alpha1.VirtualNodeList{}
	if err := c.client.List(ctx, all); err != nil {
		return nil, fmt.Errorf("listing VirtualNodes: %w", err)
	}
	var nodes []*v1alpha1.VirtualNode
	for i := range all.Items {
		if vn := &all.Items[i]; vn.CredentialsKey() == key && vn.DeletionTimestamp.IsZero() {
			nodes = append(nodes, vn)
		}
	}
	slices.SortFunc(nodes, func(a, b *v1alpha1.VirtualNode) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return nodes, nil
}

// memory returns what is kept of the credentials. The queue gives them to one worker at a time.
func (c *Controller) memory(key string) *memory {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.memories[key]
	if m == nil {
		m = &memory{}
		c.memories[key] = m
	}
	return m
}

func (c *Controller) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.memories, key)
}

// limitsOf returns the limits that all clients of an account in a region share: those that are given for the first of
// them.
func (c *Controller) limitsOf(of inRegion, first *eci.Limiter) *eci.Limiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limits[of] == nil {
		c.limits[of] = first
	}
	return c.limits[of]
}
