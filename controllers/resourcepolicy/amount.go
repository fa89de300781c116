package resourcepolicy

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/spillway-k8s/spillway/apis/quantity"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

const (
	// mostDigits is the largest number that the schema of a quantity lets through without a suffix.
	mostDigits = 999_999_999_999_999
	// coarseDecimal and coarseBinary are what larger numbers are rounded down to, so that they are written with a suffix.
	coarseDecimal = 1_000_000_000
	coarseBinary  = 1 << 30
)

// amounts writes the amounts of placement as quantities, each resource in the notation of the first unit that caps it.
type amounts struct {
	names   []corev1.ResourceName
	formats []resource.Format
}

func newAmounts(tracked []corev1.ResourceName, units []v1alpha1.Unit) amounts {
	a := amounts{names: tracked}
	for _, name := range tracked {
		format := resource.DecimalSI
		for i := range units {
			if limit, ok := units[i].MaxResources[name]; ok {
				format = limit.Format
				break
			}
		}
		a.formats = append(a.formats, format)
	}
	return a
}

// list returns the values by resource, without those that are placement.NoCap. It returns nil when there are none.
func (a *amounts) list(values []int64) map[corev1.ResourceName]quantity.Quantity {
	var out map[corev1.ResourceName]quantity.Quantity
	for i, value := range values {
		if value == placement.NoCap {
			continue
		}
		if out == nil {
			out = map[corev1.ResourceName]quantity.Quantity{}
		}
		out[a.names[i]] = a.quantity(i, value)
	}
	return out
}

// quantity returns a value of the i-th resource as a quantity.
func (a *amounts) quantity(i int, value int64) quantity.Quantity {
	binary := a.formats[i] == resource.BinarySI && a.names[i] != corev1.ResourceCPU
	if value > mostDigits {
		coarse := int64(coarseDecimal)
		if binary {
			coarse = coarseBinary
		}
		value -= value % coarse
	}
	switch {
	case a.names[i] == corev1.ResourceCPU:
		return quantity.Quantity{Quantity: *resource.NewMilliQuantity(value, resource.DecimalSI)}
	case binary:
		return quantity.Quantity{Quantity: *resource.NewQuantity(value, resource.BinarySI)}
	default:
		return quantity.Quantity{Quantity: *resource.NewQuantity(value, resource.DecimalSI)}
	}
}
