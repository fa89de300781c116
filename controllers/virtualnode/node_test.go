package virtualnode

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// TestPublish_Labels checks the labels by which pods and PersistentVolumes select the Node, also of a Node that an
// older version has created.
func TestPublish_Labels(t *testing.T) {
	labels := map[string]string{
		"type":                          "virtual-kubelet",
		"eci.spillway.dev/virtual-node": "cn-beijing-j",
		"kubernetes.io/hostname":        nodeJ,
		"kubernetes.io/os":              "linux",
		"kubernetes.io/arch":            "amd64",
		"kubernetes.io/role":            "agent",
		"node.kubernetes.io/exclude-from-external-load-balancers": "true",
		"alpha.service-controller.kubernetes.io/exclude-balancer": "true",

		"topology.kubernetes.io/region":                   "cn-beijing",
		"topology.kubernetes.io/zone":                     "cn-beijing-j",
		"failure-domain.beta.kubernetes.io/region":        "cn-beijing",
		"failure-domain.beta.kubernetes.io/zone":          "cn-beijing-j",
		"topology.diskplugin.csi.alibabacloud.com/region": "cn-beijing",
		"topology.diskplugin.csi.alibabacloud.com/zone":   "cn-beijing-j",
	}
	older := wrappers.MakeVirtualNode(nodeJ).Label(v1alpha1.LabelVirtualNode, "cn-beijing-j").Label("pool", "mine")
	for name, tc := range map[string]struct {
		objects []client.Object
		more    map[string]string
	}{
		"new":   {},
		"older": {objects: []client.Object{older.Obj()}, more: map[string]string{"pool": "mine"}},
	} {
		t.Run(name, func(t *testing.T) {
			vn := wrappers.MakeZone("cn-beijing-j").Obj()
			s := newScene(t, append(tc.objects, vn)...)
			if err := s.ctrl.publish(t.Context(), vn); err != nil {
				t.Fatal(err)
			}
			node := &corev1.Node{}
			if err := s.api.Get(t.Context(), client.ObjectKey{Name: nodeJ}, node); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{}
			for _, all := range []map[string]string{labels, tc.more} {
				for key, value := range all {
					want[key] = value
				}
			}
			if diff := cmp.Diff(want, node.Labels); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
		})
	}
}
