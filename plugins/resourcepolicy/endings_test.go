package resourcepolicy

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/wakeup"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// These tests are about what happens between two calls of the plugin: handlers run in goroutines of their own.

// queue is the part of the scheduling queue and of a cycle that the tests need.
type queue struct {
	t     *testing.T
	pl    *ResourcePolicy
	h     *handle
	nodes []*wrappers.Node
}

// newQueue returns a plugin with one node, and a policy with one unit, which pods of the store wait for.
func newQueue(t *testing.T, cap int32, cpu string) *queue {
	t.Helper()
	nodes := []*wrappers.Node{wrappers.MakeNode("n").Capacity("cpu", cpu).Capacity("memory", "64Gi")}
	pl, h := newTestPlugin(t, nodes, wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().Max(cap)))
	pl.admission.waits, pl.inflight.waits = pl.waits, pl.waits
	pl.later = func(_ time.Duration, f func()) { f() }
	pl.admission.soon = func(f func()) { go f() }
	return &queue{t: t, pl: pl, h: h, nodes: nodes}
}

// pod creates a pod; the greater its age is, the younger it is.
func (q *queue) pod(name string, priority int32, age int64) *corev1.Pod {
	q.t.Helper()
	pod := webPod(name).Priority(priority).Obj()
	pod.CreationTimestamp.Time = time.Unix(1000+age, 0)
	if err := q.pl.pods.GetStore().Add(pod); err != nil {
		q.t.Fatal(err)
	}
	return pod
}

// remove deletes a pod, and tells the plugin's handler.
func (q *queue) remove(pod *corev1.Pod) {
	q.t.Helper()
	if err := q.pl.pods.GetStore().Delete(pod); err != nil {
		q.t.Fatal(err)
	}
	q.pl.podDeleted(pod)
}

// ask tells whether the pod may be tried.
func (q *queue) ask(pod *corev1.Pod) bool {
	_, ctx := ktesting.NewTestContext(q.t)
	return (&Admission{pl: q.pl}).PreEnqueue(ctx, pod).IsSuccess()
}

// try is a cycle in which something happens between PreFilter and its end. It tells whether the pod is placed, which is not reserved yet.
func (q *queue) try(pod *corev1.Pod, nodes []fwk.NodeInfo, between func()) (fwk.CycleState, bool) {
	_, ctx := ktesting.NewTestContext(q.t)
	state := framework.NewCycleState()
	_, status := q.pl.PreFilter(ctx, state, pod, nodes)
	between()
	if !status.IsSuccess() {
		q.pl.PostFilter(ctx, state, pod, nil)
	}
	return state, status.IsSuccess()
}

func nothing() {}

func TestAPodThatIsGoneBeforeItAsksHasNoTicket(t *testing.T) {
	q := newQueue(t, 1, "64")
	gone := q.pod("gone", 0, 0)
	q.remove(gone)
	q.ask(gone) // The queue's handler is behind the plugin's.
	if !q.ask(q.pod("next", 0, 1)) {
		t.Error("a pod is held by one that does not exist")
	}
}

func TestAPodThatGoesInItsCycleHasNoTicket(t *testing.T) {
	q := newQueue(t, 1, "64")
	old := webPod("old").Node("n")
	gone := q.pod("gone", 0, 0)
	q.ask(gone)
	q.try(gone, infos(t, q.nodes, old), func() { q.remove(gone) })
	next := q.pod("next", 0, 1)
	q.ask(next)
	q.remove(old.Obj())
	if !q.ask(next) {
		t.Error("a pod is held by one that does not exist")
	}
}

func TestAPodThatGoesInItsCycleKeepsNoSlot(t *testing.T) {
	q := newQueue(t, 1, "64")
	gone := q.pod("gone", 1000, 0)
	state, _ := q.try(gone, infos(t, q.nodes), func() { q.remove(gone) })
	slot := stateOf(state).view.slot(0)
	slot.node, slot.usage = "n", placement.Usage{}.Add(nil)
	q.pl.inflight.nominate(slot)
	if _, placed := q.try(q.pod("next", 0, 1), infos(t, q.nodes), nothing); !placed {
		t.Error("a slot is kept for a pod that does not exist")
	}
}

func TestAnEditInACycleForgetsNobody(t *testing.T) {
	q := newQueue(t, 1, "64")
	old := webPod("old").Node("n")
	tried, held := q.pod("tried", 0, 0), q.pod("held", 0, 1)
	q.ask(tried)
	q.ask(held)
	q.try(tried, infos(t, q.nodes, old), func() {
		edited := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().Max(1))
		edited.Generation = 2
		policies := placement.NewPolicies().WithNamespace("default", nil)
		q.pl.policies = fixedSource{policies.WithNamespace("default", []*placement.Policy{placement.Compile(edited.Obj())})}
		q.pl.expect([]*corev1.Pod{tried, held})
		q.ask(held)
	})
	q.ask(tried)
	q.remove(old.Obj())
	state, placed := q.try(tried, infos(t, q.nodes), nothing)
	if !placed {
		t.Fatal("the slot is free, and the first pod is not placed")
	}
	_, ctx := ktesting.NewTestContext(t)
	q.pl.Reserve(ctx, state, tried, "n")
	bound := tried.DeepCopy()
	bound.Spec.NodeName = "n"
	q.pl.podUpdated(tried, bound)
	q.h.activated = nil
	q.pl.podDeleted(bound)
	if len(q.h.activated) != 1 || q.h.activated[0] != "held" {
		t.Errorf("woken: %v, want the held pod", q.h.activated)
	}
}

func TestAnAttemptThatEndsWithAnErrorPassesItsTicketOn(t *testing.T) {
	q := newQueue(t, 1, "64")
	failing, next := q.pod("failing", 0, 0), q.pod("next", 0, 1)
	q.ask(failing)
	q.ask(next)
	_, ctx := ktesting.NewTestContext(t)
	q.pl.PreFilter(ctx, framework.NewCycleState(), failing, infos(t, q.nodes)) // Another plugin returns Error: no PostFilter.
	if q.ask(failing) || !q.ask(next) {
		t.Error("the only ticket stays with a pod whose attempts end with errors")
	}
}

func TestPodsAboveACountedOneMayPreempt(t *testing.T) {
	q := newQueue(t, 2, "64")
	low := webPod("low").Node("n").Priority(0)
	first, second := q.pod("first", 1000, 0), q.pod("second", 1000, 1)
	q.ask(first)
	state, _ := q.try(first, infos(t, q.nodes, low), nothing)
	_, ctx := ktesting.NewTestContext(t)
	q.pl.Reserve(ctx, state, first, "n")
	if !q.ask(second) {
		t.Error("a pod is held although it could preempt one with a lower priority")
	}
}

func TestAPodThatHasPreemptedGoesBeforeOthersAfterAnEdit(t *testing.T) {
	q := newQueue(t, 1, "64")
	preemptor, older := q.pod("preemptor", 1000, 1), q.pod("older", 1000, 0)
	never := corev1.PreemptNever
	older.Spec.PreemptionPolicy = &never
	policy := q.pl.policies.Policies().In("default")[0]
	q.pl.inflight.nominate(nomination{pod: preemptor, policy: string(policy.UID), unit: policy.Units[0].ID, node: "n", priority: 1000, usage: placement.Usage{}.Add(nil)})
	q.pl.expect([]*corev1.Pod{preemptor, older})
	for range 3 {
		if q.ask(preemptor) {
			return
		}
		if q.ask(older) {
			q.try(older, infos(t, q.nodes), nothing)
		}
	}
	t.Error("the pod that has made a slot for itself is never let through")
}

func TestPodsThatOthersMayKeepOutHaveNoTicket(t *testing.T) {
	q := newQueue(t, 1, "64")
	claims := q.pod("claims", 0, 0)
	claims.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}}
	q.ask(claims)
	if !q.ask(q.pod("next", 0, 1)) {
		t.Error("a pod is held by one whose claim may not exist")
	}
}

// writingHandle is a handle with a client.
type writingHandle struct {
	*handle
	client kubernetes.Interface
}

func (h *writingHandle) ClientSet() kubernetes.Interface           { return h.client }
func (h *writingHandle) EventRecorder() events.EventRecorderLogger { return events.NewFakeRecorder(10) }

// notice gives the notice for a pod that has been held for long enough, and returns the patches.
func (q *queue) notice(pod *corev1.Pod) (patches []string) {
	q.t.Helper()
	client := fake.NewClientset(pod)
	q.pl.handle = &writingHandle{handle: q.h, client: client}
	q.pl.admission.heldAt[pod.UID] = time.Now().Add(-time.Minute)
	_, ctx := ktesting.NewTestContext(q.t)
	q.pl.notices.give(ctx, q.pl, types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name})
	for _, action := range client.Actions() {
		if patch, ok := action.(interface{ GetPatch() []byte }); ok {
			patches = append(patches, string(patch.GetPatch()))
		}
	}
	return patches
}

func TestASchedulerWithoutCyclesWritesNothing(t *testing.T) {
	q := newQueue(t, 10, "64")
	first, second := q.pod("first", 0, 0), q.pod("second", 0, 1)
	q.ask(first)
	if q.ask(second) {
		t.Fatal("the second pod is not held")
	}
	if patches := q.notice(second); len(patches) > 0 {
		t.Errorf("a scheduler that is not the leader writes %v", patches)
	}
}

func TestAPodIsNotToldThatAUnitIsFullWhenItsSlotsAreKeptForOthers(t *testing.T) {
	q := newQueue(t, 1, "1")
	waiting, held := q.pod("waiting", 0, 0), q.pod("held", 0, 1)
	q.ask(waiting)
	q.ask(held)
	q.try(waiting, infos(t, q.nodes), nothing)
	if q.ask(held) {
		t.Fatal("the second pod is not held")
	}
	patches := q.notice(held)
	if len(patches) != 1 || contains(patches[0], "full, max") || !contains(patches[0], "kept for a pod that is being tried") {
		t.Errorf("told: %v", patches)
	}
}

func contains(text, words string) bool { return strings.Contains(text, words) }

func TestAPodThatIsAboutToEnterKeepsItsSlot(t *testing.T) {
	q := newQueue(t, 1, "2")
	old := webPod("old").Node("n")
	important, never := q.pod("important", 1000, 1), corev1.PreemptNever
	important.Spec.PreemptionPolicy = &never
	q.ask(important)
	q.try(important, infos(t, q.nodes, old), nothing)
	q.remove(old.Obj())
	if !q.ask(important) {
		t.Fatal("the slot is free, and the pod is not tried")
	}
	if _, placed := q.try(important, infos(t, q.nodes, old), nothing); placed {
		t.Fatal("the node has no room yet")
	}
	other := q.pod("other", 0, 0)
	other.Spec.NodeSelector = map[string]string{"another": "shape"}
	if q.ask(other) {
		t.Error("a pod with a lower priority takes the slot before the one that waits for its room")
	}
}

// The queue may hold a pod again before the handler of this plugin hears of its new labels. The pod then has no ticket to be woken by.
func TestWaitingPodUpdated_HeldPodWithNewLabels(t *testing.T) {
	q := newQueue(t, 10, "64")
	grouped := wrappers.MakePolicy("p").Selector("app", "web").GroupBy("version").Unit(wrappers.ECS().Max(10))
	q.pl.policies = fixedSource{placement.NewPolicies().WithNamespace("default", []*placement.Policy{placement.Compile(grouped.Obj())})}
	inGroup := func(name, version string, age int64) *corev1.Pod {
		pod := q.pod(name, 0, age)
		pod.Labels["version"] = version
		return pod
	}
	q.ask(inGroup("tried", "new", 0))
	before := inGroup("held", "old", 1)
	after := before.DeepCopy()
	after.Labels["version"] = "new"
	if q.ask(after) {
		t.Fatal("the pod is not held")
	}
	q.h.activated = nil
	q.pl.waitingPodUpdated(before, after)
	if !slices.Contains(q.h.activated, "held") {
		t.Errorf("activated: %v", q.h.activated)
	}
}

// An edit of labels that nobody reads is no reason to try a pod again, whether a policy governs it or not.
func TestWaitingPodUpdated_LabelsThatNobodyReads(t *testing.T) {
	for name, pod := range map[string]*wrappers.Pod{"governed": webPod("p").Request("cpu", "9"), "not governed": wrappers.MakePod("p")} {
		t.Run(name, func(t *testing.T) {
			q := newQueue(t, 10, "4")
			before := pod.Obj()
			if err := q.pl.pods.GetStore().Add(before); err != nil {
				t.Fatal(err)
			}
			q.try(before, infos(t, q.nodes), nothing)
			q.pl.waker.Park(wakeup.Parking{Pod: before, Topics: []string{wakeup.NamespaceTopic("default")}})
			after := before.DeepCopy()
			metav1.SetMetaDataLabel(&after.ObjectMeta, "x", "y")
			q.h.activated = nil
			q.pl.waitingPodUpdated(before, after)
			if len(q.h.activated) > 0 {
				t.Errorf("activated: %v", q.h.activated)
			}
		})
	}
}
