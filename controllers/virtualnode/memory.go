package virtualnode

import (
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// maxTold bounds how many pods are remembered whose users were told that they stay.
const maxTold = 10_000

// memory is all that the controller remembers between two reconciliations. None of it is needed to be correct: a new
// leader starts without it. It is safe for concurrent use.
type memory struct {
	mu    sync.Mutex
	nodes map[types.UID]*nodeMemory
	// told are the pods whose users were told that they stay where they are.
	told map[types.UID]bool
	// moves are the pods that were evicted lately.
	moves moves
}

// nodeMemory is what is remembered of one VirtualNode.
type nodeMemory struct {
	// book has the stock-outs that ended.
	book stockBook
	// node is how the last write of the Node failed, and lease how the last renewal of its Lease did.
	node, lease failure
	// renewed is when the Lease was last renewed, tried when that was last attempted, and renewing whether an attempt
	// is running.
	renewed, tried time.Time
	renewing       bool
	// turn is the pod with which the next pass of evictions begins, by namespace and name.
	turn string
	// kept says why a pod was not evicted when its turn came last.
	kept map[types.UID]string
}

// failure is an error that has not gone away since a time. The zero value is none.
type failure struct {
	err   error
	since time.Time
}

func newMemory() *memory {
	return &memory{nodes: map[types.UID]*nodeMemory{}, told: map[types.UID]bool{}}
}

// of returns what is remembered of a VirtualNode. The caller holds the lock.
func (m *memory) of(vn types.UID) *nodeMemory {
	n := m.nodes[vn]
	if n == nil {
		n = &nodeMemory{book: stockBook{}}
		m.nodes[vn] = n
	}
	return n
}

// forgetOthers drops what is remembered of VirtualNodes that do not exist any more.
func (m *memory) forgetOthers(exists map[types.UID]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.nodes, func(uid types.UID, n *nodeMemory) bool { return !exists[uid] && !n.renewing })
}

// bookOf returns the stock-outs of a VirtualNode that ended. The queue gives a VirtualNode to one worker at a time.
func (m *memory) bookOf(vn types.UID) stockBook {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(vn).book
}

// tell reports whether the user of a pod has still to be told that it stays.
func (m *memory) tell(pod types.UID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.told[pod] {
		return false
	}
	if len(m.told) >= maxTold {
		clear(m.told)
	}
	m.told[pod] = true
	return true
}

// noteNode records how writing the Node went, and returns for how long it has failed, if it has.
func (m *memory) noteNode(vn types.UID, err error, now time.Time) failure {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.of(vn)
	n.node = n.node.after(err, now)
	return n.node
}

// beginRenewal reports whether the Lease is due, and no renewal is running. If so the caller renews it and calls
// endRenewal.
func (m *memory) beginRenewal(vn types.UID, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.of(vn)
	if n.renewing || now.Sub(n.renewed) < renewInterval || now.Sub(n.tried) < renewRetry {
		return false
	}
	n.renewing, n.tried = true, now
	return true
}

// endRenewal records how a renewal of the Lease went. renewed is false without an error when the VirtualNode has no
// Node to renew it for.
func (m *memory) endRenewal(vn types.UID, renewed bool, err error, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.of(vn)
	n.renewing, n.lease = false, n.lease.after(err, now)
	if renewed {
		n.renewed = n.tried
	}
}

// leaseOf returns how the last renewal of the Lease failed, if it did.
func (m *memory) leaseOf(vn types.UID) failure {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(vn).lease
}

// turnOf returns the pod, by namespace and name, with which the next pass of evictions begins.
func (m *memory) turnOf(vn types.UID) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(vn).turn
}

func (m *memory) setTurn(vn types.UID, pod string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(vn).turn = pod
}

// keep records why a pod was not evicted; "" when it was.
func (m *memory) keep(vn types.UID, pod *corev1.Pod, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.of(vn)
	if n.kept == nil {
		n.kept = map[types.UID]string{}
	}
	if n.kept[pod.UID] = why; why == "" {
		delete(n.kept, pod.UID)
	}
}

// keptOf returns why each of these pods was not evicted when its turn came last, and forgets all others.
func (m *memory) keptOf(vn types.UID, pods []*corev1.Pod) map[types.UID]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, kept := m.of(vn), map[types.UID]string{}
	for _, pod := range pods {
		if why := n.kept[pod.UID]; why != "" {
			kept[pod.UID] = why
		}
	}
	n.kept = kept
	return maps.Clone(kept)
}

// after returns the failure after another attempt, which ended with an error or nil.
func (f failure) after(err error, now time.Time) failure {
	switch {
	case err == nil:
		return failure{}
	case f.err == nil:
		return failure{err: err, since: now}
	default:
		return failure{err: err, since: f.since}
	}
}
