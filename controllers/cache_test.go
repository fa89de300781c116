package controllers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	k8sresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/resource"
	"k8s.io/utils/ptr"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func cpu(text string) corev1.ResourceList {
	return corev1.ResourceList{"cpu": k8sresource.MustParse(text)}
}

// fullPod returns a pod with something in every place that counts.
func fullPod() *corev1.Pod {
	pod := wrappers.MakePod("a").Label("app", "web").Node("e-0").Request("cpu", "1").ScheduledAt(5).Recorded("p", "ecs").Gate("x").
		OwnedBy("apps/v1", "ReplicaSet", "rs").Annotation(corev1.LastAppliedConfigAnnotation, "{}").Terminating().Obj()
	pod.ResourceVersion, pod.Generation, pod.Finalizers = "7", 3, []string{"f"}
	pod.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "m"}}
	pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "secret", Value: "x"}}
	pod.Spec.Volumes = []corev1.Volume{{Name: "v"}}
	pod.Spec.InitContainers = []corev1.Container{
		{Name: "sidecar", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways), Resources: corev1.ResourceRequirements{Requests: cpu("2")}},
		{Name: "init", Resources: corev1.ResourceRequirements{Requests: cpu("16")}},
	}
	pod.Spec.Overhead = cpu("250m")
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", AllocatedResources: cpu("4"), ImageID: "i"}}
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "sidecar", Resources: &corev1.ResourceRequirements{Requests: cpu("3")}}}
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady},
		corev1.PodCondition{Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: corev1.PodReasonInfeasible})
	return pod
}

func TestSlimPodKeepsWhatCounts(t *testing.T) {
	pods := map[string]*corev1.Pod{"full": fullPod(), "empty": {}, "pod level": fullPod()}
	pods["pod level"].Spec.Resources = &corev1.ResourceRequirements{Requests: cpu("40")}
	for name, pod := range pods {
		t.Run(name, func(t *testing.T) {
			before := pod.DeepCopy()
			out, err := newSlimmer().pod(pod)
			if err != nil {
				t.Fatal(err)
			}
			slim := out.(*corev1.Pod)
			if diff := cmp.Diff(before, pod); diff != "" {
				t.Errorf("the pod itself changed:\n%s", diff)
			}
			options := resource.PodResourcesOptions{UseStatusResources: true}
			if diff := cmp.Diff(resource.PodRequests(pod, options), resource.PodRequests(slim, options)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			delete(before.Annotations, corev1.LastAppliedConfigAnnotation)
			if diff := cmp.Diff(placement.NewBoundPod(before, nil), placement.NewBoundPod(slim, nil)); diff != "" {
				t.Errorf("what decides where it counts (-want +got):\n%s", diff)
			}
			before.ManagedFields = nil
			if diff := cmp.Diff(before.ObjectMeta, slim.ObjectMeta); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
			if len(slim.Spec.Volumes) > 0 || len(slim.Spec.Containers) > 0 && slim.Spec.Containers[0].Env != nil {
				t.Errorf("kept %+v", slim.Spec)
			}
			twice, _ := newSlimmer().pod(slim)
			if diff := cmp.Diff(slim, twice); diff != "" {
				t.Errorf("the second time:\n%s", diff)
			}
		})
	}
}

func TestSlimNodeKeepsWhatCounts(t *testing.T) {
	node := wrappers.MakeNode("n").Label(eciv1alpha1.LabelVirtualNode, "vn").Taint("a", "b").Capacity("cpu", "4").Obj()
	node.Spec.Unschedulable = true
	node.OwnerReferences = []metav1.OwnerReference{{Kind: "VirtualNode", Name: "vn"}}
	node.Annotations = map[string]string{"large": "text"}
	node.Status.Images = []corev1.ContainerImage{{Names: []string{"i"}}}
	out, err := slimNode(node)
	if err != nil {
		t.Fatal(err)
	}
	want := &corev1.Node{ObjectMeta: *node.ObjectMeta.DeepCopy()}
	want.Annotations, want.Spec.Unschedulable = nil, true
	want.Status.Capacity, want.Status.Allocatable = node.Status.Capacity, node.Status.Allocatable
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("node (-want +got):\n%s", diff)
	}
	if len(node.Annotations) == 0 || len(node.Spec.Taints) == 0 {
		t.Error("the node itself changed")
	}
	for _, other := range []any{"a tombstone", &corev1.Secret{}} {
		pod, _ := newSlimmer().pod(other)
		slim, err := slimNode(other)
		if err != nil || pod != other || slim != other {
			t.Errorf("%T became %T and %T", other, pod, slim)
		}
	}
}

func TestSlimPodKeepsWhatAResizeGives(t *testing.T) {
	given := func(allocated, actual string) *corev1.Pod {
		pod := wrappers.MakePod("a").Node("e-0").Request("cpu", "2").Obj()
		status := corev1.ContainerStatus{Name: "main"}
		if allocated != "" {
			status.AllocatedResources = cpu(allocated)
		}
		if actual != "" {
			status.Resources = &corev1.ResourceRequirements{Requests: cpu(actual)}
		}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{status}
		return pod
	}
	refused := given("2", "2")
	refused.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: corev1.PodReasonInfeasible}}
	unknown := given("2", "2")
	unknown.Status.ContainerStatuses[0].Name = "of another"
	cases := map[string]struct {
		pod  *corev1.Pod
		kept int
	}{
		"what it asks for":            {pod: given("2", "2")},
		"written in another way":      {pod: given("2000m", "2")},
		"only half is said":           {pod: given("2", "")},
		"allocated less":              {pod: given("1", "2"), kept: 1},
		"has more still":              {pod: given("2", "4"), kept: 1},
		"a resize is refused":         {pod: refused, kept: 1},
		"a container that is unknown": {pod: unknown, kept: 1},
	}
	options := resource.PodResourcesOptions{UseStatusResources: true}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := newSlimmer().pod(tc.pod)
			if err != nil {
				t.Fatal(err)
			}
			slim := out.(*corev1.Pod)
			if len(slim.Status.ContainerStatuses) != tc.kept {
				t.Errorf("kept %v", slim.Status.ContainerStatuses)
			}
			if diff := cmp.Diff(resource.PodRequests(tc.pod, options), resource.PodRequests(slim, options)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSlimPodKeepsTolerationsOfVirtualNodes(t *testing.T) {
	out, err := newSlimmer().pod(wrappers.MakePod("a").Tolerate(corev1.TaintNodeNotReady).Tolerate(eciv1alpha1.TaintProvider).Tolerate("").Obj())
	if err != nil {
		t.Fatal(err)
	}
	want := []corev1.Toleration{{Key: eciv1alpha1.TaintProvider, Operator: corev1.TolerationOpExists}, {Operator: corev1.TolerationOpExists}}
	if diff := cmp.Diff(want, out.(*corev1.Pod).Spec.Tolerations); diff != "" {
		t.Errorf("tolerations (-want +got):\n%s", diff)
	}
}

func TestSlimPodKeepsLimits(t *testing.T) {
	pod := wrappers.MakePod("a").Request("cpu", "1").Obj()
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"cpu": k8sresource.MustParse("4"), "memory": k8sresource.MustParse("1Gi")}
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "same", Resources: corev1.ResourceRequirements{Requests: cpu("1"), Limits: cpu("1")}})
	out, err := newSlimmer().pod(pod)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range out.(*corev1.Pod).Spec.Containers {
		if diff := cmp.Diff(pod.Spec.Containers[i].Resources, c.Resources); diff != "" {
			t.Errorf("resources of container %d (-want +got):\n%s", i, diff)
		}
	}
}
