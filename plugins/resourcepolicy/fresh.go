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

// fresh are bound pods of which the informer has told that they may count for less than before, and for which the scheduler's snapshot may still be
// behind: each handler of an informer runs in a goroutine of its own. Without them a pod that such an event woke could be refused by the old counts, and
// sleep on. The handler adds, the scheduling goroutine looks them up and drops what the snapshot has caught up with.
type fresh struct {
	mu   sync.Mutex
	pods map[types.UID]freshPod

	// What follows belongs to the scheduling goroutine.
	generation int64
	now        map[types.UID]freshPod
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
	if len(f.pods) >= freshMost {
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

// follow prepares the look-ups of a cycle and drops the pods that the snapshot shows as they are.
func (f *fresh) follow(nodes []fwk.NodeInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.generations, f.leaving = nil, nil
	if f.now = nil; len(f.pods) == 0 {
		return
	}
	places := map[string]int{}
	for i := range nodes {
		places[nodes[i].Node().Name] = i
	}
	f.generations, f.leaving = map[int]int64{}, map[int]bool{}
	for uid, p := range f.pods {
		place, ok := places[p.node]
		if !ok || caughtUp(nodes[place], uid, p.pod) {
			delete(f.pods, uid)
			continue
		}
		f.generation++
		f.generations[place] = f.generation
		f.leaving[place] = f.leaving[place] || p.pod == nil
	}
	f.now = maps.Clone(f.pods)
}

// caughtUp tells whether the node shows a pod in its newest version.
func caughtUp(node fwk.NodeInfo, uid types.UID, newest *corev1.Pod) bool {
	for _, info := range node.GetPods() {
		if shown := info.GetPod(); shown.UID == uid {
			return newest != nil && shown.ResourceVersion == newest.ResourceVersion
		}
	}
	return newest == nil
}

// isLeaving tells whether a node at one of the places still shows a pod that has gone.
func (f *fresh) isLeaving(places []int) bool {
	return len(f.leaving) > 0 && slices.ContainsFunc(places, func(place int) bool { return f.leaving[place] })
}

// version returns the newest version of a pod on a node of the snapshot; nil when it has gone.
func (f *fresh) version(pod *corev1.Pod) *corev1.Pod {
	if p, ok := f.now[pod.UID]; ok {
		return p.pod
	}
	return pod
}
