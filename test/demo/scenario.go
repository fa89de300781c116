package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	schedulingv1alpha1 "github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

const (
	region = "cn-beijing"
	zone   = "cn-beijing-j"
	// settleTimeout is how long a step may take until the pods are where they stay.
	settleTimeout = 60 * time.Second
	settlePoll    = 200 * time.Millisecond

	unitSubscription = "subscription"
	unitPayAsYouGo   = "pay-as-you-go"
	unitECI          = "eci"

	paidType = "paidtype"
	appLabel = "app"
)

// units are the units of the scenario, in order.
var units = []string{unitSubscription, unitPayAsYouGo, unitECI}

// expected are the pods in each unit by the number of replicas, as ACK documents them.
var expected = map[int32][]int{2: {2, 0, 0}, 4: {2, 2, 0}, 6: {2, 2, 2}}

// runOptions tell the two runs apart.
type runOptions struct {
	title     string
	app       string
	scheduler string
	// tolerate lets the pods on virtual nodes the stock way. Under Spillway the pods need nothing.
	tolerate bool
	// checked is true when each step must end as expected.
	checked bool
}

var (
	spillwayRun = runOptions{title: "Spillway", app: "nginx", scheduler: "spillway-scheduler", checked: true}
	stockRun    = runOptions{title: "default-scheduler with a toleration", app: "nginx-stock", scheduler: "default-scheduler", tolerate: true}
)

// demo is a connection to the cluster.
type demo struct {
	api client.Client
}

// prepare creates the nodes, the virtual node and the policy, and waits until all can take pods.
func (d *demo) prepare(ctx context.Context) error {
	objects := []client.Object{virtualNode(), policy()}
	nodes := []string{"virtual-kubelet-" + zone}
	for _, unit := range []string{unitSubscription, unitPayAsYouGo} {
		for i := range 2 {
			node := machine(fmt.Sprintf("ecs-%s-%d", unit, i+1), unit)
			objects, nodes = append(objects, node), append(nodes, node.Name)
		}
	}
	for _, object := range objects {
		if err := d.api.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %s: %w", object.GetName(), err)
		}
	}
	fmt.Printf("\n2 nodes paid by the month, 2 paid by the hour (2 vCPU, 4 GiB each), and ECI zone %s as a virtual node.\n", zone)
	return d.await(ctx, "the nodes to become ready", func() (bool, error) { return d.allReady(ctx, nodes) })
}

func (d *demo) allReady(ctx context.Context, names []string) (bool, error) {
	for _, name := range names {
		node := &corev1.Node{}
		if err := d.api.Get(ctx, client.ObjectKey{Name: name}, node); err != nil {
			return false, client.IgnoreNotFound(err)
		}
		for _, taint := range node.Spec.Taints {
			if taint.Key == corev1.TaintNodeNotReady {
				return false, nil
			}
		}
	}
	rp := policy()
	if err := d.api.Get(ctx, client.ObjectKeyFromObject(rp), rp); err != nil {
		return false, err
	}
	return meta.IsStatusConditionTrue(rp.Status.Conditions, schedulingv1alpha1.ConditionReady), nil
}

// play scales the Deployment through the steps and returns where the pods were after each. It removes the Deployment at the end.
func (d *demo) play(ctx context.Context, options runOptions) ([]placed, error) {
	fmt.Printf("\n=== %s ===\n", options.title)
	deployment := deployment(options)
	if err := d.api.Create(ctx, deployment); err != nil {
		return nil, fmt.Errorf("creating the Deployment: %w", err)
	}
	var all []placed
	for i, replicas := range steps {
		before := deployment.DeepCopy()
		deployment.Spec.Replicas = ptr.To(replicas)
		if err := d.api.Patch(ctx, deployment, client.MergeFrom(before)); err != nil {
			return nil, fmt.Errorf("scaling the Deployment to %d: %w", replicas, err)
		}
		p, err := d.settle(ctx, options, replicas)
		if err != nil {
			return nil, err
		}
		p.print(i + 1)
		all = append(all, p)
	}
	if err := d.api.Delete(ctx, deployment, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
		return nil, fmt.Errorf("deleting the Deployment: %w", err)
	}
	err := d.await(ctx, "the pods to go", func() (bool, error) {
		pods, err := d.pods(ctx, options.app)
		return len(pods) == 0, err
	})
	return all, err
}

// settle waits until exactly the wanted replicas run, and returns where they are.
func (d *demo) settle(ctx context.Context, options runOptions, replicas int32) (placed, error) {
	var pods []corev1.Pod
	err := d.await(ctx, fmt.Sprintf("%d pods of %s to run", replicas, options.app), func() (bool, error) {
		var err error
		pods, err = d.pods(ctx, options.app)
		return len(pods) == int(replicas) && allRunning(pods), err
	})
	if err != nil {
		return placed{}, err
	}
	return d.place(ctx, options, replicas, pods)
}

func allRunning(pods []corev1.Pod) bool {
	for i := range pods {
		if pods[i].Status.Phase != corev1.PodRunning || pods[i].DeletionTimestamp != nil {
			return false
		}
	}
	return true
}

func (d *demo) pods(ctx context.Context, app string) ([]corev1.Pod, error) {
	list := &corev1.PodList{}
	err := d.api.List(ctx, list, client.InNamespace(metav1.NamespaceDefault), client.MatchingLabels{appLabel: app})
	return list.Items, err
}

// await polls until done, and fails with what it waited for.
func (d *demo) await(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for {
		ok, err := done()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-time.After(settlePoll):
		}
	}
}

// machine is an ECS node that kwok plays, with the topology labels that every node of ACK has: without them the stock scheduler's spreading would
// keep pods off the one node that has them.
func machine(name, paid string) *corev1.Node {
	size := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("4Gi"), corev1.ResourcePods: resource.MustParse("64"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Labels:      map[string]string{paidType: paid, corev1.LabelTopologyRegion: region, corev1.LabelTopologyZone: zone, corev1.LabelHostname: name},
			Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
		},
		Status: corev1.NodeStatus{Capacity: size, Allocatable: size},
	}
}

func virtualNode() *eciv1alpha1.VirtualNode {
	return &eciv1alpha1.VirtualNode{
		ObjectMeta: metav1.ObjectMeta{Name: zone},
		Spec:       eciv1alpha1.VirtualNodeSpec{Region: region, Zone: zone, Credentials: eciv1alpha1.Credentials{SecretName: "eci-credentials"}},
	}
}

func policy() *schedulingv1alpha1.ResourcePolicy {
	return &schedulingv1alpha1.ResourcePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "nginx"},
		Spec: schedulingv1alpha1.ResourcePolicySpec{
			Selector: schedulingv1alpha1.LabelSet{appLabel: schedulingv1alpha1.LabelValue(spillwayRun.app)},
			Units: []schedulingv1alpha1.Unit{
				{Resource: schedulingv1alpha1.ResourceECS, NodeSelector: schedulingv1alpha1.LabelSet{paidType: unitSubscription}},
				{Resource: schedulingv1alpha1.ResourceECS, NodeSelector: schedulingv1alpha1.LabelSet{paidType: unitPayAsYouGo}},
				{Resource: schedulingv1alpha1.ResourceECI},
			},
		},
	}
}

// deployment asks for 2 vCPU a pod, so that each machine takes one.
func deployment(options runOptions) *appsv1.Deployment {
	labels := map[string]string{appLabel: options.app}
	requests := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}
	spec := corev1.PodSpec{
		SchedulerName: options.scheduler,
		Containers: []corev1.Container{{
			Name: "nginx", Image: "nginx", Resources: corev1.ResourceRequirements{Requests: requests, Limits: requests},
		}},
	}
	if options.tolerate {
		spec.Tolerations = []corev1.Toleration{{
			Key: eciv1alpha1.TaintProvider, Operator: corev1.TolerationOpEqual, Value: eciv1alpha1.TaintProviderValue, Effect: corev1.TaintEffectNoSchedule,
		}}
	}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: options.app},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](0),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
	}
}
