package resourcepolicy

import (
	"context"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
	"github.com/spillway-k8s/spillway/plugins/wakeup"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// fixedSource always has the same policies.
type fixedSource struct{ policies *placement.Policies }

func (s fixedSource) Policies() *placement.Policies { return s.policies }
func (fixedSource) Synced() bool                    { return true }

// handle is the little of the framework's handle that the tests of this package need.
type handle struct {
	fwk.Handle
	factory   informers.SharedInformerFactory
	activated []string
	// clock is the waker's.
	clock  *clocktesting.FakeClock
	client kubernetes.Interface
	// nodes looks a node up in the snapshot.
	nodes func(string) (fwk.NodeInfo, error)
	// filter is the filters of all plugins; nil for those of the plugin under test.
	filter func(context.Context, fwk.CycleState, *corev1.Pod, fwk.NodeInfo) *fwk.Status
	// onActivate is called with the pods that are activated.
	onActivate func(map[string]*corev1.Pod)
}

func (h *handle) SharedInformerFactory() informers.SharedInformerFactory { return h.factory }

func (h *handle) Extenders() []fwk.Extender { return nil }

func (h *handle) SharedDRAManager() fwk.SharedDRAManager { return nil }

func (h *handle) ClientSet() kubernetes.Interface { return h.client }

func (h *handle) APICacher() fwk.APICacher { return nil }

func (h *handle) SnapshotSharedLister() fwk.SharedLister { return lister{nodes: h.nodes} }

func (h *handle) NominatedPodsForNode(string) []fwk.PodInfo { return nil }

func (*handle) Parallelizer() fwk.Parallelizer { return oneByOne{} }

// oneByOne is a parallelizer that does one piece of work after the other.
type oneByOne struct{}

func (oneByOne) Until(ctx context.Context, pieces int, work workqueue.DoWorkPieceFunc, _ string) {
	for i := 0; i < pieces && ctx.Err() == nil; i++ {
		work(i)
	}
}

func (h *handle) RunFilterPluginsWithNominatedPods(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, node fwk.NodeInfo) *fwk.Status {
	return h.filter(ctx, state, pod, node)
}

// lister is the little of the snapshot that virtual nodes need.
type lister struct {
	fwk.SharedLister
	fwk.NodeInfoLister
	nodes func(string) (fwk.NodeInfo, error)
}

func (l lister) NodeInfos() fwk.NodeInfoLister { return l }

func (l lister) Get(name string) (fwk.NodeInfo, error) { return l.nodes(name) }

func (h *handle) ProfileName() string { return wrappers.SchedulerName }

func (h *handle) Activate(_ klog.Logger, pods map[string]*corev1.Pod) {
	for _, pod := range pods {
		h.activated = append(h.activated, pod.Name)
	}
	slices.Sort(h.activated)
	if h.onActivate != nil {
		h.onActivate(pods)
	}
}

// newTestPlugin returns a plugin that knows these policies of the default namespace, and nodes by name.
func newTestPlugin(t testing.TB, nodes []*wrappers.Node, policies ...*wrappers.Policy) (*ResourcePolicy, *handle) {
	t.Helper()
	var compiled []*placement.Policy
	for _, p := range policies {
		compiled = append(compiled, placement.Compile(p.Obj()))
	}
	h := &handle{factory: informers.NewSharedInformerFactory(fake.NewClientset(), 0)}
	for _, n := range nodes {
		if err := h.factory.Core().V1().Nodes().Informer().GetStore().Add(n.Obj()); err != nil {
			t.Fatal(err)
		}
	}
	pl := NewSet(virtualnode.NewOffers()).pl
	h.clock = clocktesting.NewFakeClock(time.Now())
	pl.offers.Waker = wakeup.New(h.clock, func(pods map[string]*corev1.Pod) { h.Activate(klog.Background(), pods) })
	h.filter = pl.Filter
	pl.setUp(ktesting.NewLogger(t, ktesting.DefaultConfig), h)
	// The pods of these tests are not in the store.
	pl.admission.waits = func(*corev1.Pod) bool { return true }
	pl.inflight.waits = pl.admission.waits
	pl.policies = fixedSource{placement.NewPolicies().WithNamespace("default", compiled)}
	if err := pl.pods.AddIndexers(cache.Indexers{indexWaiting: waitingNamespace, indexNode: boundNode}); err != nil {
		t.Fatal(err)
	}
	return pl, h
}

// infos returns the nodes as the scheduler's snapshot shows them, with their pods.
func infos(t testing.TB, nodes []*wrappers.Node, pods ...*wrappers.Pod) []fwk.NodeInfo {
	t.Helper()
	var list []fwk.NodeInfo
	for _, n := range nodes {
		info := framework.NewNodeInfo()
		info.SetNode(n.Obj())
		for _, p := range pods {
			if p.Spec.NodeName == n.Name {
				info.AddPod(p.Obj())
			}
		}
		list = append(list, info)
	}
	return list
}

// preFilter runs PreFilter and returns the state, the unit's index (or -1) and the reason for a refusal.
func preFilter(t *testing.T, pl *ResourcePolicy, pod *wrappers.Pod, nodes []fwk.NodeInfo) (fwk.CycleState, int, string) {
	t.Helper()
	_, ctx := ktesting.NewTestContext(t)
	state := framework.NewCycleState()
	_, status := pl.PreFilter(ctx, state, pod.Obj(), nodes)
	s := stateOf(state)
	if s == nil || s.unit == nil {
		return state, -1, status.Message()
	}
	return state, s.unit.Index, status.Message()
}
