package quantity

import (
	"math"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestAmount(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1n": 1, "9223372036854775808m": math.MaxInt64, "9E": math.MaxInt64, "1500m": 1500, "-1": 0, "9223372036854775.807": math.MaxInt64, "9223372036854776": math.MaxInt64, "1e16": math.MaxInt64, "1E": math.MaxInt64,
	} {
		if got := Amount("cpu", resource.MustParse(text)); got != want {
			t.Errorf("cpu %s: %d, want %d", text, got, want)
		}
	}
	for text, want := range map[string]int64{"1500m": 2, "-1Gi": 0, "1e30": math.MaxInt64, "20Gi": 20 << 30} {
		if got := Amount("memory", resource.MustParse(text)); got != want {
			t.Errorf("memory %s: %d, want %d", text, got, want)
		}
	}
}

// FuzzAmount checks that an amount grows with its quantity, and is never negative.
func FuzzAmount(f *testing.F) {
	f.Add(int64(1), int64(math.MaxInt64))
	f.Add(int64(math.MaxInt64/1000), int64(math.MaxInt64/1000+1))
	f.Fuzz(func(t *testing.T, a, b int64) {
		for _, name := range []corev1.ResourceName{"cpu", "memory"} {
			smaller, larger := Amount(name, *resource.NewQuantity(min(a, b), resource.DecimalSI)), Amount(name, *resource.NewQuantity(max(a, b), resource.DecimalSI))
			if smaller < 0 || smaller > larger {
				t.Errorf("%s: %d is %d, but %d is %d", name, min(a, b), smaller, max(a, b), larger)
			}
		}
	})
}
