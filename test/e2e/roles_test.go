package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// exempt are the roles of Kubernetes that the release binds as they are: what every kube-scheduler may do. Which of that a cluster makes it use, such as
// volumes and resource claims, depends on the pods; Spillway does not choose these rules and gets the changes of later versions.
var exempt = []string{"system:kube-scheduler", "system:volume-scheduler", "extension-apiserver-authentication-reader"}

// unasked are rights that are used without a request of their own, with the reason.
var unasked = map[string]string{
	"spillway-controller: update virtualnodes.eci.spillway.dev/finalizers": "clusters with the admission plugin OwnerReferencesPermissionEnforcement ask " +
		"for it when the Node and its Lease are created, whose owner reference blocks the deletion of the VirtualNode; this cluster does not have the plugin, " +
		"which for half a minute refuses the objects of every new CRD",
}

// grant is a rule of a role that is bound to a ServiceAccount.
type grant struct {
	account string
	role    string
	// namespace is where it holds; "" is everywhere.
	namespace string
	rule      rbacv1.PolicyRule
}

// judgeRoles compares what the ServiceAccounts may do with what they have asked for.
func judgeRoles(ctx context.Context) {
	GinkgoHelper()
	all := audit.requests()
	for _, account := range []string{scheduler, controller} {
		grants := grantsOf(ctx, account)
		Expect(grants).NotTo(BeEmpty())
		var unused, own []string
		for i := range grants {
			own = append(own, grants[i].role)
			unused = append(unused, grants[i].unused(all)...)
		}
		Expect(unused).To(BeEmpty(), "rights that nothing has used")
		for _, a := range all {
			if a.account == account && a.role != "" && !strings.HasPrefix(a.role, "system:") && !slices.Contains(exempt, a.role) {
				Expect(own).To(ContainElement(a.role), "%s was allowed by a role that is not of the release", a)
			}
		}
	}
}

// grantsOf returns the rules that are bound to a ServiceAccount, without those of the exempt roles.
func grantsOf(ctx context.Context, account string) []grant {
	GinkgoHelper()
	clusterBindings, bindings := &rbacv1.ClusterRoleBindingList{}, &rbacv1.RoleBindingList{}
	Expect(api.List(ctx, clusterBindings)).To(Succeed())
	Expect(api.List(ctx, bindings)).To(Succeed())
	var grants []grant
	isSubject := func(s rbacv1.Subject) bool {
		return s.Kind == "ServiceAccount" && s.Namespace == namespace && s.Name == account
	}
	add := func(ref rbacv1.RoleRef, subjects []rbacv1.Subject, namespace string) {
		if !slices.ContainsFunc(subjects, isSubject) || slices.Contains(exempt, ref.Name) {
			return
		}
		for _, rule := range rulesOf(ctx, ref, namespace) {
			grants = append(grants, grant{account: account, role: ref.Name, namespace: namespace, rule: rule})
		}
	}
	for i := range clusterBindings.Items {
		add(clusterBindings.Items[i].RoleRef, clusterBindings.Items[i].Subjects, "")
	}
	for i := range bindings.Items {
		add(bindings.Items[i].RoleRef, bindings.Items[i].Subjects, bindings.Items[i].Namespace)
	}
	return grants
}

// rulesOf returns the rules of a role. Roles that are neither exempt nor of the release are a mistake.
func rulesOf(ctx context.Context, ref rbacv1.RoleRef, namespace string) []rbacv1.PolicyRule {
	GinkgoHelper()
	Expect(ref.Name).To(HavePrefix("spillway-"), "%s %s is bound to Spillway and is not of the release", ref.Kind, ref.Name)
	if ref.Kind == "ClusterRole" {
		role := &rbacv1.ClusterRole{}
		Expect(api.Get(ctx, client.ObjectKey{Name: ref.Name}, role)).To(Succeed())
		return role.Rules
	}
	role := &rbacv1.Role{}
	Expect(api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, role)).To(Succeed())
	return role.Rules
}

// unused returns what the rule grants and no request has used, in words.
func (g *grant) unused(all []asked) []string {
	GinkgoHelper()
	for _, list := range [][]string{g.rule.APIGroups, g.rule.Resources, g.rule.Verbs, g.rule.NonResourceURLs} {
		Expect(list).NotTo(ContainElement("*"), "role %s has a wildcard", g.role)
	}
	Expect(g.rule.NonResourceURLs).To(BeEmpty(), "role %s", g.role)
	var unused []string
	for _, group := range g.rule.APIGroups {
		for _, resource := range g.rule.Resources {
			for _, verb := range g.rule.Verbs {
				words := fmt.Sprintf("%s: %s %s", g.account, verb, inWords(group, resource))
				used := slices.ContainsFunc(all, func(a asked) bool {
					return g.covers(a) && uses(a.verb, verb) && a.group == group && a.resource == resource
				})
				if !used && unasked[words] == "" {
					unused = append(unused, words+" by role "+g.role)
				}
			}
		}
	}
	return unused
}

// uses tells whether a request has used the right to a verb. An informer lists only where the API server cannot stream the objects as the beginning of a watch,
// which those of 1.34 and later can unless that is switched off: whoever watches may have to list.
func uses(asked, verb string) bool {
	return asked == verb || asked == "watch" && verb == "list"
}

// covers tells whether a request was allowed and is by whom, where and of what the grant is, but for its verb and resource.
func (g *grant) covers(a asked) bool {
	named := len(g.rule.ResourceNames) == 0 || slices.Contains(g.rule.ResourceNames, a.name)
	return a.account == g.account && !a.refused && (g.namespace == "" || g.namespace == a.namespace) && named
}

// inWords writes a resource as kubectl does.
func inWords(group, resource string) string {
	name, subresource, _ := strings.Cut(resource, "/")
	if group != "" {
		name += "." + group
	}
	if subresource != "" {
		name += "/" + subresource
	}
	return name
}
