package wrappers

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// Phase sets the phase.
func (p *Pod) Phase(phase corev1.PodPhase) *Pod { p.Status.Phase = phase; return p }

// Unschedulable makes the pod one that the scheduler found no place for.
func (p *Pod) Unschedulable() *Pod {
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
	})
	return p
}

// ScheduledAt sets when the pod was bound, in seconds since the moment that Policy.Created counts from.
func (p *Pod) ScheduledAt(seconds int64) *Pod {
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Time{Time: time.Unix(1_800_000_000+seconds, 0)},
	})
	return p
}

// Gate adds a scheduling gate.
func (p *Pod) Gate(name string) *Pod {
	p.Spec.SchedulingGates = append(p.Spec.SchedulingGates, corev1.PodSchedulingGate{Name: name})
	return p
}

// OwnedBy makes the pod one of a controller, whose UID is its name.
func (p *Pod) OwnedBy(apiVersion, kind, name string) *Pod {
	p.OwnerReferences = append(p.OwnerReferences, metav1.OwnerReference{
		APIVersion: apiVersion, Kind: kind, Name: name, UID: types.UID(name), Controller: ptr.To(true),
	})
	return p
}

// Recorded puts the scheduler's record of a placement on the pod.
func (p *Pod) Recorded(policy, unit string) *Pod {
	return p.Annotation(v1alpha1.AnnotationPolicy, policy).Annotation(v1alpha1.AnnotationUnit, unit)
}

// Version sets the resourceVersion.
func (p *Pod) Version(version string) *Pod { p.ResourceVersion = version; return p }
