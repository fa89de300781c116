package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	namespace = "replay"
	// virtualNode is the name of the one virtual node, which has room for everything.
	virtualNode = "eci"
	appLabel    = "replay"

	resourceGPU = corev1.ResourceName("nvidia.com/gpu")
	// plentyCPU and the others are what the virtual node offers.
	plentyCPU, plentyMemory, plentyPods, plentyGPUs = "100000", "800Ti", "20000", "10000"
	// preferMachines is the largest weight that Kubernetes allows.
	preferMachines = 100
)

// contender is a scheduler, and what its pods are given so that they use ECI.
type contender struct {
	// name is that in the results, and title that in the table.
	name, title string
	// binary is the file to run.
	binary string
	// scheduler is the name of its profile.
	scheduler string
	// tolerates and prefers are what a user of the stock scheduler writes on every pod: that it may run on virtual nodes, and rather on others.
	tolerates, prefers bool
	// policy is true where a ResourcePolicy says so instead.
	policy bool
	// verbosity is that of its log.
	verbosity int
}

var contenders = []contender{
	{name: "stock-tolerates", title: "stock, toleration", binary: "kube-scheduler", scheduler: corev1.DefaultSchedulerName, tolerates: true},
	{
		name: "stock-prefers", title: "stock, toleration and preference", binary: "kube-scheduler", scheduler: corev1.DefaultSchedulerName,
		tolerates: true, prefers: true,
	},
	{name: "spillway", title: "Spillway", binary: "spillway-scheduler", scheduler: wrappers.SchedulerName, policy: true},
}

// furnish creates what is there before the scheduler starts: the machines, the virtual node, and what Spillway knows about them.
func furnish(ctx context.Context, api client.Client, p *plan, c contender) error {
	objects := []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, virtualNodeObject()}
	for i := range p.Machines {
		objects = append(objects, machineObject(&p.Machines[i]))
	}
	if c.policy {
		policy := wrappers.MakePolicy("replay").Namespace(namespace).Selector("app", appLabel).Unit(wrappers.ECS()).Unit(wrappers.ECI()).Obj()
		policy.UID = ""
		objects = append(objects, policy)
	}
	for _, object := range objects {
		if err := api.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %s: %w", object.GetName(), err)
		}
	}
	if !c.policy {
		return nil
	}
	return describeVirtualNode(ctx, api)
}

// describeVirtualNode creates the VirtualNode as the controller would leave it: ECI accepts everything.
func describeVirtualNode(ctx context.Context, api client.Client) error {
	z := wrappers.MakeZone(region+"-j").External().Offers(corev1.ResourceCPU, plentyCPU).Offers(corev1.ResourceMemory, plentyMemory).
		Offers(corev1.ResourcePods, plentyPods).Offers(resourceGPU, plentyGPUs).Quota(plentyCPU).Fresh(time.Now().Add(24 * time.Hour))
	z.Name, z.UID, z.Spec.NodeName = virtualNode, "", virtualNode
	vn := z.Obj()
	status := vn.Status
	if err := api.Create(ctx, vn); err != nil {
		return fmt.Errorf("creating VirtualNode %s: %w", vn.Name, err)
	}
	vn.Status = status
	vn.Status.ObservedGeneration = vn.Generation
	vn.Status.Price = &eciv1alpha1.Price{Currency: "CNY", CPUPerHour: "0.1764", MemoryPerHour: "0.022068"}
	if err := api.Status().Update(ctx, vn); err != nil {
		return fmt.Errorf("writing the status of VirtualNode %s: %w", vn.Name, err)
	}
	return nil
}

func virtualNodeObject() *corev1.Node {
	n := wrappers.MakeVirtualNode(virtualNode).Capacity(corev1.ResourceCPU, plentyCPU).Capacity(corev1.ResourceMemory, plentyMemory).
		Capacity(corev1.ResourcePods, plentyPods).Capacity(resourceGPU, plentyGPUs)
	return ready(n)
}

func machineObject(m *machine) *corev1.Node {
	n := wrappers.MakeNode(m.Name).Capacity(corev1.ResourceCPU, fmt.Sprintf("%dm", m.MilliCPU)).
		Capacity(corev1.ResourceMemory, fmt.Sprintf("%dMi", m.MemoryMiB)).Capacity(corev1.ResourcePods, fmt.Sprint(mostPods))
	if m.GPUs > 0 {
		n.Capacity(resourceGPU, fmt.Sprint(m.GPUs))
	}
	return ready(n)
}

func ready(n *wrappers.Node) *corev1.Node {
	node := n.Obj()
	node.UID = ""
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	return node
}

// podObject is the pod as its user would write it for the scheduler. Names of the trace are names of Kubernetes.
func podObject(p *plannedPod, c contender) *corev1.Pod {
	w := wrappers.MakePod(p.Name).Namespace(namespace).Label("app", appLabel).Scheduler(c.scheduler).
		Request(corev1.ResourceCPU, fmt.Sprintf("%dm", p.MilliCPU)).Request(corev1.ResourceMemory, fmt.Sprintf("%dMi", p.MemoryMiB)).NoGrace()
	if p.GPUs > 0 {
		w.Request(resourceGPU, fmt.Sprint(p.GPUs))
		if name, ok := gpuTypeFor(p.amount); ok {
			w.Annotation(ecispec.AnnotationUseSpecs, name)
		}
	}
	if c.tolerates {
		w.Tolerate(eciv1alpha1.TaintProvider)
	}
	pod := w.Obj()
	pod.UID = ""
	if c.prefers {
		machines := corev1.NodeSelectorRequirement{
			Key: eciv1alpha1.LabelNodeType, Operator: corev1.NodeSelectorOpNotIn, Values: []string{eciv1alpha1.NodeTypeVirtualKubelet},
		}
		pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{
				{Weight: preferMachines, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{machines}}},
			},
		}}
	}
	return pod
}
