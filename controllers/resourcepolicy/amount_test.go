package resourcepolicy

import (
	"math"
	"regexp"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// crdPattern is the pattern that the CRD has for quantities.
var crdPattern = regexp.MustCompile(`^[+-]?([0-9]{1,15}([.][0-9]{0,3})?|[.][0-9]{1,3})([KMGTPE]i|[mkMGTPE]|[eE][0-9])?$`)

func TestAmounts(t *testing.T) {
	cases := map[string]struct {
		name  corev1.ResourceName
		limit string
		value int64
		want  string
	}{
		"cpu in thousandths":                {name: "cpu", limit: "10", value: 1500, want: "1500m"},
		"whole cpu":                         {name: "cpu", limit: "10", value: 4000, want: "4"},
		"cpu has no binary notation":        {name: "cpu", limit: "1Ki", value: 1024_000, want: "1024"},
		"memory in the cap's notation":      {name: "memory", limit: "20Gi", value: 3 << 29, want: "1536Mi"},
		"memory in decimals":                {name: "memory", limit: "20G", value: 1_500_000_000, want: "1500M"},
		"devices":                           {name: "nvidia.com/gpu", limit: "8", value: 3, want: "3"},
		"a cap with an exponent":            {name: "memory", limit: "1e9", value: 100_000_000_000_000_000, want: "100P"},
		"nothing":                           {name: "memory", limit: "20Gi", value: 0, want: "0"},
		"the largest number of bytes":       {name: "memory", limit: "20Gi", value: math.MaxInt64, want: "8589934591Gi"},
		"the largest number in decimals":    {name: "memory", limit: "20G", value: math.MaxInt64, want: "9223372036G"},
		"the largest number of thousandths": {name: "cpu", limit: "1", value: math.MaxInt64, want: "9223372036M"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			write := newAmounts([]corev1.ResourceName{tc.name}, []v1alpha1.Unit{{}, wrappers.ECS().MaxResource(tc.name, tc.limit).Unit})
			got := write.list([]int64{tc.value})[tc.name]
			if got.String() != tc.want || !crdPattern.MatchString(got.String()) {
				t.Errorf("written as %q, want %q, by the schema of the CRD", got.String(), tc.want)
			}
		})
	}
}
