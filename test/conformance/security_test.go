package conformance

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// Further claims of docs/security.md are shown where the subject is: the limits of a VirtualNode in eci_test.go, what podLabels cannot do in labels_test.go.
var _ = Describe("Whoever writes a ResourcePolicy", func() {
	It("does nothing to pods of another namespace", func() {
		mine, other := harness.NewWorld(), harness.NewWorld()
		other.Nodes(4, "any")
		// All nodes of the cluster, and a cap that the pods of the other namespace would pass.
		greedy := wrappers.MakePolicy("greedy").Unit(wrappers.ECS().Max(1).PodLabel("taken", "yes").PodAnnotation("example.com/taken", "yes"))
		rp := mine.Policy(greedy)
		var theirs []*corev1.Pod
		for range 2 {
			pod := other.Create(other.Pod())
			other.UnitOf(pod)
			theirs = append(theirs, pod)
		}
		By("the policy has its own pod only, and its cap is as it was")
		mine.Place(mine.Pod())
		mine.WaitsWith(mine.Create(mine.Pod()), "full, max 1")
		Eventually(func(g Gomega) {
			g.Expect(harness.API.Get(context.Background(), harness.KeyOf(rp), rp)).To(Succeed())
			g.Expect(rp.Status.Units).To(ConsistOf(HaveField("Pods", int32(1))))
		}).Should(Succeed())
		for _, pod := range theirs {
			version := pod.ResourceVersion
			other.Get(pod)
			Expect(pod.ResourceVersion).To(Equal(version), "something has written on the pod")
			Expect(pod.Labels).NotTo(HaveKey("taken"))
			Expect(pod.Annotations).NotTo(Or(HaveKey("example.com/taken"), HaveKey(corev1.PodDeletionCost), HaveKey(v1alpha1.AnnotationPolicy)))
		}
	})

	It("does nothing to nodes", func(ctx SpecContext) {
		w := harness.NewWorld()
		w.Nodes(2, "first")
		w.VirtualNode()
		versions := func() map[string]string {
			nodes := &corev1.NodeList{}
			Expect(harness.API.List(ctx, nodes, client.MatchingLabels{"pool": w.Namespace})).To(Succeed())
			all := map[string]string{}
			for i := range nodes.Items {
				all[nodes.Items[i].Name] = nodes.Items[i].ResourceVersion
			}
			return all
		}
		before := versions()
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").PodLabel("unit", "second")).Unit(w.ECI().PodAnnotation("example.com/note", "eci")))
		for range 3 {
			w.Place(w.Pod())
		}
		Expect(w.Count()).To(Equal(map[string]int{"first": 2, "eci": 1}))
		Expect(harness.API.Delete(ctx, rp)).To(Succeed())
		// The scheduler hears of it a moment after the API server.
		Eventually(func() string {
			pod := w.Create(w.Pod())
			Eventually(func() bool { return w.Get(pod).Spec.NodeName != "" || harness.WaitReason(pod) != "" }).Should(BeTrue())
			return pod.Spec.NodeName
		}).Should(BeEmpty())
		Expect(versions()).To(Equal(before))
	})
})
