package provider

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

const (
	annotationFailStrategy = "k8s.aliyun.com/eci-fail-strategy"
	// failFast is the value of annotationFailStrategy with which a pod without an instance fails instead of waiting for one.
	failFast = "fail-fast"
	// reasonProviderFailed is the reason of a pod that has failed so.
	reasonProviderFailed = "ProviderFailed"
	reasonCreated        = "Created"
)

// podPatch is a strategic merge patch of a pod's status. The API server takes annotations along with it.
type podPatch struct {
	Metadata podMetadata    `json:"metadata"`
	Status   map[string]any `json:"status"`
}

type podMetadata struct {
	UID         types.UID         `json:"uid"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// podCondition is corev1.PodCondition with its empty fields, which must overwrite what was said before.
type podCondition struct {
	Type               corev1.PodConditionType `json:"type"`
	Status             corev1.ConditionStatus  `json:"status"`
	LastTransitionTime metav1.Time             `json:"lastTransitionTime"`
	Reason             string                  `json:"reason"`
	Message            string                  `json:"message"`
}

// encode returns the patch for the pod of this UID: a later one of the same name is refused as a conflict.
func (p podPatch) encode(uid types.UID) ([]byte, error) {
	p.Metadata.UID = uid
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encoding a patch: %w", err)
	}
	return data, nil
}

// running says that the container group exists and its containers run.
func running(pod *corev1.Pod, i *instance, now metav1.Time) podPatch {
	annotations := map[string]string{v1alpha1.AnnotationInstanceID: i.id}
	if i.spec != (ecispec.Spec{}) {
		annotations[ecispec.AnnotationInstanceSpec] = i.spec.String()
	}
	conditions := []podCondition{condition(v1alpha1.ConditionContainerInstanceCreated, corev1.ConditionTrue, now)}
	conditions[0].Reason = reasonCreated
	for _, kind := range []corev1.PodConditionType{corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady} {
		conditions = append(conditions, condition(kind, corev1.ConditionTrue, now))
	}
	return podPatch{
		Metadata: podMetadata{Annotations: annotations},
		Status: map[string]any{
			"phase": corev1.PodRunning, "startTime": now, "conditions": conditions,
			"containerStatuses": containers(pod, true, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}),
		},
	}
}

// succeeded says that all containers have ended well.
func succeeded(pod *corev1.Pod, now metav1.Time) podPatch {
	conditions := []podCondition{condition(corev1.PodReady, corev1.ConditionFalse, now), condition(corev1.ContainersReady, corev1.ConditionFalse, now)}
	for i := range conditions {
		conditions[i].Reason = "PodCompleted"
	}
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: now, FinishedAt: now}}
	return podPatch{Status: map[string]any{
		"phase": corev1.PodSucceeded, "conditions": conditions, "containerStatuses": containers(pod, false, ended),
	}}
}

// refused says why there is no container group.
func refused(r *refusal, now metav1.Time) podPatch {
	c := condition(v1alpha1.ConditionContainerInstanceCreated, corev1.ConditionFalse, now)
	c.Reason, c.Message = r.reason, r.message
	return podPatch{Status: map[string]any{"conditions": []podCondition{c}}}
}

// failed says that there will be none.
func failed(r *refusal, now metav1.Time) podPatch {
	p := refused(r, now)
	p.Status["phase"], p.Status["reason"], p.Status["message"] = corev1.PodFailed, reasonProviderFailed, r.message
	return p
}

// alreadySays tells whether the pod says so already. Writing it again would only be noise.
func alreadySays(pod *corev1.Pod, r *refusal) bool {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == v1alpha1.ConditionContainerInstanceCreated {
			return c.Status == corev1.ConditionFalse && c.Reason == r.reason && c.Message == r.message
		}
	}
	return false
}

func condition(kind corev1.PodConditionType, status corev1.ConditionStatus, now metav1.Time) podCondition {
	return podCondition{Type: kind, Status: status, LastTransitionTime: now}
}

func containers(pod *corev1.Pod, ready bool, state corev1.ContainerState) []corev1.ContainerStatus {
	statuses := make([]corev1.ContainerStatus, len(pod.Spec.Containers))
	for i := range pod.Spec.Containers {
		statuses[i] = corev1.ContainerStatus{
			Name: pod.Spec.Containers[i].Name, Image: pod.Spec.Containers[i].Image, Ready: ready, Started: &ready, State: state,
		}
	}
	return statuses
}
