package virtualnode

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	zoneJ, nodeJ = "cn-beijing-j", "virtual-kubelet-cn-beijing-j"
	zoneK, nodeK = "cn-beijing-k", "virtual-kubelet-cn-beijing-k"
)

// handle is the little of the framework's handle that the tests of this package need.
type handle struct {
	fwk.Handle
	lister fwk.SharedLister
	// mu guards activated: timers activate, too.
	mu        sync.Mutex
	activated []string
	// nominated are pods by the node that they are nominated to.
	nominated map[string][]fwk.PodInfo
}

func (h *handle) NominatedPodsForNode(node string) []fwk.PodInfo { return h.nominated[node] }

func (h *handle) SnapshotSharedLister() fwk.SharedLister { return h.lister }

func (h *handle) Activate(_ klog.Logger, pods map[string]*corev1.Pod) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, pod := range pods {
		h.activated = append(h.activated, pod.Name)
	}
}

// take returns the pods that have been activated since the last call.
func (h *handle) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	taken := h.activated
	h.activated = nil
	return taken
}

// await waits until a pod is activated.
func (h *handle) await(t *testing.T, name string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		return slices.Contains(h.take(), name), nil
	})
	if err != nil {
		t.Errorf("%s is not woken: %v", name, err)
	}
}

// world is a plugin in a cluster with these VirtualNodes, their Nodes, and bound pods.
type world struct {
	*testing.T
	pl     *VirtualNode
	handle *handle
}

func newWorld(t *testing.T, zones ...*wrappers.Zone) *world {
	t.Helper()
	w := &world{T: t, handle: &handle{}}
	offers := NewOffers()
	offers.Connect(ktesting.NewLogger(t, ktesting.DefaultConfig), w.handle, offers.pods)
	w.pl = &VirtualNode{offers: offers}
	for _, z := range zones {
		w.say(z)
	}
	w.pods()
	return w
}

// say lets a VirtualNode say something new.
func (w *world) say(z *wrappers.Zone) {
	w.Helper()
	if err := w.pl.offers.store.Add(z.Obj()); err != nil {
		w.Fatal(err)
	}
	w.pl.offers.changed()
}

// drop deletes a VirtualNode.
func (w *world) drop(z *wrappers.Zone) {
	w.Helper()
	if err := w.pl.offers.store.Delete(z.Obj()); err != nil {
		w.Fatal(err)
	}
	w.pl.offers.changed()
}

// pods makes the snapshot show these pods, on the nodes of both zones and an ECS node.
func (w *world) pods(pods ...*wrappers.Pod) {
	w.Helper()
	var all []*corev1.Pod
	for _, p := range pods {
		all = append(all, p.Obj())
	}
	nodes := []*corev1.Node{wrappers.MakeNode("ecs").Obj(), wrappers.MakeVirtualNode(nodeJ).Obj(), wrappers.MakeVirtualNode(nodeK).Obj()}
	w.handle.lister = cache.NewSnapshot(all, nodes)
	// Each snapshot of NewSnapshot begins its generations anew.
	w.pl.offers.afterGroup = true
}

// begin runs PreFilter for a pod in an eci unit.
func (w *world) begin(pod *wrappers.Pod) fwk.CycleState {
	w.Helper()
	_, ctx := ktesting.NewTestContext(w.T)
	state := framework.NewCycleState()
	w.pl.offers.Follow(state)
	Tolerate(state, w.pl.offers.Ask(pod.Obj(), nil))
	if _, status := w.pl.PreFilter(ctx, state, pod.Obj(), nil); !status.IsSuccess() {
		w.Fatalf("PreFilter refuses: %v", status)
	}
	return state
}

// filter runs Filter on a node.
func (w *world) filter(state fwk.CycleState, pod *wrappers.Pod, node string) *fwk.Status {
	w.Helper()
	_, ctx := ktesting.NewTestContext(w.T)
	info, err := w.handle.lister.NodeInfos().Get(node)
	if err != nil {
		w.Fatal(err)
	}
	return w.pl.Filter(ctx, state, pod.Obj(), info)
}

// zone returns a VirtualNode with a fresh capacity of so many vCPUs, in a quota of 100.
func zone(name, cpu string) *wrappers.Zone {
	return wrappers.MakeZone(name).Offers("cpu", cpu).Offers("memory", "8Ti").Offers("pods", "1000").Quota("100").
		Fresh(time.Now()).Price("0.18", "0.036")
}

// billed returns a pod that ECI bills as 2-4Gi.
func billed(name string) *wrappers.Pod {
	return wrappers.MakePod(name).Request("cpu", "2").Request("memory", "4Gi")
}

// soldOut adds a stock-out that ends after a time.
func soldOut(z *wrappers.Zone, spec string, ends time.Duration) *wrappers.Zone {
	z.Status.StockOuts = append(z.Status.StockOuts, eciv1alpha1.StockOut{
		Spec: spec, Reason: "NoStock", Source: eciv1alpha1.SourcePod, Until: metav1.NewTime(time.Now().Add(ends)),
	})
	return z
}
