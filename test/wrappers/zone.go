package wrappers

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/quantity"
)

// Zone builds a VirtualNode.
type Zone struct{ eciv1alpha1.VirtualNode }

// AccountID is the account that the credentials of a Zone belong to, as those of the simulator.
const AccountID = "1000000000000001"

// MakeZone returns a Managed VirtualNode in a zone of cn-beijing, with the Secret of the samples and a known account.
// Its name and UID are the zone.
func MakeZone(zone string) *Zone {
	z := &Zone{}
	z.Name, z.UID = zone, types.UID(zone)
	z.Spec = eciv1alpha1.VirtualNodeSpec{
		Region: "cn-beijing", Zone: zone, Ownership: eciv1alpha1.OwnershipManaged, Credentials: eciv1alpha1.Credentials{SecretName: "eci-credentials"},
	}
	z.Status.AccountID = AccountID
	return z
}

// Secret sets the Secret with the credentials.
func (z *Zone) Secret(name string) *Zone { z.Spec.Credentials.SecretName = name; return z }

// AccountID sets the account that the credentials belong to by the status; empty: it is not known.
func (z *Zone) AccountID(id string) *Zone { z.Status.AccountID = id; return z }

// Obj returns the VirtualNode.
func (z *Zone) Obj() *eciv1alpha1.VirtualNode { return &z.VirtualNode }

// External makes the Node another virtual-kubelet's.
func (z *Zone) External() *Zone { z.Spec.Ownership = eciv1alpha1.OwnershipExternal; return z }

// Limit adds a limit.
func (z *Zone) Limit(name corev1.ResourceName, amount string) *Zone {
	if z.Spec.Limits == nil {
		z.Spec.Limits = map[corev1.ResourceName]quantity.Quantity{}
	}
	z.Spec.Limits[name] = quantity.MustParse(amount)
	return z
}

// VSwitch adds a vSwitch.
func (z *Zone) VSwitch(id string) *Zone { z.Spec.VSwitches = append(z.Spec.VSwitches, id); return z }

// Allow sets the capabilities that containers may add; none without arguments.
func (z *Zone) Allow(capabilities ...string) *Zone {
	z.Spec.AllowedCapabilities = append([]string{}, capabilities...)
	return z
}

// MaxSpend sets the limit on spending.
func (z *Zone) MaxSpend(perHour string) *Zone {
	limit := quantity.MustParse(perHour)
	z.Spec.MaxSpendPerHour = &limit
	return z
}

// Offers sets the published capacity of a resource.
func (z *Zone) Offers(name corev1.ResourceName, amount string) *Zone {
	if z.Status.Capacity == nil {
		z.Status.Capacity = corev1.ResourceList{}
	}
	z.Status.Capacity[name] = resource.MustParse(amount)
	return z
}

// Quota sets the published quota of the account.
func (z *Zone) Quota(cpu string) *Zone {
	quota := resource.MustParse(cpu)
	z.Status.QuotaCPU = &quota
	return z
}

// Fresh sets when the capacity was read; it is good for a minute.
func (z *Zone) Fresh(at time.Time) *Zone {
	z.Status.LastRefreshTime, z.Status.FreshUntil = &metav1.Time{Time: at}, &metav1.Time{Time: at.Add(time.Minute)}
	return z
}

// Price sets the published prices, an hour, as read together with the capacity: Fresh goes before it.
func (z *Zone) Price(cpu, memory string) *Zone {
	z.Status.Price = &eciv1alpha1.Price{ReadTime: z.Status.LastRefreshTime, Currency: "CNY", CPUPerHour: cpu, MemoryPerHour: memory}
	return z
}
