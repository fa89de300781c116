package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// eventsOfLife is how many events a pod makes while it comes: it is created, bound and runs. When it goes there is one.
	eventsOfLife = 3
	// mostOnTheirWay is how many pods come and go at the same time at most.
	mostOnTheirWay = 64
)

// churn makes pods come and go.
type churn struct {
	m      *measurement
	random *rand.Rand
	// next is the number of the next pod.
	next int
	// alive are pods on nodes that may end.
	alive []*corev1.Pod

	mu     sync.Mutex
	failed []error
}

func newChurn(m *measurement) *churn {
	return &churn{m: m, random: rand.New(rand.NewPCG(1, 2)), next: m.plan.bound + m.plan.unbound}
}

// run has pods come and go at the rate that is wanted, until the time is over.
func (c *churn) run(ctx context.Context, p *phase) error {
	c.know()
	turns, over := time.NewTicker(time.Second/time.Duration(c.m.rate)), time.After(c.m.churn)
	defer turns.Stop()
	var busy sync.WaitGroup
	free := make(chan struct{}, mostOnTheirWay)
	do := func(what func() error) {
		free <- struct{}{}
		busy.Go(func() {
			defer func() { <-free }()
			c.note(what())
		})
	}
	for {
		select {
		case <-turns.C:
			n, goes := c.next, c.take()
			c.next++
			do(func() error { return c.come(ctx, n) })
			do(func() error { return c.leave(ctx, goes) })
			p.PodEvents += eventsOfLife + 1
		case <-over:
			busy.Wait()
			return errors.Join(c.failed...)
		case <-ctx.Done():
			busy.Wait()
			return ctx.Err()
		}
	}
}

// end ends some pods.
func (c *churn) end(ctx context.Context, n int) error {
	c.know()
	for range n {
		if err := c.leave(ctx, c.take()); err != nil {
			return err
		}
	}
	return nil
}

// know takes over which pods are on nodes.
func (c *churn) know() {
	c.alive = nil
	for _, pod := range c.m.mirror.contents().pods {
		if pod.Spec.NodeName != "" {
			c.alive = append(c.alive, pod)
		}
	}
}

// take returns a pod that is to end.
func (c *churn) take() *corev1.Pod {
	i, last := c.random.IntN(len(c.alive)), len(c.alive)-1
	pod := c.alive[i]
	c.alive[i], c.alive = c.alive[last], c.alive[:last]
	return pod
}

// come creates the n-th pod, binds it as the scheduler does, and lets it run.
func (c *churn) come(ctx context.Context, n int) error {
	p, api := &c.m.plan, c.m.cluster.api
	at := p.place(n)
	pod, _ := p.pod(n, c.m.cluster.owners[ownerKey{at.policy, at.revision}].UID)
	if err := api.Create(ctx, pod, client.FieldOwner(replicaSetController)); err != nil {
		return fmt.Errorf("creating pod %s: %w", pod.Name, err)
	}
	labels, annotations := p.written(at)
	binding := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Labels: maps.Clone(labels), Annotations: annotations},
		Target:     corev1.ObjectReference{Kind: "Node", Name: at.node},
	}
	if err := api.SubResource("binding").Create(ctx, pod.DeepCopy(), binding); err != nil {
		return fmt.Errorf("binding pod %s: %w", pod.Name, err)
	}
	return c.m.cluster.report(ctx, pod, running(pod, n))
}

func (c *churn) leave(ctx context.Context, pod *corev1.Pod) error {
	object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
	if err := c.m.cluster.api.Delete(ctx, object, client.GracePeriodSeconds(0)); err != nil {
		return fmt.Errorf("deleting pod %s: %w", pod.Name, err)
	}
	return nil
}

func (c *churn) note(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.failed) < mostTold {
		c.failed = append(c.failed, err)
	}
}
