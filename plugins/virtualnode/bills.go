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
	bill   ecispec.Bill
	region string
	// certain is true when the pod was billed so at its binding, and false when that is what it is billed at most.
	certain bool
	// taken is what ECI has taken of the bill; empty until it has created the instance.
	taken ecispec.Bill
}

func newBills(exists func(*corev1.Pod) bool) *bills {
	return &bills{pods: map[types.UID]pastBill{}, exists: exists}
}

// reserve remembers what a pod that was placed in a region is billed, as it will be once its binding has come back.
func (b *bills) reserve(pod *corev1.Pod, region string) {
	bill, err := ecispec.For(pod, region)
	if err != nil {
		// Filter lets no such pod in. If something else did, it counts for what it asks for.
		bill, _ = ecispec.Bound(pod, region)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.exists(pod) {
		b.pods[pod.UID] = pastBill{bill: bill, region: region, certain: true}
	}
}

// of returns what a bound pod is billed. Which specification ECI has taken is written by the virtual-kubelet when it has created the instance. It does not
// change afterwards: a smaller one than was seen before was written by somebody else, and is ignored.
func (b *bills) of(pod *corev1.Pod, region string) ecispec.Bill {
	b.mu.Lock()
	defer b.mu.Unlock()
	known, remembered := b.pods[pod.UID]
	if !remembered {
		known.region = region
		known.bill, known.certain = ecispec.Bound(pod, region)
	}
	if spec, ok := offer.Taken(pod, known.bill, region); ok && known.believes(spec) {
		known.taken = ecispec.Bill{Specs: []ecispec.Spec{spec}}
	}
	if remembered || b.exists(pod) {
		b.pods[pod.UID] = known
	}
	if len(known.taken.Specs) > 0 {
		return known.taken
	}
	return known.bill
}

// believes reports whether a specification is to be taken for what ECI has taken.
func (p *pastBill) believes(spec ecispec.Spec) bool {
	if len(p.taken.Specs) == 0 {
		return p.certain || p.bill.IsLess(spec)
	}
	return p.taken.IsLess(spec)
}

// stillAsks reports whether a reserved pod still asks for what it was reserved as. Until it is bound its user may edit it freely.
func (b *bills) stillAsks(pod *corev1.Pod) bool {
	b.mu.Lock()
	known, reserved := b.pods[pod.UID]
	b.mu.Unlock()
	bill, err := ecispec.For(pod, known.region)
	return !reserved || err == nil && bill.Record() == known.bill.Record()
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
