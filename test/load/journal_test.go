package load

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/spillway-k8s/spillway/test/conformance/harness"
)

// journal follows the pods of a namespace as the API server changes them: a list, then every change in the order in which it happened. After each change
// it checks what must always hold.
type journal struct {
	// check returns what is wrong with the pods that exist, after the one was changed. It is called with the lock.
	check func(j *journal, changed *corev1.Pod) error

	mu   sync.Mutex
	pods map[types.UID]*corev1.Pod
	// lives are what became of all pods that ever were.
	lives map[types.UID]*life
	// now counts the changes.
	now    int
	bound  int
	faults []string
	// changed has an entry when something has changed since it was taken last.
	changed chan struct{}
}

// life is what became of a pod, in changes of the journal; zero for what has not happened.
type life struct {
	pod                  *corev1.Pod
	created, bound, gone int
}

// follow returns a journal of the pods of a namespace, which ends with the test. check may be nil.
func follow(namespace string, check func(j *journal, changed *corev1.Pod) error) *journal {
	GinkgoHelper()
	j := &journal{check: check, pods: map[types.UID]*corev1.Pod{}, lives: map[types.UID]*life{}, changed: make(chan struct{}, 1)}
	clients, err := kubernetes.NewForConfig(harness.RestConfig)
	Expect(err).NotTo(HaveOccurred())
	pods := clients.CoreV1().Pods(namespace)
	ctx, cancel := context.WithCancel(context.Background())
	list, err := pods.List(ctx, metav1.ListOptions{})
	Expect(err).NotTo(HaveOccurred())
	for i := range list.Items {
		j.note(watch.Added, &list.Items[i])
	}
	changes, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: pods.Watch,
	})
	Expect(err).NotTo(HaveOccurred())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for change := range changes.ResultChan() {
			pod, ok := change.Object.(*corev1.Pod)
			if !ok {
				j.fault(fmt.Errorf("the watch of the pods broke: %v", change.Object))
				return
			}
			j.note(change.Type, pod)
		}
	}()
	DeferCleanup(func() {
		cancel()
		<-done
	})
	return j
}

// note notes a change of a pod.
func (j *journal) note(change watch.EventType, pod *corev1.Pod) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.now++
	l := j.lives[pod.UID]
	if l == nil {
		l = &life{created: j.now}
		j.lives[pod.UID] = l
	}
	l.pod, j.pods[pod.UID] = pod, pod
	if l.bound == 0 && pod.Spec.NodeName != "" {
		l.bound = j.now
		j.bound++
	}
	if change == watch.Deleted {
		l.gone = j.now
		delete(j.pods, pod.UID)
	}
	if j.check != nil {
		if err := j.check(j, pod); err != nil {
			j.faults = append(j.faults, fmt.Sprintf("change %d (%s %s): %v", j.now, change, pod.Name, err))
		}
	}
	select {
	case j.changed <- struct{}{}:
	default:
	}
}

func (j *journal) fault(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.faults = append(j.faults, err.Error())
}

// which returns the pods that exist and are meant, by name.
func (j *journal) which(meant func(*corev1.Pod) bool) []*corev1.Pod {
	j.mu.Lock()
	defer j.mu.Unlock()
	var pods []*corev1.Pod
	for _, pod := range j.pods {
		if meant(pod) {
			pods = append(pods, pod)
		}
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return pods
}

// count returns how many pods exist that are meant.
func (j *journal) count(meant func(*corev1.Pod) bool) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, pod := range j.pods {
		if meant(pod) {
			n++
		}
	}
	return n
}

// existing returns the pods that exist. The caller has the lock.
func (j *journal) existing() []*corev1.Pod { return slices.Collect(maps.Values(j.pods)) }

// exist returns how many of the pods still exist.
func (j *journal) exist(pods []*corev1.Pod) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, pod := range pods {
		if j.pods[pod.UID] != nil {
			n++
		}
	}
	return n
}

// history returns what became of all pods so far.
func (j *journal) history() []life {
	j.mu.Lock()
	defer j.mu.Unlock()
	var lives []life
	for _, l := range j.lives {
		lives = append(lives, *l)
	}
	slices.SortFunc(lives, func(a, b life) int { return a.created - b.created })
	return lives
}

// bindings returns how many pods have been bound so far.
func (j *journal) bindings() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.bound
}

// changes returns how many changes have been noted so far.
func (j *journal) changes() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.now
}

// broken returns what the checks have found.
func (j *journal) broken() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.faults[:min(len(j.faults), 10)], "\n")
}

// comes waits until the assertions hold. A check that fails meanwhile ends the wait.
func (j *journal) comes(assertions func(g Gomega)) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		if broken := j.broken(); broken != "" {
			StopTrying(broken).Now()
		}
		assertions(g)
	}).WithTimeout(settles).Should(Succeed())
}

// isBound and isWaiting tell what has become of a pod that exists.
func isBound(pod *corev1.Pod) bool   { return pod.Spec.NodeName != "" }
func isWaiting(pod *corev1.Pod) bool { return pod.Spec.NodeName == "" }

// on returns whether a pod is on one of the nodes.
func on(nodes map[string]bool) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool { return nodes[pod.Spec.NodeName] }
}

// reasons returns why pods wait, each reason once.
func reasons(pods []*corev1.Pod) []string {
	said := map[string]bool{}
	for _, pod := range pods {
		said[harness.WaitReason(pod)] = true
	}
	return slices.Sorted(maps.Keys(said))
}
