package account

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const nodeJ = "virtual-kubelet-cn-beijing-j"

// typed returns a pod that asks for instance types.
func typed(namespace, name, types string) *wrappers.Pod {
	return wrappers.MakePod(name).Namespace(namespace).Request("cpu", "1m").Annotation(ecispec.AnnotationUseSpecs, types)
}

// invented are pods of a namespace that ask for so many instance types that do not exist, beginning with a number. Each
// type has two pods.
func invented(first, count int) []client.Object {
	var pods []client.Object
	for i := range 2 * count {
		instanceType := fmt.Sprintf("ecs.aa%d.small", first+i/2)
		pods = append(pods, typed("evil", fmt.Sprintf("p-%d-%d", first, i), instanceType).Node(nodeJ).Obj())
	}
	return pods
}

// TestPrices_OfInventedTypes checks that the instance types that one user invents do not keep others' without a price.
func TestPrices_OfInventedTypes(t *testing.T) {
	runs := typed("good", "runs", "ecs.zz1.large").Node(nodeJ).Obj()
	runs.Status.Phase = corev1.PodRunning
	objects := append(invented(0, mostTypes), wrappers.MakeZone("cn-beijing-j").Obj(), runs,
		typed("good", "waits", "ecs.zz2.large").Obj(), typed("good", "waits-too", "ecs.zz3.large").Obj())
	s := newScene(t, objects...)
	reading, calls := s.refresh(0)
	asked := 0
	for _, call := range calls {
		if len(call) > 32 && call[:32] == "DescribeContainerGroupPrice ecs." {
			asked++
		}
	}
	if asked != mostTypes {
		t.Errorf("%d prices are asked for, want %d", asked, mostTypes)
	}
	for _, name := range []string{"ecs.zz1.large", "ecs.zz2.large", "ecs.zz3.large"} {
		if reading.Prices["cn-beijing-j"].Rates.InstanceTypes[name] == 0 {
			t.Errorf("%s has no price", name)
		}
	}
}

// TestPrices_UnpricedTypesComeLast checks that types for which ECI has told no price leave their places to others.
func TestPrices_UnpricedTypesComeLast(t *testing.T) {
	objects := append(invented(0, mostTypes), wrappers.MakeZone("cn-beijing-j").Obj(), typed("evil", "z", "ecs.zz1.large").Obj())
	s := newScene(t, objects...)
	price := "DescribeContainerGroupPrice ecs.zz1.large"
	s.cloud.fail("DescribeContainerGroupPrice ecs.aa0.small", &eci.Error{Class: eci.ClassNotFound})
	if _, calls := s.refresh(0); slices.Contains(calls, price) {
		t.Error("the last of too many types of a namespace is asked for")
	}
	if _, calls := s.refresh(10 * time.Second); !slices.Contains(calls, price) {
		t.Error("a type without a price keeps its place")
	}
}

// TestTypes_CreatedComeFirst checks that instances that cost money are priced before anything that is only asked for,
// and that a list of specifications does not make all of them look as if ECI had created them.
func TestTypes_CreatedComeFirst(t *testing.T) {
	asked := demand{}
	count := func(pod *wrappers.Pod, phase corev1.PodPhase) {
		pod.Status.Phase = phase
		asked.count(pod.Obj(), "cn-beijing")
	}
	count(typed("a", "p", "ecs.c6.large"), corev1.PodPending)
	count(typed("b", "p", "ecs.c7.large").Node(nodeJ), corev1.PodRunning)
	count(typed("c", "p", "0.25-0.5Gi,ecs.c5.large").Node(nodeJ), corev1.PodRunning)
	var got []string
	for _, spec := range asked.types(map[string]bool{"ecs.c5.large": true}) {
		got = append(got, spec.String())
	}
	if want := []string{"ecs.c7.large", "ecs.c6.large", "ecs.c5.large"}; !slices.Equal(got, want) {
		t.Errorf("types %v, want %v", got, want)
	}
}
