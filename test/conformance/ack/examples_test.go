package ack

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var _ = Describe("The examples of the documentation", func() {
	var w *harness.World

	BeforeEach(func() { w = harness.NewWorld() })

	It("A: two node pools; the second is used when the first is full, and given back first", func() {
		machines(w, 2, "pool-a", "alibabacloud.com/nodepool-id", "np7ec79f2235954e879de07b780058abcd")
		machines(w, 2, "pool-b", "alibabacloud.com/nodepool-id", "npab2df797738644e3a7b7cbf532bbabcd")
		apply(w, "nodepools.yaml")
		nginx := &deployment{world: w, labels: map[string]string{"app": "nginx"}, cpu: "2"}
		nginx.scale(2)
		w.Settles(map[string]int{"pool-a": 2})
		nginx.scale(4)
		w.Settles(map[string]int{"pool-a": 2, "pool-b": 2})
		nginx.scale(2)
		w.Settles(map[string]int{"pool-a": 2})
	})

	It("B: subscription, then pay-as-you-go, then ECI; 2, 4, 6, 4, 2 replicas", func() {
		machines(w, 2, "subscription", "paidtype", "subscription")
		machines(w, 2, "payg", "paidtype", "pay-as-you-go")
		w.VirtualNode()
		apply(w, "subscription.yaml")
		nginx := &deployment{world: w, labels: map[string]string{"app": "nginx"}, cpu: "2"}
		for _, step := range []struct {
			replicas int
			want     map[string]int
		}{
			{2, map[string]int{"subscription": 2}},
			{4, map[string]int{"subscription": 2, "payg": 2}},
			{6, map[string]int{"subscription": 2, "payg": 2, "eci": 2}},
			{4, map[string]int{"subscription": 2, "payg": 2}},
			{2, map[string]int{"subscription": 2}},
		} {
			nginx.scale(step.replicas)
			w.Settles(step.want)
		}
	})

	It("C: Spark, one driver and five executors; max 2 on ECS and 3 on ECI leave exactly one pending", func() {
		w.Node(wrappers.MakeNode("big").Label("unit", "ecs").Label("kubernetes.io/arch", "amd64").Capacity(corev1.ResourceCPU, "64"))
		w.VirtualNode()
		labels := func(application string) map[string]string {
			return map[string]string{
				"sparkoperator.k8s.io/launched-by-spark-operator": "true", "sparkoperator.k8s.io/submission-id": application,
			}
		}
		apply(w, "spark.yaml")
		first := &deployment{world: w, labels: labels("one"), cpu: "1"}
		first.scale(6)
		w.Settles(map[string]int{"ecs": 2, "eci": 3, "waiting": 1})
		By("a second application has caps of its own (matchLabelKeys)")
		second := &deployment{world: w, labels: labels("two"), cpu: "1"}
		second.scale(4)
		w.Settles(map[string]int{"ecs": 4, "eci": 5, "waiting": 1})
		By("a terminating pod counts (ignoreTerminatingPod: false), and its end lets the sixth in")
		Expect(w.UnitOf(first.pods[0])).To(BeElementOf("ecs", "eci"))
		w.Terminate(first.pods[0])
		w.Settles(map[string]int{"ecs": 4, "eci": 5, "waiting": 1})
		w.Remove(first.pods[0])
		// Not Settles: what the sixth was told still stands for a moment.
		Eventually(w.Count).Should(Equal(map[string]int{"ecs": 4, "eci": 5}))
	})

	It("D: no selector, the whole namespace; the eighth pod goes to ECI once the policy is applied", func() {
		machines(w, 7, "ecs", "any", "label")
		w.VirtualNode()
		plain := &deployment{world: w, labels: map[string]string{"anything": "goes"}, cpu: "2"}
		plain.scale(8)
		w.Settles(map[string]int{"ecs": 7, "waiting": 1})
		apply(w, "minimal.yaml")
		w.Settles(map[string]int{"ecs": 7, "eci": 1})
	})

	It("the sample with every field: podLabels and podAnnotations are written on the pods of the first unit", func() {
		machines(w, 1, "first", "unit", "first")
		machines(w, 1, "second", "unit", "second")
		w.VirtualNode()
		apply(w, "full.yaml")
		test := &deployment{world: w, labels: map[string]string{"key1": "value1", "pod-template-hash": "a"}, cpu: "2"}
		test.scale(2)
		w.Settles(map[string]int{"first": 1, "second": 1})
		for _, pod := range test.pods {
			switch w.UnitOf(pod) {
			case "first":
				Expect(pod.Annotations).To(HaveKeyWithValue("key1", "value1"))
			default:
				Expect(pod.Annotations).NotTo(HaveKey("key1"))
			}
		}
		By("a pod without a key of matchLabelKeys is rejected")
		lacking := &deployment{world: w, labels: map[string]string{"key1": "value1"}, cpu: "2"}
		lacking.scale(1)
		w.WaitsWith(lacking.pods[0], "the pod lacks the label pod-template-hash, which matchLabelKeys of ResourcePolicy test requires")
	})
})
