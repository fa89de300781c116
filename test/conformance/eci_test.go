package conformance

import (
	"context"
	"fmt"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/provider"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	zoneJ = "cn-beijing-j"
	zoneK = "cn-beijing-k"
)

// createZone creates a VirtualNode and waits until pods can be placed there.
func createZone(z *wrappers.Zone) *eciv1alpha1.VirtualNode {
	GinkgoHelper()
	z.UID = ""
	vn := createVirtualNode(z.Obj())
	Eventually(ready(vn)).Should(Equal("True NodeReady"))
	return vn
}

// vnStatus reads the status of a VirtualNode.
func vnStatus(vn *eciv1alpha1.VirtualNode) eciv1alpha1.VirtualNodeStatus {
	GinkgoHelper()
	Expect(harness.API.Get(context.Background(), client.ObjectKeyFromObject(vn), vn)).To(Succeed())
	return vn.Status
}

// stockOuts returns the stock-outs of a VirtualNode as "spec reason".
func stockOuts(vn *eciv1alpha1.VirtualNode) func() []string {
	return func() []string {
		words := []string{}
		for _, out := range vnStatus(vn).StockOuts {
			words = append(words, out.Spec+" "+out.Reason)
		}
		return words
	}
}

// playVirtualKubelet runs the virtual-kubelet of ECI for the rest of the test, and empties ECI afterwards.
func playVirtualKubelet() {
	GinkgoHelper()
	p, err := provider.New(harness.RestConfig, provider.Options{Endpoint: harness.ECIURL, Retry: time.Second})
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	DeferCleanup(func() {
		cancel()
		Expect(<-done).To(Or(Succeed(), MatchError(context.Canceled)))
		request, err := http.NewRequest(http.MethodDelete, harness.ECIURL+"/admin/groups", nil)
		Expect(err).NotTo(HaveOccurred())
		response, err := http.DefaultClient.Do(request)
		Expect(err).NotTo(HaveOccurred())
		Expect(response.Body.Close()).To(Succeed())
	})
}

// zoneOf waits until the pod is bound and returns the zone of its node.
func zoneOf(w *harness.World, pod *corev1.Pod) string {
	GinkgoHelper()
	w.UnitOf(pod)
	node := &corev1.Node{}
	Expect(harness.API.Get(context.Background(), client.ObjectKey{Name: pod.Spec.NodeName}, node)).To(Succeed())
	return node.Labels[corev1.LabelTopologyZone]
}

// owned makes a pod one that a controller would create anew.
func owned(p *wrappers.Pod) *wrappers.Pod {
	isController := true
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: "web", Controller: &isController}}
	return p
}

// events returns the reasons of the events of a pod.
func events(pod *corev1.Pod) func() []string {
	return func() []string {
		list := &eventsv1.EventList{}
		Expect(harness.API.List(context.Background(), list, client.InNamespace(pod.Namespace))).To(Succeed())
		var reasons []string
		for i := range list.Items {
			if list.Items[i].Regarding.UID == pod.UID {
				reasons = append(reasons, list.Items[i].Reason)
			}
		}
		return reasons
	}
}

var _ = Describe("What ECI would accept", Ordered, func() {
	var w *harness.World

	BeforeAll(func() {
		Expect(client.IgnoreAlreadyExists(harness.API.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: harness.SecretNamespace}}))).To(Succeed())
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: harness.SecretNamespace, Name: "eci-credentials"},
			StringData: map[string]string{"accessKeyID": "simulator-id", "accessKeySecret": "simulator-secret"},
		}
		Expect(harness.API.Create(context.Background(), secret)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(harness.API.Delete(ctx, secret))).To(Succeed()) })
	})

	// begin creates a policy with an ECS unit of one node and an eci unit.
	begin := func() {
		GinkgoHelper()
		w = harness.NewWorld()
		w.Nodes(1, "ecs")
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("ecs")).Unit(wrappers.ECI()))
	}

	// pod returns a pod of the policy that ECI bills as 2-4Gi.
	pod := func() *wrappers.Pod { return w.Pod().Request("memory", "4Gi") }

	It("is counted in what is billed, not in what is requested", func() {
		vn := createZone(wrappers.MakeZone(zoneJ).Limit("memory", "10Gi"))
		begin()
		w.Place(w.Pod())
		// 2 vCPU and 2.5 GiB are billed as 2-4Gi: two of them, not four, fit in 10 GiB.
		small := func() *wrappers.Pod { return w.Pod().Request("memory", "2.5Gi") }
		Expect(zoneOf(w, w.Create(small()))).To(Equal(zoneJ))
		Expect(zoneOf(w, w.Create(small()))).To(Equal(zoneJ))
		w.WaitsWith(w.Create(small()), "unit 1 (eci): cn-beijing-j: spec.limits.memory leaves no room for 2-4Gi")
		Eventually(func() string { return vnStatus(vn).LimitedBy }).Should(Equal("spec.limits.memory: 10Gi"))
	})

	It("is bounded by the free addresses of the vSwitches", func() {
		script(`{"regions":{"cn-beijing":{"vSwitches":{"vsw-cn-beijing-j":{"freeIPs":2}}}}}`)
		playVirtualKubelet()
		vn := createZone(wrappers.MakeZone(zoneJ).VSwitch("vsw-cn-beijing-j"))
		begin()
		w.Place(w.Pod())
		var pods []*corev1.Pod
		for range 3 {
			pods = append(pods, w.Create(pod()))
		}
		w.Settles(map[string]int{"ecs": 1, "": 2, "waiting": 1})
		Eventually(func() string { return vnStatus(vn).LimitedBy }).Should(Equal("vSwitch vsw-cn-beijing-j, 0 free IPs"))
		for _, p := range pods {
			if w.Get(p).Spec.NodeName == "" {
				w.WaitsWith(p, "unit 1 (eci): cn-beijing-j: the number of free IP addresses of its vSwitches leaves no room for 2-4Gi")
			}
		}
		By("and the waiting pod is placed when there are more")
		script(`{"regions":{"cn-beijing":{"vSwitches":{"vsw-cn-beijing-j":{"freeIPs":3}}}}}`)
		Eventually(w.Count).Should(Equal(map[string]int{"ecs": 1, "": 3}))
	})

	It("counts the instances of its own pods only once", func() {
		script(`{"regions":{"cn-beijing":{"maxCPU":6}}}`)
		playVirtualKubelet()
		vn := createZone(wrappers.MakeZone(zoneJ))
		begin()
		w.Place(w.Pod())
		for range 2 {
			Expect(zoneOf(w, w.Create(pod()))).To(Equal(zoneJ))
		}
		By("the quota is as it was when ECI has told that 4 of its 6 vCPU are used by them")
		Eventually(func() string { return vnStatus(vn).LimitedBy }).Should(Equal("vCPU quota of cn-beijing: 6, used 4"))
		Eventually(func() string { return vnStatus(vn).QuotaCPU.String() }).Should(Equal("6"))
		Expect(zoneOf(w, w.Create(pod()))).To(Equal(zoneJ))
		w.WaitsWith(w.Create(pod()), "unit 1 (eci): cn-beijing-j: the vCPU quota of cn-beijing leaves no room for 2-4Gi")
	})

	It("is bounded by money", func() {
		// 2-4Gi costs 0.441 CNY an hour in the simulator.
		vn := createZone(wrappers.MakeZone(zoneJ).MaxSpend("0.9"))
		begin()
		w.Place(w.Pod())
		for range 2 {
			w.Create(pod())
		}
		w.Settles(map[string]int{"ecs": 1, "": 2})
		w.WaitsWith(w.Create(pod()), "unit 1 (eci): cn-beijing-j: spec.maxSpendPerHour leaves no room for 2-4Gi")
		price := vnStatus(vn).Price
		Expect(price.ReadTime.Time).To(BeTemporally("~", time.Now(), time.Minute))
		Expect(price).To(Equal(&eciv1alpha1.Price{
			ReadTime: price.ReadTime, Currency: "CNY", CPUPerHour: "0.1764", MemoryPerHour: "0.022068",
		}))
	})

	It("is not passed by several policies together, whatever they write on their pods", func() {
		createZone(wrappers.MakeZone(zoneJ).MaxSpend("0.9"))
		worlds := []*harness.World{harness.NewWorld(), harness.NewWorld()}
		// The specification that ECI is said to have used, and an instance of somebody else.
		forged := func(w *harness.World) *wrappers.Pod {
			return w.Pod().Request("memory", "4Gi").Annotation(ecispec.AnnotationInstanceSpec, "0.25-0.5Gi").
				Annotation(eciv1alpha1.AnnotationInstanceID, "eci-not-mine").Annotation(v1alpha1.AnnotationECISpecs, "0.25-0.5Gi")
		}
		for _, w := range worlds {
			w.Policy(wrappers.MakePolicy("p").Unit(wrappers.ECI()))
		}
		for range 3 {
			for _, w := range worlds {
				w.Create(forged(w))
			}
		}
		placed := func() int {
			count := 0
			for _, w := range worlds {
				count += w.Count()[""]
			}
			return count
		}
		Eventually(placed).Should(Equal(2))
		for _, w := range worlds {
			last := w.Create(forged(w))
			w.WaitsWith(last, "unit 0 (eci): cn-beijing-j: spec.maxSpendPerHour leaves no room for 2-4Gi")
		}
		Expect(placed()).To(Equal(2))
	})

	It("does not contain what ECI cannot run, which stays eligible for ECS", func() {
		createZone(wrappers.MakeZone(zoneJ))
		begin()
		w.Place(w.Pod())
		waits := w.Create(w.Pod().HostPort(8080))
		w.WaitsWith(waits, "unit 1 (eci): ECI cannot run pods with hostPort 8080 (container main)")
		w.Nodes(2, "ecs2")
		relabelToECS(w)
		Expect(w.UnitOf(waits)).To(Equal("ecs"))
	})

	It("is asked for with the annotations that the unit writes", func() {
		vn := createZone(wrappers.MakeZone(zoneJ).Limit("cpu", "8"))
		w = harness.NewWorld()
		w.Policy(wrappers.MakePolicy("p").Unit(wrappers.ECI().PodAnnotation(ecispec.AnnotationUseSpecs, "4-8Gi")))
		for range 3 {
			w.Create(w.Pod().Request("cpu", "1"))
		}
		w.Settles(map[string]int{"": 2, "waiting": 1})
		w.WaitsWith(w.Create(w.Pod().Request("cpu", "1")), "unit 0 (eci): cn-beijing-j: spec.limits.cpu leaves no room for 4-8Gi")
		Eventually(func() string { return vnStatus(vn).LimitedBy }).Should(Equal("spec.limits.cpu: 8"))
	})

	It("is preempted for, in what is billed", func() {
		createZone(wrappers.MakeZone(zoneJ).Limit("memory", "8Gi"))
		begin()
		priorityClass(high, 1000)
		w.Place(w.Pod().Class(high))
		small := func() *wrappers.Pod { return w.Pod().Request("memory", "2.5Gi").NoGrace() } // billed as 2-4Gi
		first, second := w.Create(small()), w.Create(small())
		for _, p := range []*corev1.Pod{first, second} {
			Expect(zoneOf(w, p)).To(Equal(zoneJ))
		}
		Expect(zoneOf(w, w.Create(small().Class(high)))).To(Equal(zoneJ))
		Expect([]bool{gone(first)(), gone(second)()}).To(ConsistOf(true, false))
	})

	It("says which annotation of a pod cannot be read, and looks again when it is edited", func(ctx SpecContext) {
		createZone(wrappers.MakeZone(zoneJ))
		begin()
		w.Place(w.Pod())
		waits := w.Create(w.Pod().Annotation(ecispec.AnnotationUseSpecs, "2 cores"))
		w.WaitsWith(waits, `unit 1 (eci): annotation k8s.aliyun.com/eci-use-specs: specification "2 cores" must be`)
		before := waits.DeepCopy()
		waits.Annotations[ecispec.AnnotationUseSpecs] = "2-8Gi"
		Expect(harness.API.Patch(ctx, waits, client.MergeFrom(before))).To(Succeed())
		Expect(zoneOf(w, waits)).To(Equal(zoneJ))
	})

	It("prefers the zone whose stock is not low", func() {
		script(`{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":{"default":"ClosedWithStock"}}}}}`)
		j := createZone(wrappers.MakeZone(zoneJ))
		createZone(wrappers.MakeZone(zoneK))
		begin()
		w.Place(w.Pod())
		w.Create(pod()) // So that somebody asks for 2-4Gi.
		Eventually(func() []string { return vnStatus(j).LowStock }).Should(ContainElement("2-4Gi"))
		for range 5 {
			Expect(zoneOf(w, w.Create(pod()))).To(Equal(zoneK))
		}
	})

	It("does not contain what the inventory says is sold out, zone by zone", func() {
		j, k := createZone(wrappers.MakeZone(zoneJ)), createZone(wrappers.MakeZone(zoneK))
		begin()
		w.Place(w.Pod())
		script(`{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":{"stock":{"2-4Gi":"WithoutStock"}}}}}}`)
		w.Create(pod())
		Eventually(stockOuts(j)).Should(ConsistOf("2-4Gi WithoutStock"))
		// The scheduler hears of it a moment after it can be read.
		Eventually(func() string { return zoneOf(w, w.Create(pod())) }).Should(Equal(zoneK))
		Expect(zoneOf(w, w.Create(pod()))).To(Equal(zoneK))
		By("another specification is not concerned")
		Expect(stockOuts(k)()).To(BeEmpty())
		Eventually(func() string { s, _ := condition(j, eciv1alpha1.ConditionStockAvailable); return s }).Should(Equal("False SpecsSoldOut"))
		script(`{"regions":{"cn-beijing":{"zones":{"cn-beijing-k":{"stock":{"2-4Gi":"NotSold"}}}}}}`)
		Eventually(stockOuts(k)).Should(ConsistOf("2-4Gi NotSold"))
		waits := w.Create(pod())
		w.WaitsWith(waits, "unit 1 (eci): cn-beijing-j: out of stock for 2-4Gi (WithoutStock), cn-beijing-k: out of stock for 2-4Gi (NotSold)")
		By("the waiting pod is placed when the zone is refilled")
		script(`{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":{"stock":{"2-4Gi":"WithStock"}}}}}}`)
		Expect(zoneOf(w, waits)).To(Equal(zoneJ))
		Eventually(stockOuts(j)).Should(BeEmpty())
	})

	It("is learned from a pod that ECI refuses, which is evicted", func(ctx SpecContext) {
		script(`{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":{"left":{"2-4Gi":0}}}}}}`)
		playVirtualKubelet()
		j := createZone(wrappers.MakeZone(zoneJ))
		begin()
		w.Place(w.Pod())
		refused := w.Create(owned(pod())) // It may be gone before anybody sees it bound.
		By("although the inventory says that there is stock")
		Eventually(stockOuts(j)).Should(ConsistOf("2-4Gi NoStock"))
		Eventually(func() bool {
			return apierrors.IsNotFound(harness.API.Get(ctx, client.ObjectKeyFromObject(refused), refused))
		}).Should(BeTrue())
		Eventually(events(refused)).Should(ContainElement(eciv1alpha1.ReasonPodMoved))
		out := vnStatus(j).StockOuts[0]
		Expect(out.Source).To(Equal(eciv1alpha1.SourcePod))
		Expect(out.Until.Sub(out.LastFailure.Time)).To(Equal(30 * time.Second))
		By("the pod in its place waits, and another specification is placed")
		w.WaitsWith(w.Create(owned(pod())), "unit 1 (eci): cn-beijing-j: out of stock for 2-4Gi (NoStock)")
		Expect(zoneOf(w, w.Create(owned(w.Pod().Request("memory", "8Gi"))))).To(Equal(zoneJ))
	})

	It("does not lose a pod that nothing would create again", func() {
		script(`{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":{"left":{"2-4Gi":0}}}}}}`)
		playVirtualKubelet()
		j := createZone(wrappers.MakeZone(zoneJ))
		begin()
		w.Place(w.Pod())
		bare := w.Create(pod())
		Expect(zoneOf(w, bare)).To(Equal(zoneJ))
		Eventually(events(bare)).Should(ContainElement(eciv1alpha1.ReasonPodStays))
		Expect(stockOuts(j)()).To(ConsistOf("2-4Gi NoStock"))
		Expect(w.Get(bare).DeletionTimestamp).To(BeNil())
		By("and it runs when ECI has room")
		script(`{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":{"left":{"2-4Gi":5}}}}}}`)
		Eventually(func() corev1.PodPhase { return w.Get(bare).Status.Phase }).Should(Equal(corev1.PodRunning))
	})

	It("is noticed although another zone refuses the pod for another reason", func() {
		script(`{"regions":{"cn-beijing":{"zones":{"cn-beijing-k":{"stock":{"2-4Gi":"WithoutStock"}}}}}}`)
		createZone(wrappers.MakeZone(zoneJ))
		k := createZone(wrappers.MakeZone(zoneK))
		begin()
		w.Place(w.Pod())
		apart := func() *wrappers.Pod {
			p := pod().Label("apart", "true")
			p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"apart": "true"}}, TopologyKey: corev1.LabelTopologyZone,
			}}}}
			return p
		}
		first := apart()
		first.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: zoneJ} // That k has no stock is known only after a pod has asked for it.
		Expect(zoneOf(w, w.Create(first))).To(Equal(zoneJ))
		Eventually(stockOuts(k)).Should(ConsistOf("2-4Gi WithoutStock"))
		waits := w.Create(apart())
		w.WaitsWith(waits, "unit 1 (eci): no node passes all filters for the pod")
		script(`{"regions":{"cn-beijing":{"zones":{"cn-beijing-k":{"stock":{"2-4Gi":"WithStock"}}}}}}`)
		Expect(zoneOf(w, waits)).To(Equal(zoneK))
	})

	It("holds on the node of another virtual-kubelet, which is left alone", func(ctx SpecContext) {
		foreign := wrappers.MakeVirtualNode("virtual-kubelet-cn-beijing-j").Label(corev1.LabelTopologyZone, zoneJ).Label(corev1.LabelTopologyRegion, "cn-beijing").
			Capacity("cpu", "100000").Capacity("memory", "1Pi").Capacity("pods", "5000").Obj()
		foreign.UID = ""
		missing := createVirtualNode(func() *eciv1alpha1.VirtualNode {
			z := wrappers.MakeZone(zoneJ).External().Limit("pods", "2")
			z.UID = ""
			return z.Obj()
		}())
		Eventually(ready(missing)).Should(Equal("False NodeMissing"))
		Expect(harness.API.Create(ctx, foreign)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(harness.API.Delete(ctx, foreign)).To(Succeed()) })
		Eventually(ready(missing)).Should(Equal("True NodeReady"))
		begin()
		w.Place(w.Pod())
		for range 2 {
			Expect(zoneOf(w, w.Create(pod()))).To(Equal(zoneJ))
		}
		waits := w.Create(pod())
		w.WaitsWith(waits, "unit 1 (eci): cn-beijing-j: spec.limits.pods leaves no room for 2-4Gi")
		node := &corev1.Node{}
		Expect(harness.API.Get(ctx, client.ObjectKeyFromObject(foreign), node)).To(Succeed())
		Expect(node.ResourceVersion).To(Equal(foreign.ResourceVersion), "the Node was written")
		By("and its stale capacity is refused without a taint")
		script(`{"outage":true}`)
		w.WaitsWith(waits, "unit 1 (eci): cn-beijing-j: spec.limits.pods leaves no room for 2-4Gi")
		Eventually(ready(missing)).Should(Equal("False CapacityUnknown"))
		w.WaitsWith(w.Create(pod()), "unit 1 (eci): cn-beijing-j: what ECI would accept has not been known for a while")
		By("and nothing is left behind")
		Expect(harness.API.Delete(ctx, missing)).To(Succeed())
		Expect(harness.API.Get(ctx, client.ObjectKeyFromObject(foreign), node)).To(Succeed())
	})

	DescribeTable("is not known, and the condition says what to change",
		func(edit func(*wrappers.Zone), prepare, want, wantMessage string) {
			if prepare != "" {
				script(prepare)
			}
			z := wrappers.MakeZone(zoneJ)
			edit(z)
			z.UID = ""
			vn := createVirtualNode(z.Obj())
			Eventually(capacityKnown(vn)).Should(Equal("False " + want))
			_, message := condition(vn, eciv1alpha1.ConditionCapacityKnown)
			Expect(message).To(ContainSubstring(wantMessage))
			Expect(message).NotTo(ContainSubstring("simulator-secret"))
		},
		Entry("a zone in which ECI is not sold", func(z *wrappers.Zone) { z.Spec.Zone = "cn-beijing-x" }, "", "ZoneUnknown",
			`spec.zone "cn-beijing-x": ECI is not sold there, but in cn-beijing-i, cn-beijing-j, cn-beijing-k of cn-beijing`),
		Entry("a region that does not exist", func(z *wrappers.Zone) { z.Spec.Region, z.Spec.Zone = "cn-atlantis", "cn-atlantis-a" }, "", "RegionUnknown",
			`spec.region "cn-atlantis"`),
		Entry("a vSwitch of another region", func(z *wrappers.Zone) { z.VSwitch("vsw-cn-hangzhou-j") }, "", "VSwitchUnusable",
			`spec.vSwitches[0] "vsw-cn-hangzhou-j" does not exist in region cn-beijing`),
		Entry("a vSwitch of another zone", func(z *wrappers.Zone) { z.VSwitch("vsw-cn-beijing-j").VSwitch("vsw-cn-beijing-k") }, "", "VSwitchUnusable",
			`spec.vSwitches[1] "vsw-cn-beijing-k" is in zone cn-beijing-k; it must be in spec.zone cn-beijing-j`),
		Entry("a role without a token", func(z *wrappers.Zone) {
			z.Spec.Credentials = eciv1alpha1.Credentials{RRSA: &eciv1alpha1.RRSA{RoleARN: "acs:ram::1:role/r", OIDCProviderARN: "acs:ram::1:oidc-provider/p"}}
		}, "", "CredentialsMissing", "set --rrsa-token-file"),
		Entry("a clock that is off", func(*wrappers.Zone) {}, `{"clockSkew":"20m"}`, "ClockSkewed", "the clock of the controller differs from ECI's by more than 15 minutes"),
		Entry("no right to ask", func(*wrappers.Zone) {}, `{"actions":{"ListUsage":{"failWith":"Forbidden.RAM"}}}`, "CredentialsRefused",
			"ListUsage was refused with status 403 (Forbidden.RAM): check the credentials of Secret eci-credentials and what they may do"),
		Entry("prices that are not told, when there is a limit on money", func(z *wrappers.Zone) { z.MaxSpend("1") },
			`{"actions":{"DescribeContainerGroupPrice":{"failWith":"ServiceUnavailable"}}}`, "PriceUnknown", "spec.maxSpendPerHour is set, and ECI has not told its prices"),
	)

	It("is known without stock and prices", func() {
		script(`{"actions":{"DescribeContainerGroupPrice":{"failWith":"ServiceUnavailable"},"DescribeAvailableResource":{"failWith":"Throttling.User"}}}`)
		createZone(wrappers.MakeZone(zoneJ))
		begin()
		w.Place(w.Pod())
		Expect(zoneOf(w, w.Create(pod()))).To(Equal(zoneJ))
	})

	It("is asked for with temporary credentials, and again when they have been renewed", func(ctx SpecContext) {
		expires := func(in time.Duration) string { return time.Now().Add(in).UTC().Format(time.RFC3339) }
		script(fmt.Sprintf(`{"securityTokens":{"simulator-id":{"token":"first","expires":%q}}}`, expires(5*time.Second)))
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: harness.SecretNamespace, Name: "sts"}, StringData: map[string]string{
			"accessKeyID": "simulator-id", "accessKeySecret": "simulator-secret", "securityToken": "first",
		}}
		Expect(harness.API.Create(ctx, secret)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(harness.API.Delete(ctx, secret)).To(Succeed()) })
		z := wrappers.MakeZone(zoneJ)
		z.Spec.Credentials.SecretName = "sts"
		vn := createZone(z)
		Eventually(capacityKnown(vn)).Should(Equal("False CredentialsExpired"))
		_, message := condition(vn, eciv1alpha1.ConditionCapacityKnown)
		Expect(message).To(ContainSubstring("renew the temporary credentials in Secret sts"))
		Eventually(ready(vn)).Should(Equal("False CapacityUnknown"))
		script(fmt.Sprintf(`{"securityTokens":{"simulator-id":{"token":"second","expires":%q}}}`, expires(time.Hour)))
		setSecret(secret, map[string][]byte{"accessKeyID": []byte("simulator-id"), "accessKeySecret": []byte("simulator-secret"), "securityToken": []byte("second")})
		Eventually(ready(vn)).Should(Equal("True NodeReady"))
	})
})

// relabelToECS moves the nodes of unit ecs2 to unit ecs.
func relabelToECS(w *harness.World) {
	GinkgoHelper()
	nodes := &corev1.NodeList{}
	Expect(harness.API.List(context.Background(), nodes, client.MatchingLabels{"pool": w.Namespace, "unit": "ecs2"})).To(Succeed())
	for i := range nodes.Items {
		before := nodes.Items[i].DeepCopy()
		nodes.Items[i].Labels["unit"] = "ecs"
		Expect(harness.API.Patch(context.Background(), &nodes.Items[i], client.MergeFrom(before))).To(Succeed())
	}
}
