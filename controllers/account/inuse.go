package account

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/podindex"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

// inUse returns the specifications that pods on the VirtualNodes have, or that waiting pods of Spillway ask for, at most mostSpecs: those of most pods.
func (c *Controller) inUse(ctx context.Context, nodes []*v1alpha1.VirtualNode) ([]ecispec.Spec, error) {
	counts := map[ecispec.Spec]int{}
	count := func(which client.ListOption, counted func(*corev1.Pod) bool) error {
		pods := &corev1.PodList{}
		if err := c.client.List(ctx, pods, which, client.UnsafeDisableDeepCopy); err != nil {
			return fmt.Errorf("listing pods: %w", err)
		}
		for i := range pods.Items {
			if !counted(&pods.Items[i]) {
				continue
			}
			bill, err := ecispec.For(&pods.Items[i], nodes[0].Spec.Region)
			if err != nil {
				continue // The scheduler tells the user.
			}
			for _, spec := range bill.Specs {
				counts[spec]++
			}
		}
		return nil
	}
	if err := count(podindex.Unbound(), func(pod *corev1.Pod) bool { return pod.Spec.SchedulerName == c.options.SchedulerName }); err != nil {
		return nil, err
	}
	for _, vn := range nodes {
		if err := count(podindex.On(vn.NodeName()), func(pod *corev1.Pod) bool { return !hasEnded(pod) }); err != nil {
			return nil, err
		}
	}
	specs := slices.SortedFunc(maps.Keys(counts), func(a, b ecispec.Spec) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.String(), b.String()))
	})
	return specs[:min(len(specs), mostSpecs)], nil
}

func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
