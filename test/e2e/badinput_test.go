package e2e

import (
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// What is wrong is said in one sentence, before anything is changed.
var _ = Describe("Helm refuses", Ordered, func() {
	good := func() values { return newListeners().defaults() }

	DescribeTable("values that are wrong", func(ctx SpecContext, change func(values) values, want string) {
		before := takeSnapshot(ctx)
		_, err := helm("install", release, chart, change(good()).file())
		Expect(err).To(MatchError(ContainSubstring(want)))
		expectUnchanged(ctx, before)
	},
		Entry("an unknown key", func(v values) values { return v.with(3, "sheduler", "replicas") }, "additional properties 'sheduler' not allowed"),
		Entry("an unknown key further down", func(v values) values { return v.with(3, "controller", "replica") }, "additional properties 'replica' not allowed"),
		Entry("a wrong type", func(v values) values { return v.with("two", "scheduler", "replicas") }, "at '/scheduler/replicas': got string, want integer"),
		Entry("no images", func(v values) values { return v.with("", "image", "repository") }, "image.repository is empty"),
		Entry("the name of kube-scheduler", func(v values) values { return v.with("default-scheduler", "schedulerName") },
			"schedulerName: default-scheduler is the name of kube-scheduler"),
		Entry("the CRDs left to others, who have none", func(v values) values { return v.with(false, "crds", "enabled") },
			"crds.enabled: false, and the cluster has no CRD "),
	)

	It("a cluster of a version that is not supported", func() {
		_, err := helm("template", release, chart, good().file(), "--kube-version=1.33.0")
		Expect(err).To(MatchError(ContainSubstring("chart requires kubeVersion: >=1.34.0-0 <1.38.0-0 which is incompatible with Kubernetes v1.33.0")))
	})

	It("a user who may only change one namespace", func(ctx SpecContext) {
		all := []string{"*"}
		role := &rbacv1.Role{ObjectMeta: in(namespace, "intern"), Rules: []rbacv1.PolicyRule{{APIGroups: all, Resources: all, Verbs: all}}}
		binding := &rbacv1.RoleBinding{
			ObjectMeta: in(namespace, "intern"), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "intern"},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "intern"}},
		}
		create(ctx, role)
		create(ctx, binding)
		DeferCleanup(func(ctx SpecContext) {
			Expect(api.Delete(ctx, binding)).To(Succeed())
			Expect(api.Delete(ctx, role)).To(Succeed())
		})
		before := takeSnapshot(ctx)
		_, err := helm("install", release, chart, good().file(), "--kube-as-user=intern")
		Expect(err).To(MatchError(ContainSubstring(`User "intern" cannot`)))
		expectUnchanged(ctx, before)
	})

	It("a second release in the cluster, and an upgrade with the values of an older chart", func(ctx SpecContext) {
		DeferCleanup(removeAll)
		mustHelm("install", release, previousChart, values{"image": values{"repository": repository}}.file())
		Eventually(isServed).WithArguments(ctx, policiesCRD).Should(BeTrue())
		podsOf(ctx, scheduler)
		podsOf(ctx, controller)
		before := takeSnapshot(ctx)
		_, err := helm("install", "another", chart, good().file())
		Expect(err).To(MatchError(ContainSubstring("Spillway is in this cluster already, as release spillway in namespace spillway-system")))
		_, err = helm("upgrade", release, chart, "--reuse-values")
		Expect(err).To(MatchError(ContainSubstring("use --reset-then-reuse-values")))
		expectUnchanged(ctx, before)
	})
})

var _ = Describe("A CRD that somebody else has installed", Ordered, func() {
	AfterAll(func(ctx SpecContext) {
		killAll()
		removeAll(ctx)
	})

	It("is kept, used, and told of", func(ctx SpecContext) {
		data, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "scheduling.alibabacloud.com_resourcepolicies.yaml"))
		Expect(err).NotTo(HaveOccurred())
		crd := &unstructured.Unstructured{}
		Expect(yaml.Unmarshal(data, &crd.Object)).To(Succeed())
		crd.SetAnnotations(nil)
		crd.SetLabels(map[string]string{"provider": "ack"})
		createCRD(ctx, crd)
		theirs := takeSnapshot(ctx).with("customresourcedefinitions.apiextensions.k8s.io ")
		ports := newListeners()
		out := mustHelm("install", release, chart, ports.defaults().with(false, "crds", "keep").file())
		Expect(out).To(ContainSubstring("CRD " + policiesCRD + " was in the cluster before and is not of this release"))
		Expect(takeSnapshot(ctx).with("customresourcedefinitions.apiextensions.k8s.io /" + policiesCRD)).To(Equal(theirs))
		p := newPods(ctx, controller, ports.byPodPort(controller))[0]
		p.start(ctx)
		probe(p)
		p.stop()
		mustHelm("uninstall", release, "--wait")
		Eventually(func() snapshot { return takeSnapshot(ctx).with("customresourcedefinitions.apiextensions.k8s.io ") }).
			Should(Equal(theirs), "uninstalled with crds.keep=false: the CRDs of the release go, theirs stays")
	})
})

// The binaries check the cluster before they do anything.
var _ = Describe("A binary refuses to start", Ordered, func() {
	var ports listeners

	BeforeAll(func() {
		ports = newListeners()
		mustHelm("install", release, chart, ports.defaults().file())
	})

	AfterAll(func(ctx SpecContext) {
		killAll()
		removeAll(ctx)
	})

	// sentences starts a pod that must end by itself, and returns the lines that it ended with.
	sentences := func(ctx SpecContext, name string) string {
		GinkgoHelper()
		var p *pod
		audit.expectRefusals(func() {
			p = newPods(ctx, name, ports.byPodPort(name))[0]
			p.start(ctx)
			Eventually(p.containers[0].ended).Should(BeClosed())
		})
		code, _ := p.containers[0].exited()
		Expect(code).NotTo(BeZero())
		Expect(p.containers[0].output()).NotTo(Or(ContainSubstring("panic"), ContainSubstring("goroutine ")))
		lines := strings.Split(strings.TrimSpace(p.containers[0].output()), "\n")
		return lines[len(lines)-1]
	}

	It("without the rights that it needs", func(ctx SpecContext) {
		for name, want := range map[string]string{
			scheduler:  "list resourcepolicies.scheduling.alibabacloud.com",
			controller: "patch virtualnodes.eci.spillway.dev/status",
		} {
			binding := &rbacv1.ClusterRoleBinding{ObjectMeta: in("", name)}
			Expect(get(ctx, binding)).To(Succeed())
			Expect(api.Delete(ctx, binding)).To(Succeed())
			Expect(sentences(ctx, name)).To(And(ContainSubstring("may not"), ContainSubstring(want), ContainSubstring("ClusterRole "+name)))
			binding.ResourceVersion, binding.UID = "", ""
			create(ctx, binding)
		}
	})

	It("without the CRDs", func(ctx SpecContext) {
		removeCRDs(ctx)
		for _, name := range []string{scheduler, controller} {
			Expect(sentences(ctx, name)).To(And(ContainSubstring(policiesCRD), ContainSubstring("virtualnodes.eci.spillway.dev")))
		}
	})
})
