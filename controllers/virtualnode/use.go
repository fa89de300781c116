package virtualnode

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
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
func (c *Controller) useOf(ctx context.Context, vn *v1alpha1.VirtualNode, pods []*corev1.Pod, groups *account.Groups) (use, error) {
	u := use{specs: map[ecispec.Spec]int64{}}
	for _, pod := range pods {
		held := offer.HoldingOf(pod, vn.Spec.Region).Spec
		u.held = u.held.Plus(offer.AmountOf(held))
		u.specs[held]++
	}
	all := &v1alpha1.VirtualNodeList{}
	if err := c.client.List(ctx, all); err != nil {
		return use{}, fmt.Errorf("listing VirtualNodes: %w", err)
	}
	for i := range all.Items {
		other := &all.Items[i]
		if other.Account() != vn.Account() {
			continue
		}
		on := pods
		if other.UID != vn.UID {
			if other.NodeName() == vn.NodeName() {
				continue
			}
			var err error
			if on, err = c.podsOn(ctx, other.NodeName()); err != nil {
				return use{}, err
			}
			on = live(on)
		}
		u.nodes++
		if err := c.client.Get(ctx, client.ObjectKey{Name: other.NodeName()}, &corev1.Node{}); err != nil {
			if client.IgnoreNotFound(err) != nil {
				return use{}, fmt.Errorf("getting Node %s: %w", other.NodeName(), err)
			}
			continue
		}
		milliCPU, count := own(on, other.Spec.Region, groups)
		u.ownMilliCPU += milliCPU
		if other.UID == vn.UID {
			u.ownPods = count
		}
	}
	return u, nil
}

// own returns what the pods that have an instance hold of the quota, in thousandths of a vCPU, and how many they are.
func own(pods []*corev1.Pod, region string, groups *account.Groups) (milliCPU, count int64) {
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil || !groups.Has(pod) {
			continue
		}
		bill, err := ecispec.For(pod, region)
		if err != nil {
			continue
		}
		// Which specification ECI has used may not be written on the pod: then it is taken for the smallest.
		least := bill.Specs[0].MilliCPU
		for _, spec := range bill.Specs {
			least = min(least, spec.MilliCPU)
		}
		milliCPU += least
		count++
	}
	return milliCPU, count
}
