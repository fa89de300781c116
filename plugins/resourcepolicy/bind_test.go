package resourcepolicy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// binder is a plugin that has placed a pod on a virtual node, and an API server that notes the Bindings.
type binder struct {
	*testing.T
	pl       *ResourcePolicy
	vn       *virtualnode.VirtualNode
	state    fwk.CycleState
	client   *fake.Clientset
	bindings []*corev1.Binding
	// conflicts is how many Bindings are refused before one is taken.
	conflicts int
}

const eciNode = "eci"

func newBinder(t *testing.T, pod *wrappers.Pod) *binder {
	t.Helper()
	b := &binder{T: t, client: fake.NewClientset(pod.Obj())}
	nodes := []*wrappers.Node{wrappers.MakeVirtualNode(eciNode).Capacity("cpu", "100").Capacity("memory", "1Ti").Capacity("pods", "100")}
	pl, h := newTestPlugin(t, nodes, wrappers.MakePolicy("p").Unit(wrappers.ECI().PodAnnotation("team", "a")))
	b.pl, h.client = pl, b.client
	list := infos(t, nodes)
	h.nodes = func(string) (fwk.NodeInfo, error) { return list[0], nil }
	pl.offers.Connect(klog.Background(), h, pl.pods.GetStore())
	b.vn = pl.offers.Plugin(h)
	z := wrappers.MakeZone("cn-beijing-j").External().Fresh(time.Now()).Quota("100").Offers("cpu", "100").Offers("memory", "1Ti").Offers("pods", "100")
	z.Spec.NodeName = eciNode
	pl.offers.Say([]*eciv1alpha1.VirtualNode{z.Obj()})
	b.show(pod)
	b.client.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() != "binding" {
			return false, nil, nil
		}
		if b.conflicts--; b.conflicts >= 0 {
			return true, nil, apierrors.NewConflict(corev1.Resource("pods/binding"), pod.Name, nil)
		}
		b.bindings = append(b.bindings, action.(clienttesting.CreateAction).GetObject().(*corev1.Binding))
		return true, nil, nil
	})
	_, ctx := ktesting.NewTestContext(t)
	b.state = framework.NewCycleState()
	b.vn.PreFilter(ctx, b.state, pod.Obj(), list)
	if _, status := pl.PreFilter(ctx, b.state, pod.Obj(), list); !status.IsSuccess() {
		t.Fatalf("refused: %v", status)
	}
	pl.Reserve(ctx, b.state, pod.Obj(), eciNode)
	b.vn.Reserve(ctx, b.state, pod.Obj(), eciNode)
	return b
}

// show makes the informer show a pod.
func (b *binder) show(pod *wrappers.Pod) {
	b.Helper()
	if err := b.pl.pods.GetStore().Add(pod.Obj()); err != nil {
		b.Fatal(err)
	}
}

func (b *binder) bind(pod *wrappers.Pod) *fwk.Status {
	_, ctx := ktesting.NewTestContext(b.T)
	return b.pl.Bind(ctx, b.state, pod.Obj(), eciNode)
}

func TestBind_Record(t *testing.T) {
	pod := webPod("p").Version("7").Annotation(ecispec.AnnotationInstanceSpec, "0.25-0.5Gi").Annotation(v1alpha1.AnnotationECISpecs, "0.25-0.5Gi")
	b := newBinder(t, pod)
	if status := b.bind(pod); !status.IsSuccess() || len(b.bindings) != 1 {
		t.Fatalf("status %v, bindings %v", status, b.bindings)
	}
	got := b.bindings[0]
	want := map[string]string{"team": "a", v1alpha1.AnnotationECISpecs: "2-1Gi", ecispec.AnnotationInstanceSpec: ""}
	for key, value := range want {
		if is, ok := got.Annotations[key]; !ok || is != value {
			t.Errorf("annotation %s: %q, want %q", key, is, value)
		}
	}
	if diff := cmp.Diff("7", got.ResourceVersion); diff != "" {
		t.Errorf("version (-want +got):\n%s", diff)
	}
}

// TestBind_EditedMeanwhile has what users may do to a pod between its placement and its binding, which a volume can delay for as long as they like.
func TestBind_EditedMeanwhile(t *testing.T) {
	pod := func() *wrappers.Pod { return webPod("p").Version("7") }
	larger := func() *wrappers.Pod { return pod().Version("8").Annotation(ecispec.AnnotationUseSpecs, "64-128Gi") }
	t.Run("the informer has told", func(t *testing.T) {
		b := newBinder(t, pod())
		b.show(larger())
		if status := b.bind(pod()); status.IsSuccess() || len(b.bindings) > 0 {
			t.Errorf("a pod is bound that asks for a larger instance: %v", status)
		}
	})
	t.Run("the informer is behind", func(t *testing.T) {
		b := newBinder(t, pod())
		if err := b.client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), larger().Obj(), "default"); err != nil {
			t.Fatal(err)
		}
		b.conflicts = 1
		if status := b.bind(pod()); status.IsSuccess() || len(b.bindings) > 0 || !strings.Contains(status.Message(), "something else") {
			t.Errorf("a pod is bound that asks for a larger instance: %v", status)
		}
	})
	t.Run("another edit", func(t *testing.T) {
		b := newBinder(t, pod())
		if err := b.client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), pod().Version("8").Annotation("a", "b").Obj(), "default"); err != nil {
			t.Fatal(err)
		}
		b.conflicts = 1
		if status := b.bind(pod()); !status.IsSuccess() || len(b.bindings) != 1 || b.bindings[0].ResourceVersion != "8" {
			t.Errorf("status %v, bindings %v", status, b.bindings)
		}
	})
	t.Run("all the time", func(t *testing.T) {
		b := newBinder(t, pod())
		b.conflicts = 100
		if status := b.bind(pod()); status.IsSuccess() || b.conflicts != 100-maxVersions {
			t.Errorf("status %v after %d tries", status, 100-b.conflicts)
		}
	})
}
