package account

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	schedulingv1alpha1 "github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/podindex"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

// demand is what is asked for of each specification.
type demand map[ecispec.Spec]*use

// use is who asks for a specification.
type use struct {
	pods int
	// namespaces are in how many pods each asks for it.
	namespaces map[string]int
	// created is true when ECI has created an instance of it.
	created bool
}

// inUse returns the specifications that pods on the VirtualNodes have, that waiting pods of Spillway ask for, or that eci units of policies write on their
// pods: at most mostSpecs, those of most pods; and the instance types among them, at most mostTypes.
func (c *Controller) inUse(ctx context.Context, nodes []*v1alpha1.VirtualNode, m *memory) (specs, types []ecispec.Spec, err error) {
	asked := demand{}
	region := nodes[0].Spec.Region
	mine := func(pod *corev1.Pod) bool { return pod.Spec.SchedulerName == c.options.SchedulerName }
	if err := c.countPods(ctx, podindex.Unbound(), mine, region, asked); err != nil {
		return nil, nil, err
	}
	runs := func(pod *corev1.Pod) bool { return !hasEnded(pod) }
	for _, vn := range nodes {
		if err := c.countPods(ctx, podindex.On(vn.NodeName()), runs, region, asked); err != nil {
			return nil, nil, err
		}
	}
	if err := c.countUnits(ctx, region, asked); err != nil {
		return nil, nil, err
	}
	specs = slices.SortedFunc(maps.Keys(asked), asked.byPods)
	return specs[:min(len(specs), mostSpecs)], asked.types(m.withoutPrice(c.options.Clock.Now())), nil
}

// byPods orders specifications by how many pods ask for them.
func (d demand) byPods(a, b ecispec.Spec) int {
	return cmp.Or(cmp.Compare(d[b].pods, d[a].pods), cmp.Compare(a.String(), b.String()))
}

// types returns the instance types whose price is asked for. Anybody can write as many as he likes on pods, and must not
// take the prices of others from them. So those that ECI has created come first, and those for which it has told no
// price lately last. Between them each namespace has its turn, with the type of most of its pods first.
func (d demand) types(unpriced map[string]bool) []ecispec.Spec {
	byNamespace := map[string][]ecispec.Spec{}
	// turn is when it is the type's turn, the smaller the earlier.
	turn := map[ecispec.Spec]int{}
	for spec, u := range d {
		switch {
		case spec.InstanceType == "":
		case u.created:
			turn[spec] = -1
		case unpriced[spec.InstanceType]:
			turn[spec] = len(d) + 1
		default:
			turn[spec] = len(d)
			for namespace := range u.namespaces {
				byNamespace[namespace] = append(byNamespace[namespace], spec)
			}
		}
	}
	for namespace, specs := range byNamespace {
		slices.SortFunc(specs, func(a, b ecispec.Spec) int {
			return cmp.Or(cmp.Compare(d[b].namespaces[namespace], d[a].namespaces[namespace]), cmp.Compare(a.String(), b.String()))
		})
		for i, spec := range specs {
			turn[spec] = min(turn[spec], i)
		}
	}
	types := slices.SortedFunc(maps.Keys(turn), func(a, b ecispec.Spec) int {
		return cmp.Or(cmp.Compare(turn[a], turn[b]), cmp.Compare(len(d[b].namespaces), len(d[a].namespaces)), d.byPods(a, b))
	})
	return types[:min(len(types), mostTypes)]
}

// withoutPrice returns the instance types of which ECI was asked for the price lately, and told none in any zone.
func (m *memory) withoutPrice(now time.Time) map[string]bool {
	maps.DeleteFunc(m.unpriced, func(_ string, at time.Time) bool { return now.Sub(at) >= unpricedFor })
	without := map[string]bool{}
	for key := range m.unpriced {
		_, instanceType, _ := strings.Cut(key, " ")
		without[instanceType] = true
	}
	for _, prices := range m.reading.Prices {
		for instanceType := range prices.Rates.InstanceTypes {
			delete(without, instanceType)
		}
	}
	return without
}

// countPods counts the specifications of pods.
func (c *Controller) countPods(ctx context.Context, which client.ListOption, counted func(*corev1.Pod) bool, region string, asked demand) error {
	pods := &corev1.PodList{}
	if err := c.client.List(ctx, pods, which, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	for i := range pods.Items {
		if counted(&pods.Items[i]) {
			asked.count(&pods.Items[i], region)
		}
	}
	return nil
}

// countUnits counts what eci units write on pods: such a pod can be judged only when its stock and price are known.
func (c *Controller) countUnits(ctx context.Context, region string, asked demand) error {
	policies := &schedulingv1alpha1.ResourcePolicyList{}
	if err := c.client.List(ctx, policies, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing ResourcePolicies: %w", err)
	}
	for i := range policies.Items {
		units := policies.Items[i].Spec.Units
		for n := range units {
			if specs := units[n].PodAnnotations[ecispec.AnnotationUseSpecs]; specs != "" && units[n].Resource == schedulingv1alpha1.ResourceECI {
				pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
					Namespace: policies.Items[i].Namespace, Annotations: map[string]string{ecispec.AnnotationUseSpecs: string(specs)},
				}}
				asked.count(pod, region)
			}
		}
	}
	return nil
}

// count counts the specifications of a pod.
func (d demand) count(pod *corev1.Pod, region string) {
	bill, err := ecispec.For(pod, region)
	if err != nil {
		return // The scheduler tells the user.
	}
	for _, spec := range bill.Specs {
		u := d[spec]
		if u == nil {
			u = &use{namespaces: map[string]int{}}
			d[spec] = u
		}
		u.pods++
		u.namespaces[pod.Namespace]++
		// Which of several ECI has created is not known.
		u.created = u.created || len(bill.Specs) == 1 && pod.Spec.NodeName != "" && offer.IsCreated(pod)
	}
}

func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
