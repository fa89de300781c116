package owners

import (
	"context"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestLoses(t *testing.T) {
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name, UID: types.UID(name)}
	}
	byRole := &metav1.LabelSelector{MatchLabels: map[string]string{"role": "main"}}
	unless := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "spilled", Operator: metav1.LabelSelectorOpDoesNotExist}}}
	reads := 0
	api := fake.NewClientBuilder().WithObjects(
		&appsv1.ReplicaSet{ObjectMeta: meta("rs"), Spec: appsv1.ReplicaSetSpec{Selector: byRole}},
		&appsv1.ReplicaSet{ObjectMeta: meta("unless"), Spec: appsv1.ReplicaSetSpec{Selector: unless}},
		&appsv1.StatefulSet{ObjectMeta: meta("sts"), Spec: appsv1.StatefulSetSpec{Selector: byRole}},
		&corev1.ReplicationController{ObjectMeta: meta("rc"), Spec: corev1.ReplicationControllerSpec{Selector: byRole.MatchLabels}},
	).WithInterceptorFuncs(interceptor.Funcs{Get: func(
		ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption,
	) error {
		reads++
		return c.Get(ctx, key, obj, opts...)
	}}).Build()
	selectors := NewSelectors(api)

	pod := func() *wrappers.Pod { return wrappers.MakePod("a").Label("role", "main") }
	spare, spilled := map[string]string{"role": "spare"}, map[string]string{"spilled": "true"}
	cases := map[string]struct {
		pod       *wrappers.Pod
		written   map[string]string
		want      string
		wantReads int
	}{
		"its ReplicaSet":              {pod: pod().OwnedBy("apps/v1", "ReplicaSet", "rs"), written: spare, want: "ReplicaSet rs", wantReads: 1},
		"its StatefulSet":             {pod: pod().OwnedBy("apps/v1", "StatefulSet", "sts"), written: spare, want: "StatefulSet sts", wantReads: 1},
		"its ReplicationController":   {pod: pod().OwnedBy("v1", "ReplicationController", "rc"), written: spare, want: "ReplicationController rc", wantReads: 1},
		"by an added label":           {pod: pod().OwnedBy("apps/v1", "ReplicaSet", "unless"), written: spilled, want: "ReplicaSet unless", wantReads: 1},
		"other labels":                {pod: pod().OwnedBy("apps/v1", "ReplicaSet", "rs"), written: spilled, wantReads: 1},
		"no labels":                   {pod: pod().OwnedBy("apps/v1", "ReplicaSet", "rs")},
		"no owner":                    {pod: pod(), written: spare},
		"an owner of another kind":    {pod: pod().OwnedBy("batch/v1", "Job", "job"), written: spare},
		"an owner that is gone":       {pod: pod().OwnedBy("apps/v1", "ReplicaSet", "gone"), written: spare, wantReads: 1},
		"not selected anyhow":         {pod: wrappers.MakePod("a").OwnedBy("apps/v1", "ReplicaSet", "rs"), written: spare, wantReads: 1},
		"a pod without any labels":    {pod: wrappers.MakePod("a").OwnedBy("apps/v1", "ReplicaSet", "unless"), written: spilled, want: "ReplicaSet unless", wantReads: 1},
		"a successor with that name":  {pod: renamed(pod().OwnedBy("apps/v1", "ReplicaSet", "rs"), "earlier"), written: spare, wantReads: 1},
		"of another version":          {pod: pod().OwnedBy("apps/v1beta2", "StatefulSet", "sts"), written: spare, want: "StatefulSet sts", wantReads: 1},
		"that of another API, a name": {pod: pod().OwnedBy("apps.kruise.io/v1alpha1", "StatefulSet", "sts"), written: spare},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			selectors.known.RemoveAll(func(any) bool { return true })
			reads = 0
			for range 2 { // The second time it is remembered.
				got, err := selectors.Loses(t.Context(), tc.pod.Obj(), tc.written)
				if err != nil || got != tc.want {
					t.Errorf("loses %q (%v), want %q", got, err, tc.want)
				}
			}
			if reads != tc.wantReads {
				t.Errorf("%d reads, want %d", reads, tc.wantReads)
			}
		})
	}
}

func renamed(p *wrappers.Pod, uid types.UID) *wrappers.Pod {
	p.OwnerReferences[0].UID = uid
	return p
}

// TestLoses_ForgedOwner checks that a pod which names the owner of others, with another kind or from another namespace,
// does not decide for them.
func TestLoses_ForgedOwner(t *testing.T) {
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"role": "main"}}
	api := fake.NewClientBuilder().WithObjects(&appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "rs", UID: "rs"}, Spec: appsv1.ReplicaSetSpec{Selector: selector},
	}).Build()
	selectors := NewSelectors(api)
	pod := func() *wrappers.Pod { return wrappers.MakePod("a").Label("role", "main") }
	for _, forged := range []*wrappers.Pod{
		pod().OwnedBy("example.com/v1", "ReplicaSet", "rs"), pod().OwnedBy("apps/v1", "StatefulSet", "rs"), pod().Namespace("other").OwnedBy("apps/v1", "ReplicaSet", "rs"),
	} {
		if got, err := selectors.Loses(t.Context(), forged.Obj(), map[string]string{"role": "spare"}); got != "" || err != nil {
			t.Errorf("the forged owner %+v loses a pod: %q, %v", forged.OwnerReferences, got, err)
		}
	}
	got, err := selectors.Loses(t.Context(), pod().OwnedBy("apps/v1", "ReplicaSet", "rs").Obj(), map[string]string{"role": "spare"})
	if got != "ReplicaSet rs" || err != nil {
		t.Errorf("after forged owners the true one is not found: %q, %v", got, err)
	}
}
