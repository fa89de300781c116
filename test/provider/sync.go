package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/owner"
)

// site is where a virtual node's container groups are.
type site struct{ region, zone string }

// sync does what is due for a pod, and returns after how long it is to be looked at again, or 0.
func (p *Provider) sync(ctx context.Context, it item) (time.Duration, error) {
	pod, err := p.pods.Pods(it.Namespace).Get(it.Name)
	if apierrors.IsNotFound(err) || err == nil && pod.UID != it.UID {
		// It was deleted without grace, or by this provider.
		return 0, p.forget(ctx, it.UID)
	}
	if err != nil {
		return 0, fmt.Errorf("reading the pod: %w", err)
	}
	at, ours := p.siteOf(pod)
	if !ours && p.instances.get(pod.UID) == nil {
		return 0, nil
	}
	switch {
	case pod.DeletionTimestamp != nil:
		return 0, p.remove(ctx, pod, at)
	case pod.Status.Phase == corev1.PodSucceeded, pod.Status.Phase == corev1.PodFailed:
		return 0, p.release(ctx, p.instanceOf(pod, at))
	case !ours:
		return 0, nil
	case pod.Status.Phase == corev1.PodRunning && ofJob(pod):
		return 0, p.patch(ctx, pod, succeeded(pod, metav1.NewTime(p.now())))
	case pod.Status.Phase == corev1.PodPending, pod.Status.Phase == "":
		return p.start(ctx, pod, at)
	}
	return 0, nil
}

// siteOf returns where the pod's node is, or false when it is no virtual node that is known.
func (p *Provider) siteOf(pod *corev1.Pod) (site, bool) {
	node, err := p.nodes.Get(pod.Spec.NodeName)
	if err != nil {
		return site{}, false
	}
	at := site{node.Labels[corev1.LabelTopologyRegion], node.Labels[corev1.LabelTopologyZone]}
	return at, at.region != "" && at.zone != ""
}

// instanceOf returns what is remembered of a pod's container group. What an earlier provider did is written on the pod.
func (p *Provider) instanceOf(pod *corev1.Pod, at site) *instance {
	i := p.instances.of(pod.UID)
	if i.region == "" {
		i.region = at.region
		i.id = pod.Annotations[v1alpha1.AnnotationInstanceID]
	}
	return i
}

// start creates the container group of a pending pod and says so, or says why there is none.
func (p *Provider) start(ctx context.Context, pod *corev1.Pod, at site) (time.Duration, error) {
	i := p.instanceOf(pod, at)
	if wait := i.refusedUntil.Sub(p.now()); wait > 0 {
		return wait, nil // What was written about the refusal comes back as a change of the pod.
	}
	if i.id == "" {
		err := p.create(ctx, pod, at, i)
		if refused := (*refusal)(nil); errors.As(err, &refused) {
			return p.refuse(ctx, pod, i, refused)
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, p.patch(ctx, pod, running(pod, i, metav1.NewTime(p.now())))
}

// refuse writes a refusal on the pod. It is tried again later, unless it asks to fail.
func (p *Provider) refuse(ctx context.Context, pod *corev1.Pod, i *instance, r *refusal) (time.Duration, error) {
	now := metav1.NewTime(p.now())
	if pod.Annotations[annotationFailStrategy] == failFast {
		return 0, p.patch(ctx, pod, failed(r, now))
	}
	if !alreadySays(pod, r) {
		if err := p.patch(ctx, pod, refused(r, now)); err != nil {
			return 0, err
		}
	}
	i.refusedUntil = now.Add(p.options.Retry)
	return p.options.Retry, nil
}

// remove deletes the container group of a pod that is being deleted, and then the pod.
func (p *Provider) remove(ctx context.Context, pod *corev1.Pod, at site) error {
	if err := p.release(ctx, p.instanceOf(pod, at)); err != nil {
		return err
	}
	err := p.kube.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: ptr.To[int64](0), Preconditions: &metav1.Preconditions{UID: &pod.UID},
	})
	if err != nil && !isGone(err) {
		return fmt.Errorf("deleting the pod: %w", err)
	}
	return nil
}

// release deletes a container group. It stays known that there is none, so that further changes of the pod ask nothing of ECI.
func (p *Provider) release(ctx context.Context, i *instance) error {
	if i.released {
		return nil
	}
	if i.id == "" && i.unanswered != nil {
		// ECI may have created it. Asked with the same token, it tells which it is.
		id, err := p.api.create(ctx, i.unanswered)
		if refused := (*refusal)(nil); err != nil && !errors.As(err, &refused) {
			return err
		}
		i.id = id
	}
	if i.id != "" {
		if err := p.api.remove(ctx, i.region, i.id); err != nil {
			return err
		}
	}
	i.id, i.unanswered, i.released = "", nil, true
	return nil
}

// forget deletes the container group of a pod that is gone.
func (p *Provider) forget(ctx context.Context, pod types.UID) error {
	if i := p.instances.get(pod); i != nil {
		if err := p.release(ctx, i); err != nil {
			return err
		}
		p.instances.forget(pod)
	}
	return nil
}

// patch writes on the pod, and only on the very pod that was read.
func (p *Provider) patch(ctx context.Context, pod *corev1.Pod, change podPatch) error {
	data, err := change.encode(pod.UID)
	if err != nil {
		return err
	}
	_, err = p.kube.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, data, metav1.PatchOptions{}, "status")
	if err != nil && !isGone(err) {
		return fmt.Errorf("patching the pod: %w", err)
	}
	return nil
}

// isGone tells whether the pod is not there any more, or another one has its name. That comes as a change of its own.
func isGone(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsConflict(err) }

func ofJob(pod *corev1.Pod) bool {
	isJob := func(ref metav1.OwnerReference) bool { return owner.KindOf(&ref) == owner.Job }
	return slices.ContainsFunc(pod.OwnerReferences, isJob)
}
