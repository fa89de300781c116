package virtualnode

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

// bills are what pods on virtual nodes were billed at their binding, by UID: whoever may edit a bound pod must not be able to edit its bill (R13). A bill is
// remembered when the pod is reserved, or when it is seen bound for the first time, which after a restart is by the record of its binding. It may be used by
// any goroutine; only computation happens under its lock.
type bills struct {
	mu   sync.Mutex
	pods map[types.UID]pastBill
	// exists reports whether a pod exists, by the informer's store: nothing is remembered of one whose end the handlers have seen already.
	exists func(*corev1.Pod) bool
}

// pastBill is the bill of a pod.
type pastBill struct {
	bill ecispec.Bill
	// taken is true once the bill is the one specification that ECI has taken.
	taken bool
}

func newBills(exists func(*corev1.Pod) bool) *bills {
	return &bills{pods: map[types.UID]pastBill{}, exists: exists}
}

// reserve remembers what a pod that was placed in a region is billed, as it will be once its binding has come back.
func (b *bills) reserve(pod *corev1.Pod, region string) {
	bill, err := ecispec.For(pod, region)
	if err != nil {
		// Filter lets no such pod in. If something else did, it counts for what it asks for.
		bill = ecispec.Bound(pod, region)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.exists(pod) {
		b.pods[pod.UID] = pastBill{bill: bill}
	}
}

// of returns what a bound pod is billed. Which specification ECI has taken is believed once: what the virtual-kubelet writes when it has created the instance
// does not change afterwards.
func (b *bills) of(pod *corev1.Pod, region string) ecispec.Bill {
	b.mu.Lock()
	defer b.mu.Unlock()
	known, remembered := b.pods[pod.UID]
	if !remembered {
		known.bill = ecispec.Bound(pod, region)
	}
	if known.taken {
		return known.bill
	}
	if spec, ok := offer.Taken(pod, known.bill, region); ok {
		known = pastBill{bill: ecispec.Bill{Specs: []ecispec.Spec{spec}}, taken: true}
	}
	if remembered || b.exists(pod) {
		b.pods[pod.UID] = known
	}
	return known.bill
}

// record returns what is written on a pod at its binding; "" for a pod that no virtual node was reserved for.
func (b *bills) record(pod types.UID) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pods[pod].bill.Record()
}

// forget drops a pod that does not exist any more, or whose binding failed.
func (b *bills) forget(pod types.UID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pods, pod)
}
