package conformance

import (
	"context"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// removeAll deletes the pods of the world, and waits until they have gone.
func removeAll(w *harness.World) {
	GinkgoHelper()
	Expect(harness.API.DeleteAllOf(context.Background(), &corev1.Pod{}, client.InNamespace(w.Namespace), client.GracePeriodSeconds(0))).To(Succeed())
	Eventually(w.Count).Should(BeEmpty())
}

var _ = Describe("A walk through the units (R5)", func() {
	var w *harness.World

	BeforeEach(func() { w = harness.NewWorld() })

	It("keeps the order when a pod in a later unit changes what a filter says of an earlier one", func() {
		w.Node(wrappers.MakeNode("i").Label("unit", "first").Label(corev1.LabelTopologyZone, w.Namespace+"-i").Capacity(corev1.ResourceCPU, "64"))
		w.Node(wrappers.MakeVirtualNode("j").Label("unit", "eci").Label(corev1.LabelTopologyZone, w.Namespace+"-j").Capacity(corev1.ResourceCPU, "1000"))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECI()))
		spread := func() *wrappers.Pod {
			p := w.Pod()
			p.Spec.NodeSelector = map[string]string{"pool": w.Namespace}
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
				MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule,
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			}}
			return p
		}
		By("one after the other")
		for range 3 {
			w.Place(spread())
		}
		Expect(w.Count()).To(Equal(map[string]int{"first": 2, "eci": 1}))
		By("at once")
		for range 10 {
			removeAll(w)
			for range 3 {
				w.Create(spread())
			}
			w.Settles(map[string]int{"first": 2, "eci": 1})
		}
	})

	It("lets the PostFilter of other plugins help: a claim that is allocated where the pod cannot run is freed", func(ctx SpecContext) {
		w.Nodes(1, "first")
		w.VirtualNode()
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first")).Unit(w.ECI().Max(0)))
		const driver = "devices.example.com"
		class := &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}
		Expect(harness.API.Create(ctx, class)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(harness.API.Delete(ctx, class)).To(Succeed()) })
		slice := &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}, Spec: resourcev1.ResourceSliceSpec{
			Driver: driver, NodeName: new(w.Namespace + "-first-0"), Pool: resourcev1.ResourcePool{Name: w.Namespace, ResourceSliceCount: 1},
			Devices: []resourcev1.Device{{Name: "one"}},
		}}
		Expect(harness.API.Create(ctx, slice)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(harness.API.Delete(ctx, slice)).To(Succeed()) })
		claim := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "claim"}, Spec: resourcev1.ResourceClaimSpec{
			Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{
				{Name: "device", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: class.Name, AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 1}},
			}},
		}}
		Expect(harness.API.Create(ctx, claim)).To(Succeed())
		claim.Status.Allocation = &resourcev1.AllocationResult{
			Devices: resourcev1.DeviceAllocationResult{Results: []resourcev1.DeviceRequestAllocationResult{
				{Request: "device", Driver: driver, Pool: "elsewhere", Device: "another"},
			}},
			NodeSelector: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
				{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"elsewhere"}},
			}}}},
		}
		Expect(harness.API.Status().Update(ctx, claim)).To(Succeed())
		p := w.Pod()
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "device", ResourceClaimName: &claim.Name}}
		Expect(w.Place(p)).To(Equal("first"))
		By("and a pod with a claim that finds every unit full is reported as held")
		w.Apply(wrappers.MakePolicy("full").Namespace(w.Namespace).Selector("app", "full").Unit(w.ECS("first").Max(0)))
		q := w.Pod().Label("app", "full")
		q.Spec.ResourceClaims = p.Spec.ResourceClaims
		held(w, w.Create(q))
	})
})

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

var _ = Describe("Usage that grows without this scheduler (R6)", func() {
	var w *harness.World
	var running, waiting *corev1.Pod

	// The running pod leaves no room on the only node; the other one waits there, until the unit is full.
	BeforeEach(func() {
		w = harness.NewWorld()
		w.Node(wrappers.MakeNode("n").Label("unit", "first").Capacity(corev1.ResourceCPU, "3"))
		w.VirtualNode()
		w.Policy(wrappers.MakePolicy("p").TryNext(v1alpha1.TryNextExceedMax).Unit(w.ECS("first").MaxResource("cpu", "4")).Unit(w.ECI()))
		p := w.Pod()
		p.Spec.Containers[0].Resources.Limits = nil // It may be resized.
		running = w.Create(p)
		Expect(w.UnitOf(running)).To(Equal("first"))
		waiting = w.Create(w.Pod())
		w.WaitsWith(waiting, "waits for a node")
	})

	It("lets a waiting pod go on when a running one is resized", func(ctx SpecContext) {
		resized := running.DeepCopy()
		resized.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("3")
		Expect(harness.API.SubResource("resize").Patch(ctx, resized, client.StrategicMergeFrom(running))).To(Succeed())
		Expect(w.UnitOf(waiting)).To(Equal("eci"))
	})

	It("lets a waiting pod go on when a pod is created on the node, in the name of this scheduler", func() {
		p := w.Pod()
		p.Spec.NodeName = running.Spec.NodeName
		w.Create(p.Request(corev1.ResourceCPU, "1"))
		Expect(w.UnitOf(waiting)).To(Equal("eci"))
	})

	It("lets a waiting pod go on when another scheduler binds a pod", func(ctx SpecContext) {
		other := w.Create(w.Pod().Scheduler("another").Request(corev1.ResourceCPU, "1"))
		Expect(harness.API.SubResource("binding").Create(ctx, other, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: other.Namespace, Name: other.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: running.Spec.NodeName},
		})).To(Succeed())
		Expect(w.UnitOf(waiting)).To(Equal("eci"))
	})

	It("lets a waiting pod go on when a label edit brings a pod into the policy", func(ctx SpecContext) {
		p := w.Pod().Label("app", "other").Request(corev1.ResourceCPU, "1")
		p.Spec.NodeName = running.Spec.NodeName
		other := w.Create(p)
		edited := other.DeepCopy()
		edited.Labels["app"] = "web"
		Expect(harness.API.Patch(ctx, edited, client.MergeFrom(other))).To(Succeed())
		Expect(w.UnitOf(waiting)).To(Equal("eci"))
	})

	It("lets a waiting pod go on when a node with pods of the policy joins the unit", func(ctx SpecContext) {
		w.Node(wrappers.MakeNode("outside").Label("unit", "other").Capacity(corev1.ResourceCPU, "1"))
		p := w.Pod().Request(corev1.ResourceCPU, "1")
		p.Spec.NodeName = w.Namespace + "-outside"
		w.Create(p)
		node := &corev1.Node{}
		Expect(harness.API.Get(ctx, client.ObjectKey{Name: p.Spec.NodeName}, node)).To(Succeed())
		joined := node.DeepCopy()
		joined.Labels["unit"] = "first"
		Expect(harness.API.Patch(ctx, joined, client.MergeFrom(node))).To(Succeed())
		Expect(w.UnitOf(waiting)).To(Equal("eci"))
	})
})

var _ = Describe("Pods that wait in the last unit (R7)", func() {
	It("are held when it fills without this scheduler, all of them", func() {
		w := harness.NewWorld()
		w.Node(wrappers.MakeNode("n").Label("unit", "first").Capacity(corev1.ResourceCPU, "3"))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").Max(3)))
		running := w.Create(w.Pod())
		Expect(w.UnitOf(running)).To(Equal("first"))
		waiting := []*corev1.Pod{w.Create(w.Pod()), w.Create(w.Pod())}
		for _, pod := range waiting {
			w.WaitsWith(pod, "no node has room")
		}
		for range 2 {
			p := w.Pod().Request(corev1.ResourceCPU, "100m")
			p.Spec.NodeName = running.Spec.NodeName
			w.Create(p)
		}
		for _, pod := range waiting {
			held(w, pod)
		}
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
