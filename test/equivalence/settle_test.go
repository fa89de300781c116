package equivalence

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	poll     = 2 * time.Millisecond
	patience = 30 * time.Second
	// calmLooks is how many looks in a row must find nothing under way.
	calmLooks = 3
	// maxAttempts is how many attempts may follow one step. A pod that wakes itself passes it.
	maxAttempts = 60
)

// settle lets pods be scheduled, one by one, until none is left that an event has woken.
func (s *stage) settle(ctx context.Context) error {
	for range maxAttempts {
		if err := s.calm(ctx); err != nil {
			return err
		}
		if !s.queue.ready() {
			return nil
		}
		s.queue.admit()
	}
	return errors.New("the pods are tried again and again")
}

// calm waits until the scheduler knows all that the API server has and nothing is under way. What is calm at several looks
// in a row is: between the change of a store and the end of the handlers, which run in goroutines, are microseconds.
func (s *stage) calm(ctx context.Context) error {
	looks, why := 0, ""
	err := wait.PollUntilContextTimeout(ctx, poll, patience, true, func(ctx context.Context) (bool, error) {
		if why = s.busy(); why == "" {
			if err := s.look(ctx); err != nil {
				return false, err
			}
			acted, err := s.actAsControllers(ctx)
			if err != nil {
				return false, err
			}
			if why = s.behind(ctx); acted {
				why = "the controllers of the test are at work"
			}
		} else if s.scene.has(volumes) {
			if err := s.actForBindings(ctx); err != nil {
				return false, err
			}
		}
		if looks++; why != "" {
			looks = 0
		}
		return looks >= calmLooks, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the scheduler (%s): %w", why, err)
	}
	return nil
}

// busy returns what the scheduler does.
func (s *stage) busy() string {
	if !s.queue.idle() {
		return "a pod is in its cycle"
	}
	if assumed := s.sched.Cache.Dump().AssumedPods; len(assumed) > 0 {
		return "a pod is assumed"
	}
	return ""
}

// look reads what the scheduler writes, too.
func (s *stage) look(ctx context.Context) error {
	lists := []client.ObjectList{&s.pods}
	if s.scene.has(volumes) {
		lists = append(lists, &s.volumes, &s.volumeClaims)
	}
	if s.scene.has(devices) {
		lists = append(lists, &s.claims)
	}
	for _, list := range lists {
		if err := s.api.List(ctx, list, client.InNamespace(s.namespaceOfList(list))); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) namespaceOfList(list client.ObjectList) string {
	if list == client.ObjectList(&s.volumes) {
		return ""
	}
	return s.namespace
}

// behind returns what the scheduler does not know yet.
func (s *stage) behind(ctx context.Context) string {
	for key, w := range s.written {
		known, exists, _ := s.store(w.object).Get(w.object)
		if exists == w.gone || exists && !sameVersion(known, w.object) {
			return key
		}
		if !w.gone && !s.hasHandled(w.object) {
			return key + " is not handled"
		}
	}
	for _, list := range []client.ObjectList{&s.pods, &s.volumes, &s.volumeClaims, &s.claims} {
		if why := s.behindList(list); why != "" {
			return why
		}
	}
	if why := s.behindPods(); why != "" {
		return why
	}
	return s.preempting(ctx)
}

// behindList returns an object of a list that the scheduler knows otherwise.
func (s *stage) behindList(list client.ObjectList) string {
	objects, err := meta.ExtractList(list)
	if err != nil {
		return err.Error()
	}
	var store cache.Store
	for _, object := range objects {
		object := object.(client.Object)
		store = s.store(object)
		known, exists, _ := store.Get(object)
		if !exists || !sameVersion(known, object) || !s.hasHandled(object) {
			return fmt.Sprintf("%T %s", object, object.GetName())
		}
	}
	if store != nil && len(store.List()) != len(objects) {
		return fmt.Sprintf("%T has objects that are gone", list)
	}
	return ""
}

// behindPods returns a pod of which the cache or the queue of the scheduler has another version.
func (s *stage) behindPods() string {
	cached := map[string]string{}
	for _, node := range s.sched.Cache.Dump().Nodes {
		for _, pod := range node.Pods {
			cached[pod.GetPod().Name] = pod.GetPod().ResourceVersion
		}
	}
	queued, _ := s.queue.PendingPods()
	for _, pod := range queued {
		cached[pod.Name] = pod.ResourceVersion
	}
	for i := range s.pods.Items {
		pod := &s.pods.Items[i]
		if cached[pod.Name] != pod.ResourceVersion {
			return "pod " + pod.Name
		}
		if grace := pod.DeletionGracePeriodSeconds; grace != nil && *grace == 0 {
			// The API server marks a pod before it removes it.
			return "pod " + pod.Name + " is being removed"
		}
		delete(cached, pod.Name)
	}
	for name := range cached {
		return "pod " + name + " is gone"
	}
	return ""
}

// preempting returns a pod for which others are being evicted.
func (s *stage) preempting(ctx context.Context) string {
	for i := range s.pods.Items {
		pod := &s.pods.Items[i]
		if pod.Spec.NodeName != "" {
			continue
		}
		for _, plugin := range s.sched.Profiles[s.scheduler].PreEnqueuePlugins() {
			// The others keep pods out of the queue for as long as the scene wants.
			if plugin.Name() != "DefaultPreemption" && plugin.Name() != "ResourcePolicy" {
				continue
			}
			if status := plugin.PreEnqueue(ctx, pod); !status.IsSuccess() {
				return pod.Name + ": " + status.Message()
			}
		}
	}
	return ""
}

// hasHandled reports whether the scheduler's handlers have seen the object, as far as it can be known by the calls of the
// queue. The cache of the scheduler tells it for nodes and pods; a PodDisruptionBudget has no handler.
func (s *stage) hasHandled(object client.Object) bool {
	switch object := object.(type) {
	case *corev1.Pod, *policyv1.PodDisruptionBudget:
		return true
	case *corev1.Node:
		info := s.sched.Cache.Dump().Nodes[object.Name]
		return info != nil && info.Node() != nil && sameVersion(info.Node(), object)
	default:
		return s.queue.hasHandled(object, object.GetNamespace(), object.GetName(), object.GetResourceVersion())
	}
}

// store returns what the scheduler knows of a kind.
func (s *stage) store(object client.Object) cache.Store {
	switch object.(type) {
	case *corev1.Pod:
		return s.informers.Core().V1().Pods().Informer().GetStore()
	case *corev1.Node:
		return s.informers.Core().V1().Nodes().Informer().GetStore()
	case *corev1.PersistentVolume:
		return s.informers.Core().V1().PersistentVolumes().Informer().GetStore()
	case *corev1.PersistentVolumeClaim:
		return s.informers.Core().V1().PersistentVolumeClaims().Informer().GetStore()
	case *storagev1.StorageClass:
		return s.informers.Storage().V1().StorageClasses().Informer().GetStore()
	case *resourcev1.ResourceClaim:
		return s.informers.Resource().V1().ResourceClaims().Informer().GetStore()
	case *resourcev1.ResourceSlice:
		return s.informers.Resource().V1().ResourceSlices().Informer().GetStore()
	case *resourcev1.DeviceClass:
		return s.informers.Resource().V1().DeviceClasses().Informer().GetStore()
	case *policyv1.PodDisruptionBudget:
		return s.informers.Policy().V1().PodDisruptionBudgets().Informer().GetStore()
	default:
		panic(fmt.Sprintf("the scheduler has no store of %T", object))
	}
}

func sameVersion(known any, object client.Object) bool {
	accessor, err := meta.Accessor(known)
	return err == nil && accessor.GetResourceVersion() == object.GetResourceVersion()
}
