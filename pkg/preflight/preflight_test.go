package preflight

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	k8sversion "k8s.io/apimachinery/pkg/version"
	fakediscovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"github.com/spillway-k8s/spillway/config"
)

var policies = schema.GroupVersion{Group: "scheduling.alibabacloud.com", Version: "v1alpha1"}

// cluster is what the API server answers.
type cluster struct {
	version   string
	emulates  string
	resources []string
	denied    string
	undecided string
	broken    bool
}

func (c *cluster) client() *fake.Clientset {
	client := fake.NewClientset()
	discovery := client.Discovery().(*fakediscovery.FakeDiscovery)
	discovery.FakedServerVersion = &k8sversion.Info{GitVersion: c.version}
	if major, minor, emulates := strings.Cut(c.emulates, "."); emulates {
		discovery.FakedServerVersion.EmulationMajor, discovery.FakedServerVersion.EmulationMinor = major, minor
	}
	if len(c.resources) > 0 {
		list := &metav1.APIResourceList{GroupVersion: policies.String()}
		for _, name := range c.resources {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: name})
		}
		discovery.Resources = []*metav1.APIResourceList{list}
	}
	client.PrependReactor("create", "selfsubjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if c.broken {
			return true, nil, errors.New("connection refused")
		}
		review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview)
		resource := review.Spec.ResourceAttributes.Resource
		review.Status.Allowed = resource != c.denied && resource != c.undecided
		if resource == c.undecided {
			review.Status.EvaluationError = "the webhook does not answer"
		}
		return true, review, nil
	})
	return client
}

func TestCheck(t *testing.T) {
	both := []string{"resourcepolicies", "resourcepolicies/status"}
	for name, tc := range map[string]struct {
		cluster  cluster
		actsAs   *version.Version
		warnings []string
		err      string
	}{
		"fit":                       {cluster: cluster{version: "v1.37.2", resources: both}, actsAs: version.MustParse("1.37")},
		"ACK's version":             {cluster: cluster{version: "v1.34.1-aliyun.1", resources: both}, actsAs: version.MustParse("1.34")},
		"acts as older":             {cluster: cluster{version: "v1.36.0", resources: both}, actsAs: version.MustParse("1.34")},
		"does not act as a version": {cluster: cluster{version: "v1.34.0", resources: both}},
		"too old":                   {cluster: cluster{version: "v1.33.9", resources: both}, err: "the cluster is Kubernetes v1.33.9: Spillway supports 1.34 to 1.37; upgrade the cluster first"},
		"older than the scheduler":  {cluster: cluster{version: "v1.35.4", resources: both}, actsAs: version.MustParse("1.37"), err: "the cluster is Kubernetes v1.35.4 and the scheduler acts as 1.37, which asks for APIs that the cluster lacks: start it with --emulated-version=1.35, as the chart does"},
		"emulates an older version": {
			cluster: cluster{version: "v1.37.2", emulates: "1.35", resources: both}, actsAs: version.MustParse("1.37"),
			err: "the cluster is Kubernetes v1.37.2 (it emulates 1.35) and the scheduler acts as 1.37, which asks for APIs that the cluster lacks: start it with --emulated-version=1.35, as the chart does",
		},
		"emulates its own version": {cluster: cluster{version: "v1.37.2", emulates: "1.37", resources: both}, actsAs: version.MustParse("1.37")},
		"rights that an authorizer cannot decide": {
			cluster:  cluster{version: "v1.37.2", resources: both, undecided: "pods"},
			warnings: []string{"asking for this binary's own rights: the webhook does not answer"},
		},
		"newer than tested":          {cluster: cluster{version: "v1.38.0", resources: both}, warnings: []string{"the cluster is Kubernetes v1.38.0: Spillway is tested with 1.34 to 1.37; look for a newer release of Spillway"}},
		"no CRD":                     {cluster: cluster{version: "v1.37.2"}, err: "the cluster lacks CRD resourcepolicies.scheduling.alibabacloud.com, which must serve v1alpha1: install the chart with crds.enabled=true, or apply config/crd of this release"},
		"a CRD without status":       {cluster: cluster{version: "v1.37.2", resources: both[:1]}, err: "the cluster lacks the status subresource of CRD resourcepolicies.scheduling.alibabacloud.com: install the chart with crds.enabled=true, or apply config/crd of this release"},
		"no right":                   {cluster: cluster{version: "v1.37.2", resources: both, denied: "pods"}, err: "this ServiceAccount may not list pods, create pods/eviction: bind it to ClusterRole spillway-test, as the chart does"},
		"no CRD and no right":        {cluster: cluster{version: "v1.37.2", denied: "replicasets"}, err: "the cluster lacks CRD resourcepolicies.scheduling.alibabacloud.com, which must serve v1alpha1: install the chart with crds.enabled=true, or apply config/crd of this release\nthis ServiceAccount may not get replicasets.apps: bind it to ClusterRole spillway-test, as the chart does"},
		"rights that nobody answers": {cluster: cluster{version: "v1.37.2", resources: both, broken: true}, warnings: []string{"asking for this binary's own rights: connection refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			warnings, err := check(context.Background(), tc.cluster.client(), &Needs{
				ActsAs:    tc.actsAs,
				Resources: []Resource{{GroupVersion: policies, Plural: "resourcepolicies", Status: true}},
				Access: []Access{
					{Resource: "pods", Verb: "list"}, {Resource: "pods", Subresource: "eviction", Verb: "create"}, {Group: "apps", Resource: "replicasets", Verb: "get"},
				},
				Role: "spillway-test",
			})
			var got string
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.err, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.warnings, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

const twoRoles = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: a}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: a}
rules:
  - {apiGroups: [apps], resources: [replicasets, statefulsets], verbs: [get]}
  - {apiGroups: [""], resources: [pods/eviction], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: a, namespace: a}
rules:
  - {apiGroups: [""], resources: [secrets], verbs: [get]}
`

func TestAccessOf(t *testing.T) {
	access, err := AccessOf([]byte(twoRoles), "a")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range access {
		got = append(got, words(&access[i]))
	}
	if diff := cmp.Diff([]string{"get replicasets.apps", "get statefulsets.apps", "create pods/eviction"}, got); diff != "" {
		t.Errorf("access (-want +got):\n%s", diff)
	}
}

func TestRolesOfTheBinaries(t *testing.T) {
	for name, manifest := range map[string][]byte{"spillway-scheduler": config.SchedulerRole, "spillway-controller": config.ControllerRole} {
		if access, err := AccessOf(manifest, name); err != nil || len(access) == 0 {
			t.Errorf("%s may do %v, %v: want the rights of its ClusterRole", name, access, err)
		}
	}
}

func TestWait(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer server.Close()
	told := func(err error) { t.Errorf("waits although there is an answer: %v", err) }
	if err := Wait(t.Context(), &rest.Config{Host: server.URL}, told); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := Wait(ctx, &rest.Config{Host: "http://127.0.0.1:1"}, func(error) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v: want the wait to end with its context", err)
	}
}
