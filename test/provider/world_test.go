package provider

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/internal/ecisim"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	nodeName = "virtual-kubelet-cn-beijing-j"
	zoneJ    = `{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":%}}}}`
	patience = 20 * time.Second
)

// world is a cluster of memory only, a simulator behind HTTP and a provider between them.
type world struct {
	t       *testing.T
	kube    *fake.Clientset
	url     string
	options Options
	// lost is how many answers to CreateContainerGroup do not arrive.
	lost atomic.Int32
	// asked is how often CreateContainerGroup was called, also without an answer.
	asked atomic.Int32
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, kube: fake.NewClientset(), options: Options{Retry: 20 * time.Millisecond, Workers: 4}}
	sim := ecisim.New(ecisim.DefaultState())
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		creates := r.Header.Get("x-acs-action") == "CreateContainerGroup"
		if creates {
			w.asked.Add(1)
		}
		if creates && w.lost.Add(-1) >= 0 {
			sim.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		sim.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.url, w.options.Endpoint = server.URL, server.URL
	return w
}

// play runs a provider until the test or the returned function ends it.
func (w *world) play() (stop func()) {
	w.t.Helper()
	p, err := newProvider(w.kube, w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		done <- nil
	}
	w.t.Cleanup(stop)
	w.eventually("the provider is ready", p.Ready)
	return stop
}

func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	err := wait.PollUntilContextTimeout(context.Background(), 5*time.Millisecond, patience, true, func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		w.t.Fatalf("it did not come true that %s; the pods: %+v; the groups: %+v", what, w.allPods(), w.groups())
	}
}

func (w *world) allPods() []corev1.Pod {
	list, err := w.kube.CoreV1().Pods("").List(context.Background(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

func (w *world) admin(method, path, body string, answer any) {
	w.t.Helper()
	r, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		w.t.Fatalf("%s %s %s: %v", method, path, body, err)
	}
}

func (w *world) groups() []ecisim.Group {
	var groups []ecisim.Group
	w.admin(http.MethodGet, "/admin/groups", "", &groups)
	return groups
}

func (w *world) patch(body string) {
	w.admin(http.MethodPatch, "/admin/state", body, &ecisim.State{})
}

func (w *world) zone(zone string) { w.patch(strings.Replace(zoneJ, "%", zone, 1)) }

func (w *world) node() {
	node := wrappers.MakeVirtualNode(nodeName).Label(corev1.LabelTopologyRegion, "cn-beijing").Label(corev1.LabelTopologyZone, "cn-beijing-j").Obj()
	if _, err := w.kube.CoreV1().Nodes().Create(context.Background(), node, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// pod creates a pod of 2-4Gi on the virtual node.
func (w *world) pod(p *wrappers.Pod) {
	w.t.Helper()
	pod := p.Request(corev1.ResourceCPU, "2").Request(corev1.ResourceMemory, "4Gi").Obj()
	if pod.Spec.NodeName == "" {
		pod.Spec.NodeName = nodeName
	}
	pod.UID = types.UID("uid-" + pod.Name)
	if pod.Status.Phase == "" {
		pod.Status.Phase = corev1.PodPending
	}
	if _, err := w.kube.CoreV1().Pods(pod.Namespace).Create(context.Background(), pod, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(name string) *corev1.Pod {
	for _, pod := range w.allPods() {
		if pod.Name == name {
			return &pod
		}
	}
	return nil
}

func (w *world) inPhase(name string, phase corev1.PodPhase) func() bool {
	return func() bool { pod := w.get(name); return pod != nil && pod.Status.Phase == phase }
}

// says returns the condition ContainerInstanceCreated as "Status Reason: message".
func (w *world) says(name string) string {
	for _, c := range w.get(name).Status.Conditions {
		if c.Type == v1alpha1.ConditionContainerInstanceCreated {
			return string(c.Status) + " " + c.Reason + ": " + c.Message
		}
	}
	return ""
}
