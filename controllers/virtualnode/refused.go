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
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

const (
	// anySpec names a stock-out of every specification.
	anySpec = offer.AnySpec
	// reasonStockExhaust is the reason by which ECI says on a pod that the stock is about to run out (ECI, "Custom conditions"). It refuses nothing.
	reasonStockExhaust = "StockExhaust"
	// knownWithin is how long after a refusal the scheduler may still place pods there, because it has not heard of it yet, and by how much clocks may differ.
	knownWithin = 5 * time.Second
)

// finalReasons are those by which ECI says on a pod that it has no room for such pods, and whether that is so for every specification (ECI, "Custom
// conditions"). Any other reason is the pod's own, or passes: ECI goes on trying.
var finalReasons = map[string]bool{"NoStock": false, "StockClose": true, "IpNotEnough": true}

// refusedPod is a pod that ECI refuses.
type refusedPod struct {
	pod *corev1.Pod
	refusal
}

// refusedBy tells whether ECI has refused a pod for want of room, and since when.
func refusedBy(pod *corev1.Pod, region string, now time.Time) (refusal, bool) {
	c := offer.CreationOf(pod)
	if c == nil || c.Status != corev1.ConditionFalse || offer.IsCreated(pod) && pod.Status.Phase != corev1.PodFailed {
		return refusal{}, false
	}
	every, final := finalReasons[c.Reason]
	if strings.Contains(c.Reason, "Quota") && !strings.Contains(c.Reason, "Disk") {
		// ECI documents no reason for a quota of vCPUs that is used up, but one for that of disks, which is the pod's own.
		every, final = true, true
	}
	if !final {
		return refusal{}, false
	}
	// What a restricted pod lacks, such as an address in a vSwitch of its own, is recorded for pods that are restricted so (R15).
	r := refusal{reason: c.Reason, at: c.LastTransitionTime.Time, specs: []string{anySpec + ecispec.Restriction(pod)}}
	if r.at.IsZero() {
		r.at = now
	}
	if !every {
		r.specs = stockNames(pod, region)
	}
	return r, true
}

// stockNames returns how stock-outs name the specifications that ECI may use for a pod.
func stockNames(pod *corev1.Pod, region string) []string {
	bill, _ := ecispec.Bound(pod, region)
	return offer.StockNames(pod, bill)
}

// runningOut returns the specifications of which ECI has said lately on a pod that the stock is about to run out.
func runningOut(pods []*corev1.Pod, region string, now time.Time) []string {
	var names []string
	for _, pod := range pods {
		c := offer.CreationOf(pod)
		said := c != nil && c.Reason == reasonStockExhaust && now.Sub(c.LastTransitionTime.Time) < relapse
		if said && ecispec.Restriction(pod) == "" {
			names = append(names, stockNames(pod, region)...)
		}
	}
	return names
}

// sortPods tells the pods that ECI refuses from those whose instance it has created.
func sortPods(pods []*corev1.Pod, region string, now time.Time) (refused []refusedPod, created []creation) {
	for _, pod := range pods {
		if r, ok := refusedBy(pod, region, now); ok {
			refused = append(refused, refusedPod{pod, r})
		} else if offer.IsCreated(pod) {
			created = append(created, creation{specs: stockNames(pod, region), at: createdAt(pod)})
		}
	}
	return refused, created
}

// createdAt returns when ECI created the instance of a pod, as far as the pod tells.
func createdAt(pod *corev1.Pod) time.Time {
	switch c := offer.CreationOf(pod); {
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

// moveRefused evicts the pods that ECI refuses, so that they are created anew and placed where they can run, as many as
// a pass allows. It returns true when there are more. The stock-outs are known to the scheduler by then. Each refusal
// moves only the pods that were placed before it could be known: a scheduler that goes on placing pods there does not
// make a loop.
func (c *Controller) moveRefused(ctx context.Context, vn *v1alpha1.VirtualNode, refused []refusedPod) (more bool, err error) {
	moving := map[types.UID]*refusedPod{}
	var pods []*corev1.Pod
	for i := range refused {
		r := &refused[i]
		ends := r.pod.DeletionTimestamp != nil || r.pod.Status.Phase == corev1.PodFailed
		if !ends && r.pod.Spec.SchedulerName == c.options.SchedulerName && wasUnknown(vn, r) {
			moving[r.pod.UID] = r
			pods = append(pods, r.pod)
		}
	}
	var failed []error
	more = c.evictInTurn(ctx, vn, pods, func(ctx context.Context, pod *corev1.Pod) bool {
		asked, err := c.move(ctx, vn, moving[pod.UID])
		if err != nil && !errors.Is(err, errHeldBack) && !errors.Is(err, errNoAnswer) {
			failed = append(failed, fmt.Errorf("moving pod %s: %w", nameOf(pod), err))
		}
		return asked
	})
	return more, errors.Join(failed...)
}

// move evicts one pod, or says why it stays where it is. It returns true when it has asked for the eviction. The
// errors are those of evictIf.
func (c *Controller) move(ctx context.Context, vn *v1alpha1.VirtualNode, r *refusedPod) (bool, error) {
	why, err := c.whyStays(ctx, r.pod)
	if err != nil && ctx.Err() != nil {
		return false, errNoAnswer
	} else if err != nil {
		return false, err
	}
	if why != "" {
		c.tellOnce(vn, r, why)
		return false, nil
	}
	// Only in the version in which it was refused: ECI goes on trying, and may have created it meanwhile.
	evicted, err := c.evictIf(ctx, r.pod, metav1.Preconditions{UID: &r.pod.UID, ResourceVersion: &r.pod.ResourceVersion})
	if err != nil || !evicted {
		return true, err
	}
	if owner := metav1.GetControllerOf(r.pod); owner != nil {
		c.memory.moves.note(owner.UID, r.pod.UID, c.options.Clock.Now())
	}
	metrics.RefusedByECI(vn.Name, r.reason, metrics.ActionMoved)
	c.options.Recorder.Eventf(r.pod, nil, corev1.EventTypeWarning, v1alpha1.ReasonPodMoved, "Evicting",
		"ECI refuses the pod in %s (%s): it is evicted to be placed again", vn.Spec.Zone, r.reason)
	return true, nil
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
	if !c.memory.tell(r.pod.UID) {
		return
	}
	metrics.RefusedByECI(vn.Name, r.reason, metrics.ActionStays)
	c.options.Recorder.Eventf(r.pod, nil, corev1.EventTypeWarning, v1alpha1.ReasonPodStays, "Waiting",
		"ECI refuses the pod in %s (%s); it stays there, because %s", vn.Spec.Zone, r.reason, why)
}
