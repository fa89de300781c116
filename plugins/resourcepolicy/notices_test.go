package resourcepolicy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2/ktesting"
)

// heldPods returns a queue in which pods of these names are held, and have been for long enough to tell their users.
func heldPods(t *testing.T, names ...string) (*queue, []*corev1.Pod) {
	t.Helper()
	q := newQueue(t, 10, "64")
	q.pl.active.Store(true)
	q.ask(q.pod("tried", 0, 0))
	var pods []*corev1.Pod
	for i, name := range names {
		pod := q.pod(name, 0, int64(i+1))
		if q.ask(pod) {
			t.Fatalf("pod %s is not held", name)
		}
		q.pl.admission.heldAt[pod.UID] = time.Now().Add(-time.Minute)
		pods = append(pods, pod)
	}
	return q, pods
}

func keyOf(pod *corev1.Pod) types.NamespacedName {
	return types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
}

// tell runs the notices until the test ends, for these pods in this order.
func (q *queue) tell(client kubernetes.Interface, pods []*corev1.Pod) {
	q.pl.handle = &writingHandle{handle: q.h, client: client}
	_, ctx := ktesting.NewTestContext(q.t)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); q.pl.notices.run(ctx, q.pl) }()
	q.t.Cleanup(func() { cancel(); <-ended })
	for _, pod := range pods {
		q.pl.notices.queue.Add(keyOf(pod))
	}
}

// hanging returns a client of an API server that answers for the pod "other" only, and a channel that is closed when it is asked for that one.
func hanging(t *testing.T) (kubernetes.Interface, <-chan struct{}) {
	t.Helper()
	asked := make(chan struct{})
	once := sync.OnceFunc(func() { close(asked) })
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/pods/other/") {
			once()
			return
		}
		// The end of a client is seen only after its body has been read.
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client, asked
}

func TestNotices_AWriteThatHangsKeepsNoOther(t *testing.T) {
	q, pods := heldPods(t, "hangs", "other")
	client, asked := hanging(t)
	q.pl.notices.timeout = time.Hour
	q.tell(client, pods)
	awaitSignal(t, asked, "the notice for the other pod is not given while a write hangs")
}

func TestNotices_WritesTimeOut(t *testing.T) {
	var names []string
	for i := range noticeWorkers {
		names = append(names, fmt.Sprintf("hangs-%d", i))
	}
	q, pods := heldPods(t, append(names, "other")...)
	client, asked := hanging(t)
	q.pl.notices.timeout = 50 * time.Millisecond
	q.tell(client, pods)
	awaitSignal(t, asked, "writes that hang are not given up")
}

func TestNotices_BackOffAfterAFailure(t *testing.T) {
	q, pods := heldPods(t, "held")
	client := fake.NewClientset(pods[0])
	fails := true
	client.PrependReactor("patch", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return fails, nil, errors.New("connection refused")
	})
	q.pl.handle = &writingHandle{handle: q.h, client: client}
	_, ctx := ktesting.NewTestContext(t)
	for want := 1; want <= 3; want++ {
		q.pl.notices.give(ctx, q.pl, keyOf(pods[0]))
		if got := q.pl.notices.queue.NumRequeues(keyOf(pods[0])); got != want {
			t.Errorf("after %d failures the notice has been put back with backoff %d times", want, got)
		}
	}
	fails = false
	q.pl.notices.give(ctx, q.pl, keyOf(pods[0]))
	if got := q.pl.notices.queue.NumRequeues(keyOf(pods[0])); got != 0 {
		t.Errorf("after a success %d failures are remembered", got)
	}
}

func awaitSignal(t *testing.T, signal <-chan struct{}, failure string) {
	t.Helper()
	select {
	case <-signal:
	case <-time.After(10 * time.Second):
		t.Fatal(failure)
	}
}
