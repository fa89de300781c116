package resourcepolicy

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// otherHint is what another plugin says of an event. A plugin without a hint wakes its pods always.
type otherHint struct {
	plugin string
	hint   fwk.QueueingHintFn
}

// eventsOfOthers returns the events of the other plugins, for pods that those rejected in units that the last attempt did not hand to the framework: the
// queue does not know of that, and would not ask them. Each event has one hint for all plugins, because the queue calls every hint for every pod that waits.
func (pl *ResourcePolicy) eventsOfOthers(ctx context.Context) ([]fwk.ClusterEventWithHint, error) {
	profile, ok := pl.handle.(interface {
		EnqueueExtensions() []fwk.EnqueueExtensions
	})
	if !ok {
		return nil, nil
	}
	hints := map[fwk.ClusterEvent][]otherHint{}
	for _, plugin := range profile.EnqueueExtensions() {
		if plugin.Name() == Name || plugin.Name() == AdmissionName {
			continue
		}
		theirs, err := plugin.EventsToRegister(ctx)
		if err != nil {
			return nil, fmt.Errorf("asking the plugin %s for its events: %w", plugin.Name(), err)
		}
		for _, registered := range theirs {
			for _, event := range atoms(registered.Event) {
				hints[event] = append(hints[event], otherHint{plugin.Name(), registered.QueueingHintFn})
			}
		}
	}
	events := make([]fwk.ClusterEventWithHint, 0, len(hints))
	for event, of := range hints {
		events = append(events, fwk.ClusterEventWithHint{Event: event, QueueingHintFn: pl.hintOf(of)})
	}
	return events, nil
}

// atoms returns the events that a registered one stands for. Update is one of its own: it also stands for updates that the scheduler gives no name.
func atoms(registered fwk.ClusterEvent) []fwk.ClusterEvent {
	if registered.Resource == fwk.WildCard {
		return []fwk.ClusterEvent{registered}
	}
	resources := []fwk.ClusterEvent{registered}
	if registered.Resource == fwk.Pod {
		resources = framework.UnrollPodEvent(registered)
	}
	var events []fwk.ClusterEvent
	for _, event := range resources {
		actions := event.ActionType
		if actions&fwk.Update == fwk.Update {
			events = append(events, fwk.ClusterEvent{Resource: event.Resource, ActionType: fwk.Update})
			actions &^= fwk.Update
		}
		for action := fwk.ActionType(1); action <= actions; action <<= 1 {
			if actions&action != 0 {
				events = append(events, fwk.ClusterEvent{Resource: event.Resource, ActionType: action})
			}
		}
	}
	return events
}

// hintOf returns the hint of several plugins for one event. Only those are asked that rejected the pod.
func (pl *ResourcePolicy) hintOf(others []otherHint) fwk.QueueingHintFn {
	return func(logger klog.Logger, pod *corev1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
		r, _ := pl.inflight.rejection(pod.UID)
		if len(r.plugins) == 0 {
			return fwk.QueueSkip, nil
		}
		for _, other := range others {
			if !r.plugins.Has(other.plugin) {
				continue
			}
			if other.hint == nil {
				return fwk.Queue, nil
			}
			if hint, err := other.hint(logger, pod, oldObj, newObj); err != nil || hint == fwk.Queue {
				return hint, err
			}
		}
		return fwk.QueueSkip, nil
	}
}
