package resourcepolicy

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

type (
	v1Pod   = corev1.Pod
	uidType = types.UID
)

var groups = []string{"1", "2"}

// life is a cluster with its truth, what the scheduler's cache and the plugin's handlers have been told of it, and the scheduling queue.
type life struct {
	t        *testing.T
	seedStep string
	random   *rand.Rand
	ctx      context.Context
	pl       *ResourcePolicy
	handle   *handle

	tryNext v1alpha1.TryNextPolicy
	epoch   int
	spec    *wrappers.Policy
	policy  *placement.Policy

	// nodes and pods are the truth of the API server.
	nodes   map[string]*corev1.Node
	pods    map[types.UID]*v1Pod
	names   int
	version int
	// cache is the scheduler's cache by node, list its snapshot's order; assumed are the pods that are assumed.
	cache   map[string]*framework.NodeInfo
	list    []fwk.NodeInfo
	assumed map[types.UID]*v1Pod
	// toCache and toPlugin are events that the handlers have not run for yet, in order.
	toCache, toPlugin []func()
	// seen are the pods as the plugin's handlers have been told.
	seen map[types.UID]*v1Pod

	queue         []types.UID
	parked, gated map[types.UID]bool
	// refusedBefore are pods that another plugin's filter refused: they may be in a later unit than they could.
	refusedBefore map[types.UID]bool
	// rejectors are the plugins that the queue knows to have refused a pod.
	rejectors map[types.UID]sets.Set[string]
	binds     []bindOnTheWay
	// counted is a recount of what the last decision was made from, and countedPods what each pod is in it.
	counted     map[ledger.Key]tally
	countedPods map[types.UID]countedPod

	// vn decides about virtual nodes; zones are what ECI offers on those that are described, and billed what pods there were billed at their binding, in
	// thousandths of a vCPU.
	vn     *virtualnode.VirtualNode
	zones  map[string]*wrappers.Zone
	billed map[types.UID]int64
	// recorded are the bills that are recorded on pods, of which the scheduler knows nothing else after a restart.
	recorded map[types.UID]int64
}

// tally is how many pods a group has in a unit, and what they request in thousandths of a vCPU.
type tally struct{ pods, milliCPU int64 }

// countedPod is what one pod is in the counts.
type countedPod struct {
	key ledger.Key
	tally
}

type bindOnTheWay struct {
	pod   *v1Pod
	node  string
	state fwk.CycleState
}

func newLife(t *testing.T, seed uint64) *life {
	l := &life{
		t: t, random: rand.New(rand.NewPCG(seed, 7)), nodes: map[string]*corev1.Node{}, pods: map[types.UID]*v1Pod{},
		zones: map[string]*wrappers.Zone{}, billed: map[types.UID]int64{}, recorded: map[types.UID]int64{},
	}
	_, l.ctx = ktesting.NewTestContext(t)
	l.tryNext = []v1alpha1.TryNextPolicy{
		v1alpha1.TryNextLackResourceOrExceedMax, v1alpha1.TryNextLackResourceOrExceedMax, v1alpha1.TryNextExceedMax,
		v1alpha1.TryNextLackResourceAndNoTerminating,
	}[l.random.IntN(4)]
	l.spec = wrappers.MakePolicy("p").Selector("app", "web").GroupBy("version").TryNext(l.tryNext).
		Unit(wrappers.ECS().On("pool", "a").Max(l.random.Int32N(4))).Unit(wrappers.ECS().Max(l.random.Int32N(4))).Unit(wrappers.ECI())
	if l.random.IntN(2) == 0 {
		l.spec.Spec.Units[2].Max = new(l.random.Int32N(3))
	}
	if l.random.IntN(3) == 0 {
		l.spec.CountTerminating()
	}
	if l.random.IntN(2) == 0 {
		l.spec.Spec.Units[l.random.IntN(3)].MaxResources = wrappers.ECS().MaxResource("cpu", fmt.Sprint(1+l.random.IntN(6))).MaxResources
	}
	if l.random.IntN(2) == 0 {
		l.spec.PreemptFirst()
	}
	l.restart()
	for range 3 {
		l.addNode()
	}
	return l
}

func (l *life) fatalf(format string, args ...any) {
	l.t.Helper()
	l.t.Fatalf("%s: %s", l.seedStep, fmt.Sprintf(format, args...))
}

// restart starts a scheduler that knows what the API server knows.
func (l *life) restart() {
	l.cache, l.list, l.assumed, l.seen = map[string]*framework.NodeInfo{}, nil, map[types.UID]*v1Pod{}, map[types.UID]*v1Pod{}
	l.toCache, l.toPlugin, l.binds, l.queue = nil, nil, nil, nil
	l.parked, l.gated, l.refusedBefore = map[types.UID]bool{}, map[types.UID]bool{}, map[types.UID]bool{}
	l.rejectors = map[types.UID]sets.Set[string]{}
	l.pl, l.handle = newTestPlugin(l.t, nil)
	l.pl.sampleSize = 1 + l.random.IntN(4)
	l.pl.later = func(_ time.Duration, f func()) { l.toPlugin = append(l.toPlugin, f) }
	l.handle.onActivate = l.activate
	l.pl.admission.waits, l.pl.inflight.waits, l.pl.waker.Exists = l.pl.waits, l.pl.waits, l.pl.waits
	l.pl.preemption = &lifeEvictor{life: l}
	l.handle.nodes, l.handle.filter = l.lookUp, l.judge
	l.pl.offers.Connect(klog.Background(), l.handle, l.pl.pods.GetStore())
	l.vn = l.pl.offers.Plugin(l.handle)
	l.say()
	l.setPolicy()
	for _, name := range slices.Sorted(maps.Keys(l.nodes)) {
		l.cacheNode(l.nodes[name])
	}
	for _, uid := range slices.Sorted(maps.Keys(l.pods)) {
		pod := l.pods[uid]
		l.store(pod)
		l.seen[uid] = pod
		if info := l.cache[pod.Spec.NodeName]; info != nil {
			info.AddPod(pod)
		}
		// A pod that was resized since, or has no record, counts for the most of what it tells.
		if delete(l.recorded, uid); l.pods[uid].Annotations[v1alpha1.AnnotationECISpecs] != "" {
			l.recorded[uid] = l.billed[uid]
		}
		delete(l.billed, uid)
	}
	for _, pod := range l.unbound() {
		l.enqueue(pod.UID)
	}
}

// setPolicy makes the policy the current one, as the source does after an edit.
func (l *life) setPolicy() {
	l.epoch++
	l.policy = placement.Compile(l.spec.Obj())
	policies := placement.NewPolicies()
	for range l.epoch {
		policies = policies.WithNamespace("default", []*placement.Policy{l.policy})
	}
	l.pl.policies = fixedSource{policies}
}

func (l *life) store(pod *v1Pod) {
	if err := l.pl.pods.GetStore().Add(pod); err != nil {
		l.t.Fatal(err)
	}
}

// step does one random thing.
func (l *life) step() {
	switch n := l.random.IntN(100); {
	case n < 18:
		l.arrive()
	case n < 45:
		l.scheduleOne()
	case n < 58:
		l.finishBinding()
	case n < 68:
		l.deliver(&l.toPlugin)
	case n < 78:
		l.deliver(&l.toCache)
	case n < 86:
		l.endPod()
	case n < 88:
		l.relabelPod()
	case n < 91:
		l.resizePod()
	case n < 93:
		l.changeNode()
	case n < 95:
		l.editPolicy()
	case n < 96:
		l.addNode()
	case n < 97:
		l.changeZone()
	case n < 98:
		l.handle.clock.Step(time.Second)
		l.pl.waker.Kick()
	case n < 99:
		l.bindByOther()
	default:
		l.restart()
	}
}

func (l *life) newPod() *v1Pod {
	l.names++
	name := fmt.Sprintf("pod-%04d", l.names)
	p := wrappers.MakePod(name).Label("app", "web").Label("version", groups[l.random.IntN(2)]).Version("1")
	p.Request("cpu", fmt.Sprint(1+l.random.IntN(2)))
	if l.random.IntN(5) == 0 {
		p.Priority(10)
	}
	pod := p.Obj()
	pod.CreationTimestamp.Time = time.Unix(int64(l.names), 0)
	return pod
}

func (l *life) arrive() {
	pod := l.newPod()
	l.pods[pod.UID], l.seen[pod.UID] = pod, pod
	l.store(pod)
	l.enqueue(pod.UID)
}

// unbound returns the pods that wait.
func (l *life) unbound() []*v1Pod {
	var out []*v1Pod
	for _, uid := range slices.Sorted(maps.Keys(l.pods)) {
		if pod := l.pods[uid]; pod.Spec.NodeName == "" && l.assumed[uid] == nil && pod.DeletionTimestamp == nil {
			out = append(out, pod)
		}
	}
	return out
}

// enqueue is what the queue does with a pod that may be tried.
func (l *life) enqueue(uid types.UID) {
	delete(l.parked, uid)
	delete(l.gated, uid)
	pod := l.pods[uid]
	if pod == nil || l.assumed[uid] != nil || slices.Contains(l.queue, uid) {
		return
	}
	if status := (&Admission{pl: l.pl}).PreEnqueue(l.ctx, pod); !status.IsSuccess() {
		l.gated[uid] = true
		return
	}
	l.queue = append(l.queue, uid)
}

// activate is Activate of the queue.
func (l *life) activate(pods map[string]*v1Pod) {
	for _, uid := range slices.Sorted(maps.Keys(pods)) {
		if uid := types.UID(uid); l.parked[uid] || l.gated[uid] {
			l.enqueue(uid)
		}
	}
}

// hint shows an event to the plugins that refused the parked pods: to a hint of the plugin, and to others, which take it for one that helps.
func (l *life) hint(hint fwk.QueueingHintFn, others []string, before, after any) {
	for _, uid := range slices.Sorted(maps.Keys(l.parked)) {
		if l.pods[uid] == nil {
			continue // Its deletion is on its way.
		}
		helps := hint != nil
		if helps {
			verdict, err := hint(klog.FromContext(l.ctx), l.pods[uid], before, after)
			helps = err != nil || verdict == fwk.Queue
		}
		r, _ := l.pl.inflight.rejection(uid)
		if helps || l.rejectors[uid].HasAny(others...) || r.plugins.HasAny(others...) {
			l.enqueue(uid)
		}
	}
}

// scheduleOne is a scheduling cycle of the first pod in the queue.
func (l *life) scheduleOne() {
	if len(l.queue) == 0 {
		return
	}
	uid := l.queue[0]
	l.queue = l.queue[1:]
	if pod := l.pods[uid]; pod != nil && pod.DeletionTimestamp == nil && pod.Spec.NodeName == "" {
		l.cycle(pod)
	}
}

func (l *life) cycle(pod *v1Pod) {
	l.parked[pod.UID] = true // Where an Activate in the cycle finds it: it is in flight.
	state := framework.NewCycleState()
	if len(l.list) == 0 {
		return
	}
	l.bill()
	l.vn.PreFilter(l.ctx, state, pod, l.list)
	result, status := l.pl.PreFilter(l.ctx, state, pod, l.list)
	l.counted = l.countKnown()
	l.rejectors[pod.UID] = sets.New[string]()
	if !status.IsSuccess() {
		_, after := l.pl.PostFilter(l.ctx, state, pod, framework.NewDefaultNodeToStatus())
		if after.Code() == fwk.Unschedulable {
			(&Preemption{pl: l.pl}).PostFilter(l.ctx, state, pod, framework.NewDefaultNodeToStatus())
		}
		return
	}
	refused := l.random.IntN(10) == 0 && !l.calm()
	statuses := framework.NewDefaultNodeToStatus()
	for _, name := range slices.Sorted(maps.Keys(result.NodeNames)) {
		verdict := fwk.NewStatus(fwk.Unschedulable).WithPlugin("random")
		if !refused {
			verdict = l.judge(l.ctx, state, pod, l.cache[name])
		}
		if verdict.IsSuccess() {
			l.place(state, pod, name)
			return
		}
		statuses.Set(name, verdict)
		l.rejectors[pod.UID].Insert(verdict.Plugin())
	}
	l.refusedBefore[pod.UID] = true
	if _, after := l.pl.PostFilter(l.ctx, state, pod, statuses); after.Code() == fwk.Unschedulable {
		(&Preemption{pl: l.pl}).PostFilter(l.ctx, state, pod, statuses)
	}
}

// judge is the filters of all plugins.
func (l *life) judge(_ context.Context, state fwk.CycleState, pod *v1Pod, info fwk.NodeInfo) *fwk.Status {
	if status := l.pl.Filter(l.ctx, state, pod, info); !status.IsSuccess() {
		return status.WithPlugin(Name)
	}
	if status := l.vn.Filter(l.ctx, state, pod, info); !status.IsSuccess() {
		return status.WithPlugin(virtualnode.Name)
	}
	switch {
	case !fits(info, pod):
		return fwk.NewStatus(fwk.Unschedulable).WithPlugin(names.NodeResourcesFit)
	case !passes(info):
		return fwk.NewStatus(fwk.Unschedulable).WithPlugin("other")
	default:
		return nil
	}
}

// filter reports whether a node passes the filters of both plugins.
func (l *life) filter(state fwk.CycleState, pod *v1Pod, info fwk.NodeInfo) bool {
	return l.pl.Filter(l.ctx, state, pod, info).IsSuccess() && l.vn.Filter(l.ctx, state, pod, info).IsSuccess()
}

// calm tells whether only what is on its way happens any more.
func (l *life) calm() bool { return l.seedStep == "" }

func (l *life) place(state fwk.CycleState, pod *v1Pod, node string) {
	delete(l.parked, pod.UID)
	l.queue = slices.DeleteFunc(l.queue, func(uid types.UID) bool { return uid == pod.UID })
	l.checkPlacement(pod, stateOf(state).unit.Index)
	l.checkZone(pod, node)
	assumed := pod.DeepCopy()
	assumed.Spec.NodeName = node
	l.assumed[pod.UID] = assumed
	l.cache[node].AddPod(assumed)
	l.pl.Reserve(l.ctx, state, pod, node)
	l.vn.Reserve(l.ctx, state, pod, node)
	if delete(l.billed, pod.UID); l.zones[node] != nil {
		l.billed[pod.UID] = milliCPUOf(pod)
	}
	l.binds = append(l.binds, bindOnTheWay{pod: pod, node: node, state: state})
}

// finishBinding ends a random binding: it succeeds or fails. When its answer is lost, Bind asks the API server what has become of it.
func (l *life) finishBinding() {
	if len(l.binds) == 0 {
		return
	}
	i := l.random.IntN(len(l.binds))
	b := l.binds[i]
	l.binds = slices.Delete(l.binds, i, i+1)
	bound := l.random.IntN(6) > 0
	truth := l.pods[b.pod.UID]
	if truth == nil || truth.DeletionTimestamp != nil {
		bound = false
	}
	if bound {
		binding := newBinding(stateOf(b.state), b.pod, b.node)
		after := truth.DeepCopy()
		after.Spec.NodeName = b.node
		if after.Annotations == nil {
			after.Annotations = map[string]string{}
		}
		maps.Copy(after.Annotations, binding.Annotations)
		if record := l.pl.offers.Record(b.pod.UID); record != "" {
			after.Annotations[v1alpha1.AnnotationECISpecs] = record
		}
		l.change(truth, after)
		return
	}
	l.vn.Unreserve(l.ctx, b.state, b.pod, b.node)
	l.pl.Unreserve(l.ctx, b.state, b.pod, b.node)
	l.forget(b.pod.UID)
	if truth != nil && truth.DeletionTimestamp == nil {
		l.enqueue(b.pod.UID)
	}
}

// forget takes an assumed pod out of the cache.
func (l *life) forget(uid types.UID) {
	assumed := l.assumed[uid]
	if assumed == nil {
		return
	}
	delete(l.assumed, uid)
	if info := l.cache[assumed.Spec.NodeName]; info != nil {
		// The node may have been deleted and created again meanwhile, without the pod.
		_ = info.RemovePod(klog.FromContext(l.ctx), assumed)
	}
	l.podGone(assumed)
}

func (l *life) deliver(events *[]func()) {
	if len(*events) > 0 {
		event := (*events)[0]
		*events = (*events)[1:]
		event()
	}
}

// wakes lets the longest delay of the waker pass, and reports whether pods were woken.
func (l *life) wakes() bool {
	l.handle.clock.Step(time.Minute)
	l.pl.waker.Kick()
	return len(l.queue) > 0
}

// settleDown delivers everything and schedules until nothing moves.
func (l *life) settleDown() {
	step := l.seedStep
	l.seedStep = ""
	rounds := 0
	for range 10_000 {
		switch {
		case len(l.toCache) > 0:
			l.deliver(&l.toCache)
		case len(l.toPlugin) > 0:
			l.deliver(&l.toPlugin)
		case len(l.queue) > 0:
			l.scheduleOne()
		case len(l.binds) > 0:
			l.finishBinding()
		case l.wakes():
		case len(l.refusedBefore) > 0 && rounds < len(l.policy.Units):
			// What the other plugin's filter waited for happens. On some nodes it waits for ever.
			rounds++
			for _, uid := range slices.Sorted(maps.Keys(l.refusedBefore)) {
				if l.parked[uid] {
					l.enqueue(uid)
				}
			}
			l.refusedBefore = map[types.UID]bool{}
		default:
			l.seedStep = step + ", settled"
			return
		}
	}
	l.seedStep = step
	l.fatalf("the scheduler never comes to rest")
}
