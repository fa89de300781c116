package preflight

import (
	"context"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

// Access is something that a binary must be allowed to do.
type Access = authorizationv1.ResourceAttributes

// AccessOf returns what the ClusterRole of a manifest allows, an Access for each verb of each resource. Roles of a namespace and other objects in the
// manifest are passed over. Errors are those of a manifest that is not YAML.
func AccessOf(manifest []byte, clusterRole string) ([]Access, error) {
	var all []Access
	for _, document := range strings.Split(string(manifest), "\n---\n") {
		role := &rbacv1.ClusterRole{}
		if err := yaml.Unmarshal([]byte(document), role); err != nil {
			return nil, fmt.Errorf("decoding ClusterRole %s: %w", clusterRole, err)
		}
		if role.Kind != "ClusterRole" || role.Name != clusterRole {
			continue
		}
		for i := range role.Rules {
			all = append(all, accessOf(&role.Rules[i])...)
		}
	}
	return all, nil
}

func accessOf(rule *rbacv1.PolicyRule) []Access {
	var all []Access
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			name, subresource, _ := strings.Cut(resource, "/")
			for _, verb := range rule.Verbs {
				all = append(all, Access{Group: group, Resource: name, Subresource: subresource, Verb: verb})
			}
		}
	}
	return all
}

// checkAccess asks the API server whether the binary may do what it must do.
func checkAccess(ctx context.Context, client kubernetes.Interface, needs *Needs) error {
	var denied []string
	for i := range needs.Access {
		review := &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &needs.Access[i]},
		}
		answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("asking for this binary's own rights: %w", err)
		}
		if answer.Status.EvaluationError != "" && !answer.Status.Allowed && !answer.Status.Denied {
			// An authorizer that could not decide, such as a webhook that does not answer, is no denial.
			return fmt.Errorf("asking for this binary's own rights: %s", answer.Status.EvaluationError)
		}
		if !answer.Status.Allowed {
			denied = append(denied, words(&needs.Access[i]))
		}
	}
	if len(denied) == 0 {
		return nil
	}
	return finding(fmt.Sprintf("this ServiceAccount may not %s: bind it to ClusterRole %s, as the chart does", strings.Join(denied, ", "), needs.Role))
}

// words says an access as kubectl auth can-i does: list pods, create pods/eviction, get replicasets.apps.
func words(a *Access) string {
	resource := a.Resource
	if a.Group != "" {
		resource += "." + a.Group
	}
	if a.Subresource != "" {
		resource += "/" + a.Subresource
	}
	return a.Verb + " " + resource
}
