package perf

import (
	"fmt"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	// namespace is where the measured pods are. The others are in another one: scheduler_perf waits for a number of bound pods in a namespace.
	namespacePrefix, namespace, others = "bench", "bench-0", "bench-1"
	// unitLabel is the label of machines with the unit that they are in.
	unitLabel = "unit"
	// measured is how many pods are measured, preemptors how many of those that evict others, and flowing how many while as many wait.
	measured, preemptors, flowing = 5000, 500, 2000
	// virtualNodes is how many virtual nodes there are in the case spill.
	virtualNodes = 10
	// churnFor is how long pods come and go in the case churn.
	churnFor = "3m"
)

// perfCase is a case: what is created before, and what is measured.
type perfCase struct {
	// ops are the operations of scheduler_perf.
	ops func(r *run) []any
	// policies are the policies for Spillway and the scheduler that ranks by Score.
	policies func() []*wrappers.Policy
	// virtual is true when the VirtualNodes describe the virtual nodes.
	virtual bool
	// expected returns how many pods belong in each unit, by the label of its nodes; nil when there is no order to keep.
	expected func(r *run) map[string]int
}

// cases are the cases by name.
var cases = map[string]perfCase{
	// ungoverned is the price of having Spillway: no policies, upstream's SchedulingBasic.
	"ungoverned": {
		ops: func(r *run) []any {
			return []any{createNodes("$nodes", r.machine("4"), nil), createOthers(1000, r.pod("", "")), createPods(measured, r.pod("", ""))}
		},
	},
	// fill has ten units and plenty of room in each: Spillway fills them in order, stock spreads the same pods over the same nodes.
	"fill": {
		ops: func(r *run) []any {
			return []any{createNodes("$nodes", r.machine("4"), units(10)), createPods(measured, r.pod("app: web", ""))}
		},
		policies: func() []*wrappers.Policy { return []*wrappers.Policy{tenUnits("web", 0)} },
		expected: func(r *run) map[string]int { return r.inOrder(measured) },
	},
	// spill has machines that are full, and virtual nodes with room: stock is given a toleration and a preference.
	"spill": {
		ops: func(r *run) []any {
			return []any{
				createNodes("$nodes", r.machine("50m"), units(1)), createNodes(virtualNodes, r.virtualNode(), nil), createPods(measured, r.pod("app: web", spillSpec)),
			}
		},
		policies: func() []*wrappers.Policy {
			return []*wrappers.Policy{wrappers.MakePolicy("web").Selector("app", "web").Unit(wrappers.ECS()).Unit(wrappers.ECI())}
		},
		virtual:  true,
		expected: func(*run) map[string]int { return map[string]int{"virtual": measured} },
	},
	// caps has 500 policies of three capped units, for 10 pods each.
	"caps": {
		ops: func(r *run) []any {
			return []any{createNodes("$nodes", r.machine("4"), units(10)), createPods(measured, r.pod("app: \"a{{ Mod .Index 500 }}\"", ""))}
		},
		policies: func() []*wrappers.Policy {
			var all []*wrappers.Policy
			for i := range 500 {
				p := wrappers.MakePolicy(fmt.Sprintf("p-%d", i)).Selector("app", fmt.Sprintf("a%d", i))
				all = append(all, p.Unit(unit(0).Max(4)).Unit(unit(1).Max(3)).Unit(unit(2).Max(3)))
			}
			return all
		},
		expected: func(*run) map[string]int {
			return map[string]int{unitName(0): 2000, unitName(1): 1500, unitName(2): 1500}
		},
	},
	// shadow has 1,000 policies in one namespace.
	"shadow": {
		ops: func(r *run) []any {
			return []any{createNodes("$nodes", r.machine("4"), units(10)), createPods(measured, r.pod("app: web", ""))}
		},
		policies: func() []*wrappers.Policy {
			all := []*wrappers.Policy{tenUnits("web", 0)}
			for i := range 999 {
				all = append(all, tenUnits(fmt.Sprintf("other-%d", i), 0))
			}
			return all
		},
		expected: func(r *run) map[string]int { return r.inOrder(measured) },
	},
	// wait has 2,000 pods that wait in a unit while 2,000 others flow.
	"wait": {
		ops: func(r *run) []any {
			waiting := createOthers(flowing, r.pod("app: waits", "  nodeSelector: {unit: missing}"))
			waiting["skipWaitToCompletion"] = true
			// All of them have been tried in vain when the others come.
			tried := map[string]any{"opcode": "barrier", "stageRequirement": "Attempted"}
			return []any{createNodes("$nodes", r.machine("4"), units(10)), waiting, tried, createPods(flowing, r.pod("app: web", ""))}
		},
		policies: func() []*wrappers.Policy {
			waits := wrappers.MakePolicy("waits").Namespace(others).Selector("app", "waits").Unit(wrappers.ECS().On(unitLabel, "missing"))
			return []*wrappers.Policy{tenUnits("web", 0), waits}
		},
		expected: func(r *run) map[string]int { return r.inOrder(flowing) },
	},
	// preempt is upstream's PreemptionBasic with policies for both kinds of pods: the machines are full of pods of low priority, four on each, of which
	// every measured pod evicts three.
	"preempt": {
		ops: func(r *run) []any {
			low, high := r.sized("app: low", "priority: 0", "900m"), r.sized("app: web", "priority: 10", "3")
			return []any{createNodes("$nodes", r.machine("4"), units(2)), createOthers(4*r.nodes, low), createPods(preemptors, high)}
		},
		policies: func() []*wrappers.Policy {
			low := wrappers.MakePolicy("low").Namespace(others).Selector("app", "low").Unit(unit(0)).Unit(unit(1))
			high := wrappers.MakePolicy("web").Selector("app", "web").Unit(unit(0)).Unit(unit(1))
			return []*wrappers.Policy{low, high}
		},
		expected: func(r *run) map[string]int {
			// Those of low priority that are left are where they were; the preemptors belong in the first unit.
			return map[string]int{unitName(0): 2*r.nodes - 2*preemptors, unitName(1): 2 * r.nodes}
		},
	},
	// churn has pods that come and go for minutes: as soon as one is bound it is deleted and another comes.
	"churn": {
		ops: func(r *run) []any {
			steady := createPods(200, r.pod("app: web", ""))
			steady["steadyState"], steady["duration"] = true, churnFor
			return []any{createNodes("$nodes", r.machine("4"), units(10)), steady}
		},
		policies: func() []*wrappers.Policy { return []*wrappers.Policy{tenUnits("web", 100)} },
	},
}

// inOrder returns how many pods belong in each of ten units of machines, on each of which 40 fit.
func (r *run) inOrder(pods int) map[string]int {
	expected := map[string]int{}
	for i := range 10 {
		expected[unitName(i)] = min(pods, r.nodes/10*40)
		pods -= expected[unitName(i)]
	}
	return expected
}

// tenUnits returns a policy for pods of an app, with ten units of machines.
func tenUnits(app string, limit int32) *wrappers.Policy {
	p := wrappers.MakePolicy(app).Selector("app", app)
	for i := range 10 {
		if u := unit(i); limit > 0 {
			p.Unit(u.Max(limit))
		} else {
			p.Unit(u)
		}
	}
	return p
}

func unit(i int) *wrappers.Unit { return wrappers.ECS().On(unitLabel, unitName(i)) }

func unitName(i int) string { return fmt.Sprintf("u%d", i) }

// units returns the strategy that gives machines the labels of n units in turn.
func units(n int) map[string]any {
	var values []string
	for i := range n {
		values = append(values, unitName(i))
	}
	return map[string]any{"labelKey": unitLabel, "labelValues": values}
}

func createNodes(count any, template string, labels map[string]any) map[string]any {
	op := map[string]any{"opcode": "createNodes", "nodeTemplatePath": template}
	if name, ok := count.(string); ok {
		op["countParam"] = name
	} else {
		op["count"] = count
	}
	if labels != nil {
		op["labelNodePrepareStrategy"] = labels
	}
	return op
}

// createPods creates the pods that are measured.
func createPods(count int, template string) map[string]any {
	return map[string]any{"opcode": "createPods", "count": count, "podTemplatePath": template, "namespace": namespace, "collectMetrics": true}
}

// createOthers creates pods that are not measured.
func createOthers(count int, template string) map[string]any {
	return map[string]any{"opcode": "createPods", "count": count, "podTemplatePath": template, "namespace": others}
}

// machine writes the template of a machine with so many vCPUs and returns its path.
func (r *run) machine(cpu string) string {
	return r.template("machine", fmt.Sprintf(`
apiVersion: v1
kind: Node
metadata: {generateName: machine-}
status:
  capacity: {pods: "110", cpu: %q, memory: 32Gi}
  conditions: [{status: "True", type: Ready}]
`, cpu))
}

// virtualNode writes the template of a virtual node with plenty of room.
func (r *run) virtualNode() string {
	return r.template("virtual", fmt.Sprintf(`
apiVersion: v1
kind: Node
metadata:
  name: virtual-{{ .Index }}
  labels: {%s: %s, unit: virtual}
spec:
  taints: [{key: %s, value: %s, effect: NoSchedule}]
status:
  capacity: {pods: "10000", cpu: "10000", memory: 80Ti}
  conditions: [{status: "True", type: Ready}]
`, eciv1alpha1.LabelNodeType, eciv1alpha1.NodeTypeVirtualKubelet, eciv1alpha1.TaintProvider, eciv1alpha1.TaintProviderValue))
}

// spillSpec lets a scheduler without policies put pods on virtual nodes, and prefer machines.
const spillSpec = `
  tolerations: [{key: virtual-kubelet.io/provider, operator: Exists}]
  affinity:
    nodeAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        preference: {matchExpressions: [{key: type, operator: NotIn, values: [virtual-kubelet]}]}
`

// sized writes the template of a pod of a priority that requests so many vCPUs.
func (r *run) sized(labels, priority, cpu string) string {
	return r.podTemplate(labels, fmt.Sprintf("{requests: {cpu: %s, memory: 500Mi}}", cpu), "  terminationGracePeriodSeconds: 0\n  "+priority)
}

// pod writes the template of a pod. Only a scheduler without policies of Spillway's needs the rest of the spec.
func (r *run) pod(labels, spec string) string {
	if r.scheduler == spillway {
		spec = ""
	}
	return r.podTemplate(labels, "{limits: {cpu: 100m, memory: 500Mi}, requests: {cpu: 100m, memory: 500Mi}}", spec)
}

func (r *run) podTemplate(labels, resources, spec string) string {
	return r.template("pod", fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata:
  generateName: pod-
  labels: {%s}
spec:
  containers:
  - {image: pause, name: pause, resources: %s}
%s`, labels, resources, spec))
}
