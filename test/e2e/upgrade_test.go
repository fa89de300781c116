package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

const policiesCRD = "resourcepolicies.scheduling.alibabacloud.com"

var _ = Describe("An upgrade", Ordered, func() {
	var (
		before, old snapshot
		selectors   map[string]*metav1.LabelSelector
		ports       listeners
	)

	BeforeAll(func(ctx SpecContext) {
		before = takeSnapshot(ctx)
		mustHelm("install", release, previousChart, values{"image": values{"repository": repository}}.file())
		Eventually(isServed).WithArguments(ctx, policiesCRD).Should(BeTrue())
		policy := wrappers.MakePolicy("nginx").Namespace("default").Selector("app", "nginx").Unit(wrappers.ECS()).Unit(wrappers.ECI())
		addPolicy(ctx, policy)
		zone := wrappers.MakeZone("cn-beijing-j")
		zone.UID = ""
		create(ctx, zone.Obj())
		for _, name := range []string{scheduler, controller} {
			create(ctx, &coordinationv1.Lease{ObjectMeta: in(namespace, name)}) // As the binaries of 0.1.0 have made them.
		}
		old, selectors = takeSnapshot(ctx), selectorsOf(ctx)
		ports = newListeners()
	})

	AfterAll(func(ctx SpecContext) {
		killAll()
		removeAll(ctx)
		for _, name := range []string{scheduler, controller} {
			Expect(get(ctx, &coordinationv1.Lease{ObjectMeta: in(namespace, name)})).To(WithTransform(apierrors.IsNotFound, BeTrue()), "the Lease of 0.1.0 is left")
		}
	})

	It("from 0.1.0 keeps every policy and virtual node, and what the Deployments select", func(ctx SpecContext) {
		mustHelm("upgrade", release, chart, ports.defaults().file())
		policies := []string{policiesCRD + " ", "virtualnodes.eci.spillway.dev "}
		Expect(takeSnapshot(ctx).with(policies...).changes(old.with(policies...))).To(BeEmpty())
		Expect(cmp.Diff(selectors, selectorsOf(ctx))).To(BeEmpty())
	})

	It("runs: the binaries use what was there", func(ctx SpecContext) {
		for _, name := range []string{scheduler, controller} {
			p := newPods(ctx, name, ports.byPodPort(name))[0]
			p.start(ctx)
			probe(p)
		}
		expectReady(ctx)
		killAll()
	})

	It("upgrades the CRDs", func(ctx SpecContext) {
		next := copyChart()
		file := filepath.Join(next, "files", "crds", "scheduling.alibabacloud.com_resourcepolicies.yaml")
		crd := &apiextensionsv1.CustomResourceDefinition{}
		data, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		Expect(yaml.Unmarshal(data, crd)).To(Succeed())
		crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Description = "of the next version"
		data, err = yaml.Marshal(crd)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(file, data, 0o600)).To(Succeed())
		mustHelm("upgrade", release, next, ports.defaults().file())
		installed := getCRD(ctx, policiesCRD)
		Expect(installed.Spec.Versions[0].Schema.OpenAPIV3Schema.Description).To(Equal("of the next version"))
	})

	It("leaves no object of 0.1.0 that a fresh installation would not have", func(ctx SpecContext) {
		mustHelm("upgrade", release, chart, ports.defaults().file())
		upgraded := takeSnapshot(ctx)
		mustHelm("uninstall", release, "--wait")
		mustHelm("install", release, chart, ports.defaults().file())
		ofRelease := func(s snapshot) []string {
			return slices.DeleteFunc(s.without(ofTests...).names(before), isNotOfChart)
		}
		Eventually(func() string { return cmp.Diff(ofRelease(takeSnapshot(ctx)), ofRelease(upgraded)) }).Should(BeEmpty())
	})
})

// isNotOfChart tells whether an object differs from one installation to the next: by its random name, as pods, their ReplicaSets, the records of helm; or
// because the binaries make it, which have run before the uninstall and not after it.
func isNotOfChart(name string) bool {
	others := []string{"leases.coordination.k8s.io ",
		"pods ", "replicasets.apps ", "endpointslices.", "ipaddresses.", "secrets " + namespace + "/sh.helm.release."}
	return slices.ContainsFunc(others, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

func selectorsOf(ctx context.Context) map[string]*metav1.LabelSelector {
	GinkgoHelper()
	selectors := map[string]*metav1.LabelSelector{}
	for _, name := range []string{scheduler, controller} {
		d := &appsv1.Deployment{ObjectMeta: in(namespace, name)}
		Expect(get(ctx, d)).To(Succeed())
		selectors[name] = d.Spec.Selector
	}
	return selectors
}

// copyChart returns the directory of a copy of the chart.
func copyChart() string {
	GinkgoHelper()
	dir := filepath.Join(GinkgoT().TempDir(), "spillway")
	Expect(os.CopyFS(dir, os.DirFS(chart))).To(Succeed())
	return dir
}
