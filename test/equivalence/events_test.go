package equivalence

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// event adds something that happens to what is there: of a theme of the scene, or to pods and nodes.
func (g *generator) event() {
	choices := []func(){
		g.deletePod, g.deletePod, g.deletePod, g.terminatePod, g.endPods, g.relabelPod, g.relabelNode, g.resizeNode, g.cordon,
		g.node, g.removeNode,
	}
	ofTheme := map[theme][]func(){
		preemption: {g.deletePod, g.endPods, g.budget},
		volumes:    {g.volume, g.removeVolumeClaim, g.contend, g.contend},
		devices:    {g.release, g.release, g.removeSlice, g.addClaim, g.strand},
		gates:      {g.openGate, g.openGate, g.openGate},
		taints:     {g.taint, g.taint, g.tolerate},
		resizes:    {g.resize, g.resize, g.resize, g.actuate, g.actuate},
	}
	for _, t := range g.scene.themes {
		choices = append(choices, ofTheme[t]...)
		choices = append(choices, ofTheme[t]...)
	}
	choices[g.IntN(len(choices))]()
}

func (g *generator) deletePod() { g.removePod(g.anyPod(), 0) }

// terminatePod deletes a pod as its owner does: it terminates until its kubelet has ended it, which endPods does.
func (g *generator) terminatePod() { g.removePod(g.anyPod(), 30) }

func (g *generator) removePod(name string, grace client.GracePeriodSeconds) {
	g.step(fmt.Sprintf("delete pod %s with a grace period of %d s", name, grace), func(s *stage, ctx context.Context) error {
		return s.remove(ctx, podNamed(name), grace)
	})
}

func (g *generator) endPods() { g.step("end terminating pods", (*stage).endTerminating) }

// change adds a step that edits a pod.
func (g *generator) change(what, name string, update updater, mutate func(*corev1.Pod)) {
	g.step(what+" of pod "+name, func(s *stage, ctx context.Context) error {
		pod := podNamed(name)
		return s.edit(ctx, pod, update, func() { mutate(pod) })
	})
}

// changeNode adds a step that edits a node.
func (g *generator) changeNode(what string, update updater, mutate func(*corev1.Node)) {
	name := g.anyNode()
	g.step(what+" of node "+name, func(s *stage, ctx context.Context) error {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
		return s.edit(ctx, node, update, func() { mutate(node) })
	})
}

func (g *generator) relabelPod() {
	app := pick(g, "a", "b", "c")
	g.change("label app="+app, g.anyPod(), wholly, func(pod *corev1.Pod) { pod.Labels[appLabel] = app })
}

func (g *generator) openGate() {
	g.change("open the gate", g.anyPod(), wholly, func(pod *corev1.Pod) { pod.Spec.SchedulingGates = nil })
}

func (g *generator) tolerate() {
	g.change("add a toleration", g.anyPod(), wholly, func(pod *corev1.Pod) {
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Key: dedicated, Operator: corev1.TolerationOpExists})
	})
}

// resize asks for more or less CPU; a bound pod has it after actuate.
func (g *generator) resize() {
	cpu := quantity(g, "250m", "250m", "500m", "1", "2")
	g.change("resize to "+cpu.String(), g.anyPod(), byResize, func(pod *corev1.Pod) {
		resources := &pod.Spec.Containers[0].Resources
		resources.Requests[corev1.ResourceCPU], resources.Limits[corev1.ResourceCPU] = cpu, cpu
	})
}

func (g *generator) actuate() { g.step("actuate resizes", (*stage).actuateAll) }

func (g *generator) relabelNode() {
	key, value := zoneLabel, pick(g, "a", "b")
	if g.one(2) {
		key, value = diskLabel, pick(g, "ssd", "hdd")
	}
	g.changeNode("label "+key+"="+value, wholly, func(node *corev1.Node) { node.Labels[key] = value })
}

func (g *generator) resizeNode() {
	cpu := quantity(g, "500m", "2", "4")
	g.changeNode("allocatable "+cpu.String(), statusOnly, func(node *corev1.Node) {
		node.Status.Capacity[corev1.ResourceCPU], node.Status.Allocatable[corev1.ResourceCPU] = cpu, cpu
	})
}

// cordon cordons a node, or makes it schedulable again.
func (g *generator) cordon() {
	g.changeNode("cordon or uncordon", wholly, func(node *corev1.Node) { node.Spec.Unschedulable = !node.Spec.Unschedulable })
}

// taint adds a taint, or takes it away.
func (g *generator) taint() {
	effect := pick(g, corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule)
	g.changeNode("taint or untaint "+string(effect), wholly, func(node *corev1.Node) {
		taint := corev1.Taint{Key: dedicated, Value: "yes", Effect: effect}
		if n := slices.IndexFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.MatchTaint(&taint) }); n >= 0 {
			node.Spec.Taints = slices.Delete(node.Spec.Taints, n, n+1)
		} else {
			node.Spec.Taints = append(node.Spec.Taints, taint)
		}
	})
}

// removeNode deletes a node, and then the pods that were on it.
func (g *generator) removeNode() {
	name := g.anyNode()
	g.step("delete node "+name, func(s *stage, ctx context.Context) error {
		return s.remove(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
	})
	g.step("collect pods of absent nodes", (*stage).collect)
}

// budget protects the pods of an app, wholly or but for one.
func (g *generator) budget() {
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("b%d", g.budgets)},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: new(intstr.FromInt32(0)), Selector: g.apps()},
	}
	g.budgets++
	allowed := int32(g.IntN(2))
	g.step(fmt.Sprintf("create PodDisruptionBudget of %v, allowed %d", budget.Spec.Selector.MatchLabels, allowed),
		func(s *stage, ctx context.Context) error {
			if err := s.create(ctx, budget); err != nil {
				return err
			}
			b := budget.DeepCopy()
			return s.edit(ctx, b, statusOnly, func() { b.Status.DisruptionsAllowed = allowed })
		})
}

// removeVolumeClaim deletes a claim; its volume is released, and not used again.
func (g *generator) removeVolumeClaim() {
	if len(g.volumeClaims) == 0 {
		g.deletePod()
		return
	}
	name := g.volumeClaims[g.IntN(len(g.volumeClaims))]
	g.step("delete PersistentVolumeClaim "+name, func(s *stage, ctx context.Context) error {
		return s.remove(ctx, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}})
	})
}

// release takes claims away from pods that are gone, and perhaps the devices from the claims.
func (g *generator) release() {
	deallocate := g.one(3)
	g.step(fmt.Sprintf("release claims, deallocate %t", deallocate), func(s *stage, ctx context.Context) error {
		return s.releaseClaims(ctx, deallocate)
	})
}

func (g *generator) removeSlice() {
	name := g.anyNode()
	g.step("delete ResourceSlice "+name, func(s *stage, ctx context.Context) error {
		return s.remove(ctx, &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: name}})
	})
}

func (g *generator) addClaim() {
	name := fmt.Sprintf("d%d", len(g.claims))
	g.claims = append(g.claims, name)
	g.create(deviceClaim(name, 1))
}

// contend adds a pod with a high priority and a volume claim that other pods have, too.
func (g *generator) contend() {
	if len(g.volumeClaims) == 0 {
		g.pod()
		return
	}
	pod := g.plainPod()
	if g.has(preemption) {
		pod.Class("high")
	}
	mount(pod, g.volumeClaims[g.IntN(len(g.volumeClaims))])
	g.create(pod.Obj())
}

// strand leaves devices allocated to a claim on a node where its next pod cannot run.
func (g *generator) strand() {
	if len(g.claims) == 0 {
		g.addClaim()
		return
	}
	claim := g.claims[g.IntN(len(g.claims))]
	for _, user := range g.users[claim] {
		g.removePod(user, 0)
	}
	g.step("release claims, deallocate false", func(s *stage, ctx context.Context) error { return s.releaseClaims(ctx, false) })
	g.step("cordon the node of claim "+claim, func(s *stage, ctx context.Context) error { return s.cordonClaim(ctx, claim) })
	pod := g.plainPod()
	g.use(pod, claim)
	g.create(pod.Obj())
}

// quantity returns one of the amounts.
func quantity(g *generator, choices ...string) resource.Quantity {
	return resource.MustParse(pick(g, choices...))
}

func podNamed(name string) *corev1.Pod { return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}} }
