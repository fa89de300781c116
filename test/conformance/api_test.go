package conformance

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var _ = Describe("The API (config/samples and config/invalid)", func() {
	for _, file := range manifests("samples") {
		It("accepts "+filepath.Base(file), func(ctx SpecContext) {
			Expect(apply(ctx, file)).To(Succeed())
		})
	}

	for _, file := range manifests("invalid") {
		It("refuses "+filepath.Base(file)+" with its sentence", func(ctx SpecContext) {
			Expect(apply(ctx, file)).To(MatchError(ContainSubstring(wanted(file))))
		})
	}

	It("fills in the defaults of ACK", func(ctx SpecContext) {
		rp := wrappers.MakePolicy("defaults").Unit(wrappers.ECS()).Obj()
		rp.UID = ""
		rp.Spec.WhenTryNextUnits = &v1alpha1.WhenTryNextUnits{}
		Expect(harness.API.Create(ctx, rp, client.DryRunAll)).To(Succeed())
		Expect(rp.Spec).To(Equal(v1alpha1.ResourcePolicySpec{
			Strategy:             v1alpha1.StrategyPrefer,
			Units:                []v1alpha1.Unit{{Resource: v1alpha1.ResourceECS}},
			PreemptPolicy:        v1alpha1.PreemptAfterAllUnits,
			IgnorePreviousPod:    ptr.To(false),
			IgnoreTerminatingPod: ptr.To(true),
			WhenTryNextUnits:     &v1alpha1.WhenTryNextUnits{Policy: v1alpha1.TryNextLackResourceOrExceedMax},
		}))
	})

	It("does not let a VirtualNode move to another zone", func(ctx SpecContext) {
		vn := newVirtualNode("fixed")
		vn.Spec.Zone = "cn-beijing-k"
		createVirtualNode(vn)
		before := vn.DeepCopy()
		vn.Spec.Zone = "cn-beijing-i"
		Expect(harness.API.Patch(ctx, vn, client.MergeFrom(before))).To(MatchError(ContainSubstring("region and zone cannot be changed: create another VirtualNode")))
	})
})

// manifests returns the files of a folder below config.
func manifests(folder string) []string {
	files, err := filepath.Glob(filepath.Join("..", "..", "config", folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		panic("no manifests in config/" + folder)
	}
	return files
}

// apply sends a manifest to the API server as a dry run that refuses unknown fields, as kubectl apply does.
func apply(ctx context.Context, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	object := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict(data, &object.Object); err != nil {
		return err
	}
	return harness.API.Create(ctx, object, client.DryRunAll, client.FieldValidation("Strict"))
}

// wanted returns the sentence in the first line of an invalid manifest.
func wanted(file string) string {
	data, err := os.ReadFile(file)
	Expect(err).NotTo(HaveOccurred())
	first, _, _ := strings.Cut(string(data), "\n")
	sentence, ok := strings.CutPrefix(first, "# want: ")
	Expect(ok).To(BeTrue(), "the first line of %s must be: # want: <what the API server says>", file)
	return sentence
}
