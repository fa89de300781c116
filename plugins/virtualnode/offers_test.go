package virtualnode

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestFilterByOffer(t *testing.T) {
	full := "cn-beijing-j: the vCPU quota of cn-beijing leaves no room for 2-4Gi"
	cases := map[string]struct {
		zones      []*wrappers.Zone
		pods       []*wrappers.Pod
		pod        *wrappers.Pod
		wantCode   fwk.Code
		wantReason string
	}{
		"room":     {zones: []*wrappers.Zone{zone(zoneJ, "4")}, pods: []*wrappers.Pod{billed("a").Node(nodeJ)}},
		"no offer": {pods: []*wrappers.Pod{billed("a").Node(nodeJ)}},
		"the node is full": {
			zones: []*wrappers.Zone{zone(zoneJ, "4")}, pods: []*wrappers.Pod{billed("a").Node(nodeJ), billed("b").Node(nodeJ)},
			wantCode: fwk.Unschedulable, wantReason: full,
		},
		"what is billed for a small pod counts": {
			zones: []*wrappers.Zone{zone(zoneJ, "4")}, pods: []*wrappers.Pod{wrappers.MakePod("a").Node(nodeJ), wrappers.MakePod("b").Request("cpu", "1100m").Node(nodeJ)},
			wantCode: fwk.Unschedulable, wantReason: full,
		},
		"the other node holds the quota": {
			zones:    []*wrappers.Zone{zone(zoneJ, "4").Quota("4"), zone(zoneK, "4").Quota("4")},
			pods:     []*wrappers.Pod{billed("a").Node(nodeK), billed("b").Node(nodeK)},
			wantCode: fwk.Unschedulable, wantReason: full,
		},
		"another account has a quota of its own": {
			zones: []*wrappers.Zone{zone(zoneJ, "4").Quota("4"), zone(zoneK, "4").Quota("4").Secret("other").AccountID("2")},
			pods:  []*wrappers.Pod{billed("a").Node(nodeK), billed("b").Node(nodeK)},
		},
		"out of stock": {
			zones:    []*wrappers.Zone{soldOut(zone(zoneJ, "100"), "2-4Gi", time.Minute)},
			wantCode: fwk.UnschedulableAndUnresolvable, wantReason: "cn-beijing-j: out of stock for 2-4Gi (NoStock)",
		},
		"one pod may try again": {zones: []*wrappers.Zone{soldOut(zone(zoneJ, "100"), "2-4Gi", -time.Second)}},
		"one pod tries again": {
			zones: []*wrappers.Zone{soldOut(zone(zoneJ, "100"), "2-4Gi", -time.Second)}, pods: []*wrappers.Pod{billed("a").Node(nodeJ)},
			wantCode: fwk.UnschedulableAndUnresolvable, wantReason: "cn-beijing-j: out of stock for 2-4Gi (NoStock)",
		},
		"stale": {
			zones:    []*wrappers.Zone{zone(zoneJ, "100").Fresh(time.Now().Add(-time.Hour))},
			wantCode: fwk.UnschedulableAndUnresolvable, wantReason: "cn-beijing-j: what ECI would accept has not been known for a while",
		},
		"a capability that the VirtualNode allows": {zones: []*wrappers.Zone{zone(zoneJ, "100")}, pod: billed("p").Init("istio-init", "NET_ADMIN")},
		"a capability that another VirtualNode allows": {
			zones: []*wrappers.Zone{zone(zoneJ, "100"), zone(zoneK, "100").Allow("IPC_LOCK")}, pod: billed("p").Add("IPC_LOCK"),
			wantCode: fwk.UnschedulableAndUnresolvable, wantReason: "cn-beijing-j: VirtualNode cn-beijing-j does not allow to add IPC_LOCK of container main: " +
				"if ECI grants your account that, add it to spec.allowedCapabilities",
		},
		"what ECI cannot run": {
			zones: []*wrappers.Zone{zone(zoneJ, "100")}, pod: billed("p").HostPort(80),
			wantCode: fwk.UnschedulableAndUnresolvable, wantReason: "ECI cannot run pods with hostPort 80 (container main)",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.zones...)
			w.pods(tc.pods...)
			if tc.pod == nil {
				tc.pod = billed("p")
			}
			status := w.filter(w.begin(tc.pod), tc.pod, nodeJ)
			if status.Code() != tc.wantCode || status.Message() != tc.wantReason {
				t.Errorf("status %v %q, want %v %q", status.Code(), status.Message(), tc.wantCode, tc.wantReason)
			}
		})
	}
}

// TestAnnotationsOfTheUnit checks that what a unit writes on a pod is what ECI is asked for, before and after the binding comes back.
func TestAnnotationsOfTheUnit(t *testing.T) {
	w := newWorld(t, zone(zoneJ, "8"))
	small := wrappers.MakePod("assumed").Request("cpu", "1").Node(nodeJ)
	annotations := map[string]string{ecispec.AnnotationUseSpecs: "4-8Gi"}
	w.pl.offers.As = func(pod *corev1.Pod) *corev1.Pod { return Annotated(pod, annotations) }
	w.pods(small)
	state := framework.NewCycleState()
	w.pl.offers.Follow(state)
	next := wrappers.MakePod("next").Request("cpu", "1")
	if verdict, takes := w.pl.offers.Takes(w.pl.offers.Ask(next.Obj(), annotations), nodeJ); !takes {
		t.Errorf("two pods of 4-8Gi do not fit in 8 vCPU: %s", verdict.Why)
	}
	if _, takes := w.pl.offers.Takes(w.pl.offers.Ask(next.Obj(), map[string]string{ecispec.AnnotationUseSpecs: "8-16Gi"}), nodeJ); takes {
		t.Error("4-8Gi and 8-16Gi fit in 8 vCPU")
	}
	if next.Annotations != nil {
		t.Error("the pod itself was changed")
	}
}

// TestSimulation checks that pods that preemption takes away, or adds, change what is free, and only in the simulation.
func TestSimulation(t *testing.T) {
	w := newWorld(t, zone(zoneJ, "4").MaxSpend("1.1"), zone(zoneK, "4"))
	victim := billed("a").Node(nodeJ)
	w.pods(victim, billed("b").Node(nodeJ))
	pod := billed("p")
	_, ctx := ktesting.NewTestContext(t)
	state := w.begin(pod)
	simulated := state.Clone()
	info, err := w.handle.lister.NodeInfos().Get(nodeJ)
	if err != nil {
		t.Fatal(err)
	}
	podInfo, err := framework.NewPodInfo(victim.Obj())
	if err != nil {
		t.Fatal(err)
	}
	w.pl.RemovePod(ctx, simulated, pod.Obj(), podInfo, info)
	if status := w.filter(simulated, pod, nodeJ); !status.IsSuccess() {
		t.Errorf("without the victim the pod does not fit: %v", status)
	}
	if status := w.filter(state, pod, nodeJ); status.IsSuccess() {
		t.Error("the simulation has changed the cycle")
	}
	w.pl.AddPod(ctx, simulated, pod.Obj(), podInfo, info)
	if status := w.filter(simulated, pod, nodeJ); status.IsSuccess() {
		t.Error("with the victim back the pod fits")
	}
}

func TestWaiters(t *testing.T) {
	refuse := func(w *world, pod *wrappers.Pod) {
		w.Helper()
		state := w.begin(pod)
		if status := w.filter(state, pod, nodeJ); status.IsSuccess() {
			w.Fatal("not refused")
		}
		w.pl.PostFilter(w.Context(), state, pod.Obj(), nil)
	}
	t.Run("are woken when more is offered", func(t *testing.T) {
		before := zone(zoneJ, "1")
		w := newWorld(t, before)
		refuse(w, billed("p"))
		w.say(zone(zoneJ, "1"))
		w.expect()
		w.say(zone(zoneJ, "2"))
		w.expect("p")
		w.say(zone(zoneJ, "3"))
		w.expect() // They are woken once; their next attempt says whether they wait again.
	})
	t.Run("are woken when more was offered meanwhile", func(t *testing.T) {
		before := zone(zoneJ, "1")
		w := newWorld(t, before)
		pod := billed("p")
		state := w.begin(pod)
		w.filter(state, pod, nodeJ)
		w.say(zone(zoneJ, "2"))
		w.pl.PostFilter(t.Context(), state, pod.Obj(), nil)
		w.expect("p")
	})
	t.Run("are woken when the VirtualNode goes", func(t *testing.T) {
		before := zone(zoneJ, "1")
		w := newWorld(t, before)
		refuse(w, billed("p"))
		w.drop(before)
		w.expect("p")
		if w.pl.offers.Describes(nodeJ) {
			t.Error("the offer is still known")
		}
	})
	t.Run("are woken when a stock-out lets one try again", func(t *testing.T) {
		w := newWorld(t, soldOut(zone(zoneJ, "100"), "2-4Gi", time.Hour))
		refuse(w, billed("p"))
		timer := w.pl.offers.reopening.timer
		if timer == nil || !timer.Reset(0) {
			t.Fatal("no timer runs")
		}
		w.handle.await(t, "p")
		w.stopTimer()
	})
	t.Run("are woken when it let one try again meanwhile", func(t *testing.T) {
		w := newWorld(t, soldOut(zone(zoneJ, "100"), "2-4Gi", time.Hour))
		pod := billed("p")
		state := w.begin(pod)
		w.filter(state, pod, nodeJ)
		w.pl.offers.Waker.Wake(TopicECI) // As the timer does.
		w.pl.PostFilter(t.Context(), state, pod.Obj(), nil)
		w.expect("p")
		w.stopTimer()
	})
	t.Run("are woken when the quota that counts is more, although that of no node is", func(t *testing.T) {
		now := time.Now()
		w := newWorld(t, zone(zoneJ, "100").Quota("100").Fresh(now.Add(-time.Second)), zone(zoneK, "100").Quota("1").Fresh(now))
		refuse(w, billed("p"))
		w.say(zone(zoneJ, "100").Quota("100").Fresh(now.Add(time.Second)))
		w.expect("p")
	})
	t.Run("are woken when an instance turns out to be smaller", func(t *testing.T) {
		w := newWorld(t, zone(zoneJ, "8"))
		large := wrappers.MakePod("a").Annotation(ecispec.AnnotationUseSpecs, "2-4Gi,8-16Gi").Annotation(v1alpha1.AnnotationECISpecs, "2-4Gi,8-16Gi").Node(nodeJ)
		w.pods(large)
		refuse(w, billed("p"))
		before := large.Obj().DeepCopy()
		large.Status.Phase = corev1.PodRunning
		w.pl.offers.podUpdated(before, large.Annotation(ecispec.AnnotationInstanceSpec, "2-4Gi").Obj())
		w.handle.await(t, "p")
	})
	t.Run("are tried again when their annotations changed meanwhile", func(t *testing.T) {
		w := newWorld(t, zone(zoneJ, "1"))
		if err := w.pl.offers.pods.Add(billed("p").Annotation(ecispec.AnnotationUseSpecs, "1-2Gi").Obj()); err != nil {
			t.Fatal(err)
		}
		refuse(w, billed("p"))
		w.handle.await(t, "p")
	})
	t.Run("are not woken by an offer when ECI can never run them", func(t *testing.T) {
		w := newWorld(t, zone(zoneJ, "1"))
		refuse(w, billed("p").HostPort(80))
		w.say(zone(zoneJ, "100"))
		w.expect()
	})
	t.Run("are woken when the VirtualNode allows their capability", func(t *testing.T) {
		w := newWorld(t, zone(zoneJ, "1"))
		refuse(w, billed("p").Add("IPC_LOCK"))
		w.say(zone(zoneJ, "1").Allow("NET_ADMIN"))
		w.expect()
		w.say(zone(zoneJ, "1").Allow("NET_ADMIN", "IPC_LOCK"))
		w.expect("p")
	})
	t.Run("are not woken by a list of capabilities when they add all", func(t *testing.T) {
		w := newWorld(t, zone(zoneJ, "1"))
		refuse(w, billed("p").Add("ALL"))
		w.say(zone(zoneJ, "1").Allow("IPC_LOCK"))
		w.expect()
	})
	t.Run("are woken when their annotations change", func(t *testing.T) {
		w := newWorld(t, zone(zoneJ, "1"))
		pod := billed("p")
		refuse(w, pod)
		w.pl.offers.podUpdated(pod.Obj(), billed("p").Annotation("other", "x").Obj())
		w.expect()
		w.pl.offers.podUpdated(pod.Obj(), billed("p").Annotation(ecispec.AnnotationUseSpecs, "1-2Gi").Obj())
		w.expect("p")
	})
	t.Run("that another plugin refuses first are no longer on their way", func(t *testing.T) {
		w := newWorld(t, zone(zoneJ, "1"))
		refuse(w, billed("p"))
		w.say(zone(zoneJ, "2"))
		w.expect("p")
		w.pl.PostFilter(t.Context(), framework.NewCycleState(), billed("p").Obj(), nil) // PreFilter was not called.
		if _, trials := w.pl.offers.Waker.Size(); trials != 0 {
			t.Errorf("%d are on their way", trials)
		}
	})
	t.Run("are forgotten when they are bound", func(t *testing.T) {
		before := zone(zoneJ, "1")
		w := newWorld(t, before)
		pod := billed("p")
		refuse(w, pod)
		w.pl.offers.podUpdated(pod.Obj(), billed("p").Node("ecs").Obj())
		w.say(zone(zoneJ, "2"))
		w.expect()
	})
	t.Run("are none when the taint alone refused", func(t *testing.T) {
		before := zone(zoneJ, "1")
		w := newWorld(t, before)
		pod := billed("p")
		state := w.begin(pod)
		Tolerate(state, nil)
		w.filter(state, pod, nodeJ)
		w.pl.PostFilter(t.Context(), state, pod.Obj(), nil)
		w.say(zone(zoneJ, "2"))
		w.expect()
	})
}

// stopTimer stops the timer of the next stock-out.
func (w *world) stopTimer() {
	w.pl.offers.reopening.mu.Lock()
	defer w.pl.offers.reopening.mu.Unlock()
	if timer := w.pl.offers.reopening.timer; timer != nil {
		timer.Stop()
	}
}

// expect checks which pods have been woken since the last call.
func (w *world) expect(names ...string) {
	w.Helper()
	if got := w.handle.take(); !sets.New(got...).Equal(sets.New(names...)) {
		w.Errorf("woken: %v, want %v", got, names)
	}
}

// TestNominatedPods checks that what another pod has made room for on one node is not taken on another one of the account.
func TestNominatedPods(t *testing.T) {
	w := newWorld(t, zone(zoneJ, "100").Quota("2"), zone(zoneK, "100").Quota("2"))
	high, err := framework.NewPodInfo(billed("high").Priority(100).Obj())
	if err != nil {
		t.Fatal(err)
	}
	w.handle.nominated = map[string][]fwk.PodInfo{nodeK: {high}}
	if status := w.filter(w.begin(billed("low")), billed("low"), nodeJ); status.Code() != fwk.Unschedulable {
		t.Errorf("a pod of lower priority takes the quota: %v", status)
	}
	for _, pod := range []*wrappers.Pod{billed("higher").Priority(101), billed("high").Priority(100)} {
		if status := w.filter(w.begin(pod), pod, nodeJ); !status.IsSuccess() {
			t.Errorf("%s is kept out: %v", pod.Name, status)
		}
	}
}

// TestDeletedVirtualNode checks that a VirtualNode that is being deleted takes nothing, and what is there counts.
func TestDeletedVirtualNode(t *testing.T) {
	gone := zone(zoneK, "100").Quota("4")
	gone.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	w := newWorld(t, zone(zoneJ, "100").Quota("4"), gone)
	w.pods(billed("a").Node(nodeK), billed("b").Node(nodeK))
	state := w.begin(billed("p"))
	if status := w.filter(state, billed("p"), nodeJ); status.Message() != "cn-beijing-j: the vCPU quota of cn-beijing leaves no room for 2-4Gi" {
		t.Errorf("the other node: %v", status)
	}
	if status := w.filter(state, billed("p"), nodeK); status.Message() != "cn-beijing-k: its VirtualNode is being deleted" {
		t.Errorf("the node itself: %v", status)
	}
}

// TestAnotherRegion checks that what pods hold is worked out anew when their node is described for another region.
func TestAnotherRegion(t *testing.T) {
	w := newWorld(t, zone(zoneJ, "8"))
	w.pods(wrappers.MakePod("a").Request("cpu", "5").Node(nodeJ)) // 6-6Gi in cn-beijing, 8-8Gi elsewhere
	w.pl.offers.afterGroup = false
	w.begin(billed("p"))
	moved := zone(zoneJ, "8")
	moved.Spec.Region = "eu-central-1"
	w.say(moved)
	if status := w.filter(w.begin(billed("p")), billed("p"), nodeJ); status.Code() != fwk.Unschedulable {
		t.Errorf("status %v: the pod is counted as in the old region", status)
	}
}

func TestQuotaIsTheNewest(t *testing.T) {
	now := time.Now()
	w := newWorld(t, zone(zoneJ, "4").Quota("4").Fresh(now), zone(zoneK, "4").Quota("8").Fresh(now.Add(-time.Second)))
	if got := w.pl.offers.current().quotas[wrappers.MakeZone(zoneJ).Obj().Account()]; got != 4000 {
		t.Errorf("quota = %d, want the one that was read last", got)
	}
}

func TestTwoVirtualNodesOfOneName(t *testing.T) {
	first, second := zone(zoneJ, "4"), zone(zoneJ, "8")
	second.Name = "second"
	second.Status.Conditions = append(second.Status.Conditions, metav1Condition(eciv1alpha1.ConditionReady, eciv1alpha1.ReasonNodeNameTaken))
	w := newWorld(t, first, second)
	w.drop(second)
	if !w.pl.offers.Describes(nodeJ) {
		t.Error("the offer went with a VirtualNode that had none")
	}
}

// TestTheFirstCycleKnowsAll checks that no pod is placed before all VirtualNodes are known: handlers run in goroutines of their own.
func TestTheFirstCycleKnowsAll(t *testing.T) {
	w := newWorld(t)
	if err := w.pl.offers.store.Add(zone(zoneJ, "1").Obj()); err != nil {
		t.Fatal(err)
	}
	w.pl.offers.synced = func() bool { return true }
	if status := w.filter(w.begin(billed("p")), billed("p"), nodeJ); status.Code() != fwk.Unschedulable {
		t.Errorf("status %v: the VirtualNode is not known", status)
	}
}

func TestPodGoneHint(t *testing.T) {
	w := newWorld(t, zone(zoneJ, "1"))
	logger, _ := ktesting.NewTestContext(t)
	nominated := billed("a").Obj()
	nominated.Status.NominatedNodeName = nodeJ
	if got, err := w.pl.isSchedulableAfterPodGone(logger, billed("p").Obj(), nominated, nil); got != fwk.Queue || err != nil {
		t.Errorf("a nomination ends: hint = %v, %v", got, err)
	}
	for node, want := range map[string]fwk.QueueingHint{nodeJ: fwk.Queue, "ecs": fwk.QueueSkip} {
		if got, err := w.pl.isSchedulableAfterPodGone(logger, billed("p").Obj(), billed("a").Node(node).Obj(), nil); got != want || err != nil {
			t.Errorf("on %s: hint = %v, %v, want %v", node, got, err, want)
		}
	}
	if got, err := w.pl.isSchedulableAfterPodGone(logger, billed("p").Obj(), wrappers.MakeNode("n").Obj(), nil); got != fwk.Queue || err == nil {
		t.Errorf("not a pod: hint = %v, %v", got, err)
	}
}

func TestSignPod(t *testing.T) {
	w := newWorld(t, zone(zoneJ, "1"))
	for name, tc := range map[string]struct {
		pod  *wrappers.Pod
		want bool
	}{
		"no toleration":        {billed("p"), true},
		"of something else":    {billed("p").Tolerate("dedicated"), true},
		"of virtual nodes":     {billed("p").Tolerate(eciv1alpha1.TaintProvider), false},
		"of everything, as ''": {billed("p").Tolerate(""), false},
	} {
		if _, status := w.pl.SignPod(t.Context(), tc.pod.Obj()); status.IsSuccess() != tc.want {
			t.Errorf("%s: signed = %v, want %v", name, status.IsSuccess(), tc.want)
		}
	}
}

func BenchmarkFilterOrdinaryNode(b *testing.B) {
	offers := NewOffers()
	offers.Connect(klog.Background(), &handle{}, offers.pods)
	_ = offers.store.Add(zone(zoneJ, "1000").Obj())
	offers.changed()
	pl, state, pod := &VirtualNode{offers: offers}, framework.NewCycleState(), billed("p").Obj()
	state.Write(askingKey, &cycle{asking: offers.Ask(pod, nil)})
	info := framework.NewNodeInfo()
	info.SetNode(wrappers.MakeNode("n").Label("a", "b").Obj())
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		pl.Filter(ctx, state, pod, info)
	}
}
