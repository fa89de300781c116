package equivalence

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

// side is one way to schedule the pods of a scene.
type side struct {
	name, namespace, scheduler string
	governed                   bool
}

var (
	stock      = side{name: "stock", namespace: "stock", scheduler: stockName}
	ungoverned = side{name: "ungoverned", namespace: "ungoverned", scheduler: wrappers.SchedulerName}
	governed   = side{name: "governed", namespace: "governed", scheduler: wrappers.SchedulerName, governed: true}
	allSides   = []side{stock, ungoverned, governed}
)

// stage plays a scene on one side.
type stage struct {
	*cluster
	side
	scene *scene
	// written are the objects that only the test writes, as it wrote them last.
	written map[string]*writing
	// pods, volumes, volumeClaims and claims are what the API server had at the last look. The scheduler writes them, too.
	pods         corev1.PodList
	volumes      corev1.PersistentVolumeList
	volumeClaims corev1.PersistentVolumeClaimList
	claims       resourcev1.ResourceClaimList
}

// writing is an object as the API server has it, or that it has none.
type writing struct {
	object client.Object
	gone   bool
}

func newStage(c *cluster, sc *scene, s side) *stage {
	return &stage{cluster: c, side: s, scene: sc, written: map[string]*writing{}}
}

// create creates an object in the namespace of the side.
func (s *stage) create(ctx context.Context, object client.Object) error {
	object = s.own(object)
	if err := s.api.Create(ctx, object); err != nil {
		return err
	}
	s.wrote(object, false)
	return nil
}

// edit reads an object, changes it and writes what is meant by update. An object that does not exist is left alone.
func (s *stage) edit(ctx context.Context, object client.Object, update updater, change func()) error {
	object.SetNamespace(s.namespaceOf(object))
	if err := s.api.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
		return client.IgnoreNotFound(err)
	}
	change()
	if err := update(ctx, s.api, object); err != nil {
		return err
	}
	s.wrote(object, false)
	return nil
}

// updater writes an object, or a part of it.
type updater func(ctx context.Context, api client.Client, object client.Object) error

func wholly(ctx context.Context, api client.Client, object client.Object) error {
	return api.Update(ctx, object)
}

func statusOnly(ctx context.Context, api client.Client, object client.Object) error {
	return api.Status().Update(ctx, object)
}

func byResize(ctx context.Context, api client.Client, object client.Object) error {
	return api.SubResource("resize").Update(ctx, object)
}

// remove deletes an object.
func (s *stage) remove(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	object.SetNamespace(s.namespaceOf(object))
	if err := s.api.Delete(ctx, object, options...); err != nil {
		return client.IgnoreNotFound(err)
	}
	s.wrote(object, true)
	return nil
}

// own returns a copy of an object for this side.
func (s *stage) own(object client.Object) client.Object {
	object = object.DeepCopyObject().(client.Object)
	object.SetNamespace(s.namespaceOf(object))
	object.SetUID("")
	if pod, ok := object.(*corev1.Pod); ok {
		pod.Spec.SchedulerName = s.scheduler
	}
	return object
}

func (s *stage) namespaceOf(object client.Object) string {
	switch object.(type) {
	case *corev1.Node, *corev1.PersistentVolume, *storagev1.StorageClass, *resourcev1.DeviceClass, *resourcev1.ResourceSlice:
		return ""
	default:
		return s.namespace
	}
}

// wrote notes an object that only the test writes.
func (s *stage) wrote(object client.Object, gone bool) {
	switch object.(type) {
	case *corev1.Pod, *corev1.PersistentVolume, *corev1.PersistentVolumeClaim, *resourcev1.ResourceClaim:
	default:
		s.written[fmt.Sprintf("%T/%s", object, object.GetName())] = &writing{object: object, gone: gone}
	}
}

// clear removes everything that the scene has created, and waits until the scheduler has forgotten it.
func (s *stage) clear(ctx context.Context) error {
	if err := s.look(ctx); err != nil {
		return err
	}
	var objects []client.Object
	for i := range s.pods.Items {
		objects = append(objects, &s.pods.Items[i])
	}
	for i := range s.volumeClaims.Items {
		objects = append(objects, &s.volumeClaims.Items[i])
	}
	for i := range s.volumes.Items {
		objects = append(objects, &s.volumes.Items[i])
	}
	for i := range s.claims.Items {
		claim := &s.claims.Items[i]
		claim.Finalizers = nil
		if err := s.api.Update(ctx, claim); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		objects = append(objects, claim)
	}
	for _, w := range s.written {
		if !w.gone {
			objects = append(objects, w.object)
		}
	}
	for _, object := range objects {
		if err := s.remove(ctx, object, client.GracePeriodSeconds(0)); err != nil {
			return fmt.Errorf("removing %T %s: %w", object, object.GetName(), err)
		}
	}
	if err := s.calm(ctx); err != nil {
		return err
	}
	s.queue.take()
	return nil
}
