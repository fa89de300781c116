package ecispec

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	cases := map[string]Spec{
		// ACK: "Specify the compute specification when creating an ECI pod".
		"2-4Gi":         {MilliCPU: 2000, Memory: 4 * gib},
		"0.5-1Gi":       {MilliCPU: 500, Memory: gib},
		"0.25-0.5Gi":    {MilliCPU: 250, Memory: gib / 2},
		"2.0-4.0Gi":     {MilliCPU: 2000, Memory: 4 * gib},
		"64-512Gi":      {MilliCPU: 64000, Memory: 512 * gib},
		"ecs.c6.large":  {MilliCPU: 2000, Memory: 4 * gib, InstanceType: "ecs.c6.large"},
		"ecs.c6.xlarge": {MilliCPU: 4000, Memory: 8 * gib, InstanceType: "ecs.c6.xlarge"},
		// ECS: "Overview of instance families".
		"ecs.g7ne.8xlarge":        {MilliCPU: 32000, Memory: 128 * gib, InstanceType: "ecs.g7ne.8xlarge"},
		"ecs.r7.2xlarge":          {MilliCPU: 8000, Memory: 64 * gib, InstanceType: "ecs.r7.2xlarge"},
		"ecs.n4.small":            {MilliCPU: 1000, InstanceType: "ecs.n4.small"},
		"ecs.sn2.medium":          {MilliCPU: 1000, InstanceType: "ecs.sn2.medium"},
		"ecs.e-c1m2.large":        {MilliCPU: 2000, InstanceType: "ecs.e-c1m2.large"},
		"ecs.hfc6.large":          {MilliCPU: 2000, InstanceType: "ecs.hfc6.large"},
		"ecs.ebmc6me.16xlarge":    {MilliCPU: 64000, InstanceType: "ecs.ebmc6me.16xlarge"},
		"ecs.gn6i-c4g1.xlarge":    {MilliCPU: 4000, GPUs: 1, InstanceType: "ecs.gn6i-c4g1.xlarge"},
		"ecs.gn5i-c2g1.large":     {MilliCPU: 2000, GPUs: 1, InstanceType: "ecs.gn5i-c2g1.large"},
		"ecs.gn5-c4g1.2xlarge":    {MilliCPU: 8000, GPUs: 2, InstanceType: "ecs.gn5-c4g1.2xlarge"},
		"ecs.gn6v-c8g1.16xlarge":  {MilliCPU: 64000, GPUs: 8, InstanceType: "ecs.gn6v-c8g1.16xlarge"},
		"ecs.gn6i-c24g1.12xlarge": {MilliCPU: 48000, GPUs: 2, InstanceType: "ecs.gn6i-c24g1.12xlarge"},
		"ecs.sgn7i-vws-m2.xlarge": {MilliCPU: 4000, GPUs: 1, InstanceType: "ecs.sgn7i-vws-m2.xlarge"},
		"ecs.ebmgn7e.32xlarge":    {MilliCPU: 128000, GPUs: 1, InstanceType: "ecs.ebmgn7e.32xlarge"},
	}
	for text, want := range cases {
		t.Run(text, func(t *testing.T) {
			got, err := Parse(text)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "2", "2-4", "2-4G", "2-4gi", "-4Gi", "2-Gi", "2--4Gi", " 2-4Gi", "0-4Gi", "2-0Gi", "0.0001-1Gi", "2,5-4Gi", "+2-4Gi", "1e3-4Gi", "2-4GiGi",
		"1000001-1Gi", "99999999999999999999-1Gi", "ecs.", "ecs.c6", "ecs.c6.", "ecs..large", "ecs.c6.huge", "ecs.c6.0xlarge", "ecs.c6.9999xlarge",
		"ecs.C6.large", "ecs.c6-.large", "c6.large", "ecs.c6.large.",
	} {
		spec, err := Parse(text)
		if err == nil {
			t.Errorf("%q is read as %+v", text, spec)
		}
	}
	_, err := Parse("2-4G")
	want := `specification "2-4G" must be <vCPU>-<memory>Gi such as 2-4Gi, or an ECS instance type such as ecs.c6.large`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSpecString(t *testing.T) {
	cases := map[string]Spec{
		"2-4Gi":                             Default(),
		"0.25-0.5Gi":                        {MilliCPU: 250, Memory: gib / 2},
		"0.001-0.001Gi":                     {MilliCPU: 1, Memory: 1},
		"0-0Gi":                             {},
		"ecs.c6.large":                      {MilliCPU: 2000, Memory: 4 * gib, InstanceType: "ecs.c6.large"},
		"9223372036854775.807-8589934592Gi": {MilliCPU: math.MaxInt64, Memory: math.MaxInt64},
	}
	for want, spec := range cases {
		if got := spec.String(); got != want {
			t.Errorf("%+v is %q, want %q", spec, got, want)
		}
	}
}
