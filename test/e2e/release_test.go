package e2e

import (
	"context"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	schedulingv1alpha1 "github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

var (
	// ofCRDs are the objects that stay with the CRDs.
	ofCRDs = []string{
		"customresourcedefinitions.apiextensions.k8s.io ", "apiservices.apiregistration.k8s.io ",
		"resourcepolicies.scheduling.alibabacloud.com ", "virtualnodes.eci.spillway.dev ",
	}
	// ofTests are the machines of the tests, and the Nodes of virtual nodes, which go with these; and what the cluster itself holds by time.
	ofTests = []string{"nodes /", "leases.coordination.k8s.io kube-node-lease/"}
)

// The life of a release. Each test goes on where the one before it ended.
var _ = Describe("A release", Ordered, func() {
	var (
		before                  snapshot
		ports                   listeners
		schedulers, controllers []*pod
		watch                   observer
	)

	BeforeAll(func(ctx SpecContext) {
		before = takeSnapshot(ctx)
		ports = newListeners()
		out := mustHelm("install", release, chart, ports.defaults().file(), "--wait", "--timeout=60s")
		Expect(out).To(ContainSubstring("schedulerName: spillway-scheduler"))
		schedulers = newPods(ctx, scheduler, ports.byPodPort(scheduler))
		controllers = newPods(ctx, controller, ports.byPodPort(controller))
		Expect(schedulers).To(HaveLen(2))
		Expect(controllers).To(HaveLen(2))
	})

	AfterAll(func(ctx SpecContext) {
		killAll()
		removeAll(ctx)
	})

	It("runs both binaries, and their probes pass", func(ctx SpecContext) {
		schedulers[0].start(ctx)
		controllers[0].start(ctx)
		probe(schedulers[0], controllers[0])
		Eventually(leader).WithArguments(ctx, scheduler).ShouldNot(BeEmpty())
		Eventually(leader).WithArguments(ctx, controller).ShouldNot(BeEmpty())
	})

	watch.starts(&ports, &schedulers, &controllers)

	It("passes the demo", func() {
		demo(filepath.Join(bin, "demo"), kubeconfig)
	})

	It("hands over to the second replica when the node of the first fails", func(ctx SpecContext) {
		schedulers[1].start(ctx)
		controllers[1].start(ctx)
		probe(schedulers[1], controllers[1])
		first := []string{leader(ctx, scheduler), leader(ctx, controller)}
		schedulers[0].kill()
		controllers[0].kill()
		for i, name := range []string{scheduler, controller} {
			Eventually(leader).WithArguments(ctx, name).ShouldNot(Or(BeEmpty(), Equal(first[i])))
		}
		probe(schedulers[1], controllers[1])
	})

	rights()
	watch.shows()

	It("uses every right that it has, and has every right that it uses", func(ctx SpecContext) {
		Expect(audit.refused()).To(BeEmpty())
		judgeRoles(ctx)
	})

	It("leaves nothing when it is uninstalled, but the CRDs with all policies and virtual nodes", func(ctx SpecContext) {
		last := takeSnapshot(ctx)
		schedulers[1].stop()
		controllers[1].stop()
		out := mustHelm("uninstall", release, "--wait")
		Expect(out).To(And(ContainSubstring("resourcepolicies.scheduling.alibabacloud.com"), ContainSubstring("virtualnodes.eci.spillway.dev")))
		Eventually(func() []string {
			return takeSnapshot(ctx).without(ofTests...).without(ofCRDs...).changes(before.without(ofTests...).without(ofCRDs...))
		}).Should(BeEmpty())
		Expect(takeSnapshot(ctx).with(ofCRDs...).changes(last.with(ofCRDs...))).To(BeEmpty())
	})

	It("finds the policies and the virtual nodes again when it is installed again", func(ctx SpecContext) {
		mustHelm("install", release, chart, ports.defaults().file())
		p := newPods(ctx, controller, ports.byPodPort(controller))[0]
		p.start(ctx)
		probe(p)
		expectReady(ctx)
		p.stop()
	})

	It("deletes the CRDs too, when crds.keep is false", func(ctx SpecContext) {
		p := newPods(ctx, controller, ports.byPodPort(controller))[0]
		p.start(ctx)
		probe(p)
		Expect(api.DeleteAllOf(ctx, &eciv1alpha1.VirtualNode{})).To(Succeed())
		Eventually(func(g Gomega) {
			left := &eciv1alpha1.VirtualNodeList{}
			g.Expect(api.List(ctx, left)).To(Succeed())
			g.Expect(left.Items).To(BeEmpty())
		}).Should(Succeed())
		p.stop()
		mustHelm("upgrade", release, chart, ports.defaults().with(false, "crds", "keep").file())
		mustHelm("uninstall", release, "--wait")
		Eventually(func() []string { return takeSnapshot(ctx).without(ofTests...).changes(before.without(ofTests...)) }).Should(BeEmpty())
	})
})

// demo runs a program that passes or says what is wrong.
func demo(program string, args ...string) {
	GinkgoHelper()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = GinkgoWriter, GinkgoWriter
	Expect(cmd.Run()).To(Succeed())
}

// leader returns who holds the Lease of a binary, or "".
func leader(ctx context.Context, name string) string {
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := get(ctx, lease); err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// expectReady waits until the running controller has looked at the demo's policy and at every virtual node.
func expectReady(ctx context.Context) {
	GinkgoHelper()
	since := metav1.Now()
	Eventually(func(g Gomega) {
		policy := &schedulingv1alpha1.ResourcePolicy{}
		g.Expect(api.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "nginx"}, policy)).To(Succeed())
		g.Expect(meta.IsStatusConditionTrue(policy.Status.Conditions, schedulingv1alpha1.ConditionReady)).To(BeTrue())
		nodes := &eciv1alpha1.VirtualNodeList{}
		g.Expect(api.List(ctx, nodes)).To(Succeed())
		g.Expect(nodes.Items).NotTo(BeEmpty())
		for i := range nodes.Items {
			vn := &nodes.Items[i]
			g.Expect(vn.Status.LastRefreshTime).NotTo(BeNil())
			g.Expect(vn.Status.LastRefreshTime.After(since.Time)).To(BeTrue(), "virtual node %s was refreshed at %s", vn.Name, vn.Status.LastRefreshTime)
			g.Expect(meta.IsStatusConditionTrue(vn.Status.Conditions, eciv1alpha1.ConditionReady)).To(BeTrue())
		}
	}).Should(Succeed())
}
