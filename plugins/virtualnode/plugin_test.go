package virtualnode

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestFilter(t *testing.T) {
	virtual := wrappers.MakeVirtualNode("v")
	cases := map[string]struct {
		node     *wrappers.Node
		pod      *wrappers.Pod
		tolerate bool
		want     fwk.Code
	}{
		"no taints":      {node: wrappers.MakeNode("n")},
		"a virtual node": {node: virtual, want: fwk.UnschedulableAndUnresolvable},
		"a virtual node for a pod in an eci unit": {node: virtual, tolerate: true},
		"a VNode for a pod in an eci unit":        {node: wrappers.MakeNode("n").Taint(eciv1alpha1.LabelVNode, "true"), tolerate: true},
		"a virtual node of another provider":      {node: wrappers.MakeNode("n").Taint(eciv1alpha1.TaintProvider, "azure"), tolerate: true, want: fwk.UnschedulableAndUnresolvable},
		"another taint on a virtual node": {
			node: wrappers.MakeVirtualNode("v").Taint(eciv1alpha1.TaintCapacityUnknown, ""), tolerate: true, want: fwk.UnschedulableAndUnresolvable,
		},
		"a toleration of the pod's own": {node: virtual, pod: wrappers.MakePod("p").Tolerate(eciv1alpha1.TaintProvider)},
		"a taint that only asks": {node: func() *wrappers.Node {
			n := wrappers.MakeNode("n")
			n.Spec.Taints = []corev1.Taint{{Key: "busy", Effect: corev1.TaintEffectPreferNoSchedule}}
			return n
		}()},
		"a taint that evicts": {node: func() *wrappers.Node {
			n := wrappers.MakeNode("n")
			n.Spec.Taints = []corev1.Taint{{Key: "down", Effect: corev1.TaintEffectNoExecute}}
			return n
		}(), tolerate: true, want: fwk.UnschedulableAndUnresolvable},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, ctx := ktesting.NewTestContext(t)
			if tc.pod == nil {
				tc.pod = wrappers.MakePod("p")
			}
			state := framework.NewCycleState()
			offers := NewOffers()
			if tc.tolerate {
				Tolerate(state, offers.Ask(tc.pod.Obj(), nil))
			}
			info := framework.NewNodeInfo()
			info.SetNode(tc.node.Obj())
			pl := &VirtualNode{offers: offers}
			pl.PreFilter(ctx, state, tc.pod.Obj(), nil)
			status := pl.Filter(ctx, state, tc.pod.Obj(), info)
			if status.Code() != tc.want {
				t.Errorf("status = %v, want %v", status, tc.want)
			}
			if tc.want != fwk.Success && status.Message() != ReasonUntoleratedTaint {
				t.Errorf("reason = %q, want %q", status.Message(), ReasonUntoleratedTaint)
			}
		})
	}
}

func TestFilter_WithoutPreFilter(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	info := framework.NewNodeInfo()
	info.SetNode(wrappers.MakeVirtualNode("v").Obj())
	pl := &VirtualNode{offers: NewOffers()}
	if status := pl.Filter(ctx, framework.NewCycleState(), wrappers.MakePod("p").Obj(), info); status.Code() != fwk.Error {
		t.Errorf("status = %v, want an error: nobody knows what ECI would accept", status)
	}
}

func TestNodeHint(t *testing.T) {
	closed := wrappers.MakeVirtualNode("v").Taint(eciv1alpha1.TaintCapacityUnknown, "").Obj()
	open := wrappers.MakeVirtualNode("v").Obj()
	cases := map[string]struct {
		before, after any
		want          fwk.QueueingHint
		wantErr       bool
	}{
		"a node without a closing taint appears": {after: open, want: fwk.Queue},
		"a closed node appears":                  {after: closed, want: fwk.QueueSkip},
		"the closing taint goes":                 {before: closed, after: open, want: fwk.Queue},
		"the closing taint comes":                {before: open, after: closed, want: fwk.QueueSkip},
		"an open virtual node changes":           {before: open, after: open, want: fwk.Queue},
		"it becomes an ordinary node":            {before: open, after: wrappers.MakeNode("v").Obj(), want: fwk.Queue},
		"an ordinary node stays one":             {before: wrappers.MakeNode("n").Obj(), after: wrappers.MakeNode("n").Obj(), want: fwk.QueueSkip},
		"not a node":                             {after: wrappers.MakePod("p").Obj(), want: fwk.Queue, wantErr: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			logger, _ := ktesting.NewTestContext(t)
			got, err := isSchedulableAfterNodeChange(logger, wrappers.MakePod("p").Obj(), tc.before, tc.after)
			if got != tc.want || (err != nil) != tc.wantErr {
				t.Errorf("hint = %v, %v, want %v", got, err, tc.want)
			}
		})
	}
}
