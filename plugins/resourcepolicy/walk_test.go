package resourcepolicy

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// walker plays cycles of one pod by a policy with the units pool=a and pool=b, each with one node.
type walker struct {
	t     *testing.T
	pl    *ResourcePolicy
	pod   *corev1.Pod
	nodes []*wrappers.Node
	// closed are the nodes that the filter of NodePorts rejects, failing those for which it ends with an error, and extended those that an extender rejects.
	closed, failing, extended sets.Set[string]
	// judged is how often the filter of NodePorts was asked.
	judged int
}

func newWalker(t *testing.T) *walker {
	w := &walker{t: t, pod: webPod("new").Obj(), closed: sets.New[string](), failing: sets.New[string](), extended: sets.New[string]()}
	w.nodes = []*wrappers.Node{machine("a1", "a"), machine("b1", "b")}
	pl, h := newTestPlugin(t, w.nodes, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a")).Unit(wrappers.ECS().On("pool", "b")))
	w.pl = pl
	h.filter = func(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, node fwk.NodeInfo) *fwk.Status {
		if status := pl.Filter(ctx, state, pod, node); !status.IsSuccess() {
			return status.WithPlugin(Name)
		}
		w.judged++
		if w.failing.Has(node.Node().Name) {
			return fwk.AsStatus(errors.New("no answer")).WithPlugin(names.NodePorts)
		}
		if w.closed.Has(node.Node().Name) {
			return fwk.NewStatus(fwk.Unschedulable).WithPlugin(names.NodePorts)
		}
		return nil
	}
	return w
}

// attempt plays one cycle, and returns the node that the pod is placed on; empty for none.
func (w *walker) attempt() string {
	w.t.Helper()
	_, ctx := ktesting.NewTestContext(w.t)
	state, snapshot := framework.NewCycleState(), infos(w.t, w.nodes)
	result, status := w.pl.PreFilter(ctx, state, w.pod, snapshot)
	statuses := framework.NewDefaultNodeToStatus()
	if status.IsSuccess() {
		for _, info := range snapshot {
			name := info.Node().Name
			if !result.NodeNames.Has(name) {
				continue
			}
			status := w.pl.handle.RunFilterPluginsWithNominatedPods(ctx, state, w.pod, info)
			switch {
			case status.IsSuccess() && w.extended.Has(name):
				status = fwk.NewStatus(fwk.Unschedulable) // The framework names no plugin for extenders.
			case status.IsSuccess():
				return name
			}
			statuses.Set(name, status)
		}
	}
	w.pl.PostFilter(ctx, state, w.pod, statuses)
	return ""
}

// attempts plays cycles as long as the pod goes on to another unit, and returns how many it took, and where the pod is placed.
func (w *walker) attempts() (int, string) {
	w.t.Helper()
	for n := 1; n < 20; n++ {
		if node := w.attempt(); node != "" || w.pl.inflight.walks[w.pod.UID] == nil {
			return n, node
		}
	}
	w.t.Fatal("the walk never ends")
	return 0, ""
}

func TestWalk_NextUnit(t *testing.T) {
	w := newWalker(t)
	w.closed.Insert("a1")
	if n, node := w.attempts(); n != 2 || node != "b1" {
		t.Errorf("placed on %q after %d attempts, want b1 after 2", node, n)
	}
}

// TestWalk_EarlierUnitOpensMeanwhile has what changes the answer of a filter between two attempts: a pod that is placed elsewhere, or any event.
func TestWalk_EarlierUnitOpensMeanwhile(t *testing.T) {
	w := newWalker(t)
	w.closed.Insert("a1")
	if node := w.attempt(); node != "" {
		t.Fatalf("placed on %s, which a filter rejects", node)
	}
	w.closed.Delete("a1")
	if n, node := w.attempts(); node != "a1" {
		t.Errorf("placed on %q after %d more attempts, want a1", node, n)
	}
}

func TestWalk_EarlierUnitOpensAndCloses(t *testing.T) {
	w := newWalker(t)
	for range 2 {
		w.closed.Insert("a1")
		if node := w.attempt(); node != "" {
			t.Fatalf("placed on %s, which a filter rejects", node)
		}
		w.closed.Delete("a1")
		if node := w.attempt(); node != "" {
			t.Fatalf("placed on %s although the first unit is open again", node)
		}
	}
	w.closed.Insert("a1")
	if n, node := w.attempts(); node != "b1" {
		t.Errorf("placed on %q after %d more attempts, want b1", node, n)
	}
}

// TestWalk_ExtenderRejects has a node that passes every filter and that an extender rejects: the walk must not return to it for ever.
func TestWalk_ExtenderRejects(t *testing.T) {
	w := newWalker(t)
	w.extended.Insert("a1")
	if n, node := w.attempts(); node != "b1" || n > 2*(maxReturns+1) {
		t.Errorf("placed on %q after %d attempts, want b1 after %d at most", node, n, 2*(maxReturns+1))
	}
}

// TestWalk_FilterFails has a filter that ends with an error in the later unit. It says nothing of the unit: the attempt there ends with the error.
func TestWalk_FilterFails(t *testing.T) {
	w := newWalker(t)
	w.closed.Insert("a1")
	w.failing.Insert("b1")
	if node := w.attempt(); node != "" || w.pl.inflight.walks[w.pod.UID] == nil {
		t.Errorf("placed on %q, want an attempt in the next unit", node)
	}
}

// TestWalk_JudgesANodeOnce bounds what an attempt costs: many units may have the same nodes, and the filters reject the pod on all of them.
func TestWalk_JudgesANodeOnce(t *testing.T) {
	w := newWalker(t)
	w.nodes = []*wrappers.Node{machine("a1", "a").Label("x", "1").Label("y", "1")}
	policy := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a")).Unit(wrappers.ECS().On("x", "1")).Unit(wrappers.ECS().On("y", "1"))
	w.pl.policies = fixedSource{placement.NewPolicies().WithNamespace("default", []*placement.Policy{placement.Compile(policy.Obj())})}
	w.closed.Insert("a1")
	if n, node := w.attempts(); n != 1 || node != "" || w.judged != 1 {
		t.Errorf("placed on %q after %d attempts, in which the node was judged %d times, want none after 1 and 1", node, n, w.judged)
	}
}

// TestWalk_SampleIsNoExtender checks that nodes that the framework was not given are nobody's rejections: without a plugin they look like an extender's, whose
// pods are woken by every event.
func TestWalk_SampleIsNoExtender(t *testing.T) {
	w := newWalker(t)
	w.nodes = []*wrappers.Node{machine("a1", "a"), machine("a2", "a"), machine("a3", "a"), machine("b1", "b")}
	w.pl.sampleSize = 1
	w.closed.Insert("a1", "a2", "a3", "b1")
	w.attempts()
	r, _ := w.pl.inflight.rejection(w.pod.UID)
	if diff := cmp.Diff([]string{names.NodePorts}, sets.List(r.plugins)); diff != "" {
		t.Errorf("rejected by (-want +got):\n%s", diff)
	}
}

// TestWalk_EndsInOneAttempt checks that a pod that no unit takes fails once, and that the plugins of every unit are known that may help it.
func TestWalk_EndsInOneAttempt(t *testing.T) {
	w := newWalker(t)
	w.closed.Insert("a1", "b1")
	if n, node := w.attempts(); n != 1 || node != "" {
		t.Errorf("placed on %q after %d attempts, want none after 1", node, n)
	}
	r, _ := w.pl.inflight.rejection(w.pod.UID)
	if diff := cmp.Diff([]string{names.NodePorts}, sets.List(r.plugins)); diff != "" {
		t.Errorf("rejected by (-want +got):\n%s", diff)
	}
}

// TestWalk_LeavesTheLastUnitToTheQueue checks that the plugins that rejected the nodes of the attempt itself are asked by the queue alone.
func TestWalk_LeavesTheLastUnitToTheQueue(t *testing.T) {
	w := newWalker(t)
	policy := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a"))
	w.pl.policies = fixedSource{placement.NewPolicies().WithNamespace("default", []*placement.Policy{placement.Compile(policy.Obj())})}
	w.closed.Insert("a1")
	w.attempts()
	if r, _ := w.pl.inflight.rejection(w.pod.UID); len(r.plugins) > 0 {
		t.Errorf("%v are asked twice at every event", sets.List(r.plugins))
	}
}

// TestWalk_RejectorsOfEarlierUnits checks that nothing is forgotten of a unit whose nodes the last attempt did not look at.
func TestWalk_RejectorsOfEarlierUnits(t *testing.T) {
	w := newWalker(t)
	w.closed.Insert("a1")
	w.attempt()
	w.nodes[1].Taint("dedicated", "db")
	if n, node := w.attempts(); node != "" {
		t.Fatalf("placed on %q after %d attempts", node, n)
	}
	r, _ := w.pl.inflight.rejection(w.pod.UID)
	if diff := cmp.Diff([]string{names.NodePorts, "VirtualNode"}, sets.List(r.plugins)); diff != "" {
		t.Errorf("rejected by (-want +got):\n%s", diff)
	}
}
