package conformance

import (
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var _ = Describe("Pods of one owner with several templates (R7)", func() {
	It("do not keep slots from each other", func() {
		w := harness.NewWorld()
		w.Node(wrappers.MakeNode("cpu").Label("unit", "first").Label("group", "small").Capacity(corev1.ResourceCPU, "64"))
		w.VirtualNode()
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(2)).Unit(w.ECI().Max(1)))
		worker := func(group string) *wrappers.Pod {
			p := w.Pod()
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "ray.io/v1", Kind: "RayCluster", Name: "demo", UID: "demo", Controller: new(true)}}
			p.Spec.NodeSelector = map[string]string{"group": group}
			return p
		}
		for range 3 {
			w.Waits(w.Create(worker("scaled-to-zero")))
		}
		Expect(w.Place(worker("small"))).To(Equal("first"))
		Expect(w.Place(worker("small"))).To(Equal("first"))
	})
})

var _ = Describe("Bursts of pods (R7)", func() {
	// The promise is for every version of every pod, so a watch is needed, and many bursts: what is against it are races.
	It("never make a pod look unschedulable while every unit is full", func(ctx SpecContext) {
		const policies, waves, pods = 10, 20, 6
		w := harness.NewWorld()
		w.Node(wrappers.MakeNode("n").Label("unit", "first").Capacity(corev1.ResourceCPU, "64"))
		w.VirtualNode()
		for n := range policies {
			label := strconv.Itoa(n)
			w.Apply(wrappers.MakePolicy("p-"+label).Namespace(w.Namespace).Selector("burst", label).Unit(w.ECS("first").Max(1)).Unit(w.ECI().Max(1)))
		}
		watcher, err := client.NewWithWatch(harness.RestConfig, client.Options{Scheme: harness.API.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		all := &corev1.PodList{}
		Expect(watcher.List(ctx, all, client.InNamespace(w.Namespace))).To(Succeed())
		seen, err := watcher.Watch(ctx, &corev1.PodList{}, client.InNamespace(w.Namespace), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: all.ResourceVersion}})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(seen.Stop)
		for n := range policies {
			for wave := range waves {
				for range pods / (1 + 2*min(wave, 1)) {
					w.Create(w.Pod().Label("burst", strconv.Itoa(n)))
				}
				Eventually(func(g Gomega) {
					counts := w.Count()
					g.Expect(counts["first"] + counts["eci"]).To(Equal(2))
				}).Should(Succeed())
				Expect(harness.API.List(ctx, all, client.InNamespace(w.Namespace))).To(Succeed())
				for i := range all.Items {
					if all.Items[i].Spec.NodeName != "" {
						w.Remove(&all.Items[i])
					}
				}
			}
			removeAll(w)
		}
		last := w.Create(wrappers.MakePod("last").Namespace(w.Namespace).Scheduler("nobody"))
		for event := range seen.ResultChan() {
			pod, ok := event.Object.(*corev1.Pod)
			Expect(ok).To(BeTrue(), "the watch ended: %v", event.Object)
			if pod.Name == last.Name {
				return
			}
			Expect(harness.LooksUnschedulable(pod)).To(BeFalse(), "pod %s looked unschedulable: %s", pod.Name, harness.WaitReason(pod))
		}
	}, SpecTimeout(5*time.Minute))
})
