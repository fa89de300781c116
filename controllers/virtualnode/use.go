package virtualnode

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/controllers/podindex"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

// podsOn returns the pods on a node, from the cache. They must not be changed.
func (c *Controller) podsOn(ctx context.Context, node string) ([]*corev1.Pod, error) {
	list := &corev1.PodList{}
	if err := c.client.List(ctx, list, podindex.On(node), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the pods of Node %s: %w", node, err)
	}
	pods := make([]*corev1.Pod, len(list.Items))
	for i := range list.Items {
		pods[i] = &list.Items[i]
	}
	return pods, nil
}

// useOf returns what pods hold of what a VirtualNode's account has. A pod counts as a part of the used quota only when ECI itself has told of its instance
// before and after it told the usage, and when the scheduler sees the pod on its node: otherwise its use is another's, and no room is promised for it.
func (c *Controller) useOf(ctx context.Context, vn *v1alpha1.VirtualNode, pods []*corev1.Pod, groups account.Groups) (use, error) {
	u := heldBy(pods, vn.Spec.Region)
	all, err := c.virtualNodes(ctx)
	if err != nil {
		return use{}, err
	}
	counted := map[string]bool{}
	for node, other := range offer.Describing(all) {
		// Pods on a node whose account is not known are of this account where ECI says so, and the scheduler counts
		// them in all accounts.
		switch self := other.UID == vn.UID; {
		case self, other.Account() == vn.Account():
			u.nodes++
		case other.Account() != v1alpha1.UnknownAccount(vn.Spec.Region):
			continue
		}
		seen, err := c.seenOn(ctx, node)
		if err != nil {
			return use{}, err
		}
		milliCPU, count := own(seen, other.Spec.Region, groups, counted)
		u.ownMilliCPU += milliCPU
		if other.UID == vn.UID {
			u.ownPods = count
		}
	}
	return u, nil
}

// heldBy returns what pods hold in a region, and their bills.
func heldBy(pods []*corev1.Pod, region string) use {
	var u use
	for _, pod := range pods {
		held := offer.HoldingOf(pod, region)
		u.held = u.held.Plus(held.Amount())
		u.bills = append(u.bills, held.Bill)
	}
	return u
}

// virtualNodes returns all VirtualNodes, from the cache. They must not be changed.
func (c *Controller) virtualNodes(ctx context.Context) ([]*v1alpha1.VirtualNode, error) {
	list := &v1alpha1.VirtualNodeList{}
	if err := c.client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing VirtualNodes: %w", err)
	}
	all := make([]*v1alpha1.VirtualNode, len(list.Items))
	for i := range list.Items {
		all[i] = &list.Items[i]
	}
	return all, nil
}

// seenOn returns the pods that the scheduler sees on a node: those that have not ended, while the Node exists.
func (c *Controller) seenOn(ctx context.Context, node string) ([]*corev1.Pod, error) {
	if err := c.client.Get(ctx, client.ObjectKey{Name: node}, &corev1.Node{}); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("getting Node %s: %w", node, err)
	}
	pods, err := c.podsOn(ctx, node)
	return live(pods), err
}

// own returns what the pods that have an instance hold of the quota, in thousandths of a vCPU, and how many they are. Each instance counts once: counted are
// those that have been.
func own(pods []*corev1.Pod, region string, groups account.Groups, counted map[string]bool) (milliCPU, count int64) {
	for _, pod := range pods {
		id, exists := groups.Of(pod)
		if pod.DeletionTimestamp != nil || !exists || counted[id] {
			continue
		}
		least, err := leastMilliCPU(pod, region)
		if err != nil {
			continue
		}
		counted[id] = true
		milliCPU += least
		count++
	}
	return milliCPU, count
}

// leastMilliCPU returns the least that ECI may have used for a pod: which specification it has used may not be written on the pod, or may be written wrong.
func leastMilliCPU(pod *corev1.Pod, region string) (int64, error) {
	wanted := *pod
	wanted.Spec.NodeName = ""
	bill, err := ecispec.For(&wanted, region)
	if err != nil {
		return 0, err
	}
	least := bill.Specs[0].MilliCPU
	for _, spec := range bill.Specs {
		least = min(least, spec.MilliCPU)
	}
	if actual, err := ecispec.Parse(pod.Annotations[ecispec.AnnotationInstanceSpec]); err == nil {
		least = min(least, actual.MilliCPU)
	}
	return least, nil
}
