package virtualnode

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

// Reserve remembers what a pod is billed that is placed on a virtual node. From now on edits of the pod do not change what it counts for (R13).
func (pl *VirtualNode) Reserve(_ context.Context, state fwk.CycleState, pod *corev1.Pod, nodeName string) *fwk.Status {
	pl.offers.Waker.Ended(pod.UID, true)
	asking := pl.askingOf(state)
	if asking == nil {
		return nil
	}
	if node := asking.catalog.nodes[nodeName]; node != nil {
		pl.offers.bills.reserve(asking.pod, node.Region)
	}
	return nil
}

// Unreserve forgets the bill of a pod whose binding failed. If only the answer of the API server was lost the pod comes back with its record.
func (pl *VirtualNode) Unreserve(_ context.Context, _ fwk.CycleState, pod *corev1.Pod, _ string) {
	pl.offers.bills.forget(pod.UID)
}
