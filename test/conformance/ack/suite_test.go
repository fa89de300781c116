// Package ack holds Spillway to what the documentation of ACK says about ResourcePolicy ("Configure priority-based resource scheduling"): its examples,
// applied as they are printed there, and its table of whenTryNextUnits.
package ack

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestACK(t *testing.T) { harness.RunSuite(t, "What ACK documents") }

var _ = BeforeSuite(func() { harness.Start(filepath.Join("..", "..", "..")) })

// apply applies a manifest of the documentation in the namespace of the world; nothing else of it is changed.
func apply(w *harness.World, file string) *v1alpha1.ResourcePolicy {
	GinkgoHelper()
	data, err := os.ReadFile(filepath.Join("manifests", file))
	Expect(err).NotTo(HaveOccurred())
	policy := &wrappers.Policy{}
	Expect(yaml.UnmarshalStrict(data, &policy.ResourcePolicy)).To(Succeed())
	return w.Apply(policy.Namespace(w.Namespace))
}

// machines creates n ECS nodes of 2 vCPU and 4 GiB with a label. Their label "unit" is what the tests call them by.
func machines(w *harness.World, n int, unit, key, value string) {
	GinkgoHelper()
	for i := range n {
		w.Node(wrappers.MakeNode(unit+"-"+string(rune('0'+i))).Label("unit", unit).Label(key, value).
			Capacity(corev1.ResourceCPU, "2").Capacity(corev1.ResourceMemory, "4Gi"))
	}
}

// deployment is a ReplicaSet without its controller: the tests make and delete its pods, in the order in which the controller does.
type deployment struct {
	world  *harness.World
	labels map[string]string
	cpu    string
	pods   []*corev1.Pod
}

// scale makes the number of pods n. Scaling in, the ReplicaSet controller deletes pods that are not placed first, then those with the lowest
// controller.kubernetes.io/pod-deletion-cost (pkg/controller, ActivePodsWithRanks).
func (d *deployment) scale(n int) {
	GinkgoHelper()
	for len(d.pods) < n {
		pod := d.world.Pod().Request(corev1.ResourceCPU, d.cpu)
		pod.Labels = nil
		for key, value := range d.labels {
			pod.Label(key, value)
		}
		d.pods = append(d.pods, d.world.Create(pod))
	}
	for len(d.pods) > n {
		last := d.next()
		d.world.Remove(d.pods[last])
		d.pods = append(d.pods[:last], d.pods[last+1:]...)
	}
}

// next returns the index of the pod that the ReplicaSet controller would delete.
func (d *deployment) next() int {
	GinkgoHelper()
	next := 0
	for i, pod := range d.pods {
		Expect(harness.API.Get(context.Background(), harness.KeyOf(pod), pod)).To(Succeed())
		if first := d.pods[next]; (pod.Spec.NodeName == "") != (first.Spec.NodeName == "") {
			if pod.Spec.NodeName == "" {
				next = i
			}
		} else if harness.DeletionCost(pod) < harness.DeletionCost(first) {
			next = i
		}
	}
	return next
}
