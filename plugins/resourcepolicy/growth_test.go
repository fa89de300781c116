package resourcepolicy

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// BenchmarkGrowth is what a pod costs this plugin, from PreEnqueue to Reserve with Filter on every node that it hands over, while another one ends and a node reports its status: by the
// size of each thing that grows. The names are read by the command growth of test/perf.
func BenchmarkGrowth(b *testing.B) {
	small := growthWorld{nodes: 1000, policies: 1}
	grow := func(name string, sizes []int, set func(w *growthWorld, size int)) {
		for _, size := range sizes {
			b.Run(fmt.Sprintf("%s=%d", name, size), func(b *testing.B) {
				w := small
				set(&w, size)
				w.run(b)
			})
		}
	}
	grow("nodes", []int{1000, 2000, 5000, 10000}, func(w *growthWorld, size int) { w.nodes = size })
	grow("policies", []int{1, 10, 100, 1000, 5000}, func(w *growthWorld, size int) { w.policies = size })
	grow("bound", []int{1, 1000, 10000, 50000}, func(w *growthWorld, size int) { w.bound = size })
	grow("boundOnTenNodes", []int{10, 1000, 10000, 50000}, func(w *growthWorld, size int) { w.nodes, w.bound = 10, size })
	grow("held", []int{1, 1000, 10000, 50000}, func(w *growthWorld, size int) { w.bound, w.limit, w.held = 100, 50, size })
	grow("edits", []int{1, 10, 100, 1000}, func(w *growthWorld, size int) { w.bound, w.edited, w.edits = 20000, 10, size })
	grow("edited", []int{10, 100, 1000, 10000}, func(w *growthWorld, size int) { w.bound, w.edited, w.edits = 1000, size, 100 })
}

func TestChurnLeavesNothingBehind(t *testing.T) {
	w := growthWorld{nodes: 10, policies: 1, bound: 20, limit: 10}
	r := w.start(t)
	for range w.bound {
		r.place(r.newPod())
	}
	held := map[types.UID]*corev1.Pod{}
	hold := func() *corev1.Pod {
		pod := r.newPod()
		r.hold(pod)
		held[pod.UID] = pod
		return pod
	}
	giveUp := func(pod *corev1.Pod) {
		r.pl.podDeleted(pod)
		delete(held, pod.UID)
	}
	for range 1000 {
		r.heartbeat()
		hold()
		giveUp(hold())
		r.end()
		r.place(r.woken)
		delete(held, r.woken.UID)
	}
	for _, pod := range held {
		giveUp(pod)
	}
	for len(r.bound) > 0 {
		r.end()
	}
	r.pl.PreFilter(r.ctx, framework.NewCycleState(), wrappers.MakePod("probe").Label("app", "web").Request("cpu", "9000").Obj(), r.nodes)
	r.pl.podDeleted(wrappers.MakePod("probe").Label("app", "web").Obj())
	f, a := r.pl.inflight, r.pl.admission
	parked, trials := r.pl.waker.Size()
	for what, n := range map[string]int{
		"placed": len(f.placed), "walks": len(f.walks), "clocks": len(f.clocks), "nominations": len(f.nominations), "told": len(f.told), "waiting": len(f.waiting),
		"rejections": len(f.rejections), "whole": len(f.whole), "fresh": len(r.pl.fresh.pods), "walkers": len(r.pl.walkers),
		"groups": len(a.groups), "members": len(a.members), "heldAt": len(a.heldAt), "blockedIn": len(a.blockedIn),
		"parked": parked, "trials": trials,
	} {
		if n > 0 {
			t.Errorf("%d pods are left in %s", n, what)
		}
	}
}

// growthWorld is how much there is of everything.
type growthWorld struct {
	// policies are all in the namespace of the pods, of which the last governs them.
	nodes, policies int
	// bound are the pods on the nodes; of those at most limit in each of the two units, if that is not 0.
	bound, limit int
	// held are the pods that are held because the units are full.
	held int
	// edits are how often another policy is edited, so that its pods must be counted anew, while a thousand pods come; edited are its pods.
	edits, edited int
}

// growthRun is a world at work.
type growthRun struct {
	b     testing.TB
	pl    *ResourcePolicy
	ctx   context.Context
	nodes []fwk.NodeInfo
	named map[string]fwk.NodeInfo
	// bound are the pods on the nodes, oldest first.
	bound []*corev1.Pod
	// woken is the pod that was activated last.
	woken *corev1.Pod
	names int
	// versions are the policies before and after an edit, in turn.
	versions [2]*placement.Policies
}

func (w *growthWorld) run(b *testing.B) {
	r := w.start(b)
	w.bindEdited(r)
	for range w.bound {
		r.place(r.newPod())
	}
	for range w.held {
		r.hold(r.newPod())
	}
	b.ReportAllocs()
	done := 0
	for b.Loop() {
		if done++; done*w.edits/1000 > (done-1)*w.edits/1000 {
			r.edit()
		}
		r.heartbeat()
		if len(r.bound) > 0 {
			r.end()
		}
		pod := r.newPod()
		if (&Admission{pl: r.pl}).PreEnqueue(r.ctx, pod).IsSuccess() {
			r.place(pod)
		} else {
			r.place(r.woken)
		}
	}
}

// bindEdited binds the pods of the policy that is edited, and makes the versions of the policies.
func (w *growthWorld) bindEdited(r *growthRun) {
	if w.edits == 0 {
		return
	}
	for i := range w.edited {
		pod := wrappers.MakePod(fmt.Sprintf("edited-%d", i)).Label("app", "edited").Node(r.nodes[i%len(r.nodes)].Node().Name).Obj()
		r.named[pod.Spec.NodeName].AddPodInfo(podInfo(r.b, pod))
	}
	for i := range r.versions {
		web := wrappers.MakePolicy("web").Selector("app", "web").Unit(wrappers.ECS().On("pool", "a")).Unit(wrappers.ECS().On("pool", "b"))
		edited := wrappers.MakePolicy("edited").Selector("app", "edited").Unit(wrappers.ECS().Named(fmt.Sprint(i)))
		edited.Generation = int64(i)
		r.versions[i] = placement.NewPolicies().WithNamespace("default", []*placement.Policy{placement.Compile(web.Obj()), placement.Compile(edited.Obj())})
	}
	r.edit()
}

// edit edits the other policy.
func (r *growthRun) edit() {
	r.versions[0], r.versions[1] = r.versions[1], r.versions[0]
	r.pl.policies = fixedSource{r.versions[0]}
}

func (w *growthWorld) start(b testing.TB) *growthRun {
	var nodes []*wrappers.Node
	for i := range w.nodes {
		nodes = append(nodes, wrappers.MakeNode(fmt.Sprintf("node-%05d", i)).Label("pool", []string{"a", "b"}[i%2]).Capacity("cpu", "1000").Capacity("memory", "8000Gi").Capacity("pods", "10000"))
	}
	var policies []*wrappers.Policy
	for i := range w.policies {
		first, second := wrappers.ECS().On("pool", "a"), wrappers.ECS().On("pool", "b")
		if w.limit > 0 {
			first.Max(int32(w.limit))
			second.Max(int32(w.limit))
		}
		app := "web"
		if i < w.policies-1 {
			app = fmt.Sprintf("other-%d", i)
		}
		policies = append(policies, wrappers.MakePolicy(app).Selector("app", app).Unit(first).Unit(second))
	}
	pl, h := newTestPlugin(b, nil, policies...)
	r := &growthRun{b: b, pl: pl, nodes: infos(b, nodes), named: map[string]fwk.NodeInfo{}}
	_, r.ctx = ktesting.NewTestContext(b)
	for _, node := range r.nodes {
		r.named[node.Node().Name] = node
	}
	h.onActivate = func(pods map[string]*corev1.Pod) {
		h.activated = nil
		for _, pod := range pods {
			r.woken = pod
		}
	}
	return r
}

func (r *growthRun) newPod() *corev1.Pod {
	r.names++
	return wrappers.MakePod(fmt.Sprintf("pod-%d", r.names)).Label("app", "web").Request("cpu", "100m").Obj()
}

// place is a scheduling cycle that ends well.
func (r *growthRun) place(pod *corev1.Pod) {
	state := framework.NewCycleState()
	result, status := r.pl.PreFilter(r.ctx, state, pod, r.nodes)
	if !status.IsSuccess() {
		r.b.Fatalf("%s is refused: %s", pod.Name, status.Message())
	}
	chosen := ""
	for name := range result.NodeNames {
		if r.pl.Filter(r.ctx, state, pod, r.named[name]).IsSuccess() {
			chosen = name
		}
	}
	assumed := *pod
	assumed.Spec.NodeName = chosen
	r.named[chosen].AddPodInfo(podInfo(r.b, &assumed))
	r.pl.Reserve(r.ctx, state, pod, chosen)
	r.bound = append(r.bound, &assumed)
}

// hold lets a pod find every unit full. Only the first one is tried for that.
func (r *growthRun) hold(pod *corev1.Pod) {
	if !(&Admission{pl: r.pl}).PreEnqueue(r.ctx, pod).IsSuccess() {
		return
	}
	state := framework.NewCycleState()
	if _, status := r.pl.PreFilter(r.ctx, state, pod, r.nodes); status.IsSuccess() {
		r.b.Fatal("the pod is not held")
	}
	r.pl.PostFilter(r.ctx, state, pod, nil)
}

// heartbeat is an update of a node that changes nothing of interest.
func (r *growthRun) heartbeat() {
	info := r.nodes[r.names%len(r.nodes)].(*framework.NodeInfo)
	info.SetNode(info.Node().DeepCopy())
}

// end ends the oldest bound pod.
func (r *growthRun) end() {
	pod := r.bound[0]
	r.bound = r.bound[1:]
	if err := r.named[pod.Spec.NodeName].RemovePod(klog.Background(), pod); err != nil {
		r.b.Fatal(err)
	}
	r.pl.podDeleted(pod)
}
