package resourcepolicy

import (
	corev1 "k8s.io/api/core/v1"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"

	"github.com/spillway-k8s/spillway/pkg/admission"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/wakeup"
)

// applicantOf returns what the tickets need to know of a pod. Pods of one owner may have several templates, as those of a RayCluster or a PyTorchJob do: the
// shape is what decides where the pod fits, whoever owns it.
func applicantOf(policy *placement.Policy, pod *corev1.Pod) admission.Applicant {
	return admission.Applicant{
		UID: pod.UID, Requests: vector(policy, pod), Priority: corev1helpers.PodPriority(pod), MayPreempt: mayPreempt(pod),
		Created: pod.CreationTimestamp.Time, Shape: wakeup.ShapeOf(pod),
	}
}
