package resourcepolicy

import (
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

const (
	// freshFor is how long a pod is remembered while no governed pod is tried, or another scheduler is the leader; by then the snapshot has caught up.
	freshFor = time.Minute
	// freshMost is how many pods are remembered before the old ones are looked for.
	freshMost = 1000
)

// fresh are bound pods of which the informer has told that they may count for something else than before, and for which the scheduler's snapshot may still
// be behind: each handler of an informer runs in a goroutine of its own. Without them a pod that such an event woke could be refused by the old counts, and
// sleep on. The handler adds, the scheduling goroutine looks them up and drops what the snapshot has caught up with.
type fresh struct {
	mu   sync.Mutex
	pods map[types.UID]freshPod
	// swept is when old pods were looked for last: each time costs all of them.
	swept time.Time

	// What follows belongs to the scheduling goroutine.
	generation int64
	// nodes is the snapshot of the last cycle with such pods, and places are where its nodes stand in it, by name.
	nodes  []fwk.NodeInfo
	places map[string]int
	// versions are the newest versions of the pods that the snapshot shows otherwise; nil of those that have gone.
	versions map[podPlace]*corev1.Pod
	// added are the pods that the snapshot does not show yet, by the place of their node.
	added map[int][]*corev1.Pod
	// generations are those of the nodes with such pods, by place in the snapshot: a new one in every cycle.
	generations map[int]int64
	// leaving are the places of the nodes that still show a pod that has gone.
	leaving map[int]bool
}

// freshPod is the newest version of a pod, or nil when it has gone, and its node.
type freshPod struct {
	node string
	pod  *corev1.Pod
	told time.Time
}

// podPlace is where a pod stands in the snapshot: the place of its node, and its own on the node.
type podPlace struct{ node, pod int }

func newFresh() *fresh { return &fresh{pods: map[types.UID]freshPod{}, generation: -1 << 62} }

// add tells the newest version of a pod; gone when it does not exist any more.
func (f *fresh) add(pod *corev1.Pod, gone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	newest := freshPod{node: pod.Spec.NodeName, told: time.Now()}
	if !gone {
		newest.pod = pod
	}
	f.pods[pod.UID] = newest
	if len(f.pods) >= freshMost && newest.told.Sub(f.swept) > freshFor {
		f.swept = newest.told
		maps.DeleteFunc(f.pods, func(_ types.UID, p freshPod) bool { return newest.told.Sub(p.told) > freshFor })
	}
}

// undo tells that the binding of an assumed pod failed. Nothing is done when the informer shows the pod bound: the API server had done it nevertheless.
// The store is read under the lock, so that an update that follows finds what is added here.
func (f *fresh) undo(pods corelisters.PodLister, pod *corev1.Pod, node string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if shown, err := pods.Pods(pod.Namespace).Get(pod.Name); err == nil && shown.UID == pod.UID && shown.Spec.NodeName != "" {
		return
	}
	f.pods[pod.UID] = freshPod{node: node, told: time.Now()}
}

// update replaces the version of a pod that is known already.
func (f *fresh) update(pod *corev1.Pod, gone bool) {
	f.mu.Lock()
	_, known := f.pods[pod.UID]
	f.mu.Unlock()
	if known {
		f.add(pod, gone)
	}
}

// drop forgets a pod: it is being placed anew.
func (f *fresh) drop(pod types.UID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.pods, pod)
}

// follow finds the pods in the snapshot of a cycle, and drops those that it shows as they are.
func (f *fresh) follow(nodes []fwk.NodeInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.versions, f.added, f.generations, f.leaving = nil, nil, nil, nil
	if len(f.pods) == 0 {
		return
	}
	if !sameList(f.nodes, nodes) {
		f.nodes, f.places = nodes, make(map[string]int, len(nodes))
		for i := range nodes {
			f.places[nodes[i].Node().Name] = i
		}
	}
	f.versions, f.added = map[podPlace]*corev1.Pod{}, map[int][]*corev1.Pod{}
	f.generations, f.leaving = map[int]int64{}, map[int]bool{}
	for uid, p := range f.pods {
		place, ok := f.places[p.node]
		if !ok {
			delete(f.pods, uid)
			continue
		}
		at := placeOn(nodes[place], uid)
		if caughtUp(nodes[place], at, p.pod) {
			delete(f.pods, uid)
			continue
		}
		f.generation++
		f.generations[place] = f.generation
		f.leaving[place] = f.leaving[place] || p.pod == nil
		if at >= 0 {
			f.versions[podPlace{place, at}] = p.pod
		} else {
			f.added[place] = append(f.added[place], p.pod) // It has not gone, or the snapshot would have caught up.
		}
	}
}

// placeOn returns the place of a pod on a node; -1 when it is not there.
func placeOn(node fwk.NodeInfo, pod types.UID) int {
	return slices.IndexFunc(node.GetPods(), func(info fwk.PodInfo) bool { return info.GetPod().UID == pod })
}

// caughtUp tells whether the node shows a pod in its newest version, at its place or not at all.
func caughtUp(node fwk.NodeInfo, at int, newest *corev1.Pod) bool {
	if at < 0 || newest == nil {
		return at < 0 && newest == nil
	}
	return node.GetPods()[at].GetPod().ResourceVersion == newest.ResourceVersion
}

// isLeaving tells whether a node at one of the places still shows a pod that has gone.
func (f *fresh) isLeaving(places []int) bool {
	return len(f.leaving) > 0 && slices.ContainsFunc(places, func(place int) bool { return f.leaving[place] })
}
