// Package virtualnode is the scheduler plugin for virtual nodes.
//
//   - filter.go refuses virtual nodes that ECI would refuse the pod on. It takes the place of TaintToleration's Filter: pods that a ResourcePolicy places in an
//     eci unit tolerate the taint that marks virtual nodes, inside the scheduler and for that cycle only.
//   - score.go prefers, among virtual nodes, zones with better stock, then the lower price.
//   - offers.go is what the VirtualNodes offer and what pods hold there, by the scheduler's snapshot; the decision is pkg/offer's. bills.go remembers what pods
//     were billed at their binding, and reserve.go sees to it.
//   - watch.go and hints.go wake pods that were refused.
//
// Nodes without a VirtualNode are as the stock scheduler sees them, but for the taint.
package virtualnode

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/plugins/crd"
)

// Name is the name of the plugin in a KubeSchedulerConfiguration.
const Name = "VirtualNode"

var virtualNodes = crd.Resource{
	GroupVersion: eciv1alpha1.GroupVersion, Plural: "virtualnodes", AddToScheme: eciv1alpha1.AddToScheme,
	Object: &eciv1alpha1.VirtualNode{}, NewList: func() runtime.Object { return &eciv1alpha1.VirtualNodeList{} },
	Missing: "The VirtualNode CRD is not installed: virtual nodes are taken for what their Node objects say. Install the CRDs of Spillway",
}

// VirtualNode is the plugin.
type VirtualNode struct {
	handle fwk.Handle
	offers *Offers
}

var (
	_ fwk.PreFilterPlugin     = &VirtualNode{}
	_ fwk.PreFilterExtensions = &VirtualNode{}
	_ fwk.FilterPlugin        = &VirtualNode{}
	_ fwk.PostFilterPlugin    = &VirtualNode{}
	_ fwk.ReservePlugin       = &VirtualNode{}
	_ fwk.PreScorePlugin      = &VirtualNode{}
	_ fwk.ScorePlugin         = &VirtualNode{}
	_ fwk.EnqueueExtensions   = &VirtualNode{}
	_ fwk.SignPlugin          = &VirtualNode{}
)

// New returns the plugin of a profile. It takes no arguments. The first one starts to follow the VirtualNodes.
func (o *Offers) New(ctx context.Context, _ runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
	if o.handle == nil {
		pods := handle.SharedInformerFactory().Core().V1().Pods().Informer()
		o.Connect(klog.FromContext(ctx), handle, pods.GetStore())
		informer, err := crd.NewInformer(ctx, handle, &virtualNodes)
		if err != nil {
			return nil, fmt.Errorf("watching VirtualNodes: %w", err)
		}
		o.Waker.Start(ctx.Done())
		if err := o.watch(informer, pods); err != nil {
			return nil, err
		}
		metrics.ReadFreshness(o.freshness)
	}
	return o.Plugin(handle), nil
}

// Plugin returns the plugin of a profile, which follows no VirtualNodes by itself.
func (o *Offers) Plugin(handle fwk.Handle) *VirtualNode {
	return &VirtualNode{handle: handle, offers: o}
}

// Name returns the name of the plugin.
func (*VirtualNode) Name() string { return Name }

// SignPod signs what the result of Filter depends on for a pod that does not tolerate virtual nodes. Others are refused: what they get depends on counts
// that every placement changes. Governed pods are refused by the ResourcePolicy plugin.
func (pl *VirtualNode) SignPod(_ context.Context, pod *corev1.Pod) ([]fwk.SignFragment, *fwk.Status) {
	if len(pod.Spec.Tolerations) > 0 {
		for i := range pod.Spec.Tolerations {
			if key := pod.Spec.Tolerations[i].Key; key == "" || key == eciv1alpha1.TaintProvider || key == eciv1alpha1.LabelVNode {
				return nil, fwk.NewStatus(fwk.Unschedulable, "pods for virtual nodes are placed one by one")
			}
		}
	}
	return []fwk.SignFragment{{Key: fwk.TolerationsSignerName, Value: fwk.TolerationsSigner(pod)}}, nil
}
