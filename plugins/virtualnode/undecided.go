package virtualnode

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// wakeWhenDecided wakes the parked pods when the pods on which ECI has still to decide keep no others out any more: no
// event tells of that.
func (o *Offers) wakeWhenDecided() {
	if o.deciding.CompareAndSwap(false, true) {
		time.AfterFunc(o.decideWithin, func() {
			o.deciding.Store(false)
			o.Waker.Wake(TopicECI)
		})
	}
}

// isAssumed reports whether the binding of a pod with a node is still on its way.
func (o *Offers) isAssumed(pod *corev1.Pod) bool {
	shown := o.shown(pod)
	return shown != nil && shown.Spec.NodeName == ""
}
