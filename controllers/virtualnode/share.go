package virtualnode

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/eci"
)

// share is the part of a region's free quota that one node may offer.
type share struct {
	// milliCPU is the part, in thousandths of a vCPU.
	milliCPU int64
	// nodes is how many nodes share the quota.
	nodes int
}

// claim is what a node of the same quota holds, in thousandths of a vCPU.
type claim struct {
	// offered is what its Node offers now.
	offered int64
	// requested is what the pods on it request.
	requested int64
}

// shareOf returns the part of a VirtualNode. A node that is alone offers all that is free. It must be called, and its result published, under the
// controller's lock.
func (c *Controller) shareOf(ctx context.Context, vn *v1alpha1.VirtualNode, usage eci.Usage) (share, error) {
	free := max(usage.MaxMilliCPU-usage.UsedMilliCPU, 0)
	all := &v1alpha1.VirtualNodeList{}
	if err := c.client.List(ctx, all); err != nil {
		return share{}, fmt.Errorf("listing VirtualNodes: %w", err)
	}
	var others []claim
	for i := range all.Items {
		other := &all.Items[i]
		if other.NodeName() == vn.NodeName() || other.Spec.Region != vn.Spec.Region || other.Spec.Credentials != vn.Spec.Credentials {
			continue
		}
		held, exists, err := c.claimOf(ctx, other)
		if err != nil {
			return share{}, err
		}
		if exists {
			others = append(others, held)
		}
	}
	if len(others) == 0 {
		return share{milliCPU: free, nodes: 1}, nil
	}
	own, _, err := c.claimOf(ctx, vn)
	if err != nil {
		return share{}, err
	}
	return divide(free, own, others), nil
}

// claimOf returns what the Node of a VirtualNode holds, or false when there is none.
func (c *Controller) claimOf(ctx context.Context, vn *v1alpha1.VirtualNode) (claim, bool, error) {
	node := &corev1.Node{}
	err := c.reader.Get(ctx, client.ObjectKey{Name: vn.NodeName()}, node)
	if err != nil || !owns(vn, node) {
		return claim{}, false, client.IgnoreNotFound(err)
	}
	pods := &corev1.PodList{}
	if err := c.reader.List(ctx, pods, client.MatchingFields{"spec.nodeName": node.Name}); err != nil {
		return claim{}, false, fmt.Errorf("listing the pods of Node %s: %w", node.Name, err)
	}
	held := claim{offered: node.Status.Allocatable.Cpu().MilliValue()}
	for i := range pods.Items {
		if phase := pods.Items[i].Status.Phase; phase != corev1.PodSucceeded && phase != corev1.PodFailed {
			requests := resource.PodRequests(&pods.Items[i], resource.PodResourcesOptions{UseStatusResources: true})
			held.requested += requests.Cpu().MilliValue()
		}
	}
	return held, true, nil
}

// divide gives a node what its pods request and an equal part of what no pod requests, but never more than the others leave by what they offer now:
// the offers of all nodes together do not exceed what is free, also while the parts move from one to the other over a few refreshes.
func divide(free int64, own claim, others []claim) share {
	rest, left := free-own.requested, free
	for _, other := range others {
		rest -= other.requested
		left -= other.offered
	}
	nodes := len(others) + 1
	part := own.requested + max(rest, 0)/int64(nodes)
	return share{milliCPU: max(min(part, left), 0), nodes: nodes}
}
