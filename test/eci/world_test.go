package eci

import (
	"context"
	"fmt"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	schedulingv1alpha1 "github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	zoneJ = "cn-beijing-j"
	zoneK = "cn-beijing-k"
	ecs   = "ecs"
	// movedWithin is the bound on how long a pod may stay where ECI refuses it: "within seconds".
	movedWithin = 10 * time.Second
)

// world is what one test has in the cluster: a namespace with a policy (ECS first, then ECI), machines, and VirtualNodes. It is gone when the test ends.
type world struct {
	namespace string
	journal   *journal
}

// prepare creates the machines: two with 2 vCPU each.
func prepare() {
	GinkgoHelper()
	for i := range 2 {
		size := corev1.ResourceList{"cpu": resource.MustParse("2"), "memory": resource.MustParse("8Gi"), "pods": resource.MustParse("64")}
		node := wrappers.MakeNode(fmt.Sprintf("ecs-%d", i)).Label("kind", ecs).Obj()
		node.UID, node.Annotations = "", map[string]string{"kwok.x-k8s.io/node": "fake"}
		node.Status.Capacity, node.Status.Allocatable = size, size
		Expect(client.IgnoreAlreadyExists(api.Create(context.Background(), node))).To(Succeed())
	}
}

// newWorld returns a world with these VirtualNodes, once pods can be placed on them.
func newWorld(ctx context.Context, zones ...*wrappers.Zone) *world {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "eci-"}}
	Expect(api.Create(ctx, ns)).To(Succeed())
	w := &world{namespace: ns.Name}
	DeferCleanup(w.end, zones)
	for _, z := range zones {
		z.UID = ""
		Expect(api.Create(ctx, z.Obj())).To(Succeed())
	}
	rp := wrappers.MakePolicy("p").Namespace(w.namespace).Unit(wrappers.ECS().On("kind", ecs)).Unit(wrappers.ECI()).Obj()
	rp.UID = ""
	Expect(api.Create(ctx, rp)).To(Succeed())
	for _, z := range zones {
		Eventually(ready).WithArguments(z.Name).Should(Equal("True NodeReady"))
	}
	Eventually(func() bool {
		Expect(api.Get(ctx, client.ObjectKeyFromObject(rp), rp)).To(Succeed())
		return meta.IsStatusConditionTrue(rp.Status.Conditions, schedulingv1alpha1.ConditionReady)
	}).Should(BeTrue())
	w.journal = follow(w.namespace)
	return w
}

// end deletes everything and gives the simulator the state of its start.
func (w *world) end(zones []*wrappers.Zone) {
	GinkgoHelper()
	ctx := context.Background()
	reset()
	Expect(api.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}})).To(Succeed())
	Eventually(func() int { return len(w.pods()) }).Should(BeZero())
	for _, z := range zones {
		Expect(client.IgnoreNotFound(api.Delete(ctx, z.Obj()))).To(Succeed())
		Eventually(func() bool { return apierrors.IsNotFound(api.Get(ctx, client.ObjectKeyFromObject(z.Obj()), z.Obj())) }).Should(BeTrue())
	}
	Eventually(func() int { return ledger().Groups }).Should(BeZero())
	send(http.MethodDelete, "/admin/groups", "", nil)
}

// deploy creates a Deployment of pods that ECI bills as 2-4Gi.
func (w *world) deploy(name string, replicas int32) *appsv1.Deployment {
	GinkgoHelper()
	labels := map[string]string{"app": name}
	template := wrappers.MakePod("").Request("cpu", "2").Request("memory", "4Gi").Obj().Spec
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: template},
		},
	}
	Expect(api.Create(context.Background(), d)).To(Succeed())
	return d
}

// scale changes the number of replicas.
func (w *world) scale(d *appsv1.Deployment, replicas int32) {
	GinkgoHelper()
	before := d.DeepCopy()
	d.Spec.Replicas = &replicas
	Expect(api.Patch(context.Background(), d, client.MergeFrom(before))).To(Succeed())
}

func (w *world) pods() []corev1.Pod {
	GinkgoHelper()
	list := &corev1.PodList{}
	Expect(api.List(context.Background(), list, client.InNamespace(w.namespace))).To(Succeed())
	return list.Items
}

// count returns how many pods run in each zone and on ECS, are bound and do not run ("bound"), and wait ("waiting"). Those that are going do not count.
func (w *world) count() map[string]int {
	GinkgoHelper()
	nodes := &corev1.NodeList{}
	Expect(api.List(context.Background(), nodes)).To(Succeed())
	places := map[string]string{}
	for i := range nodes.Items {
		places[nodes.Items[i].Name] = nodes.Items[i].Labels[corev1.LabelTopologyZone] + nodes.Items[i].Labels["kind"]
	}
	counts := map[string]int{}
	for _, pod := range w.pods() {
		switch {
		case pod.DeletionTimestamp != nil:
		case pod.Spec.NodeName == "":
			counts["waiting"]++
		case pod.Status.Phase != corev1.PodRunning:
			counts["bound"]++
		default:
			counts[places[pod.Spec.NodeName]]++
		}
	}
	return counts
}

// reasons returns what waiting pods have been told, each once.
func (w *world) reasons() []string {
	GinkgoHelper()
	seen := map[string]bool{}
	var all []string
	for _, pod := range w.pods() {
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && pod.Spec.NodeName == "" && !seen[c.Message] {
				seen[c.Message] = true
				all = append(all, c.Message)
			}
		}
	}
	return all
}

// zone reads a VirtualNode.
func zone(name string) *eciv1alpha1.VirtualNode {
	GinkgoHelper()
	vn := &eciv1alpha1.VirtualNode{}
	Expect(api.Get(context.Background(), client.ObjectKey{Name: name}, vn)).To(Succeed())
	return vn
}

func ready(name string) string         { return condition(name, eciv1alpha1.ConditionReady) }
func capacityKnown(name string) string { return condition(name, eciv1alpha1.ConditionCapacityKnown) }

// condition returns a condition of a VirtualNode as "Status Reason".
func condition(name, conditionType string) string {
	GinkgoHelper()
	if c := meta.FindStatusCondition(zone(name).Status.Conditions, conditionType); c != nil {
		return string(c.Status) + " " + c.Reason
	}
	return ""
}

// stockOuts returns the stock-outs of a VirtualNode as "spec reason".
func stockOuts(name string) []string {
	GinkgoHelper()
	words := []string{}
	for _, out := range zone(name).Status.StockOuts {
		words = append(words, out.Spec+" "+out.Reason)
	}
	return words
}
