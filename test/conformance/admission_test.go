package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	useSpecs = "k8s.aliyun.com/eci-use-specs"
	alice    = "alice"
)

// admissionPolicies creates the objects of a file of config/admission until the spec ends. It takes the API server a moment to heed a policy, and to heed it
// no more: refused tries something that it refuses.
func admissionPolicies(name string, refused func() error) {
	GinkgoHelper()
	DeferCleanup(func() { Eventually(refused).Should(Succeed()) })
	createFrom(name)
	Eventually(refused).Should(HaveOccurred())
}

// createFrom creates the objects of a file of config/admission until the spec ends.
func createFrom(name string) {
	GinkgoHelper()
	data, err := os.ReadFile(filepath.Join("..", "..", "config", "admission", name))
	Expect(err).NotTo(HaveOccurred())
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return
		} else {
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(harness.API.Create(context.Background(), object)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(harness.API.Delete(ctx, object)).To(Succeed()) })
	}
}

// as returns a client of another user, who may do with pods of the world what the role edit allows, and write all of
// their subresources.
func as(w *harness.World, user string, groups ...string) client.Client {
	GinkgoHelper()
	meta := metav1.ObjectMeta{Namespace: w.Namespace, GenerateName: "pods-"}
	role := &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Verbs: []string{"get", "update", "patch"},
		Resources: []string{"pods", "pods/status", "pods/resize", "pods/ephemeralcontainers"},
	}}}
	Expect(harness.API.Create(context.Background(), role)).To(Succeed())
	for _, ref := range []rbacv1.RoleRef{
		// The controller that adds up the aggregated role edit does not run here.
		{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:aggregate-to-edit"},
		{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
	} {
		Expect(harness.API.Create(context.Background(), &rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: ref,
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
		})).To(Succeed())
	}
	config := rest.CopyConfig(harness.RestConfig)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	c, err := client.New(config, client.Options{Scheme: harness.API.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// writeAnnotation writes an annotation of a pod; nil removes it.
func writeAnnotation(c client.Client, pod *corev1.Pod, key string, value any) error {
	return patchMeta(c, pod, "annotations", key, value)
}

func patchMeta(c client.Client, pod *corev1.Pod, field, key string, value any) error {
	return c.Patch(context.Background(), pod.DeepCopy(), metaPatch(field, key, value))
}

func metaPatch(field, key string, value any) client.Patch {
	text := "null"
	if value != nil {
		text = fmt.Sprintf("%q", value)
	}
	patch := fmt.Appendf(nil, `{"metadata":{%q:{%q:%s}}}`, field, key, text)
	return client.RawPatch("application/merge-patch+json", patch)
}

// refusedWith matches the answer of an admission policy.
func refusedWith(message string) OmegaMatcher {
	return And(Satisfy(apierrors.IsForbidden), MatchError(ContainSubstring(message)))
}

var _ = Describe("The admission policy for placed pods", Ordered, func() {
	var (
		w             *harness.World
		pod, unplaced *corev1.Pod
		user          client.Client
	)

	BeforeAll(func() {
		w = harness.NewWorld()
		w.Nodes(1, "first")
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").PodAnnotation(useSpecs, "2-4Gi")))
		pod, unplaced = w.Create(w.Pod()), w.Create(w.Pod().Annotation(useSpecs, "4-8Gi"))
		w.UnitOf(pod)
		w.Waits(unplaced)
		user = as(w, alice)
		admissionPolicies("placed-pods.yaml", func() error {
			patch := metaPatch("annotations", useSpecs, nil)
			return user.Patch(context.Background(), pod.DeepCopy(), patch, client.DryRunAll)
		})
	})

	DescribeTable("refuses of users", func(field, key string, value any) {
		want := strings.TrimSuffix(field, "s") + " " + key + " cannot be added, changed or removed on a pod"
		Expect(patchMeta(user, pod, field, key, value)).To(refusedWith(want))
		err := user.Status().Patch(context.Background(), pod.DeepCopy(), metaPatch(field, key, value))
		Expect(err).To(refusedWith(want), "pods/status writes labels and annotations, too")
	},
		Entry("to change what ECI sold", "annotations", useSpecs, "1-2Gi"),
		Entry("to remove it", "annotations", useSpecs, nil),
		Entry("to add another annotation of ECI", "annotations", "k8s.aliyun.com/eci-instance-spec", "1-2Gi"),
		Entry("to change the record of a unit", "annotations", v1alpha1.AnnotationUnit, "eci"),
		Entry("to remove the record of a policy", "annotations", v1alpha1.AnnotationPolicy, nil),
		Entry("to add a record", "annotations", "scheduling.spillway.dev/eci-specs", "1-2Gi"),
		Entry("to add a label like a record", "labels", "scheduling.spillway.dev/x", "y"),
		Entry("to add a label of ECI", "labels", "k8s.aliyun.com/eci-x", "y"),
	)

	It("lets users write everything else", func() {
		Expect(writeAnnotation(user, pod, "example.com/note", "x")).To(Succeed())
		Expect(writeAnnotation(user, pod, "k8s.aliyun.com/other", "x")).To(Succeed())
		Expect(patchMeta(user, pod, "labels", "tier", "gold")).To(Succeed())
		Expect(writeAnnotation(user, pod, useSpecs, "2-4Gi")).To(Succeed(), "the value that it has")
	})

	It("lets users write on pods without a node", func() {
		Expect(writeAnnotation(user, unplaced, useSpecs, "2-4Gi")).To(Succeed())
		Expect(writeAnnotation(user, unplaced, v1alpha1.AnnotationUnit, "x")).To(Succeed())
		Expect(writeAnnotation(user, unplaced, v1alpha1.AnnotationUnit, nil)).To(Succeed())
	})

	It("covers every way to change the labels and annotations of a placed pod", func(ctx SpecContext) {
		for _, subresource := range []string{"resize", "ephemeralcontainers"} {
			// The answer does not matter: the API server takes no labels and annotations there.
			_ = user.SubResource(subresource).Patch(ctx, pod.DeepCopy(), metaPatch("annotations", useSpecs, "1-2Gi"))
			Expect(w.Get(pod).Annotations).To(HaveKeyWithValue(useSpecs, "2-4Gi"), subresource)
		}
	})

	DescribeTable("exempts", func(name string, groups ...string) {
		Expect(writeAnnotation(as(w, name, groups...), pod, "k8s.aliyun.com/eci-instance-id", name)).To(Succeed())
	},
		Entry("the scheduler", "system:serviceaccount:spillway-system:spillway-scheduler"),
		Entry("the controller", "system:serviceaccount:spillway-system:spillway-controller"),
		Entry("kubelets", "virtual-kubelet", "system:nodes"),
		Entry("add-ons of the cluster",
			"system:serviceaccount:kube-system:virtual-kubelet", "system:serviceaccounts:kube-system"),
		Entry("administrators", "root", "system:masters"),
	)

	DescribeTable("does not exempt", func(name string, groups ...string) {
		err := writeAnnotation(as(w, name, groups...), pod, "k8s.aliyun.com/eci-instance-id", name)
		Expect(err).To(refusedWith("cannot be added"))
	},
		Entry("another ServiceAccount of the namespace",
			"system:serviceaccount:spillway-system:other", "system:serviceaccounts:spillway-system"),
		Entry("a ServiceAccount of the same name elsewhere", "system:serviceaccount:default:spillway-controller"),
	)

	It("looks at every key of a pod with many annotations", func() {
		many := w.Pod().Node(w.Namespace + "-first")
		for i := range 490 {
			many.Annotation(fmt.Sprintf("k8s.aliyun.com/eci-%d", i), strings.Repeat("x", 256))
		}
		large := w.Create(many)
		Expect(writeAnnotation(user, large, "note", "y")).To(Succeed())
		Expect(writeAnnotation(user, large, "k8s.aliyun.com/eci-489", nil)).
			To(refusedWith("annotation k8s.aliyun.com/eci-489 cannot be added"))
	})

	It("answers at once for a pod with as many annotations as a pod can have", func() {
		many := w.Pod().Node(w.Namespace + "-first")
		for i, size := 0, 0; size < 250<<10; i++ {
			key := fmt.Sprintf("%x", i)
			many.Annotation(key, "")
			size += len(key)
		}
		big := w.Create(many)
		const want = "cannot be changed on a pod that has a node and more than 500 of them"
		Expect(writeAnnotation(user, big, "k8s.aliyun.com/eci-x", "y")).To(refusedWith("annotations " + want))
		Expect(writeAnnotation(user, big, "note", "y")).To(refusedWith("annotations " + want))
		Expect(patchMeta(user, big, "labels", "tier", "gold")).To(Succeed(), "its annotations stay as they are")
		Expect(patchMeta(user, big, "labels", "k8s.aliyun.com/eci-x", "y")).
			To(refusedWith("label k8s.aliyun.com/eci-x cannot be added"))
	})
})

var _ = Describe("The admission policy for resizing", Ordered, func() {
	var (
		w               *harness.World
		pod, ungoverned *corev1.Pod
		user            client.Client
	)
	resize := func(pod *corev1.Pod, list, name, amount string, options ...client.SubResourcePatchOption) error {
		container := pod.Spec.Containers[0].Name
		patch := fmt.Appendf(nil, `{"spec":{"containers":[{"name":%q,"resources":{%q:{%q:%q}}}]}}`, container, list, name, amount)
		return user.SubResource("resize").Patch(context.Background(), pod.DeepCopy(),
			client.RawPatch("application/strategic-merge-patch+json", patch), options...)
	}

	BeforeAll(func() {
		w = harness.NewWorld()
		w.Node(wrappers.MakeNode("first").Label("unit", "first").
			Capacity(corev1.ResourceCPU, "16").Capacity(corev1.ResourceMemory, "16Gi"))
		w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").MaxResource(corev1.ResourceCPU, "2")))
		governed := w.Pod()
		governed.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("3")}
		pod, ungoverned = w.Create(governed), w.Create(w.Pod().Label("app", "other"))
		w.UnitOf(pod)
		w.UnitOf(ungoverned)
		user = as(w, alice)
		admissionPolicies("resize.yaml", func() error { return resize(pod, "limits", "cpu", "4", client.DryRunAll) })
	})

	It("refuses more", func() {
		const want = "cannot get more cpu or memory in place: ResourcePolicy p placed the pod with the size that it had"
		Expect(resize(pod, "requests", "cpu", "2001m")).
			To(refusedWith("container " + pod.Spec.Containers[0].Name + " " + want))
		Expect(resize(pod, "limits", "cpu", "3001m")).To(refusedWith(want))
		Expect(resize(pod, "requests", "memory", "1Gi")).To(refusedWith(want), "what was not set before")
	})

	It("allows less and as much", func() {
		Expect(resize(pod, "requests", "cpu", "2000m")).To(Succeed())
		Expect(resize(pod, "requests", "cpu", "500m")).To(Succeed())
		Expect(resize(pod, "limits", "cpu", "1")).To(Succeed())
		Expect(resize(pod, "requests", "cpu", "1")).To(refusedWith("cannot get more"), "more than it has now")
	})

	It("leaves pods alone that no policy placed", func() {
		Expect(resize(ungoverned, "limits", "cpu", "3")).To(Succeed())
	})
})

var _ = Describe("The keys that units may write", func() {
	It("are those of the installation: a policy with another one places nothing, and says which", func() {
		w := harness.NewWorld()
		w.Nodes(1, "first")
		const key = "k8s.aliyun.com/eci-ram-role-name"
		rp := w.Policy(wrappers.MakePolicy("p").Unit(w.ECS("first").PodAnnotation(key, "admin")))
		reports(rp, v1alpha1.ConditionReady, v1alpha1.ReasonInvalid)
		pod := w.Create(w.Pod())
		w.WaitsWith(pod, "spec.units[0].podAnnotations["+key+"]")
		w.WaitsWith(pod,
			"units may not write this key on pods: allowedPodKeys allows only these keys of k8s.aliyun.com: eci-auto-imc")
		Expect(w.Get(pod).Annotations).NotTo(HaveKey(key))
	})
})
