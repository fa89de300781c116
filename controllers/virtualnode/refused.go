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
	"github.com/spillway-k8s/spillway/controllers/account"
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
	// concerns are the names of all stock-outs that would have kept the pod out.
	concerns []string
}

// beheld is what the conditions of the pods on a node are judged by.
type beheld struct {
	region    string
	vSwitches []string
	// scheduler is the schedulerName of Spillway's pods.
	scheduler string
	// freeMilliCPU is what the account's quota had left when it was read; readAt is zero when it never was.
	freeMilliCPU int64
	readAt       time.Time
	now          time.Time
}

// behold returns what the pods on the node of a VirtualNode are judged by.
func (c *Controller) behold(vn *v1alpha1.VirtualNode, reading *account.Reading) *beheld {
	return &beheld{
		region: vn.Spec.Region, vSwitches: vn.Spec.VSwitches, scheduler: c.options.SchedulerName,
		freeMilliCPU: reading.Usage.MaxMilliCPU - reading.Usage.UsedMilliCPU, readAt: reading.At, now: c.options.Clock.Now(),
	}
}

// refusedBy tells whether ECI has refused a pod for want of room, and since when.
func refusedBy(pod *corev1.Pod, by *beheld) (refusal, bool) {
	c := offer.CreationOf(pod)
	if c == nil || c.Status != corev1.ConditionFalse || offer.IsCreated(pod) && pod.Status.Phase != corev1.PodFailed {
		return refusal{}, false
	}
	every, final := finalReasons[c.Reason]
	// ECI documents no reason for a quota of vCPUs that is used up, but one for that of disks, which is the pod's own.
	quota := strings.Contains(c.Reason, "Quota") && !strings.Contains(c.Reason, "Disk")
	if !final && !quota {
		return refusal{}, false
	}
	if _, err := asked(pod, by.region); err != nil {
		return refusal{}, false // Spillway has not placed it, and of what it asks ECI for nothing is known.
	}
	r := refusal{reason: c.Reason, at: c.LastTransitionTime.Time}
	if r.at.IsZero() {
		r.at = by.now
	}
	switch {
	case quota:
		r.specs = by.refusedForQuota(pod, r.at)
	case every && by.places(pod):
		r.specs = []string{everyLike(pod)}
	default:
		// What closes the zone to all is told by pods that were let in by what is known of it. Others may ask for anything.
		r.specs = stockNames(pod, by.region)
	}
	return r, true
}

// places reports whether Spillway placed a pod.
func (b *beheld) places(pod *corev1.Pod) bool { return pod.Spec.SchedulerName == b.scheduler }

// refusedForQuota returns the names of the stock-outs that a refusal for want of quota at that time begins.
func (b *beheld) refusedForQuota(pod *corev1.Pod, at time.Time) []string {
	beyond := b.beyondQuota(pod)
	switch {
	case len(beyond) > 0:
		return beyond
	case !b.places(pod):
		return stockNames(pod, b.region)
	case !b.readAt.After(at.Add(knownWithin)):
		return []string{everyLike(pod)}
	default:
		return nil // The quota has been read since, and counts.
	}
}

// beyondQuota returns the names of the specifications of a pod of which a refusal for a quota says nothing about others:
// they are larger than what the quota had left anyway, or instance types, which have quotas of their own.
func (b *beheld) beyondQuota(pod *corev1.Pod) []string {
	bill := tried(pod, b.region)
	bill.Specs = slices.DeleteFunc(bill.Specs, func(spec ecispec.Spec) bool {
		return spec.InstanceType == "" && spec.MilliCPU <= b.freeMilliCPU
	})
	return offer.StockNames(pod, bill)
}

// everyLike names the stock-out of every specification for pods that are restricted as this one. What a restricted pod
// lacks, such as an address in a vSwitch of its own, is lacking for no others (R15).
func everyLike(pod *corev1.Pod) string { return anySpec + ecispec.Restriction(pod) }

// stockNames returns how stock-outs name the specifications that ECI may use for a pod.
func stockNames(pod *corev1.Pod, region string) []string {
	return offer.StockNames(pod, tried(pod, region))
}

// asked returns the specifications that a pod asks for by what is written on it, whatever it was billed at its binding.
func asked(pod *corev1.Pod, region string) (ecispec.Bill, error) {
	unbound := *pod
	unbound.Spec.NodeName = ""
	return ecispec.For(&unbound, region)
}

// tried returns the specifications that ECI tries for a bound pod. What a pod without a record is billed for to be safe,
// though it asks for something else, is not among them: ECI says nothing of that.
func tried(pod *corev1.Pod, region string) ecispec.Bill {
	bill, _ := ecispec.Bound(pod, region)
	wanted, err := asked(pod, region)
	if err != nil {
		return bill
	}
	isAsked := func(spec ecispec.Spec) bool { return slices.Contains(wanted.Specs, spec) }
	if slices.ContainsFunc(bill.Specs, isAsked) {
		bill.Specs = slices.DeleteFunc(bill.Specs, func(spec ecispec.Spec) bool { return !isAsked(spec) })
	}
	return bill
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
func sortPods(pods []*corev1.Pod, by *beheld) (refused []refusedPod, created []creation) {
	for _, pod := range pods {
		if r, ok := refusedBy(pod, by); ok {
			refused = append(refused, refusedPod{pod, r, append(stockNames(pod, by.region), everyLike(pod))})
		} else if offer.IsCreated(pod) {
			created = append(created, creation{specs: createdNames(pod, by), at: createdAt(pod)})
		}
	}
	return refused, created
}

// createdNames returns how stock-outs name the specifications of a pod whose instance exists, by each restriction that
// it may have had.
func createdNames(pod *corev1.Pod, by *beheld) []string {
	var names []string
	bill := tried(pod, by.region)
	if taken, ok := offer.Taken(pod, bill, by.region); ok && slices.Contains(bill.Specs, taken) {
		bill.Specs = []ecispec.Spec{taken}
	}
	for _, restriction := range ecispec.CreatedRestrictions(pod, by.vSwitches) {
		for _, spec := range bill.Specs {
			names = append(names, spec.String()+restriction)
		}
	}
	return names
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
		return slices.Contains(r.concerns, out.Spec) && !placed.After(out.LastFailure.Add(knownWithin))
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
