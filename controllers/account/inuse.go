package account

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	schedulingv1alpha1 "github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/podindex"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

// inUse returns the specifications that pods on the VirtualNodes have, that waiting pods of Spillway ask for, or that eci units of policies write on their
// pods: at most mostSpecs, those of most pods; and all instance types among them, at most mostTypes.
func (c *Controller) inUse(ctx context.Context, nodes []*v1alpha1.VirtualNode) (specs, types []ecispec.Spec, err error) {
	counts := map[ecispec.Spec]int{}
	region := nodes[0].Spec.Region
	mine := func(pod *corev1.Pod) bool { return pod.Spec.SchedulerName == c.options.SchedulerName }
	if err := c.countPods(ctx, podindex.Unbound(), mine, region, counts); err != nil {
		return nil, nil, err
	}
	runs := func(pod *corev1.Pod) bool { return !hasEnded(pod) }
	for _, vn := range nodes {
		if err := c.countPods(ctx, podindex.On(vn.NodeName()), runs, region, counts); err != nil {
			return nil, nil, err
		}
	}
	if err := c.countUnits(ctx, region, counts); err != nil {
		return nil, nil, err
	}
	specs = slices.SortedFunc(maps.Keys(counts), func(a, b ecispec.Spec) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.String(), b.String()))
	})
	for _, spec := range specs {
		if spec.InstanceType != "" && len(types) < mostTypes {
			types = append(types, spec)
		}
	}
	return specs[:min(len(specs), mostSpecs)], types, nil
}

// countPods counts the specifications of pods.
func (c *Controller) countPods(ctx context.Context, which client.ListOption, counted func(*corev1.Pod) bool, region string, counts map[ecispec.Spec]int) error {
	pods := &corev1.PodList{}
	if err := c.client.List(ctx, pods, which, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	for i := range pods.Items {
		if counted(&pods.Items[i]) {
			countSpecs(&pods.Items[i], region, counts)
		}
	}
	return nil
}

// countUnits counts what eci units write on pods: such a pod can be judged only when its stock and price are known.
func (c *Controller) countUnits(ctx context.Context, region string, counts map[ecispec.Spec]int) error {
	policies := &schedulingv1alpha1.ResourcePolicyList{}
	if err := c.client.List(ctx, policies, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing ResourcePolicies: %w", err)
	}
	for i := range policies.Items {
		units := policies.Items[i].Spec.Units
		for n := range units {
			if specs := units[n].PodAnnotations[ecispec.AnnotationUseSpecs]; specs != "" && units[n].Resource == schedulingv1alpha1.ResourceECI {
				pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{ecispec.AnnotationUseSpecs: string(specs)}}}
				countSpecs(pod, region, counts)
			}
		}
	}
	return nil
}

func countSpecs(pod *corev1.Pod, region string, counts map[ecispec.Spec]int) {
	bill, err := ecispec.For(pod, region)
	if err != nil {
		return // The scheduler tells the user.
	}
	for _, spec := range bill.Specs {
		counts[spec]++
	}
}

func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
