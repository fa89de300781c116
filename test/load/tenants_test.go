package load

import (
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// noLimit is the limit of what has none.
const noLimit = -1

// tenant is a policy, and what it may have where.
type tenant struct {
	name string
	// groups are the values of the label "version", each with caps of its own; one empty value when there are no groups.
	groups []string
	units  []limit
	// sizes are what its pods may request, in CPUs.
	sizes []string
}

// limit is a unit, and the most that a group of the tenant can have in it.
type limit struct {
	name string
	// kinds are the values of the label "unit" of its nodes.
	kinds []string
	// pods and milli are pods and thousandths of a CPU, or noLimit.
	pods  int
	milli int64
	// byRoom tells that it is the nodes that limit the unit, and not a cap.
	byRoom bool
}

// use is what a group of a tenant has in a unit.
type use struct {
	pods  int
	milli int64
}

// slot is a unit for a group of a tenant.
type slot struct{ tenant, group, unit string }

// makeTenants returns the tenants, with room for scale times as many pods.
func makeTenants(scale int) []*tenant {
	none := []string{""}
	capped := func(name, kind string, pods int) limit {
		return limit{name: name, kinds: []string{kind}, pods: pods * scale, milli: noLimit}
	}
	open := limit{name: "eci", kinds: []string{"eci"}, pods: noLimit, milli: noLimit}
	return []*tenant{
		// Every unit has a cap: pods are held.
		{name: "capped", groups: none, units: []limit{capped("ecs", "first", 8), capped("eci", "eci", 6)}, sizes: []string{"1", "2"}},
		{name: "grouped", groups: []string{"a", "b", "c"}, units: []limit{capped("ecs", "first", 3), capped("eci", "eci", 2)}, sizes: []string{"1"}},
		// The nodes of the first unit are in the second as well: only the record tells which a pod counts for.
		{name: "shared", groups: none, sizes: []string{"1"}, units: []limit{
			capped("one", "first", 5), {name: "two", kinds: []string{"first", "second"}, pods: 6 * scale, milli: noLimit}, open,
		}},
		{name: "resources", groups: none, sizes: []string{"1", "2"}, units: []limit{
			{name: "ecs", kinds: []string{"second"}, pods: noLimit, milli: int64(9000 * scale)}, open,
		}},
		// The nodes limit the first unit: pods wait that are not held.
		{name: "small", groups: none, sizes: []string{"1"}, units: []limit{
			{name: "ecs", kinds: []string{"small"}, pods: 4 * scale, milli: noLimit, byRoom: true}, capped("eci", "eci", 6),
		}},
	}
}

// tenantNodes returns the nodes for the tenants, and the label "unit" of each by name.
func tenantNodes(w *harness.World, scale int) ([]*wrappers.Node, map[string]string) {
	var nodes []*wrappers.Node
	kinds := map[string]string{}
	add := func(node *wrappers.Node, kind, cpu, pods string) {
		kinds[w.Namespace+"-"+node.Name] = kind
		nodes = append(nodes, node.Label("unit", kind).Capacity(corev1.ResourceCPU, cpu).Capacity(corev1.ResourcePods, pods))
	}
	for i := range 3 {
		add(wrappers.MakeNode(fmt.Sprintf("first-%d", i)), "first", "500", "1000")
		add(wrappers.MakeNode(fmt.Sprintf("second-%d", i)), "second", "500", "1000")
	}
	for i := range scale {
		add(wrappers.MakeNode(fmt.Sprintf("small-%d", i)), "small", "4", "110")
	}
	add(wrappers.MakeVirtualNode("eci"), "eci", "100000", "100000")
	return nodes, kinds
}

// policy returns the policy of the tenant.
func (t *tenant) policy(w *harness.World) *wrappers.Policy {
	policy := wrappers.MakePolicy(t.name).Namespace(w.Namespace).Selector("app", t.name)
	if len(t.groups) > 1 {
		policy.GroupBy("version")
	}
	for _, l := range t.units {
		unit := wrappers.ECS()
		if l.kinds[0] == "eci" {
			unit = wrappers.ECI()
		}
		kinds := make([]v1alpha1.LabelValue, len(l.kinds))
		for i, kind := range l.kinds {
			kinds[i] = v1alpha1.LabelValue(kind)
		}
		unit.Named(l.name).On("pool", w.Namespace).Where("unit", corev1.NodeSelectorOpIn, kinds...)
		if l.pods != noLimit && !l.byRoom {
			unit.Max(int32(l.pods))
		}
		if l.milli != noLimit {
			unit.MaxResource(corev1.ResourceCPU, fmt.Sprintf("%dm", l.milli))
		}
		policy.Unit(unit)
	}
	return policy
}

// pod returns a pod of a group.
func (t *tenant) pod(w *harness.World, group, cpu string) *wrappers.Pod {
	pod := w.Pod().Label("app", t.name).Request(corev1.ResourceCPU, cpu)
	if group != "" {
		pod.Label("version", group)
	}
	return pod
}

// places returns how many pods of one CPU more than exist fill all that the group may have.
func (t *tenant) places() int {
	places := 0
	for _, l := range t.units {
		places += max(l.pods, 0) + int(max(l.milli, 0))/1000
	}
	return places
}

// full tells whether the group has all that it may have in all its units.
func (t *tenant) full(group string, used map[slot]use) bool {
	for _, l := range t.units {
		u := used[slot{t.name, group, l.name}]
		if l.pods != noLimit && u.pods != l.pods || l.milli != noLimit && u.milli != l.milli {
			return false
		}
	}
	return true
}

// recount counts the pods by the record that their placement left on them. Pods that terminate or have ended do not count.
func recount(pods []*corev1.Pod) map[slot]use {
	used := map[slot]use{}
	for _, pod := range pods {
		if isBound(pod) && isAlive(pod) {
			s := slot{pod.Labels["app"], pod.Labels["version"], pod.Annotations[v1alpha1.AnnotationUnit]}
			u := used[s]
			used[s] = use{u.pods + 1, u.milli + milliOf(pod)}
		}
	}
	return used
}

// isAlive tells whether a pod neither terminates nor has ended.
func isAlive(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

// checkCaps returns what is wrong when a cap is passed.
func (t *tenant) checkCaps(group string, used map[slot]use) error {
	for _, l := range t.units {
		u := used[slot{t.name, group, l.name}]
		if !l.byRoom && (l.pods != noLimit && u.pods > l.pods || l.milli != noLimit && u.milli > l.milli) {
			return fmt.Errorf("a cap is passed: %s", t.words(group, used))
		}
	}
	return nil
}

// checkRecord returns what is wrong with what a placement left on a bound pod.
func (t *tenant) checkRecord(pod *corev1.Pod, kinds map[string]string) error {
	unit := slices.IndexFunc(t.units, func(l limit) bool { return l.name == pod.Annotations[v1alpha1.AnnotationUnit] })
	switch {
	case pod.Annotations[v1alpha1.AnnotationPolicy] != t.name || unit < 0:
		return fmt.Errorf("the record is of policy %q and unit %q", pod.Annotations[v1alpha1.AnnotationPolicy], pod.Annotations[v1alpha1.AnnotationUnit])
	case !slices.Contains(t.units[unit].kinds, kinds[pod.Spec.NodeName]):
		return fmt.Errorf("node %s is not in unit %s", pod.Spec.NodeName, t.units[unit].name)
	case pod.Annotations[corev1.PodDeletionCost] != strconv.Itoa(int(placement.DeletionCost(unit, ""))):
		return fmt.Errorf("the deletion cost in unit %d is %q", unit, pod.Annotations[corev1.PodDeletionCost])
	}
	return nil
}

// isOpen tells whether the last unit has no limit, so that no pod has to wait.
func (t *tenant) isOpen() bool {
	last := t.units[len(t.units)-1]
	return last.pods == noLimit && last.milli == noLimit
}

// has returns whether a pod is one of a group of the tenant.
func (t *tenant) has(group string) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool { return pod.Labels["app"] == t.name && pod.Labels["version"] == group }
}

// words tells what a group has.
func (t *tenant) words(group string, used map[slot]use) string {
	words := t.name + "/" + group
	for _, l := range t.units {
		u := used[slot{t.name, group, l.name}]
		words += fmt.Sprintf("; %s: %d of %d pods, %dm of %dm", l.name, u.pods, l.pods, u.milli, l.milli)
	}
	return words
}
