package equivalence

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const bindCompleted = "pv.kubernetes.io/bind-completed"

// actAsControllers does what must follow at once from what the scheduler has done: the kubelet starts bound pods, and the
// volume controller completes bindings. It reports whether there was anything to do.
func (s *stage) actAsControllers(ctx context.Context) (bool, error) {
	acted := false
	for i := range s.pods.Items {
		pod := &s.pods.Items[i]
		if pod.Spec.NodeName == "" || pod.Status.StartTime != nil {
			continue
		}
		acted = true
		startPod(pod)
		if err := s.api.Status().Update(ctx, pod); client.IgnoreNotFound(err) != nil {
			return false, err
		}
	}
	return acted, nil
}

// startPod makes a pod run since a moment of its own: preemption prefers victims that have started later, and of those that
// have not started it is chance which it takes.
func startPod(pod *corev1.Pod) {
	number, _ := strconv.Atoi(strings.TrimPrefix(pod.Name, "p"))
	pod.Status.Phase = corev1.PodRunning
	pod.Status.StartTime = &metav1.Time{Time: time.Unix(1_800_000_000, 0).Add(time.Duration(number) * time.Minute)}
	actuate(pod)
}

// actuate makes the containers of a pod have what the spec says.
func actuate(pod *corev1.Pod) {
	container := &pod.Spec.Containers[0]
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: container.Name, Image: container.Image, AllocatedResources: container.Resources.Requests,
		Resources: &corev1.ResourceRequirements{Requests: container.Resources.Requests, Limits: container.Resources.Limits},
	}}
}

// actForBindings completes the binding of volumes that the scheduler waits for in PreBind.
func (s *stage) actForBindings(ctx context.Context) error {
	if !slices.ContainsFunc(s.store(&corev1.PersistentVolume{}).List(), func(known any) bool {
		return isHalfBound(known.(*corev1.PersistentVolume))
	}) {
		return nil
	}
	if err := s.look(ctx); err != nil {
		return err
	}
	for i := range s.volumes.Items {
		volume := &s.volumes.Items[i]
		for j := range s.volumeClaims.Items {
			claim := &s.volumeClaims.Items[j]
			if !isHalfBound(volume) || claim.UID != volume.Spec.ClaimRef.UID || claim.Spec.VolumeName != "" {
				continue
			}
			if err := s.bindVolume(ctx, volume, claim); err != nil {
				return err
			}
		}
	}
	return nil
}

// isHalfBound reports whether the scheduler has chosen the volume for a claim.
func isHalfBound(volume *corev1.PersistentVolume) bool {
	return volume.Spec.ClaimRef != nil && volume.Status.Phase == corev1.VolumeAvailable
}

func (s *stage) bindVolume(ctx context.Context, volume *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) error {
	volume.Status.Phase = corev1.VolumeBound
	if err := s.api.Status().Update(ctx, volume); err != nil {
		return err
	}
	claim.Spec.VolumeName = volume.Name
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, bindCompleted, "yes")
	if err := s.api.Update(ctx, claim); err != nil {
		return err
	}
	claim.Status = corev1.PersistentVolumeClaimStatus{
		Phase: corev1.ClaimBound, AccessModes: claim.Spec.AccessModes, Capacity: volume.Spec.Capacity,
	}
	return s.api.Status().Update(ctx, claim)
}

// endTerminating ends the pods that terminate, as their kubelets do.
func (s *stage) endTerminating(ctx context.Context) error {
	for i := range s.pods.Items {
		if pod := &s.pods.Items[i]; pod.DeletionTimestamp != nil {
			if err := s.remove(ctx, pod, client.GracePeriodSeconds(0)); err != nil {
				return err
			}
		}
	}
	return nil
}

// collect removes the pods whose nodes are gone, as the pod garbage collector does.
func (s *stage) collect(ctx context.Context) error {
	for i := range s.pods.Items {
		pod := &s.pods.Items[i]
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: pod.Spec.NodeName}}
		if pod.Spec.NodeName == "" {
			continue
		}
		if _, exists, _ := s.store(node).Get(node); exists {
			continue
		}
		if err := s.remove(ctx, pod, client.GracePeriodSeconds(0)); err != nil {
			return err
		}
	}
	return nil
}

// actuateAll makes the kubelets carry out all resizes.
func (s *stage) actuateAll(ctx context.Context) error {
	for i := range s.pods.Items {
		pod := &s.pods.Items[i]
		if pod.Status.StartTime == nil || pod.DeletionTimestamp != nil {
			continue
		}
		actuate(pod)
		if err := s.api.Status().Update(ctx, pod); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// releaseClaims takes pods that are gone from the claims, and the devices from claims that no pod uses if deallocate is true,
// as the resource claim controller does in two steps.
func (s *stage) releaseClaims(ctx context.Context, deallocate bool) error {
	exists := map[types.UID]bool{}
	for i := range s.pods.Items {
		exists[s.pods.Items[i].UID] = true
	}
	for i := range s.claims.Items {
		claim := &s.claims.Items[i]
		var users []resourcev1.ResourceClaimConsumerReference
		for _, user := range claim.Status.ReservedFor {
			if exists[user.UID] {
				users = append(users, user)
			}
		}
		released := len(users) < len(claim.Status.ReservedFor)
		frees := deallocate && len(users) == 0 && claim.Status.Allocation != nil
		if !released && !frees {
			continue
		}
		if claim.Status.ReservedFor = users; frees {
			claim.Status.Allocation = nil
		}
		if err := s.api.Status().Update(ctx, claim); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// cordonClaim cordons the node whose devices a claim has.
func (s *stage) cordonClaim(ctx context.Context, name string) error {
	for i := range s.claims.Items {
		claim := &s.claims.Items[i]
		if claim.Name != name || claim.Status.Allocation == nil {
			continue
		}
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: claim.Status.Allocation.Devices.Results[0].Pool}}
		return s.edit(ctx, node, wholly, func() { node.Spec.Unschedulable = true })
	}
	return nil
}
