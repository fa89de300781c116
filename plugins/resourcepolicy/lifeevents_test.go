package resourcepolicy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/plugins/virtualnode"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// change changes a pod in the API server; the handlers run later. after is nil for a deletion.
func (l *life) change(before, after *v1Pod) {
	l.version++
	if after != nil {
		after.ResourceVersion = strconv.Itoa(1000 + l.version)
		l.pods[before.UID] = after
		l.store(after)
	} else {
		delete(l.pods, before.UID)
		if err := l.pl.pods.GetStore().Delete(before); err != nil {
			l.t.Fatal(err)
		}
	}
	l.toPlugin = append(l.toPlugin, func() {
		if after == nil {
			delete(l.seen, before.UID)
			l.pl.podDeleted(before)
			return
		}
		l.seen[before.UID] = after
		l.pl.podUpdated(before, after)
		if l.random.IntN(10) == 0 {
			l.pl.podUpdated(before, after) // An event may be repeated.
		}
	})
	l.toCache = append(l.toCache, func() { l.cachePod(before, after) })
}

// cachePod is the scheduler's own handler.
func (l *life) cachePod(before, after *v1Pod) {
	wasBound := before.Spec.NodeName != ""
	switch {
	case after == nil && !wasBound, after != nil && after.Spec.NodeName == "" && after.DeletionTimestamp != nil:
		l.queue = slices.DeleteFunc(l.queue, func(uid uidType) bool { return uid == before.UID })
		delete(l.parked, before.UID)
		delete(l.gated, before.UID)
		l.forget(before.UID)
	case after != nil && after.Spec.NodeName == "":
		// The queue shows a pod its own edits.
		if l.parked[after.UID] || l.gated[after.UID] {
			l.enqueue(after.UID)
		}
	default:
		l.cacheBound(before, after)
	}
}

// cacheBound is the scheduler's own handler for a pod that is bound, or was.
func (l *life) cacheBound(before, after *v1Pod) {
	wasBound := before.Spec.NodeName != ""
	if assumed := l.assumed[before.UID]; assumed != nil {
		delete(l.assumed, before.UID)
		l.uncache(assumed)
	} else if wasBound {
		l.uncache(before)
	}
	if after != nil {
		l.queue = slices.DeleteFunc(l.queue, func(uid uidType) bool { return uid == before.UID })
		delete(l.parked, before.UID)
		delete(l.gated, before.UID)
		if info := l.cache[after.Spec.NodeName]; info != nil {
			info.AddPod(after)
		}
	}
	switch {
	case after == nil:
		l.podGone(before)
	case wasBound && milliCPUOf(after) < milliCPUOf(before):
		l.hint(nil, []string{names.NodeResourcesFit}, before, after)
	}
}

// podGone shows the hints that a pod has left its node.
func (l *life) podGone(pod *v1Pod) {
	l.hint(l.pl.isSchedulableAfterPodGone, []string{names.NodeResourcesFit, virtualnode.Name}, pod, nil)
}

// nodeChanged shows the hints a node that is new or has other labels.
func (l *life) nodeChanged(before, after *corev1.Node) {
	if before == nil {
		l.hint(l.pl.isSchedulableAfterNodeChange, []string{names.NodeResourcesFit, virtualnode.Name, "other"}, nil, after)
	} else {
		l.hint(l.pl.isSchedulableAfterNodeChange, []string{names.NodeAffinity}, before, after)
	}
}

func (l *life) uncache(pod *v1Pod) {
	if info := l.cache[pod.Spec.NodeName]; info != nil {
		// The node may have been deleted and created again meanwhile, without the pod.
		_ = info.RemovePod(klog.FromContext(l.ctx), pod)
	}
}

// endPod deletes a pod at once, makes it terminate, or ends one that terminates.
func (l *life) endPod() {
	uids := slices.Sorted(maps.Keys(l.pods))
	if len(uids) == 0 {
		return
	}
	pod := l.pods[uids[l.random.IntN(len(uids))]]
	if pod.DeletionTimestamp == nil && pod.Spec.NodeName != "" && l.random.IntN(2) == 0 {
		after := pod.DeepCopy()
		after.DeletionTimestamp = &metav1.Time{}
		l.change(pod, after)
		return
	}
	l.change(pod, nil)
}

// relabelPod takes a bound pod out of the policy, or moves a waiting one to the other group. A bound pod that came into a group unseen could pass a cap,
// and nobody could know.
func (l *life) relabelPod() {
	uids := slices.Sorted(maps.Keys(l.pods))
	if len(uids) == 0 {
		return
	}
	pod := l.pods[uids[l.random.IntN(len(uids))]]
	if l.assumed[pod.UID] != nil || pod.DeletionTimestamp != nil {
		return
	}
	after := pod.DeepCopy()
	if pod.Spec.NodeName != "" {
		after.Labels["app"] = "other"
	} else {
		after.Labels["version"] = groups[l.random.IntN(2)]
	}
	l.change(pod, after)
	if pod.Spec.NodeName == "" {
		l.flush()
	}
}

// flush delivers every event.
func (l *life) flush() {
	for len(l.toPlugin)+len(l.toCache) > 0 {
		l.deliver(&l.toPlugin)
		l.deliver(&l.toCache)
	}
}

func (l *life) addNode() {
	l.names++
	n := wrappers.MakeNode(fmt.Sprintf("node-%04d", l.names)).Label("pool", []string{"a", "b"}[l.random.IntN(2)])
	if l.random.IntN(4) == 0 {
		n = wrappers.MakeVirtualNode(fmt.Sprintf("node-%04d", l.names))
		if l.random.IntN(2) == 0 {
			l.describe(n.Name)
		}
	}
	node := n.Capacity("cpu", "6").Capacity("memory", "64Gi").Obj()
	l.nodes[node.Name] = node
	l.cacheNode(node)
	l.say()
	l.nodeChanged(nil, node)
}

func (l *life) cacheNode(node *corev1.Node) {
	info := framework.NewNodeInfo()
	info.SetNode(node)
	l.cache[node.Name] = info
	l.list = append(slices.Clone(l.list), info)
}

// changeNode relabels a node, deletes it, or deletes it and creates it again. What is on its way is delivered before: pods that enter a unit unseen could
// pass its cap.
func (l *life) changeNode() {
	names := slices.Sorted(maps.Keys(l.nodes))
	if len(names) == 0 {
		return
	}
	before := l.nodes[names[l.random.IntN(len(names))]]
	l.flush()
	if l.random.IntN(2) == 0 {
		if _, virtual := before.Labels["type"]; !virtual {
			after := before.DeepCopy()
			after.Labels["pool"] = []string{"a", "b"}[l.random.IntN(2)]
			l.nodes[after.Name] = after
			l.pl.nodeUpdated(before, after)
			l.cache[after.Name].SetNode(after)
			l.nodeChanged(before, after)
		}
		return
	}
	delete(l.nodes, before.Name)
	delete(l.cache, before.Name)
	l.list = slices.DeleteFunc(slices.Clone(l.list), func(info fwk.NodeInfo) bool { return info.Node().Name == before.Name })
	if l.random.IntN(2) == 0 {
		l.nodes[before.Name] = before
		l.cacheNode(before)
		for _, pod := range l.pods {
			if pod.Spec.NodeName == before.Name {
				l.cache[before.Name].AddPod(pod)
			}
		}
		for _, pod := range l.assumed {
			if pod.Spec.NodeName == before.Name && l.pods[pod.UID] != nil && l.pods[pod.UID].Spec.NodeName == "" {
				l.cache[before.Name].AddPod(pod)
			}
		}
		l.pl.nodeAdded(before)
		l.nodeChanged(nil, before)
	}
}

// editPolicy changes a cap or the order.
func (l *life) editPolicy() {
	units := l.spec.Spec.Units
	i := l.random.IntN(len(units))
	if l.random.IntN(3) == 0 {
		units[i], units[0] = units[0], units[i]
	} else {
		units[i].Max = new(l.random.Int32N(4))
	}
	if l.random.IntN(4) == 0 {
		units[i].MaxResources = wrappers.ECS().MaxResource("cpu", fmt.Sprint(1+l.random.IntN(6))).MaxResources
	}
	l.spec.Spec.Units = append([]v1alpha1.Unit{}, units...)
	l.spec.Generation++
	l.setPolicy()
	l.pl.activateNamespace(klog.FromContext(l.ctx), "default")
}

// bindByOther is another scheduler that binds a pod of the policy.
func (l *life) bindByOther() {
	names := slices.Sorted(maps.Keys(l.nodes))
	if len(names) == 0 {
		return
	}
	l.flush()
	pod := l.newPod()
	pod.Spec.NodeName = names[l.random.IntN(len(names))]
	pod.Spec.SchedulerName = "another"
	l.pods[pod.UID], l.seen[pod.UID] = pod, pod
	l.store(pod)
	l.cache[pod.Spec.NodeName].AddPod(pod)
	l.pl.podAdded(pod)
}

// resizePod changes what a bound pod requests. What the scheduler does not know of yet could pass a cap, and nobody could know: it is delivered at once when
// it is more.
func (l *life) resizePod() {
	uids := slices.Sorted(maps.Keys(l.pods))
	if len(uids) == 0 {
		return
	}
	pod := l.pods[uids[l.random.IntN(len(uids))]]
	if pod.Spec.NodeName == "" || pod.DeletionTimestamp != nil {
		return
	}
	after := pod.DeepCopy()
	size := corev1.ResourceList{"cpu": resource.MustParse(fmt.Sprint(1 + l.random.IntN(2)))}
	after.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: size, Limits: size}
	l.change(pod, after)
	if milliCPUOf(after) > milliCPUOf(pod) {
		l.flush()
	}
}

// changeZone changes what ECI offers on a virtual node, or describes one that was not described.
func (l *life) changeZone() {
	for _, name := range slices.Sorted(maps.Keys(l.nodes)) {
		if l.nodes[name].Labels["type"] != "" && l.random.IntN(2) == 0 {
			l.describe(name)
		}
	}
	l.say()
}

// describe makes ECI offer some vCPUs on a node.
func (l *life) describe(node string) {
	z := wrappers.MakeZone(node).External().Fresh(time.Now()).Quota("100").
		Offers("cpu", fmt.Sprint(l.random.IntN(7))).Offers("memory", "8Ti").Offers("pods", "1000")
	z.Spec.NodeName = node
	l.zones[node] = z
}

// say tells the plugin what ECI offers.
func (l *life) say() {
	var all []*eciv1alpha1.VirtualNode
	for _, name := range slices.Sorted(maps.Keys(l.zones)) {
		all = append(all, l.zones[name].Obj())
	}
	l.pl.offers.Say(all)
}

// lookUp returns a node of the scheduler's snapshot.
func (l *life) lookUp(name string) (fwk.NodeInfo, error) {
	if info := l.cache[name]; info != nil {
		return info.SnapshotConcrete(), nil // The lists of a snapshot are never changed.
	}
	return nil, fmt.Errorf("node %s is not in the snapshot", name)
}

func milliCPUOf(pod *v1Pod) int64 {
	return pod.Spec.Containers[0].Resources.Requests.Cpu().MilliValue()
}

// fits reports whether a node has room for one more pod.
func fits(info fwk.NodeInfo, pod *v1Pod) bool {
	return info.GetAllocatable().GetMilliCPU()-info.GetRequested().GetMilliCPU() >= milliCPUOf(pod)
}

// passes tells whether a node passes the filters of other plugins, which never let a pod on some nodes.
func passes(info fwk.NodeInfo) bool { return !strings.HasSuffix(info.Node().Name, "3") }

// offered reports whether ECI takes one more pod on a node, in what it bills. A node that is not described takes any.
func (l *life) offered(node string, pod *v1Pod) bool {
	z := l.zones[node]
	if z == nil {
		return true
	}
	held := milliCPUOf(pod)
	for _, info := range l.cache[node].GetPods() {
		held += l.billed[info.GetPod().UID]
	}
	return held <= z.Status.Capacity.Cpu().MilliValue()
}

// bill notes what the pods on described nodes are billed that the scheduler sees there for the first time.
func (l *life) bill() {
	for node := range l.zones {
		info := l.cache[node]
		if info == nil {
			continue
		}
		for _, p := range info.GetPods() {
			if _, known := l.billed[p.GetPod().UID]; !known {
				l.billed[p.GetPod().UID] = max(milliCPUOf(p.GetPod()), l.recorded[p.GetPod().UID])
			}
		}
	}
}

// hasRoom tells whether a node of the unit in the cache has room.
func (l *life) hasRoom(unit int, pod *v1Pod) bool {
	return slices.ContainsFunc(l.list, func(info fwk.NodeInfo) bool {
		return l.policy.Units[unit].Nodes.Contains(info.Node().Labels) && fits(info, pod) && passes(info) && l.offered(info.Node().Name, pod)
	})
}

// isFull reports whether a unit is full for a pod, by the caps of the policy spelled out once more.
func (l *life) isFull(unit int, has tally, pod *v1Pod) bool {
	spec := &l.spec.Spec.Units[unit]
	if spec.Max != nil && has.pods >= int64(*spec.Max) {
		return true
	}
	limit, capped := spec.MaxResources["cpu"]
	return capped && has.milliCPU+milliCPUOf(pod) > limit.MilliValue()
}

// hasTerminating tells whether a pod of the policy terminates in the unit.
func (l *life) hasTerminating(unit int) bool {
	return (&view{pl: l.pl, policy: l.policy}).Terminating(unit) > 0
}

// countTruth counts the pods that the API server or a binding on its way have on the nodes.
func (l *life) countTruth() map[ledger.Key]tally {
	counts := map[ledger.Key]tally{}
	for _, pod := range l.pods {
		l.count(counts, pod)
	}
	for uid, pod := range l.assumed {
		if truth := l.pods[uid]; truth == nil || truth.Spec.NodeName == "" && truth.DeletionTimestamp == nil {
			if truth != nil {
				l.count(counts, pod)
			}
		}
	}
	return counts
}

// countKnown counts what the scheduler's cache shows, and the plugin's handlers have told better.
func (l *life) countKnown() map[ledger.Key]tally {
	counts := map[ledger.Key]tally{}
	l.countedPods = map[uidType]countedPod{}
	counted := map[uidType]bool{}
	for i, info := range l.list {
		for at, p := range info.GetPods() {
			pod := p.GetPod()
			counted[pod.UID] = true
			if newest, ok := l.pl.fresh.versions[podPlace{i, at}]; ok {
				if newest != nil {
					l.count(counts, newest)
				}
				continue
			}
			l.count(counts, pod)
		}
		for _, pod := range l.pl.fresh.added[i] {
			counted[pod.UID] = true
			l.count(counts, pod)
		}
	}
	for _, obj := range l.pl.pods.GetStore().List() {
		if pod := obj.(*v1Pod); pod.Spec.NodeName != "" && l.cache[pod.Spec.NodeName] == nil && !counted[pod.UID] {
			counted[pod.UID] = true
			l.count(counts, pod)
		}
	}
	for node, pods := range l.pl.inflight.onTheWay() {
		for _, pod := range pods {
			if l.cache[node] == nil && !counted[pod.UID] {
				l.count(counts, pod)
			}
		}
	}
	return counts
}

// count adds a pod on a node, by the rules R3 and R4 spelled out once more.
func (l *life) count(counts map[ledger.Key]tally, pod *v1Pod) {
	counting := l.spec.Spec.IgnoreTerminatingPod != nil && !*l.spec.Spec.IgnoreTerminatingPod
	if pod.Spec.NodeName == "" || pod.Labels["app"] != "web" || pod.DeletionTimestamp != nil && !counting {
		return
	}
	recorded := pod.Annotations[v1alpha1.AnnotationUnit]
	if remembered := l.pl.inflight.unit(pod.UID); remembered != "" {
		recorded = remembered
	}
	unit := -1
	for i := range l.policy.Units {
		isRecorded := l.policy.Units[i].ID == recorded
		if l.contains(i, pod.Spec.NodeName, isRecorded) && (unit < 0 || isRecorded) {
			unit = i
		}
	}
	if unit >= 0 {
		key := ledger.Key{Policy: l.policy.UID, Group: pod.Labels["version"] + "/", Unit: unit}
		counts[key] = tally{counts[key].pods + 1, counts[key].milliCPU + milliCPUOf(pod)}
		l.countedPods[pod.UID] = countedPod{key, tally{1, milliCPUOf(pod)}}
	}
}

// contains tells whether a unit contains a node: one of the cache by its labels, a departed one by those it had, or, when they are not known, by the
// record of the pod.
func (l *life) contains(unit int, node string, isRecorded bool) bool {
	nodes := &l.policy.Units[unit].Nodes
	if info := l.cache[node]; info != nil {
		return nodes.Contains(info.Node().Labels)
	}
	if labels := l.pl.departed.nodes[node]; labels != nil {
		return nodes.Contains(labels)
	}
	return isRecorded
}
