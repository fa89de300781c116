package load

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

// judgement is what an observer can say of the pods that went to the virtual node.
type judgement struct {
	spills int
	// sharp are the spills at which no other pod was on its way to the first unit, so that the least early one is seen.
	sharp int
	// early are the spills that should not have been.
	early []string
}

// room is what is free on a node of the first unit.
type room struct{ pods, milli int64 }

func (r room) minus(pods int64, milli int64) room { return room{r.pods - pods, r.milli - milli} }

// judge finds the pods that went to the virtual node while a node of the first unit had room for them all the time: from their creation, which the
// scheduler learns after every deletion before it, to their binding.
//
// The scheduler sees more than an observer: which pods are on their way to a node. So each pod that existed before the spill was bound, and was bound to
// the node after the spilled one was created, is taken for one that was on its way when the scheduler decided, and so is every pod that went without
// having been bound.
func judge(lives []life, first, virtual map[string]bool) judgement {
	var found judgement
	for i := range lives {
		spilled := &lives[i]
		if spilled.bound == 0 || !virtual[spilled.pod.Spec.NodeName] {
			continue
		}
		found.spills++
		free, sharp := freeFor(spilled, lives, first)
		if sharp {
			found.sharp++
		}
		for node, r := range free {
			if r.pods >= 1 && r.milli >= milliOf(spilled.pod) {
				found.early = append(found.early, fmt.Sprintf("%s (%dm) was spilled between the changes %d and %d; %s had room for %d pods and %dm",
					spilled.pod.Name, milliOf(spilled.pod), spilled.created, spilled.bound, node, r.pods, r.milli))
			}
		}
	}
	return found
}

// freeFor returns what was certainly free on the nodes of the first unit when the scheduler spilled the pod, and whether nothing else was on its way.
func freeFor(spilled *life, lives []life, first map[string]bool) (free map[string]room, sharp bool) {
	free = map[string]room{}
	for node := range first {
		free[node] = room{nodeRoom, nodeMilli}
	}
	sharp = true
	for i := range lives {
		l := &lives[i]
		wentBefore := l.gone != 0 && l.gone < spilled.created
		if l == spilled || wentBefore || l.created > spilled.bound {
			continue
		}
		sharp = sharp && l.bound != 0 && (l.bound < spilled.created || elsewhere(l, first))
		if l.bound == 0 {
			for node, r := range free {
				free[node] = r.minus(1, milliOf(l.pod))
			}
		} else if r, ok := free[l.pod.Spec.NodeName]; ok {
			free[l.pod.Spec.NodeName] = r.minus(1, milliOf(l.pod))
		}
	}
	return free, sharp
}

// elsewhere tells whether a pod was bound outside the first unit.
func elsewhere(l *life, first map[string]bool) bool {
	return l.bound != 0 && !first[l.pod.Spec.NodeName]
}

// milliOf returns the CPU that a pod requests, in thousandths.
func milliOf(pod *corev1.Pod) int64 {
	return pod.Spec.Containers[0].Resources.Requests.Cpu().MilliValue()
}

var _ = Describe("The judgement of the strict order", func() {
	nodes, eci := map[string]bool{"a": true}, map[string]bool{"eci": true}
	lived := func(node, cpu string, created, bound, gone int) life {
		pod := wrappers.MakePod("pod").Request(corev1.ResourceCPU, cpu).Node(node).Obj()
		return life{pod: pod, created: created, bound: bound, gone: gone}
	}

	It("sees a pod that was spilled from a node with room for it", func() {
		Expect(judge([]life{lived("a", "4900m", 1, 2, 0), lived("eci", "100m", 3, 4, 0)}, nodes, eci).early).To(HaveLen(1))
		Expect(judge([]life{lived("a", "5000m", 1, 2, 3), lived("eci", "100m", 4, 5, 0)}, nodes, eci).early).To(HaveLen(1))
	})

	It("leaves a spill alone that the scheduler had a reason for", func() {
		By("a node without room")
		Expect(judge([]life{lived("a", "4901m", 1, 2, 0), lived("eci", "100m", 3, 4, 0)}, nodes, eci).early).To(BeEmpty())
		By("a pod that went too late")
		Expect(judge([]life{lived("a", "5000m", 1, 2, 4), lived("eci", "100m", 3, 5, 0)}, nodes, eci).early).To(BeEmpty())
		By("a pod on its way")
		Expect(judge([]life{lived("a", "5000m", 1, 5, 0), lived("eci", "100m", 3, 4, 0)}, nodes, eci).early).To(BeEmpty())
	})
})
