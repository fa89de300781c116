package resourcepolicy

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

// TestOwners_Leaves checks that an owner is the object that the reference names: of its API group, and with its UID.
func TestOwners_Leaves(t *testing.T) {
	factory := informers.NewSharedInformerFactory(fake.NewClientset(), 0)
	named := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name, UID: types.UID(name)}
	}
	byRole := map[string]string{"role": "main"}
	selector := &metav1.LabelSelector{MatchLabels: byRole}
	add := func(store cache.Store, obj any) {
		if err := store.Add(obj); err != nil {
			t.Fatal(err)
		}
	}
	add(factory.Apps().V1().ReplicaSets().Informer().GetStore(), &appsv1.ReplicaSet{ObjectMeta: named("rs"), Spec: appsv1.ReplicaSetSpec{Selector: selector}})
	add(factory.Apps().V1().StatefulSets().Informer().GetStore(), &appsv1.StatefulSet{ObjectMeta: named("sts"), Spec: appsv1.StatefulSetSpec{Selector: selector}})
	add(factory.Core().V1().ReplicationControllers().Informer().GetStore(),
		&corev1.ReplicationController{ObjectMeta: named("rc"), Spec: corev1.ReplicationControllerSpec{Selector: byRole}})
	o := newOwners(factory)
	cases := map[string]struct {
		apiVersion, kind, name string
		uid                    types.UID
		want                   string
	}{
		"a ReplicaSet":                          {apiVersion: "apps/v1", kind: "ReplicaSet", name: "rs", want: "ReplicaSet rs"},
		"a StatefulSet":                         {apiVersion: "apps/v1", kind: "StatefulSet", name: "sts", want: "StatefulSet sts"},
		"a StatefulSet by an older version":     {apiVersion: "apps/v1beta1", kind: "StatefulSet", name: "sts", want: "StatefulSet sts"},
		"a ReplicationController":               {apiVersion: "v1", kind: "ReplicationController", name: "rc", want: "ReplicationController rc"},
		"OpenKruise's StatefulSet of that name": {apiVersion: "apps.kruise.io/v1beta1", kind: "StatefulSet", name: "sts"},
		"another group's ReplicaSet":            {apiVersion: "example.com/v1", kind: "ReplicaSet", name: "rs"},
		"a core API that is not":                {apiVersion: "example.com/v1", kind: "ReplicationController", name: "rc"},
		"a ReplicaSet before this one":          {apiVersion: "apps/v1", kind: "ReplicaSet", name: "rs", uid: "earlier"},
		"a StatefulSet before this one":         {apiVersion: "apps/v1", kind: "StatefulSet", name: "sts", uid: "earlier"},
		"a ReplicationController before":        {apiVersion: "v1", kind: "ReplicationController", name: "rc", uid: "earlier"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pod := wrappers.MakePod("a").Label("role", "main").OwnedBy(tc.apiVersion, tc.kind, tc.name)
			if tc.uid != "" {
				pod.OwnerReferences[0].UID = tc.uid
			}
			if got := o.leaves(pod.Obj(), map[string]string{"role": "spare"}); got != tc.want {
				t.Errorf("leaves %q, want %q", got, tc.want)
			}
		})
	}
}
