package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
)

// Resource is a custom resource that must be served.
type Resource struct {
	schema.GroupVersion
	// Plural is its name in paths, such as resourcepolicies.
	Plural string
	// Status is true when its status must be a subresource of its own, because the binary writes it.
	Status bool
}

// checkResources asks whether the custom resources are served.
func checkResources(_ context.Context, client kubernetes.Interface, needs *Needs) error {
	var missing []string
	for _, need := range needs.Resources {
		list, err := client.Discovery().ServerResourcesForGroupVersion(need.String())
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("asking for the resources of %s: %w", need.GroupVersion, err)
		}
		switch {
		case !serves(list, need.Plural):
			missing = append(missing, fmt.Sprintf("CRD %s.%s, which must serve %s", need.Plural, need.Group, need.Version))
		case need.Status && !serves(list, need.Plural+"/status"):
			missing = append(missing, fmt.Sprintf("the status subresource of CRD %s.%s", need.Plural, need.Group))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return finding(fmt.Sprintf("the cluster lacks %s: install the chart with crds.enabled=true, or apply config/crd of this release", strings.Join(missing, ", and ")))
}

func serves(list *metav1.APIResourceList, name string) bool {
	return list != nil && slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == name })
}
