// Package crd reads the custom resources of Spillway in the scheduler. An informer of its own does: a custom resource named in EventsToRegister would
// keep the scheduler from scheduling any pod while its CRD is missing. The informer belongs to the scheduler's factory, so that nothing is scheduled before
// the resources have been read once.
package crd

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
)

// Resource is a custom resource.
type Resource struct {
	GroupVersion schema.GroupVersion
	// Plural is its name in paths, such as resourcepolicies.
	Plural string
	// AddToScheme registers its types.
	AddToScheme func(*runtime.Scheme) error
	// Object is an empty object of the type, NewList returns an empty list.
	Object  runtime.Object
	NewList func() runtime.Object
	// Missing is what the log says while the CRD is not installed.
	Missing string
}

// NewInformer returns the informer of a resource in the scheduler's factory.
func NewInformer(ctx context.Context, handle fwk.Handle, r *Resource) (cache.SharedIndexInformer, error) {
	client, err := newClient(handle.KubeConfig(), r)
	if err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	logger := klog.FromContext(ctx)
	return handle.SharedInformerFactory().InformerFor(r.Object, func(kubernetes.Interface, time.Duration) cache.SharedIndexInformer {
		return cache.NewSharedIndexInformer(newListWatch(logger, client, r), r.Object, 0, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	}), nil
}

// newClient returns a client for the API group of the resource.
func newClient(config *rest.Config, r *Resource) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	if err := r.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering types: %w", err)
	}
	config = rest.CopyConfig(config)
	config.APIPath = "/apis"
	config.GroupVersion = &r.GroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	// The scheduler speaks protobuf, which custom resources do not have.
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	return rest.RESTClientFor(config)
}

// newListWatch lists and watches all objects. While the CRD is not installed there are none, and the log says so: pods must not wait for an API that
// nobody asked for. The informer asks again until the CRD is there.
func newListWatch(logger klog.Logger, client rest.Interface, r *Resource) cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list := r.NewList()
			err := client.Get().Resource(r.Plural).VersionedParams(&options, metav1.ParameterCodec).Do(ctx).Into(list)
			if apierrors.IsNotFound(err) {
				logger.Error(nil, r.Missing)
				return r.NewList(), nil
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.Watch = true
			return client.Get().Resource(r.Plural).VersionedParams(&options, metav1.ParameterCodec).Watch(ctx)
		},
	}
}
