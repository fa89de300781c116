package quantity

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// mostCPU and most are the largest quantities whose milli-units, or whole units, are an int64.
var (
	mostCPU = *resource.NewMilliQuantity(math.MaxInt64, resource.DecimalSI)
	most    = *resource.NewQuantity(math.MaxInt64, resource.DecimalSI)
)

// Amount is a quantity in milli-units of cpu and whole units of everything else, rounded up. What is too large is the largest number, and what is negative is
// 0: a request can fill a cap, however absurd it is, and never empties one.
func Amount(name corev1.ResourceName, quantity resource.Quantity) int64 {
	if quantity.Sign() < 0 {
		return 0
	}
	switch {
	case name == corev1.ResourceCPU && quantity.Cmp(mostCPU) > 0, quantity.Cmp(most) > 0:
		return math.MaxInt64
	case name == corev1.ResourceCPU:
		return quantity.MilliValue()
	default:
		return quantity.Value()
	}
}
