package resourcepolicy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestFleetKnowsTheNodesOfASet(t *testing.T) {
	units := placement.Compile(wrappers.MakePolicy("p").Unit(wrappers.ECS().On("paid", "month")).Unit(wrappers.ECS()).Unit(wrappers.ECI()).Obj()).Units
	f := newFleet([]corev1.Node{
		*wrappers.MakeNode("m").Label("paid", "month").Capacity("cpu", "8").Capacity("nvidia.com/gpu", "0").Obj(),
		*wrappers.MakeNode("bare").Capacity("nvidia.com/gpu", "1").Obj(), *wrappers.MakeVirtualNode("v").Capacity("cpu", "100").Obj(),
	})
	want := []unitNodes{
		{number: 1, resources: map[corev1.ResourceName]bool{"pods": true, "cpu": true}},
		{number: 2, resources: map[corev1.ResourceName]bool{"pods": true, "cpu": true, "nvidia.com/gpu": true}},
		{number: 1, resources: map[corev1.ResourceName]bool{"pods": true, "cpu": true}},
	}
	for range 2 { // The second time from memory.
		for i := range units {
			if diff := cmp.Diff(want[i], f.in(&units[i].Nodes), cmp.AllowUnexported(unitNodes{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", units[i].Nodes.Key, diff)
			}
		}
	}
	if got, exists := f.labels["bare"]; got == nil || !exists || f.labels["gone"] != nil {
		t.Errorf("labels of a node without any %v, of one that is gone %v", got, f.labels["gone"])
	}
}

func TestFleetIsListedOnceForEachChange(t *testing.T) {
	var f fleets
	lists, during := 0, func() {}
	get := func() *fleet {
		t.Helper()
		got, err := f.get(func() ([]corev1.Node, error) {
			lists++
			during()
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if first := get(); first != get() || lists != 1 {
		t.Fatalf("%d lists although nothing changed", lists)
	}
	f.forget()
	// What changes while the nodes are listed may be missing in the list.
	during = f.forget
	get()
	during = func() {}
	if get(); lists != 3 {
		t.Errorf("%d lists, want another one after a change during the last", lists)
	}
	if get(); lists != 3 {
		t.Errorf("%d lists although nothing changed", lists)
	}
}
