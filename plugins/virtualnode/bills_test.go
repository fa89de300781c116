package virtualnode

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// huge returns a pod that ECI bills as 64-128Gi, although it requests next to nothing.
func huge(name string) *wrappers.Pod {
	p := wrappers.MakePod(name).Request("cpu", "1m").Request("memory", "1Mi")
	p.Spec.Containers[0].Resources.Limits = wrappers.MakePod("").Request("cpu", "64").Request("memory", "128Gi").Spec.Containers[0].Resources.Requests
	return p
}

// held returns what the pods on the node of zone J hold.
func (w *world) held() (milliCPU int64) {
	w.Helper()
	w.begin(billed("probe"))
	for _, node := range w.pl.offers.pinned.nodes {
		if node.Name == nodeJ {
			return w.pl.offers.counts.Amount(countKey(node)).MilliCPU
		}
	}
	return 0
}

// know puts pods into the informer's store.
func (w *world) know(pods ...*wrappers.Pod) {
	w.Helper()
	for _, p := range pods {
		if err := w.pl.offers.pods.Add(p.Obj()); err != nil {
			w.Fatal(err)
		}
	}
}

// reserve places a pod on the node of zone J and returns it as it is bound, with its record.
func (w *world) reserve(pod *wrappers.Pod) *wrappers.Pod {
	w.Helper()
	w.know(pod)
	state := w.begin(pod)
	if status := w.filter(state, pod, nodeJ); !status.IsSuccess() {
		w.Fatalf("%s is refused: %v", pod.Name, status)
	}
	w.pl.Reserve(w.Context(), state, pod.Obj(), nodeJ)
	return pod.Annotation(v1alpha1.AnnotationECISpecs, w.pl.offers.Record(pod.UID)).Node(nodeJ)
}

// TestBills_Edits has what users can write on a bound pod to make its bill smaller or larger, while the scheduler runs and across a restart of it.
func TestBills_Edits(t *testing.T) {
	cases := map[string]struct {
		pod  *wrappers.Pod
		edit func(*wrappers.Pod)
		want int64
		// restarted is what counts after a restart, where only the pod itself tells; 0 is the same.
		restarted int64
	}{
		"none": {pod: huge("p"), edit: func(*wrappers.Pod) {}, want: 64000},
		"use-specs that cannot be read": {
			pod: huge("p"), edit: func(p *wrappers.Pod) { p.Annotation(ecispec.AnnotationUseSpecs, "x") }, want: 64000,
		},
		"use-specs that are tiny": {
			pod: huge("p"), edit: func(p *wrappers.Pod) { p.Annotation(ecispec.AnnotationUseSpecs, "0.25-0.5Gi") }, want: 64000,
		},
		"use-specs that are huge": {
			pod: billed("p"), edit: func(p *wrappers.Pod) { p.Annotation(ecispec.AnnotationUseSpecs, "64-512Gi") }, want: 2000, restarted: 64000,
		},
		"use-specs are removed": {
			pod:  billed("p").Annotation(ecispec.AnnotationUseSpecs, "8-16Gi"),
			edit: func(p *wrappers.Pod) { delete(p.Annotations, ecispec.AnnotationUseSpecs) }, want: 8000,
		},
		"the record is removed": {
			pod: huge("p"), edit: func(p *wrappers.Pod) { delete(p.Annotations, v1alpha1.AnnotationECISpecs) }, want: 64000,
		},
		"the record is replaced": {
			pod: huge("p"), edit: func(p *wrappers.Pod) { p.Annotation(v1alpha1.AnnotationECISpecs, "0.25-0.5Gi") }, want: 64000,
		},
		"the instance is said to be small": {
			pod: huge("p"), edit: func(p *wrappers.Pod) {
				p.Annotation(ecispec.AnnotationInstanceSpec, "0.25-0.5Gi")
				p.Status.Phase = corev1.PodRunning
			}, want: 64000,
		},
		"the instance is said to be enormous": {
			pod: billed("p"), edit: func(p *wrappers.Pod) {
				p.Annotation(ecispec.AnnotationInstanceSpec, "1000000-1000000Gi")
				p.Status.Phase = corev1.PodRunning
			}, want: 2000,
		},
		"one of several is said to be taken before it is": {
			pod:  billed("p").Annotation(ecispec.AnnotationUseSpecs, "2-4Gi,64-128Gi"),
			edit: func(p *wrappers.Pod) { p.Annotation(ecispec.AnnotationInstanceSpec, "2-4Gi") }, want: 64000,
		},
		"everything is edited": {
			pod: huge("p"), edit: func(p *wrappers.Pod) {
				delete(p.Annotations, v1alpha1.AnnotationECISpecs)
				p.Annotation(ecispec.AnnotationUseSpecs, "0.25-0.5Gi").Annotation(ecispec.AnnotationInstanceSpec, "0.25-0.5Gi")
				p.Status.Phase = corev1.PodRunning
			}, want: 64000,
		},
		"limits are resized": {
			pod: huge("p"), edit: func(p *wrappers.Pod) {
				p.Spec.Containers[0].Resources.Limits = p.Spec.Containers[0].Resources.Requests
			}, want: 64000,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, zone(zoneJ, "100").Offers("memory", "8Ti"))
			bound := w.reserve(tc.pod)
			tc.edit(bound)
			w.pods(bound)
			if got := w.held(); got != tc.want {
				t.Errorf("holds %d thousandths of a vCPU, want %d", got, tc.want)
			}
			if tc.restarted > 0 {
				tc.want = tc.restarted
			}
			again := newWorld(t, zone(zoneJ, "100").Offers("memory", "8Ti"))
			again.know(bound)
			again.pods(bound)
			if got := again.held(); got != tc.want {
				t.Errorf("after a restart: holds %d thousandths of a vCPU, want %d", got, tc.want)
			}
		})
	}
}

// TestBills_StillAsks has what users can edit between the placement of a pod and its binding.
func TestBills_StillAsks(t *testing.T) {
	w := newWorld(t, zone(zoneJ, "100").Offers("memory", "8Ti"))
	w.reserve(billed("p"))
	cases := map[string]struct {
		pod  *wrappers.Pod
		want bool
	}{
		"the same":           {pod: billed("p").Annotation("other", "x"), want: true},
		"a larger instance":  {pod: billed("p").Annotation(ecispec.AnnotationUseSpecs, "64-128Gi")},
		"an unreadable one":  {pod: billed("p").Annotation(ecispec.AnnotationUseSpecs, "x")},
		"other resources":    {pod: billed("p").Request("cpu", "4")},
		"a pod of somewhere": {pod: billed("elsewhere").Annotation(ecispec.AnnotationUseSpecs, "x"), want: true},
	}
	for name, tc := range cases {
		if got := w.pl.offers.StillAsks(tc.pod.Obj()); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// TestBills_Taken checks that the specification that ECI has taken is believed, and nothing less afterwards.
func TestBills_Taken(t *testing.T) {
	w := newWorld(t, zone(zoneJ, "100").Offers("memory", "8Ti"))
	bound := w.reserve(billed("p").Annotation(ecispec.AnnotationUseSpecs, "2-4Gi,8-16Gi"))
	for _, step := range []struct {
		spec string
		want int64
	}{{"", 8000}, {"2-4Gi", 2000}, {"8-16Gi", 8000}, {"2-4Gi", 8000}, {"8-32Gi", 8000}} {
		bound.Annotation(ecispec.AnnotationInstanceSpec, step.spec).Status.Phase = corev1.PodRunning
		w.pods(bound)
		if got := w.held(); got != step.want {
			t.Errorf("with an instance of %s: holds %d, want %d", step.spec, got, step.want)
		}
	}
}

func TestBills_Forgotten(t *testing.T) {
	w := newWorld(t, zone(zoneJ, "100").Offers("memory", "8Ti"))
	bound := w.reserve(billed("p"))
	w.pods(bound)
	w.held()
	if err := w.pl.offers.pods.Delete(bound.Obj()); err != nil {
		t.Fatal(err)
	}
	w.pl.offers.podGone(bound.Obj())
	w.pods(bound) // The snapshot still shows it.
	if w.held() != 2000 || len(w.pl.offers.bills.pods) != 0 {
		t.Errorf("holds %d, remembered: %v", w.held(), w.pl.offers.bills.pods)
	}
	undone := billed("undone")
	w.know(undone)
	state := w.begin(undone)
	w.pl.Reserve(t.Context(), state, undone.Obj(), nodeJ)
	w.pl.Unreserve(t.Context(), state, undone.Obj(), nodeJ)
	if len(w.pl.offers.bills.pods) != 0 {
		t.Errorf("remembered after the binding failed: %v", w.pl.offers.bills.pods)
	}
}
