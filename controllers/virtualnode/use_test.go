package virtualnode

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// TestUseOf checks what of the used quota is taken for our own: never what the scheduler does not subtract again.
func TestUseOf(t *testing.T) {
	const nodeK = "virtual-kubelet-cn-beijing-k"
	nodes := []client.Object{wrappers.MakeVirtualNode(nodeJ).Obj(), wrappers.MakeVirtualNode(nodeK).Obj()}
	named := func(z *wrappers.Zone, name string) *wrappers.Zone { z.Name, z.UID = name, "uid-"+z.UID; return z }
	cases := map[string]struct {
		objects  []client.Object
		groups   []string
		wantOwn  int64
		wantPods int64
	}{
		"on both nodes of the account": {
			objects: append(nodes, wrappers.MakeZone("cn-beijing-k").Obj(), running("a", nodeJ, "eci-a"), running("b", nodeK, "eci-b")), groups: []string{"a", "b"}, wantOwn: 4000, wantPods: 1,
		},
		"without an instance by ECI's word": {objects: append(nodes, running("a", nodeJ, "eci-a"))},
		"an instance that two pods claim": {
			objects: append(nodes, running("a", nodeJ, "eci-a"), func() client.Object { p := running("b", nodeJ, "eci-a"); return p }()), groups: []string{"a"}, wantOwn: 2000, wantPods: 1,
		},
		"of a pod that is going": {
			objects: append(nodes, func() client.Object {
				p := running("a", nodeJ, "eci-a")
				p.DeletionTimestamp, p.Finalizers = &metav1.Time{Time: in(0)}, []string{"x/y"}
				return p
			}()), groups: []string{"a"},
		},
		"on a Node that does not exist": {
			objects: []client.Object{wrappers.MakeVirtualNode(nodeJ).Obj(), wrappers.MakeZone("cn-beijing-k").Obj(), running("b", nodeK, "eci-b")}, groups: []string{"b"},
		},
		"on a node that two VirtualNodes name": {
			objects: append(nodes, wrappers.MakeZone("cn-beijing-k").Obj(), named(wrappers.MakeZone("cn-beijing-k"), "other").Obj(), running("b", nodeK, "eci-b")),
			groups:  []string{"b"}, wantOwn: 2000,
		},
		"on a Node that is another's": {
			objects: append(nodes, func() client.Object {
				z := wrappers.MakeZone("cn-beijing-k")
				z.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonNodeNameTaken}}
				return z.Obj()
			}(), running("b", nodeK, "eci-b")), groups: []string{"b"},
		},
		"of another account": {
			objects: append(nodes, wrappers.MakeZone("cn-beijing-k").Secret("other").AccountID("2").Obj(), running("b", nodeK, "eci-b")), groups: []string{"b"},
		},
		"of the same account by another Secret": {
			objects: append(nodes, wrappers.MakeZone("cn-beijing-k").Secret("other").Obj(), running("b", nodeK, "eci-b")), groups: []string{"b"}, wantOwn: 2000,
		},
		"of an account that is not known, and in which ECI has it": {
			objects: append(nodes, wrappers.MakeZone("cn-beijing-k").Secret("other").AccountID("").Obj(), running("a", nodeK, "eci-a"), running("b", nodeK, "eci-b")),
			groups:  []string{"b"}, wantOwn: 2000,
		},
		"of an account of another region that is not known": {
			objects: append(nodes, func() client.Object {
				z := wrappers.MakeZone("cn-beijing-k").AccountID("")
				z.Spec.Region = "cn-hangzhou"
				return z.Obj()
			}(), running("b", nodeK, "eci-b")), groups: []string{"b"},
		},
		"of a specification that is said to be larger than what was asked for": {
			objects: append(nodes, func() client.Object {
				p := running("a", nodeJ, "eci-a")
				p.Annotations[ecispec.AnnotationInstanceSpec] = "64-512Gi"
				return p
			}()), groups: []string{"a"}, wantOwn: 2000, wantPods: 1,
		},
		"of a specification that is said to be smaller": {
			objects: append(nodes, func() client.Object {
				p := running("a", nodeJ, "eci-a")
				p.Annotations[ecispec.AnnotationInstanceSpec] = "0.25-0.5Gi"
				return p
			}()), groups: []string{"a"}, wantOwn: 250, wantPods: 1,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			vn := wrappers.MakeZone(zoneJ).Obj()
			s := newScene(t, append(tc.objects, vn)...)
			u, err := s.ctrl.useOf(t.Context(), vn, live(s.pods()), groups(tc.groups...))
			if err != nil {
				t.Fatal(err)
			}
			if u.ownMilliCPU != tc.wantOwn || u.ownPods != tc.wantPods {
				t.Errorf("own: %d thousandths, %d pods; want %d, %d", u.ownMilliCPU, u.ownPods, tc.wantOwn, tc.wantPods)
			}
		})
	}
}
