package main

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/spillway-k8s/spillway/apis/quantity"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// small is a cluster of the plan with one policy of each kind, with statuses that are right.
func small() (*plan, *contents) {
	p := &plan{machines: 20, zones: 2, policies: kinds, namespaces: 2, bound: kinds * stride, unbound: kinds}
	c := &contents{}
	for i := range p.machines {
		c.nodes = append(c.nodes, p.machine(i))
	}
	for i := range p.zones {
		c.nodes = append(c.nodes, wrappers.MakeVirtualNode(p.virtualNode(i).NodeName()).Obj())
	}
	for n := range p.bound + p.unbound {
		pod, at := p.pod(n, "owner")
		pod.Status = waiting(at)
		if n < p.bound {
			pod.Spec.NodeName, pod.Status = at.node, running(pod, n)
			at.unrecorded, at.unlabelled = false, false
			labels, annotations := p.written(at)
			for key, value := range annotations {
				pod.Annotations[key] = value
			}
			for key, value := range labels {
				pod.Labels[key] = value
			}
		}
		c.pods = append(c.pods, pod)
	}
	for i := range p.policies {
		c.policies = append(c.policies, reported(p, i))
	}
	return p, c
}

// reported returns a policy with the status that 20 pods in their places and one without make: 12, 6 and 2 pods of 150m and 320Mi.
func reported(p *plan, i int) *v1alpha1.ResourcePolicy {
	rp := p.policy(i)
	rp.Generation, rp.Status.ObservedGeneration = 3, 3
	rp.Status.WaitingPods = 1
	if i%kinds == kindFull {
		rp.Status.WaitingPods, rp.Status.HeldPods = 0, 1
	}
	pods, nodes := []int32{12, 6, 2}, []int32{12, 8, 2}
	free := map[int][]*int32{
		kindMax: {ptr.To[int32](188), ptr.To[int32](44), nil}, kindResources: {nil, ptr.To[int32](54), nil}, kindFull: {new(int32), new(int32), new(int32)},
	}
	for u := range units {
		status := v1alpha1.UnitStatus{Pods: pods[u], Nodes: nodes[u]}
		if f := free[i%kinds]; f != nil {
			status.FreePods = f[u]
		}
		if i%kinds == kindResources {
			status.Requests = map[corev1.ResourceName]quantity.Quantity{
				"cpu": quantity.MustParse([]string{"1800m", "900m", "300m"}[u]), "memory": quantity.MustParse([]string{"3840Mi", "1920Mi", "640Mi"}[u]),
			}
		}
		rp.Status.Units = append(rp.Status.Units, status)
	}
	if i%kinds == kindResources {
		rp.Status.Units[0].FreeResources = map[corev1.ResourceName]quantity.Quantity{"cpu": quantity.MustParse("98200m")}
	}
	return rp
}

func TestRecountFindsNothingWhereAllIsRight(t *testing.T) {
	if _, c := small(); len(c.mistakes()) > 0 {
		t.Error(first(c.mistakes()))
	}
}

func TestRecountFindsMistakes(t *testing.T) {
	cases := map[string]struct {
		spoil func(c *contents)
		want  string
	}{
		"a pod more":            {func(c *contents) { c.pods = append(c.pods, c.pods[0]) }, "units[0].pods is 12, recounted 13"},
		"a pod less":            {func(c *contents) { c.pods = c.pods[1:] }, "units[0].pods is 12, recounted 11"},
		"a node less":           {func(c *contents) { c.nodes = c.nodes[:len(c.nodes)-1] }, "units[2].nodes is 2, recounted 1"},
		"an old generation":     {func(c *contents) { c.policies[0].Generation++ }, "observedGeneration 3 of 4"},
		"no status":             {func(c *contents) { c.policies[0].Status = v1alpha1.ResourcePolicyStatus{} }, "observedGeneration 0 of 3, 0 units"},
		"a slot that is free":   {func(c *contents) { c.policies[kindFull].Status.Units[1].FreePods = ptr.To[int32](1) }, "units[1].freePods is 1, recounted 0"},
		"a slot without a cap":  {func(c *contents) { c.policies[kindLabels].Status.Units[1].FreePods = ptr.To[int32](1) }, "units[1].freePods is 1, recounted -1"},
		"requests":              {func(c *contents) { c.policies[kindResources].Status.Units[2].Requests = nil }, "units[2].requests of cpu is 0, recounted 300"},
		"a held pod":            {func(c *contents) { c.policies[kindFull].Status.HeldPods = 0 }, "heldPods is 0, recounted 1"},
		"a cost of the user's":  {func(c *contents) { c.pods[0].Annotations[corev1.PodDeletionCost] = "7" }, `deletion cost is "7", recounted "0"`},
		"the cost of no unit":   {func(c *contents) { delete(c.pods[9*kinds].Annotations, corev1.PodDeletionCost) }, `deletion cost is "", recounted "-2000000"`},
		"a label that is amiss": {func(c *contents) { delete(c.pods[9*kinds+kindLabels].Labels, labelSpill) }, "the label of its unit is missing"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, c := small()
			tc.spoil(c)
			if got := strings.Join(c.mistakes(), "\n"); !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestPlanGivesTheControllersSomethingToDo(t *testing.T) {
	p := &plan{machines: 100, zones: 3, policies: 8, namespaces: 4, bound: 800, unbound: 8}
	unrecorded, unlabelled := 0, 0
	nodes := map[string]bool{}
	for n := range p.bound {
		at := p.place(n)
		nodes[at.node] = true
		if labels, annotations := p.written(at); at.unrecorded && annotations != nil || at.unlabelled && labels != nil {
			t.Errorf("pod %d at %+v has %v and %v", n, at, labels, annotations)
		}
		if at.unrecorded {
			unrecorded++
		}
		if at.unlabelled {
			unlabelled++
		}
	}
	if unrecorded != 16 || unlabelled != 10 || len(nodes) < 80 {
		t.Errorf("%d unrecorded, %d without labels, on %d nodes", unrecorded, unlabelled, len(nodes))
	}
	if at := p.place(p.bound + 7*8); at.unrecorded {
		t.Error("a pod that comes later is unrecorded")
	}
}
