package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// writers is how many objects are written at the same time.
	writers = 24
	// tellEvery is how often is told how far the filling is.
	tellEvery = 10 * time.Second
	// kubelet and replicaSetController are who writes to pods, by the names that are in their managedFields.
	kubelet              = "kubelet"
	replicaSetController = "kube-controller-manager"
)

// fill creates what is planned: machines, policies, owners and pods.
func (c *cluster) fill(ctx context.Context, p *plan) error {
	for i := range min(p.namespaces, p.policies) {
		if err := c.api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: p.namespace(i)}}); err != nil {
			return fmt.Errorf("creating a namespace: %w", err)
		}
	}
	for i := range p.zones {
		if err := c.api.Create(ctx, p.virtualNode(i)); err != nil {
			return fmt.Errorf("creating a VirtualNode: %w", err)
		}
	}
	if err := parallel(ctx, "nodes", p.machines, func(i int) error { return c.api.Create(ctx, p.machine(i), client.FieldOwner(kubelet)) }); err != nil {
		return err
	}
	if err := parallel(ctx, "policies", p.policies, func(i int) error { return c.api.Create(ctx, p.policy(i)) }); err != nil {
		return err
	}
	if err := c.createOwners(ctx, p); err != nil {
		return err
	}
	return parallel(ctx, "pods", p.bound+p.unbound, func(n int) error { return c.createPod(ctx, p, n) })
}

// createOwners creates the ReplicaSets.
func (c *cluster) createOwners(ctx context.Context, p *plan) error {
	var mu sync.Mutex
	c.owners = map[ownerKey]*appsv1.ReplicaSet{}
	return parallel(ctx, "ReplicaSets", p.policies*revisions, func(i int) error {
		key := ownerKey{i / revisions, i % revisions}
		set := p.replicaSet(key)
		if err := c.api.Create(ctx, set, client.FieldOwner(replicaSetController)); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		c.owners[key] = set
		return nil
	})
}

// createPod creates the n-th pod as it is long after its binding, in two writes.
func (c *cluster) createPod(ctx context.Context, p *plan, n int) error {
	at := p.place(n)
	pod, _ := p.pod(n, c.owners[ownerKey{at.policy, at.revision}].UID)
	status := waiting(at)
	if n < p.bound {
		pod.Spec.NodeName = at.node
		labels, annotations := p.written(at)
		for key, value := range labels {
			pod.Labels[key] = value
		}
		for key, value := range annotations {
			pod.Annotations[key] = value
		}
		status = running(pod, n)
	}
	if err := c.api.Create(ctx, pod, client.FieldOwner(replicaSetController)); err != nil {
		return fmt.Errorf("creating pod %s: %w", pod.Name, err)
	}
	return c.report(ctx, pod, status)
}

// report writes the status of a pod, as a kubelet does: what others have written meanwhile stays.
func (c *cluster) report(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error {
	before := pod.DeepCopy()
	pod.Status = status
	if err := c.api.Status().Patch(ctx, pod, client.StrategicMergeFrom(before), client.FieldOwner(kubelet)); err != nil {
		return fmt.Errorf("writing the status of pod %s: %w", pod.Name, err)
	}
	return nil
}

// parallel does n pieces of work, many at once, tells how far it is, and wants all to succeed.
func parallel(ctx context.Context, what string, n int, do func(i int) error) error {
	begin := time.Now()
	var done atomic.Int64
	told, stop := time.NewTicker(tellEvery), make(chan struct{})
	defer told.Stop()
	defer close(stop)
	go func() {
		for {
			select {
			case <-told.C:
				fmt.Printf("  %d of %d %s\n", done.Load(), n, what)
			case <-stop:
				return
			}
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make([]error, n)
	workqueue.ParallelizeUntil(ctx, writers, n, func(i int) {
		if failed[i] = do(i); failed[i] != nil {
			cancel() // The first failure is enough.
		}
		done.Add(1)
	})
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("creating %s: %w", what, err)
	}
	fmt.Printf("created %d %s in %.0f s\n", n, what, time.Since(begin).Seconds())
	return ctx.Err()
}
