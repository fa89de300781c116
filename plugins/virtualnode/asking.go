package virtualnode

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/pkg/offer"
)

// mostReasons is how many nodes a refusal names.
const mostReasons = 3

// Asking is a pod that asks for a virtual node in one cycle.
type Asking struct {
	pod     *corev1.Pod
	now     time.Time
	catalog *catalog
	// nominated is what other pods will hold on virtual nodes for which they have preempted others, in thousandths of a vCPU.
	nominated map[string]int64

	// mu guards what Filter, which runs in parallel, finds out once: nothing waits under it.
	mu         sync.Mutex
	candidates map[string]*offer.Candidate
	refused    bool
}

// Ask begins to ask for a pod, with the annotations that its unit writes on it. Follow must have been called in this cycle: what the virtual nodes offer is
// what it was then.
func (o *Offers) Ask(pod *corev1.Pod, annotations map[string]string) *Asking {
	return &Asking{pod: Annotated(pod, annotations), now: time.Now(), catalog: o.pinned, nominated: o.nominatedFor(pod, o.pinned)}
}

// Annotated returns the pod with annotations over its own.
func Annotated(pod *corev1.Pod, annotations map[string]string) *corev1.Pod {
	if len(annotations) == 0 {
		return pod
	}
	as := *pod
	as.Annotations = maps.Clone(pod.Annotations)
	if as.Annotations == nil {
		as.Annotations = map[string]string{}
	}
	maps.Copy(as.Annotations, annotations)
	return &as
}

// candidate returns what the pod asks of ECI in a region.
func (a *Asking) candidate(region string) *offer.Candidate {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.candidates[region]
	if c == nil {
		c = offer.NewCandidate(a.pod, region)
		if a.candidates == nil {
			a.candidates = map[string]*offer.Candidate{}
		}
		a.candidates[region] = c
	}
	return c
}

// Never tells why ECI can never run the pod, wherever; empty when it can.
func (a *Asking) Never() string { return a.candidate("").Never() }

// Takes tells whether the node takes the pod, or why not. A node that no VirtualNode describes takes it.
func (o *Offers) Takes(a *Asking, node string) (offer.Verdict, bool) {
	verdict, described := o.check(a, node, nil)
	return verdict, !described || verdict.Why == ""
}

// Describes tells whether a VirtualNode describes the node.
func (o *Offers) Describes(node string) bool { return o.current().nodes[node] != nil }

// refuse notes that a node refused the pod for what may change without an event of the cluster.
func (a *Asking) refuse() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = true
}

func (a *Asking) wasRefused() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused
}

// Reasons joins the reasons of several nodes to one, in an order that does not depend on theirs (R12).
func Reasons(refusals []offer.Verdict) string {
	var reasons []string
	for _, refusal := range refusals {
		reasons = append(reasons, refusal.Why)
	}
	slices.Sort(reasons)
	distinct := slices.Compact(reasons)
	if len(distinct) > mostReasons {
		rest := len(distinct) - mostReasons
		distinct = append(distinct[:mostReasons:mostReasons], fmt.Sprintf("and so on for %d more", rest))
	}
	return strings.Join(distinct, ", ")
}
