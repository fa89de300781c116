package resourcepolicy

import (
	"testing"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// TestNewBinding_Labels checks that the Binding notes which labels of the pod it replaces, and no others, whatever note
// the pod brings.
func TestNewBinding_Labels(t *testing.T) {
	nodes := []*wrappers.Node{machine("a1", "a")}
	policy := wrappers.MakePolicy("p").Selector("app", "web").Unit(wrappers.ECS().PodLabel("tier", "gold").PodLabel("role", "spill"))
	for name, tc := range map[string]struct {
		pod  *wrappers.Pod
		note string
		want bool
	}{
		"nothing to replace":     {pod: webPod("new")},
		"a value to replace":     {pod: webPod("new").Label("tier", "silver"), note: "tier=silver", want: true},
		"a note of another pod":  {pod: webPod("new").Annotation(v1alpha1.AnnotationPodLabels, "role,tier"), want: true},
		"both":                   {pod: webPod("new").Label("role", "x").Annotation(v1alpha1.AnnotationPodLabels, "role,tier"), note: "role=x", want: true},
		"the value of the label": {pod: webPod("new").Label("tier", "gold")},
	} {
		t.Run(name, func(t *testing.T) {
			pl, _ := newTestPlugin(t, nodes, policy)
			state, _, _ := preFilter(t, pl, tc.pod, infos(t, nodes))
			if note, noted := newBinding(stateOf(state), tc.pod.Obj(), "a1").Annotations[v1alpha1.AnnotationPodLabels]; note != tc.note || noted != tc.want {
				t.Errorf("note %q (%v), want %q (%v)", note, noted, tc.note, tc.want)
			}
		})
	}
}
