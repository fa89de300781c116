package resourcepolicy

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/defaultpreemption"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/preemption"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/test/scrape"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// countingEvictor finds no victims, and counts how often it is asked.
type countingEvictor struct{ asked int }

var _ evictor = &countingEvictor{}

func (*countingEvictor) Name() string                                        { return "countingEvictor" }
func (*countingEvictor) PreEnqueue(context.Context, *corev1.Pod) *fwk.Status { return nil }
func (*countingEvictor) take(string) map[types.UID]bool                      { return nil }

func (e *countingEvictor) PostFilter(context.Context, fwk.CycleState, *corev1.Pod, fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	e.asked++
	return framework.NewPostFilterResultWithNominatedNode(""), fwk.NewStatus(fwk.Unschedulable)
}

// TestPostFilter_OthersFollow checks after which ends of an attempt the PostFilter of other plugins is called, and whether preemption is tried behind them.
func TestPostFilter_OthersFollow(t *testing.T) {
	unit := func() *wrappers.Unit { return wrappers.ECS().On("pool", "a") }
	low := webPod("low").Request("cpu", "3").Node("n").Priority(0)
	notGoverned := wrappers.MakePod("low").Request("cpu", "3").Node("n").Priority(0)
	for name, tc := range map[string]struct {
		policy *wrappers.Policy
		bound  *wrappers.Pod
		// rejected is the PreFilter status of another plugin; nil for none.
		rejected *fwk.Status
		want     fwk.Code
		asked    int
		// waits is true for a pod that keeps the node for which it is nominated.
		waits bool
	}{
		"no unit has room":                    {policy: wrappers.MakePolicy("p").Unit(unit()), bound: notGoverned, want: fwk.Unschedulable, asked: 1},
		"every unit is full, and has victims": {policy: wrappers.MakePolicy("p").Unit(unit().Max(1)), bound: low, want: fwk.Unschedulable, asked: 1},
		"every unit is full": {
			policy: wrappers.MakePolicy("p").Unit(unit().Max(0)), bound: wrappers.MakePod("high").Node("n").Priority(5000), want: fwk.UnschedulableAndUnresolvable,
		},
		"it waits for a node": {
			policy: wrappers.MakePolicy("p").TryNext(v1alpha1.TryNextExceedMax).Unit(unit().Max(9)).Unit(wrappers.ECI()), bound: notGoverned,
			want: fwk.UnschedulableAndUnresolvable, waits: true,
		},
		"another plugin rejects it, and victims may help": {
			policy: wrappers.MakePolicy("p").Unit(unit()), bound: wrappers.MakePod("low").Node("n").Priority(0),
			rejected: fwk.NewStatus(fwk.Unschedulable).WithPlugin(names.VolumeRestrictions), want: fwk.Unschedulable, asked: 1,
		},
		"another plugin rejects it for good": {
			policy: wrappers.MakePolicy("p").Unit(unit()), bound: wrappers.MakePod("low").Node("n").Priority(0),
			rejected: fwk.NewStatus(fwk.UnschedulableAndUnresolvable).WithPlugin(names.VolumeBinding), want: fwk.Unschedulable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, ctx := ktesting.NewTestContext(t)
			nodes := []*wrappers.Node{machine("n", "a")}
			pl, _ := newTestPlugin(t, nodes, tc.policy.Selector("app", "web"))
			evictor := &countingEvictor{}
			pl.preemption = evictor
			pod, statuses := webPod("new").Priority(1000), framework.NewDefaultNodeToStatus()
			state, _, _ := preFilter(t, pl, pod, infos(t, nodes, tc.bound))
			if tc.rejected != nil {
				statuses.SetAbsentNodesStatus(tc.rejected)
			}
			result, status := pl.PostFilter(ctx, state, pod.Obj(), statuses)
			if status.Code() != tc.want {
				t.Errorf("PostFilter = %v, want %v", status, tc.want)
			}
			if evictor.asked > 0 {
				t.Error("preemption is tried before the other plugins have had their turn")
			}
			if tc.want == fwk.Unschedulable {
				if result, status = (&Preemption{pl: pl}).PostFilter(ctx, state, pod.Obj(), statuses); status.Code() != fwk.UnschedulableAndUnresolvable {
					t.Errorf("Preemption = %v: DefaultPreemption would follow", status)
				}
			}
			// The framework takes the result of the plugin that ends the chain, and forgets those before.
			if cleared := result != nil && result.Mode() == fwk.ModeOverride && result.NominatedNodeName == ""; cleared == tc.waits {
				t.Errorf("nomination = %+v, waits: %v", result, tc.waits)
			}
			if evictor.asked != tc.asked {
				t.Errorf("preemption is tried %d times, want %d", evictor.asked, tc.asked)
			}
		})
	}
}

// findingEvictor finds victims on the node n.
type findingEvictor struct{ countingEvictor }

func (*findingEvictor) PostFilter(context.Context, fwk.CycleState, *corev1.Pod, fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	return framework.NewPostFilterResultWithNominatedNode("n"), nil
}

// TestPreemption_CountsOneOutcome checks that an attempt that ends with a preemption is counted as that, and not as one that failed.
func TestPreemption_CountsOneOutcome(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	nodes := []*wrappers.Node{machine("n", "a")}
	for name, tc := range map[string]struct {
		evictor evictor
		want    string
	}{"victims": {&findingEvictor{}, metrics.OutcomePreempting}, "no victims": {&countingEvictor{}, metrics.OutcomeFailed}} {
		t.Run(name, func(t *testing.T) {
			pl, _ := newTestPlugin(t, nodes, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a")))
			pl.preemption = tc.evictor
			before := scrape.Read(t, &metrics.Scheduler)
			pod := webPod("new").Priority(1000)
			state, _, _ := preFilter(t, pl, pod, infos(t, nodes, wrappers.MakePod("low").Request("cpu", "3").Node("n").Priority(0)))
			pl.PostFilter(ctx, state, pod.Obj(), framework.NewDefaultNodeToStatus())
			(&Preemption{pl: pl}).PostFilter(ctx, state, pod.Obj(), framework.NewDefaultNodeToStatus())
			got := counters(t, before)
			if len(got) != 1 {
				t.Fatalf("one attempt is counted as %v", got)
			}
			for series := range got {
				if !contains(series, tc.want) {
					t.Errorf("counted as %s, want %s", series, tc.want)
				}
			}
		})
	}
}

func TestPreemption_NoPolicy(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	pl, _ := newTestPlugin(t, nil)
	if _, status := (&Preemption{pl: pl}).PostFilter(ctx, framework.NewCycleState(), webPod("p").Obj(), nil); status.Code() != fwk.Unschedulable {
		t.Errorf("%v: a pod without a policy is left to DefaultPreemption", status)
	}
}

// TestPreFilter_PodGroup checks that a pod group's cycle runs the PreFilter of every plugin, whose state their PodGroupPostFilter needs.
func TestPreFilter_PodGroup(t *testing.T) {
	for name, policy := range map[string]*wrappers.Policy{
		"the policy is invalid":   wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().Max(-1)),
		"the pod lacks its label": wrappers.MakePolicy("p").Selector("app", "web").GroupBy("version").Unit(wrappers.ECS()),
		"every unit is full":      wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().Max(0)),
		"no unit has room":        wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().On("pool", "nowhere")),
		"it waits for a node": wrappers.MakePolicy("p").Selector("app", "web").TryNext(v1alpha1.TryNextExceedMax).
			Unit(wrappers.ECS().On("pool", "nowhere").Max(1)).Unit(wrappers.ECI()),
	} {
		t.Run(name, func(t *testing.T) {
			_, ctx := ktesting.NewTestContext(t)
			pl, _ := newTestPlugin(t, nil, policy)
			state := framework.NewCycleState()
			state.SetPodGroupSchedulingCycle(framework.NewCycleState())
			if _, status := pl.PreFilter(ctx, state, webPod("p").Obj(), nil); status.Code() != fwk.Unschedulable {
				t.Errorf("PreFilter = %v, want Unschedulable", status)
			}
		})
	}
}

// profileHandle is a handle of a profile with these plugins.
type profileHandle struct {
	*handle
	plugins []fwk.PreEnqueuePlugin
}

func (h *profileHandle) PreEnqueuePlugins() []fwk.PreEnqueuePlugin { return h.plugins }

// TestUsePreemption checks that governed pods are preempted for by the plugin of the profile, which has its arguments.
func TestUsePreemption(t *testing.T) {
	pl, h := newTestPlugin(t, nil)
	pl.handle = &profileHandle{handle: h, plugins: []fwk.PreEnqueuePlugin{&Admission{pl: pl}}}
	if pl.usePreemption(); pl.preemption != nil {
		t.Error("pods are preempted for although the profile disables preemption")
	}
	stock := &defaultpreemption.DefaultPreemption{Evaluator: &preemption.Evaluator{}, Executor: &preemption.Executor{}}
	pl.handle = &profileHandle{handle: h, plugins: []fwk.PreEnqueuePlugin{&Admission{pl: pl}, stock}}
	pl.usePreemption()
	if p, ok := pl.preemption.(*preemptor); !ok || p.DefaultPreemption != stock {
		t.Errorf("preemption by %v, want the plugin of the profile", pl.preemption)
	}
}
