package virtualnode

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const zoneJ = "cn-beijing-j"

func TestCapacityOf(t *testing.T) {
	// A 2-4Gi costs 0.504 an hour, a vCPU 0.18.
	prices := map[string]account.Prices{zoneJ: {Currency: "CNY", Rates: ecispec.Rates{CPUSecond: 50_000_000, GiBSecond: 10_000_000}}}
	cases := map[string]struct {
		zone          *wrappers.Zone
		reading       account.Reading
		use           use
		want          map[corev1.ResourceName]string
		wantQuota     string
		wantLimitedBy string
	}{
		"the quota bounds": {
			reading:       account.Reading{Usage: eci.Usage{MaxMilliCPU: 10_000, UsedMilliCPU: 2_500}},
			want:          map[corev1.ResourceName]string{"cpu": "7500m", "memory": "60Gi", "pods": "30", "ephemeral-storage": "1Ei"},
			wantQuota:     "7500m",
			wantLimitedBy: "vCPU quota of cn-beijing: 10, used 2.5",
		},
		"what is our own is not taken off": {
			reading:       account.Reading{Usage: eci.Usage{MaxMilliCPU: 10_000, UsedMilliCPU: 6_000}},
			use:           use{ownMilliCPU: 4_000, nodes: 2},
			want:          map[corev1.ResourceName]string{"cpu": "8", "memory": "64Gi", "pods": "32", "ephemeral-storage": "1Ei"},
			wantQuota:     "8",
			wantLimitedBy: "vCPU quota of cn-beijing: 10, used 6, shared by 2 virtual nodes",
		},
		"never more is our own than is used": {
			reading:       account.Reading{Usage: eci.Usage{MaxMilliCPU: 10_000, UsedMilliCPU: 6_000}},
			use:           use{ownMilliCPU: 8_000},
			want:          map[corev1.ResourceName]string{"cpu": "10", "memory": "80Gi", "pods": "40", "ephemeral-storage": "1Ei"},
			wantQuota:     "10",
			wantLimitedBy: "vCPU quota of cn-beijing: 10, used 6",
		},
		"a limit bounds": {
			zone:          wrappers.MakeZone(zoneJ).Limit("cpu", "4").Limit("memory", "8Gi").Limit("pods", "3").Limit("nvidia.com/gpu", "1"),
			reading:       account.Reading{Usage: eci.Usage{MaxMilliCPU: 10_000}},
			want:          map[corev1.ResourceName]string{"cpu": "4", "memory": "8Gi", "pods": "3", "ephemeral-storage": "1Ei", "nvidia.com/gpu": "1"},
			wantQuota:     "10",
			wantLimitedBy: "spec.limits.cpu: 4",
		},
		"the closest limit is named by what is left of it": {
			zone:          wrappers.MakeZone(zoneJ).Limit("cpu", "4").Limit("pods", "3"),
			reading:       account.Reading{Usage: eci.Usage{MaxMilliCPU: 10_000}},
			use:           use{held: offer.Amount{MilliCPU: 500, Pods: 2}},
			want:          map[corev1.ResourceName]string{"cpu": "4", "memory": "32Gi", "pods": "3", "ephemeral-storage": "1Ei"},
			wantQuota:     "10",
			wantLimitedBy: "spec.limits.pods: 3",
		},
		"a limit above the quota does not": {
			zone:          wrappers.MakeZone(zoneJ).Limit("cpu", "4").Limit("memory", "1Ti").Limit("pods", "1000"),
			reading:       account.Reading{Usage: eci.Usage{MaxMilliCPU: 1_000}},
			want:          map[corev1.ResourceName]string{"cpu": "1", "memory": "8Gi", "pods": "4", "ephemeral-storage": "1Ei"},
			wantQuota:     "1",
			wantLimitedBy: "vCPU quota of cn-beijing: 1, used 0",
		},
		"addresses bound, and those of our own pods are ours": {
			zone: wrappers.MakeZone(zoneJ).VSwitch("vsw-a").VSwitch("vsw-b"),
			reading: account.Reading{Usage: eci.Usage{MaxMilliCPU: 1_000_000}, VSwitches: map[string]eci.VSwitch{
				"vsw-a": {ID: "vsw-a", ZoneID: zoneJ, FreeIPs: 12}, "vsw-b": {ID: "vsw-b", ZoneID: zoneJ},
			}},
			use:           use{ownPods: 5, held: offer.Amount{Pods: 6}},
			want:          map[corev1.ResourceName]string{"cpu": "1k", "memory": "8000Gi", "pods": "17", "ephemeral-storage": "1Ei"},
			wantQuota:     "1k",
			wantLimitedBy: "vSwitches vsw-a, vsw-b, 12 free IPs",
		},
		"money bounds": {
			zone:          wrappers.MakeZone(zoneJ).MaxSpend("1.80"),
			reading:       account.Reading{Usage: eci.Usage{MaxMilliCPU: 1_000_000}, Prices: prices},
			want:          map[corev1.ResourceName]string{"cpu": "10", "memory": "80Gi", "pods": "40", "ephemeral-storage": "1Ei"},
			wantQuota:     "1k",
			wantLimitedBy: "spec.maxSpendPerHour: 1.80 CNY",
		},
		"money bounds by the cheapest vCPU": {
			zone: wrappers.MakeZone(zoneJ).MaxSpend("1.80"),
			reading: account.Reading{Usage: eci.Usage{MaxMilliCPU: 1_000_000}, Prices: map[string]account.Prices{zoneJ: {Currency: "CNY", Rates: ecispec.Rates{
				CPUSecond: 50_000_000, GiBSecond: 10_000_000, InstanceTypes: map[string]ecispec.Pico{"ecs.c6.large": 50_000_000}, // 2 vCPU for 0.18
			}}}},
			want:          map[corev1.ResourceName]string{"cpu": "20", "memory": "160Gi", "pods": "80", "ephemeral-storage": "1Ei"},
			wantQuota:     "1k",
			wantLimitedBy: "spec.maxSpendPerHour: 1.80 CNY",
		},
		"more is used than the quota allows": {
			reading:       account.Reading{Usage: eci.Usage{MaxMilliCPU: 1_000, UsedMilliCPU: 3_000}},
			want:          map[corev1.ResourceName]string{"cpu": "0", "memory": "0", "pods": "0", "ephemeral-storage": "1Ei"},
			wantQuota:     "0",
			wantLimitedBy: "vCPU quota of cn-beijing: 1, used 3",
		},
		"a huge quota does not overflow": {
			reading:       account.Reading{Usage: eci.Usage{MaxMilliCPU: 1_000_000_000}},
			want:          map[corev1.ResourceName]string{"cpu": "1M", "memory": "8000000Gi", "pods": "4M", "ephemeral-storage": "1Ei"},
			wantQuota:     "1M",
			wantLimitedBy: "vCPU quota of cn-beijing: 1000000, used 0",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.zone == nil {
				tc.zone = wrappers.MakeZone(zoneJ)
			}
			found := capacityOf(tc.zone.Obj(), &tc.reading, &tc.use)
			got := map[corev1.ResourceName]string{}
			for resourceName, quantity := range found.resources {
				got[resourceName] = quantity.String()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("capacity (-want +got):\n%s", diff)
			}
			if found.limitedBy != tc.wantLimitedBy || found.quotaCPU.String() != tc.wantQuota {
				t.Errorf("limited by %q, quota %s, want %q, %s", found.limitedBy, found.quotaCPU.String(), tc.wantLimitedBy, tc.wantQuota)
			}
		})
	}
}

func TestTaints(t *testing.T) {
	provider := corev1.Taint{Key: v1alpha1.TaintProvider, Value: v1alpha1.TaintProviderValue, Effect: corev1.TaintEffectNoSchedule}
	unknown := corev1.Taint{Key: v1alpha1.TaintCapacityUnknown, Effect: corev1.TaintEffectNoSchedule}
	draining := corev1.Taint{Key: v1alpha1.TaintDraining, Effect: corev1.TaintEffectNoSchedule}
	notReady := corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}
	cases := map[string]struct {
		current []corev1.Taint
		closed  string
		want    []corev1.Taint
	}{
		"a new node":                   {want: []corev1.Taint{provider}},
		"somebody removed the taint":   {current: []corev1.Taint{notReady}, want: []corev1.Taint{provider, notReady}},
		"closed":                       {current: []corev1.Taint{provider}, closed: v1alpha1.TaintCapacityUnknown, want: []corev1.Taint{provider, unknown}},
		"open again":                   {current: []corev1.Taint{provider, unknown}, want: []corev1.Taint{provider}},
		"from unknown to draining":     {current: []corev1.Taint{provider, unknown}, closed: v1alpha1.TaintDraining, want: []corev1.Taint{provider, draining}},
		"those of others stay as they": {current: []corev1.Taint{notReady, provider}, want: []corev1.Taint{notReady, provider}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, taints(tc.current, tc.closed)); diff != "" {
				t.Errorf("taints (-want +got):\n%s", diff)
			}
		})
	}
}
