// Package provider plays the virtual-kubelet of ECI: for each pod that is bound to a virtual node it creates a container group by the OpenAPI, says on
// the pod what became of it, and deletes it with the pod. Nothing runs: a pod whose container group exists is Running and Ready at once, and one of a
// Job has then ended. It writes no Nodes and no Leases.
//
//   - provider.go: options, and what is watched.
//   - sync.go: what is due for a pod.
//   - instances.go: what is remembered of a container group.
//   - create.go: from a pod to a container group.
//   - patch.go: what is written on a pod.
//   - api.go: the OpenAPI.
package provider

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
)

const (
	defaultWorkers = 32
	defaultRetry   = 5 * time.Second
	// qps and burst let the provider be faster than what it is tested with.
	qps, burst = 500, 1000
	// firstBackoff and lastBackoff are how long it waits after what is no answer of ECI about the pod.
	firstBackoff, lastBackoff = 100 * time.Millisecond, 5 * time.Second
	nodeIndex                 = "node"
)

// Options are what a provider needs. Only Endpoint has no default.
type Options struct {
	// Endpoint is the URL of the ECI OpenAPI, such as http://127.0.0.1:8080.
	Endpoint string
	// AccessKeyID and AccessKeySecret sign the requests. Default: simulator-id and simulator-secret.
	AccessKeyID, AccessKeySecret string
	// Workers is how many pods are worked on at once. Default: 32.
	Workers int
	// Retry is how long a pod waits that ECI has refused. Default: 5s.
	Retry time.Duration
	// VSwitch names the vSwitch of a zone. Default: vsw-<zone>.
	VSwitch func(zone string) string
}

// Provider plays the virtual-kubelet of all virtual nodes. Its pods must be left alone by other kubelets, real or played.
type Provider struct {
	kube      kubernetes.Interface
	api       *api
	options   Options
	now       func() time.Time
	factory   []informers.SharedInformerFactory
	pods      corelisters.PodLister
	podIndex  cache.Indexer
	nodes     corelisters.NodeLister
	queue     workqueue.TypedRateLimitingInterface[item]
	instances *instances
	ready     atomic.Bool
}

// item is a pod to look at. The UID tells it from one that had the name before.
type item struct {
	types.NamespacedName
	UID types.UID
}

// New returns a provider that has not started yet.
func New(config *rest.Config, options Options) (*Provider, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = qps, burst
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	return newProvider(kube, options)
}

func newProvider(kube kubernetes.Interface, options Options) (*Provider, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	api, err := newAPI(options)
	if err != nil {
		return nil, err
	}
	// Only the pods of nodes and the virtual ones of the nodes are watched: there may be many others.
	pods := informers.NewSharedInformerFactoryWithOptions(kube, 0, informers.WithTransform(stripManagedFields),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermNotEqualSelector("spec.nodeName", "").String()
		}))
	nodes := informers.NewSharedInformerFactoryWithOptions(kube, 0, informers.WithTransform(stripManagedFields),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.LabelSelector = labels.Set{v1alpha1.LabelNodeType: v1alpha1.NodeTypeVirtualKubelet}.String()
		}))
	p := &Provider{
		kube: kube, api: api, options: options, now: time.Now,
		factory:  []informers.SharedInformerFactory{pods, nodes},
		pods:     pods.Core().V1().Pods().Lister(),
		podIndex: pods.Core().V1().Pods().Informer().GetIndexer(),
		nodes:    nodes.Core().V1().Nodes().Lister(),
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[item](firstBackoff, lastBackoff)),
		instances: newInstances(),
	}
	return p, p.watch(pods, nodes)
}

// Run works until the context ends. A provider runs once.
func (p *Provider) Run(ctx context.Context) error {
	defer p.queue.ShutDown()
	for _, f := range p.factory {
		f.StartWithContext(ctx)
	}
	for _, f := range p.factory {
		for kind, synced := range f.WaitForCacheSync(ctx.Done()) {
			if !synced {
				return fmt.Errorf("reading the objects of type %s: %w", kind, context.Cause(ctx))
			}
		}
	}
	p.ready.Store(true)
	var workers sync.WaitGroup
	for range p.options.Workers {
		workers.Go(func() { p.work(ctx) })
	}
	<-ctx.Done()
	p.ready.Store(false)
	p.queue.ShutDown()
	workers.Wait()
	for _, f := range p.factory {
		f.Shutdown()
	}
	return nil
}

// Ready tells whether the provider has read the cluster and works.
func (p *Provider) Ready() bool { return p.ready.Load() }

// complete fills in the defaults, or returns an error that names the field, its value and what is allowed.
func (o *Options) complete() error {
	if o.AccessKeyID == "" {
		o.AccessKeyID, o.AccessKeySecret = "simulator-id", "simulator-secret"
	}
	if o.Workers == 0 {
		o.Workers = defaultWorkers
	}
	if o.Retry == 0 {
		o.Retry = defaultRetry
	}
	if o.VSwitch == nil {
		o.VSwitch = func(zone string) string { return "vsw-" + zone }
	}
	if o.Workers < 0 {
		return fmt.Errorf("workers: %d: must be 1 or more", o.Workers)
	}
	if o.Retry < 0 {
		return fmt.Errorf("retry: %s: must be above 0s", o.Retry)
	}
	return nil
}

// watch puts into the queue each pod that has changed, and those of a virtual node that has come: it may be known later than its pods.
func (p *Provider) watch(pods, nodes informers.SharedInformerFactory) error {
	podInformer, nodeInformer := pods.Core().V1().Pods().Informer(), nodes.Core().V1().Nodes().Informer()
	byNode := func(object any) ([]string, error) { return []string{object.(*corev1.Pod).Spec.NodeName}, nil }
	if err := podInformer.AddIndexers(cache.Indexers{nodeIndex: byNode}); err != nil {
		return fmt.Errorf("indexing pods by node: %w", err)
	}
	_, podErr := podInformer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    p.enqueue,
		UpdateFunc: func(_, object any) { p.enqueue(object) },
		DeleteFunc: p.enqueue,
	})
	_, nodeErr := nodeInformer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: p.enqueuePods})
	if err := errors.Join(podErr, nodeErr); err != nil {
		return fmt.Errorf("watching pods and nodes: %w", err)
	}
	return nil
}

// stripManagedFields drops what nobody reads here and what is the larger part of a pod.
func stripManagedFields(object any) (any, error) {
	if o, err := meta.Accessor(object); err == nil {
		o.SetManagedFields(nil)
	}
	return object, nil // What has no metadata is the mark of a deletion, which stays as it is.
}

func (p *Provider) enqueue(object any) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	if pod, ok := object.(*corev1.Pod); ok && pod.Spec.NodeName != "" {
		p.queue.Add(item{types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}, pod.UID})
	}
}

func (p *Provider) enqueuePods(object any) {
	node, ok := object.(*corev1.Node)
	if !ok {
		return
	}
	pods, err := p.podIndex.ByIndex(nodeIndex, node.Name)
	if err != nil {
		klog.ErrorS(err, "The pods of a node cannot be found", "node", node.Name)
	}
	for _, pod := range pods {
		p.enqueue(pod)
	}
}

// work takes pods from the queue until it is shut down.
func (p *Provider) work(ctx context.Context) {
	for {
		next, shutdown := p.queue.Get()
		if shutdown {
			return
		}
		after, err := p.sync(ctx, next)
		switch {
		case err != nil:
			if ctx.Err() == nil {
				klog.ErrorS(err, "A pod is tried again", "pod", next.String())
			}
			p.queue.AddRateLimited(next)
		default:
			p.queue.Forget(next)
			if after > 0 {
				p.queue.AddAfter(next, after)
			}
		}
		p.queue.Done(next)
	}
}
