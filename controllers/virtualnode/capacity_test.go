package virtualnode

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/quantity"
	"github.com/spillway-k8s/spillway/pkg/eci"
)

func TestCapacityOf(t *testing.T) {
	cases := map[string]struct {
		usage         eci.Usage
		limits        map[corev1.ResourceName]string
		want          map[corev1.ResourceName]string
		wantLimitedBy string
	}{
		"the quota bounds": {
			usage:         eci.Usage{MaxMilliCPU: 10_000, UsedMilliCPU: 2_500},
			want:          map[corev1.ResourceName]string{"cpu": "7500m", "memory": "60Gi", "pods": "30", "ephemeral-storage": "900Gi"},
			wantLimitedBy: "vCPU quota of cn-beijing: 10, used 2.5",
		},
		"a limit bounds": {
			usage:         eci.Usage{MaxMilliCPU: 10_000},
			limits:        map[corev1.ResourceName]string{"cpu": "4", "memory": "8Gi", "pods": "3"},
			want:          map[corev1.ResourceName]string{"cpu": "4", "memory": "8Gi", "pods": "3", "ephemeral-storage": "90Gi"},
			wantLimitedBy: "spec.limits.cpu: 4",
		},
		"a limit above the quota does not": {
			usage:         eci.Usage{MaxMilliCPU: 1_000},
			limits:        map[corev1.ResourceName]string{"cpu": "4", "memory": "1Ti", "pods": "1000"},
			want:          map[corev1.ResourceName]string{"cpu": "1", "memory": "8Gi", "pods": "4", "ephemeral-storage": "120Gi"},
			wantLimitedBy: "vCPU quota of cn-beijing: 1, used 0",
		},
		"more is used than the quota allows": {
			usage:         eci.Usage{MaxMilliCPU: 1_000, UsedMilliCPU: 3_000},
			want:          map[corev1.ResourceName]string{"cpu": "0", "memory": "0", "pods": "0", "ephemeral-storage": "0"},
			wantLimitedBy: "vCPU quota of cn-beijing: 1, used 3",
		},
		"a huge quota does not overflow": {
			usage: eci.Usage{MaxMilliCPU: 1_000_000_000},
			want: map[corev1.ResourceName]string{
				"cpu": "1M", "memory": "8000000Gi", "pods": "4M", "ephemeral-storage": "120000000Gi",
			},
			wantLimitedBy: "vCPU quota of cn-beijing: 1000000, used 0",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			vn := &v1alpha1.VirtualNode{Spec: v1alpha1.VirtualNodeSpec{Region: "cn-beijing", Limits: map[corev1.ResourceName]quantity.Quantity{}}}
			for resourceName, limit := range tc.limits {
				vn.Spec.Limits[resourceName] = quantity.MustParse(limit)
			}
			capacity, limitedBy := capacityOf(vn, tc.usage, share{milliCPU: max(tc.usage.MaxMilliCPU-tc.usage.UsedMilliCPU, 0), nodes: 1})
			got := map[corev1.ResourceName]string{}
			for resourceName, quantity := range capacity {
				got[resourceName] = quantity.String()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("capacity (-want +got):\n%s", diff)
			}
			if limitedBy != tc.wantLimitedBy {
				t.Errorf("limited by %q, want %q", limitedBy, tc.wantLimitedBy)
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
