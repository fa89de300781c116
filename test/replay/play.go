package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// patience is how long pods may take to be bound before the replay begins, and after it has ended.
	patience = time.Minute
	// requests is how many pods are created or deleted at the same time.
	requests = 16
)

// player replays a plan. All but the requests is done by one goroutine.
type player struct {
	plan *plan
	who  contender
	api  client.WithWatch
	// index has the place in the plan by the name of a pod, and machines that of a paid machine.
	index, machines map[string]int
	// events are what was seen so far, and seen when.
	events []event
	seen   []time.Time
	// isBound is by pod, and bound how many are or were.
	isBound []bool
	bound   int
	// asked is how many pods are to be created so far.
	asked int
	work  chan struct{}
	// failed is the first request that failed.
	failed chan error
	// begun is when the replay began; zero before.
	begun time.Time
}

// play replays the plan and returns what was seen. The scheduler's end ends it.
func play(ctx context.Context, p *plan, who contender, api client.WithWatch, ended <-chan struct{}) ([]event, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := api.Watch(ctx, &corev1.PodList{}, client.InNamespace(namespace))
	if err != nil {
		return nil, fmt.Errorf("watching pods: %w", err)
	}
	defer w.Stop()
	pl := newPlayer(p, who, api)
	settled := func() bool { return pl.bound == pl.asked }
	running := p.running()
	for i := range running { // One after the other, so that they lie alike in every round.
		pl.create(ctx, i)
		if err := pl.follow(ctx, w, ended, waitFor{done: settled, timeout: time.After(patience)}); err != nil {
			return nil, fmt.Errorf("placing the pods that run at the start: %w", err)
		}
	}
	pl.begin(ctx)
	for i := running; i < len(p.Pods); i++ {
		if err := pl.follow(ctx, w, ended, waitFor{next: time.After(time.Until(pl.begun.Add(p.Pods[i].At)))}); err != nil {
			return nil, err
		}
		pl.create(ctx, i)
	}
	if err := pl.follow(ctx, w, ended, waitFor{done: settled, timeout: time.After(patience)}); err != nil {
		return nil, fmt.Errorf("waiting for the last pods: %w", err)
	}
	return pl.timed(), nil
}

func newPlayer(p *plan, who contender, api client.WithWatch) *player {
	pl := &player{
		plan: p, who: who, api: api, index: map[string]int{}, machines: map[string]int{virtualNode: onECI},
		isBound: make([]bool, len(p.Pods)), work: make(chan struct{}, requests), failed: make(chan error, 1),
	}
	for i := range p.Pods {
		pl.index[p.Pods[i].Name] = i
	}
	for i := range p.Machines {
		pl.machines[p.Machines[i].Name] = i
	}
	return pl
}

// waitFor is what follow waits for: a moment, or that something holds, which has to happen in time.
type waitFor struct {
	next    <-chan time.Time
	done    func() bool
	timeout <-chan time.Time
}

// follow notes what happens to pods until what it waits for.
func (pl *player) follow(ctx context.Context, w watch.Interface, ended <-chan struct{}, until waitFor) error {
	for until.done == nil || !until.done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			return fmt.Errorf("%s has ended; see its log", pl.who.binary)
		case err := <-pl.failed:
			return err
		case <-until.next:
			return nil
		case <-until.timeout:
			return fmt.Errorf("%d of %d pods were not bound in %s", pl.asked-pl.bound, pl.asked, patience)
		case e, open := <-w.ResultChan():
			if !open {
				return errors.New("the API server ended the watch of pods")
			}
			if err := pl.note(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// note takes down what is seen, and lets the life of a pod that was bound begin.
func (pl *player) note(ctx context.Context, seen watch.Event) error {
	pod, ok := seen.Object.(*corev1.Pod)
	if !ok {
		return fmt.Errorf("watching pods: %w", &unexpected{seen})
	}
	i, ok := pl.index[pod.Name]
	if !ok {
		return fmt.Errorf("pod %s is not of the replay", pod.Name)
	}
	switch seen.Type {
	case watch.Added:
		pl.add(event{kind: created, pod: i})
	case watch.Deleted:
		pl.add(event{kind: deleted, pod: i})
		return nil
	}
	if pod.Spec.NodeName == "" || pl.isBound[i] {
		return nil
	}
	machine, ok := pl.machines[pod.Spec.NodeName]
	if !ok {
		return fmt.Errorf("pod %s is on node %s, which is not of the replay", pod.Name, pod.Spec.NodeName)
	}
	pl.isBound[i] = true
	pl.bound++
	pl.add(event{kind: bound, pod: i, machine: machine})
	if !pl.begun.IsZero() {
		pl.deleteAfter(ctx, i)
	}
	return nil
}

// unexpected is an event of the watch without a pod, such as an error.
type unexpected struct{ watch.Event }

func (u *unexpected) Error() string { return fmt.Sprintf("%s: %v", u.Type, u.Object) }

func (pl *player) add(e event) {
	pl.events = append(pl.events, e)
	pl.seen = append(pl.seen, time.Now())
}

// begin starts the clock, and the lives of the pods that run.
func (pl *player) begin(ctx context.Context) {
	pl.begun = time.Now()
	for i, isBound := range pl.isBound {
		if isBound {
			pl.deleteAfter(ctx, i)
		}
	}
}

func (pl *player) create(ctx context.Context, i int) {
	pl.asked++
	pl.request(ctx, func() error { return pl.api.Create(ctx, podObject(&pl.plan.Pods[i], pl.who)) })
}

// deleteAfter ends a pod after its lifetime, as a kubelet would: at once, without grace.
func (pl *player) deleteAfter(ctx context.Context, i int) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: pl.plan.Pods[i].Name}}
	time.AfterFunc(pl.plan.Pods[i].Lifetime, func() {
		pl.request(ctx, func() error { return pl.api.Delete(ctx, pod, client.GracePeriodSeconds(0)) })
	})
}

// request does a request without waiting for it. What fails after the end is of no interest.
func (pl *player) request(ctx context.Context, do func() error) {
	go func() {
		pl.work <- struct{}{}
		defer func() { <-pl.work }()
		if ctx.Err() != nil {
			return
		}
		if err := do(); err != nil && ctx.Err() == nil {
			select {
			case pl.failed <- fmt.Errorf("replaying a pod: %w", err):
			default:
			}
		}
	}()
}

// timed returns the events with their times since the start of the replay.
func (pl *player) timed() []event {
	for i := range pl.events {
		pl.events[i].at = pl.seen[i].Sub(pl.begun)
	}
	return pl.events
}
