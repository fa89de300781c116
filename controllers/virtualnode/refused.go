package virtualnode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

const (
	// anySpec names a stock-out of every specification.
	anySpec = offer.AnySpec
	// reasonCreating and reasonStockExhaust are reasons of ContainerInstanceCreated=False that refuse nothing: the instance is being created, and the stock
	// is about to run out (ECI, "Custom conditions").
	reasonCreating     = "Creating"
	reasonStockExhaust = "StockExhaust"
	// undecidedFor is how long ECI may take over an instance when it gives a reason that is not known to be final.
	undecidedFor = 2 * time.Minute
	// knownWithin is how long after a refusal the scheduler may still place pods there, because it has not heard of it yet.
	knownWithin = 5 * time.Second
)

// finalReasons are those by which ECI says that it has no room for a pod, and whether that is so for every specification (ECI, "Custom conditions").
var finalReasons = map[string]bool{"NoStock": false, "StockClose": true, "IpNotEnough": true}

// refusedPod is a pod that ECI refuses.
type refusedPod struct {
	pod *corev1.Pod
	refusal
}

// creationOf returns the condition by which ECI tells of a pod's instance, or nil.
func creationOf(pod *corev1.Pod) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == v1alpha1.ConditionContainerInstanceCreated {
			return c
		}
	}
	return nil
}

// refusedBy tells whether ECI refuses a pod at this time, and since when.
func refusedBy(pod *corev1.Pod, region string, now time.Time) (refusal, bool) {
	c := creationOf(pod)
	if c == nil || c.Status != corev1.ConditionFalse || c.Reason == reasonCreating || offer.IsCreated(pod) && pod.Status.Phase != corev1.PodFailed {
		return refusal{}, false
	}
	every, final := finalReasons[c.Reason]
	if strings.Contains(c.Reason, "Quota") {
		// ECI documents no reason for a quota that is used up. Whatever it is called, it is the account's.
		every, final = true, true
	}
	if !final && now.Sub(c.LastTransitionTime.Time) < undecidedFor {
		return refusal{}, false
	}
	r := refusal{reason: c.Reason, at: c.LastTransitionTime.Time, specs: []string{anySpec}}
	if r.at.IsZero() {
		r.at = now
	}
	if r.reason == "" {
		r.reason = "NotCreated"
	}
	if !every {
		r.specs = specsOf(pod, region)
	}
	return r, true
}

// specsOf returns the names of the specifications that ECI may use for a pod.
func specsOf(pod *corev1.Pod, region string) []string {
	bill, err := ecispec.For(pod, region)
	if err != nil {
		return nil
	}
	var names []string
	for _, spec := range bill.Specs {
		names = append(names, spec.String())
	}
	return names
}

// sortPods tells the pods that ECI refuses from those whose instance it has created.
func sortPods(pods []*corev1.Pod, region string, now time.Time) (refused []refusedPod, created []creation) {
	for _, pod := range pods {
		if r, ok := refusedBy(pod, region, now); ok {
			refused = append(refused, refusedPod{pod, r})
		} else if offer.IsCreated(pod) {
			created = append(created, creation{specs: specsOf(pod, region), at: createdAt(pod)})
		}
	}
	return refused, created
}

// createdAt returns when ECI created the instance of a pod, as far as the pod tells.
func createdAt(pod *corev1.Pod) time.Time {
	switch c := creationOf(pod); {
	case c != nil && c.Status == corev1.ConditionTrue && !c.LastTransitionTime.IsZero():
		return c.LastTransitionTime.Time
	case pod.Status.StartTime != nil:
		return pod.Status.StartTime.Time
	default:
		return scheduledAt(pod)
	}
}

func scheduledAt(pod *corev1.Pod) time.Time {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodScheduled {
			return c.LastTransitionTime.Time
		}
	}
	return pod.CreationTimestamp.Time
}

// moveRefused evicts the pods that ECI refuses, so that they are created anew and placed where they can run. The stock-outs are known to the scheduler by
// then. Each refusal moves only the pods that were placed before it could be known: a scheduler that goes on placing pods there does not make a loop.
func (c *Controller) moveRefused(ctx context.Context, vn *v1alpha1.VirtualNode, refused []refusedPod) error {
	var failed []error
	moved := map[string]int32{}
	for i := range refused {
		r := &refused[i]
		if r.pod.DeletionTimestamp != nil || r.pod.Status.Phase == corev1.PodFailed || r.pod.Spec.SchedulerName != c.options.SchedulerName || !wasUnknown(vn, r) {
			continue
		}
		if err := c.move(ctx, vn, r, moved); err != nil {
			failed = append(failed, fmt.Errorf("moving pod %s: %w", client.ObjectKeyFromObject(r.pod), err))
		}
	}
	return errors.Join(failed...)
}

// move evicts one pod, or says why it stays where it is.
func (c *Controller) move(ctx context.Context, vn *v1alpha1.VirtualNode, r *refusedPod, moved map[string]int32) error {
	why, err := c.whyStays(ctx, r.pod, moved)
	if err != nil {
		return err
	}
	if why != "" {
		c.tellOnce(vn, r, why)
		return nil
	}
	if err := c.evict(ctx, r.pod); err != nil {
		return err
	}
	moved[string(metav1.GetControllerOf(r.pod).UID)]++
	c.options.Recorder.Eventf(r.pod, nil, corev1.EventTypeWarning, v1alpha1.ReasonPodMoved, "Evicting",
		"ECI refuses the pod in %s (%s): it is evicted to be placed again", vn.Spec.Zone, r.reason)
	return nil
}

// wasUnknown tells whether the pod was placed before the scheduler could know of the stock-out that refuses it.
func wasUnknown(vn *v1alpha1.VirtualNode, r *refusedPod) bool {
	placed := scheduledAt(r.pod)
	return slices.ContainsFunc(vn.Status.StockOuts, func(out v1alpha1.StockOut) bool {
		return slices.Contains(r.specs, out.Spec) && !placed.After(out.LastFailure.Add(knownWithin))
	})
}

// tellOnce says of a pod that it stays where it is. ECI goes on trying, unless the pod says otherwise.
func (c *Controller) tellOnce(vn *v1alpha1.VirtualNode, r *refusedPod, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told[r.pod.UID] {
		return
	}
	if len(c.told) >= mostTold {
		clear(c.told)
	}
	c.told[r.pod.UID] = true
	c.options.Recorder.Eventf(r.pod, nil, corev1.EventTypeWarning, v1alpha1.ReasonPodStays, "Waiting",
		"ECI refuses the pod in %s (%s); it stays there, because %s", vn.Spec.Zone, r.reason, why)
}
