package placement

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestVector(t *testing.T) {
	policy := Compile(wrappers.MakePolicy("p").
		Unit(wrappers.ECS().MaxResource("memory", "1Gi")).
		Unit(wrappers.ECI().MaxResource("cpu", "1").MaxResource("nvidia.com/gpu", "1")).Obj())
	got := policy.Vector(corev1.ResourceList{
		"cpu": resource.MustParse("1500m"), "memory": resource.MustParse("2Gi"), "ephemeral-storage": resource.MustParse("1Ti"),
	})
	// cpu, memory, nvidia.com/gpu
	if diff := cmp.Diff([]int64{1500, 2 << 30, 0}, got); diff != "" {
		t.Errorf("vector (-want +got):\n%s", diff)
	}
	if got := Compile(wrappers.MakePolicy("p").Unit(wrappers.ECS().Max(1)).Obj()).Vector(corev1.ResourceList{"cpu": resource.MustParse("1")}); got != nil {
		t.Errorf("vector = %v, want none: the policy caps no resource", got)
	}
}

func TestUsageSums(t *testing.T) {
	one := Usage{}.Add([]int64{1, 2})
	two := one.Add([]int64{10, 20})
	if diff := cmp.Diff(Usage{Pods: 2, Requests: []int64{11, 22}}, two); diff != "" {
		t.Errorf("add (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Usage{Pods: 1, Requests: []int64{1, 2}}, one); diff != "" {
		t.Errorf("add changed its operand (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Usage{Pods: 2, Requests: []int64{1, 2}}, one.Add(nil)); diff != "" {
		t.Errorf("add of a pod that was counted before the policy tracked resources (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Usage{Pods: 3, Requests: []int64{12, 24}}, one.Merge(two)); diff != "" {
		t.Errorf("merge (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(one, two.Minus(Usage{Pods: 1, Requests: []int64{10, 20}})); diff != "" {
		t.Errorf("minus (-want +got):\n%s", diff)
	}
}

func TestAnAbsurdRequestFillsACap(t *testing.T) {
	policy := Compile(wrappers.MakePolicy("p").Unit(wrappers.ECS().MaxResource("cpu", "4")).Obj())
	absurd := policy.Vector(corev1.ResourceList{"cpu": resource.MustParse("9223372036854776")})
	if got := policy.Decide(absurd, &fixedView{usage: make([]Usage, 1), room: []Room{RoomYes}}, begin); got.Unit != -1 {
		t.Error("a request of 9e15 cpu is let into a unit of 4")
	}
	view := &fixedView{usage: []Usage{Usage{}.Add(absurd)}, room: []Room{RoomYes}}
	if got := policy.Decide(policy.Vector(corev1.ResourceList{"cpu": resource.MustParse("1")}), view, begin); got.Unit != -1 {
		t.Error("a pod is let in beside one of 9e15 cpu")
	}
}

// FuzzPlus checks that a sum of requests never becomes smaller by an addition, whatever a pod asks for.
func FuzzPlus(f *testing.F) {
	f.Add(int64(0), int64(0))
	f.Add(int64(math.MaxInt64), int64(1))
	f.Add(int64(math.MaxInt64-1), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, a, b int64) {
		a, b = max(a, 0), max(b, 0)
		if sum := Plus(a, b); sum < a || sum < b || sum != Plus(b, a) {
			t.Errorf("Plus(%d, %d) = %d", a, b, sum)
		}
	})
}
