package virtualnode

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	schedulingv1alpha1 "github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/plugins/wakeup"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// boundFor returns a pod of another namespace that was created ten hours ago and bound some time ago, and of which ECI
// has said nothing.
func boundFor(ago time.Duration) *wrappers.Pod {
	p := wrappers.MakePod("stuck").Namespace("evil").Node(nodeJ)
	p.CreationTimestamp = metav1.NewTime(time.Now().Add(-10 * time.Hour))
	p.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(time.Now().Add(-ago)),
	}}
	return p
}

// TestFilter_UndecidedPods checks for how long a pod of which ECI has said nothing keeps others from trying whether a
// stock-out is over.
func TestFilter_UndecidedPods(t *testing.T) {
	withNode := boundFor(0)
	withNode.Status.Conditions = nil
	assumed := boundFor(0)
	assumed.Status.Conditions[0].Status = corev1.ConditionFalse
	cases := map[string]struct {
		pod   *wrappers.Pod
		shown bool
		want  bool
	}{
		"bound a moment ago":                        {pod: boundFor(time.Second)},
		"bound three minutes ago":                   {pod: boundFor(3 * time.Minute), want: true},
		"created with a node ten hours ago":         {pod: withNode, want: true},
		"created ten hours ago and bound just now":  {pod: assumed, shown: true},
		"it has failed before, and nobody knows it": {pod: assumed, want: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, soldOut(zone(zoneJ, "100"), "*", -time.Minute))
			if tc.shown {
				waiting := tc.pod.Obj().DeepCopy()
				waiting.Spec.NodeName = ""
				if err := w.pl.offers.pods.Add(waiting); err != nil {
					t.Fatal(err)
				}
			}
			w.pods(tc.pod)
			p := billed("p")
			if status := w.filter(w.begin(p), p, nodeJ); status.IsSuccess() != tc.want {
				t.Errorf("taken = %v: %v", status.IsSuccess(), status)
			}
		})
	}
}

// TestFilter_UndecidedPodExpires checks that the count expires with time: no event tells that it does.
func TestFilter_UndecidedPodExpires(t *testing.T) {
	w := newWorld(t, soldOut(zone(zoneJ, "100").Fresh(time.Now().Add(time.Hour)), "*", -time.Minute))
	w.pl.offers.decideWithin = time.Millisecond
	w.pods(boundFor(time.Minute))
	p := billed("p")
	if err := w.pl.offers.pods.Add(p.Obj()); err != nil {
		t.Fatal(err)
	}
	state := w.begin(p)
	since := w.pl.offers.Waker.Now()
	w.pl.offers.Waker.Park(wakeup.Parking{Pod: p.Obj(), Shape: "p", Topics: []string{TopicECI}, Since: since})
	if status := w.filter(state, p, nodeJ); status.IsSuccess() {
		t.Fatal("the pod is taken beside one on which ECI has still to decide")
	}
	w.handle.await(t, "p")
	asking := w.pl.offers.Ask(p.Obj(), nil)
	asking.now = asking.now.Add(2 * time.Minute)
	if verdict, _ := w.pl.offers.check(asking, nodeJ, nil); verdict.Why != "" {
		t.Errorf("after three minutes: %s", verdict.Why)
	}
}

// TestFilter_UnpricedPodOfOthers checks that a pod whose instance type has no price does not close a node with a limit
// on spending.
func TestFilter_UnpricedPodOfOthers(t *testing.T) {
	w := newWorld(t, zone(zoneJ, "100").MaxSpend("100"))
	w.pods(wrappers.MakePod("p").Namespace("evil").Request("cpu", "1m").Annotation(ecispec.AnnotationUseSpecs, "ecs.zz9.small").
		Annotation(schedulingv1alpha1.AnnotationECISpecs, "ecs.zz9.small").Node(nodeJ))
	p := billed("p")
	state := w.begin(p)
	if status := w.filter(state, p, nodeJ); !status.IsSuccess() {
		t.Errorf("refused: %v", status)
	}
	evil, _ := w.handle.lister.NodeInfos().Get(nodeJ)
	if status := w.pl.AddPod(t.Context(), state, p.Obj(), evil.GetPods()[0], evil); !status.IsSuccess() {
		t.Fatal(status)
	}
	if status := w.filter(state, p, nodeJ); !status.IsSuccess() {
		t.Errorf("in a simulation with another one: %v", status)
	}
}
