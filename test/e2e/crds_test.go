package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
)

var crdResource = apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions")

// crdNames are the CRDs of the chart.
var crdNames = []string{policiesCRD, "virtualnodes.eci.spillway.dev"}

// findCRD returns a CRD, or an error of the API server.
func findCRD(ctx context.Context, name string) (*apiextensionsv1.CustomResourceDefinition, error) {
	object, err := everything.Resource(crdResource).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	return crd, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, crd)
}

func getCRD(ctx context.Context, name string) *apiextensionsv1.CustomResourceDefinition {
	GinkgoHelper()
	crd, err := findCRD(ctx, name)
	Expect(err).NotTo(HaveOccurred())
	return crd
}

// isServed tells whether objects of a CRD can be created.
func isServed(ctx context.Context, name string) (bool, error) {
	crd, err := findCRD(ctx, name)
	if err != nil {
		return false, client.IgnoreNotFound(err)
	}
	for _, condition := range crd.Status.Conditions {
		if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
			_, err := everything.Resource(resourceOf(crd)).List(ctx, metav1.ListOptions{})
			return err == nil, nil
		}
	}
	return false, nil
}

func resourceOf(crd *apiextensionsv1.CustomResourceDefinition) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: crd.Spec.Group, Version: crd.Spec.Versions[0].Name, Resource: crd.Spec.Names.Plural}
}

// removeAll uninstalls the release if it is there, and deletes the CRDs.
func removeAll(ctx context.Context) {
	GinkgoHelper()
	mustHelm("uninstall", release, "--wait", "--ignore-not-found")
	removeCRDs(ctx)
}

// removeCRDs deletes the CRDs with all their objects. Nothing of Spillway runs any more: what it would do with the finalizers of virtual nodes is done here.
func removeCRDs(ctx context.Context) {
	GinkgoHelper()
	nodes := &eciv1alpha1.VirtualNodeList{}
	err := api.List(ctx, nodes)
	if !meta.IsNoMatchError(err) && !apierrors.IsNotFound(err) {
		Expect(err).NotTo(HaveOccurred())
	}
	for i := range nodes.Items {
		vn := nodes.Items[i].DeepCopy()
		vn.Finalizers = nil
		Expect(api.Patch(ctx, vn, client.MergeFrom(&nodes.Items[i]))).To(Succeed())
	}
	for _, name := range crdNames {
		Expect(client.IgnoreNotFound(everything.Resource(crdResource).Delete(ctx, name, metav1.DeleteOptions{}))).To(Succeed())
	}
	for _, name := range crdNames {
		Eventually(func() bool { _, err := findCRD(ctx, name); return apierrors.IsNotFound(err) }).Should(BeTrue())
	}
}

// createCRD creates a CRD of the chart as somebody else would.
func createCRD(ctx context.Context, crd *unstructured.Unstructured) {
	GinkgoHelper()
	_, err := everything.Resource(crdResource).Create(ctx, crd, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	Eventually(isServed).WithArguments(ctx, crd.GetName()).Should(BeTrue())
}
