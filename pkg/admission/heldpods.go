package admission

import (
	"cmp"
	"container/heap"
)

// heldPods are held pods of one shape: a heap with the one that goes first at the top.
type heldPods struct{ tickets []*ticket }

var _ heap.Interface = &heldPods{}

// goesFirst orders pods as the scheduler's queue does: by priority, then age.
func goesFirst(a, b *ticket) bool {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), a.Created.Compare(b.Created), cmp.Compare(a.UID, b.UID)) < 0
}

// Len, Less, Swap, Push and Pop are those of container/heap.
func (h *heldPods) Len() int { return len(h.tickets) }

// Less orders the heap.
func (h *heldPods) Less(i, j int) bool { return goesFirst(h.tickets[i], h.tickets[j]) }

// Swap keeps the places of the pods.
func (h *heldPods) Swap(i, j int) {
	h.tickets[i], h.tickets[j] = h.tickets[j], h.tickets[i]
	h.tickets[i].index, h.tickets[j].index = i, j
}

// Push adds a pod.
func (h *heldPods) Push(x any) {
	pod := x.(*ticket)
	pod.index = len(h.tickets)
	h.tickets = append(h.tickets, pod)
}

// Pop takes the last pod out.
func (h *heldPods) Pop() any {
	last := h.tickets[len(h.tickets)-1]
	h.tickets = h.tickets[:len(h.tickets)-1]
	return last
}

// firstPods are the first held pods of several shapes: a heap with the one that goes first at the top.
type firstPods []*ticket

var _ heap.Interface = &firstPods{}

// Len, Less, Swap, Push and Pop are those of container/heap.
func (f firstPods) Len() int { return len(f) }

// Less orders the heap.
func (f firstPods) Less(i, j int) bool { return goesFirst(f[i], f[j]) }

// Swap swaps two pods.
func (f firstPods) Swap(i, j int) { f[i], f[j] = f[j], f[i] }

// Push adds a pod.
func (f *firstPods) Push(x any) { *f = append(*f, x.(*ticket)) }

// Pop takes the last pod out.
func (f *firstPods) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}
