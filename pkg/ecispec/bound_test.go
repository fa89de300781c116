package ecispec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// TestBound has what users can write on a bound pod: it never makes the pod count for less than it was billed at its binding, nor for more than it could be.
func TestBound(t *testing.T) {
	const record = v1alpha1.AnnotationECISpecs
	small := func() *wrappers.Pod { return pod(container("cpu=1m memory=1Mi", "cpu=64 memory=128Gi")) }
	cases := map[string]struct {
		pod  *wrappers.Pod
		want string
	}{
		"without annotations":                       {pod: small(), want: "64-128Gi"},
		"without resources":                         {pod: pod(), want: "2-4Gi"},
		"use-specs that cannot be read":             {pod: small().Annotation(AnnotationUseSpecs, "x"), want: "64-128Gi"},
		"use-specs that are tiny, without a record": {pod: small().Annotation(AnnotationUseSpecs, "0.25-0.5Gi"), want: "0.25-0.5Gi,64-128Gi"},
		"use-specs that were recorded":              {pod: small().Annotation(AnnotationUseSpecs, "2-4Gi,4-8Gi").Annotation(record, "2-4Gi,4-8Gi"), want: "2-4Gi,4-8Gi"},
		"use-specs that were replaced": {
			pod: small().Annotation(AnnotationUseSpecs, "0.25-0.5Gi").Annotation(record, "64-256Gi"), want: "0.25-0.5Gi,64-128Gi,64-256Gi",
		},
		"use-specs that became unreadable": {
			pod: pod(container("cpu=1m", "")).Annotation(AnnotationUseSpecs, "x").Annotation(record, "4-8Gi"), want: "0.25-0.5Gi,4-8Gi",
		},
		"use-specs that were removed": {pod: pod(container("cpu=1m", "")).Annotation(record, "4-8Gi"), want: "0.25-0.5Gi,4-8Gi"},
		"a record of one of several": {
			pod: pod(container("cpu=1m memory=1Mi", "")).Annotation(AnnotationUseSpecs, "64-128Gi,1-2Gi").Annotation(record, "1-2Gi"), want: "64-128Gi,1-2Gi",
		},
		"a record of the resources beside larger use-specs": {
			pod: pod(container("cpu=1 memory=2Gi", "")).Annotation(AnnotationUseSpecs, "64-128Gi").Annotation(record, "1-2Gi"), want: "64-128Gi",
		},
		"a record with too much memory":         {pod: pod(container("cpu=1m", "")).Annotation(record, "1-999999Gi"), want: "0.25-0.5Gi"},
		"an instance type that nobody sells":    {pod: pod(container("cpu=1m", "")).Annotation(AnnotationUseSpecs, "ecs.c6.999xlarge"), want: "0.25-0.5Gi"},
		"a record of less than is asked for":    {pod: small().Annotation(record, "0.25-0.5Gi"), want: "64-128Gi"},
		"a record that cannot be read":          {pod: small().Annotation(record, "x"), want: "64-128Gi"},
		"a record of more than ECI sells":       {pod: pod(container("cpu=1m", "")).Annotation(record, "1000000-1000000Gi"), want: "0.25-0.5Gi"},
		"a record with too many specifications": {pod: small().Annotation(record, strings.Repeat("2-4Gi,", 9)+"2-4Gi"), want: "64-128Gi"},
		"more than ECI sells":                   {pod: pod(container("cpu=1000", "")), want: "64-512Gi"},
		"GPUs without use-specs":                {pod: pod(container("", "cpu=4 nvidia.com/gpu=1")), want: "4-2Gi"},
		"a forged instance size":                {pod: pod(container("cpu=1m", "")).Annotation(AnnotationInstanceSpec, "64-512Gi"), want: "0.25-0.5Gi"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, names(boundBill(tc.pod.Node("n").Obj()))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func boundBill(pod *corev1.Pod) Bill {
	bill, _ := Bound(pod, region)
	return bill
}

func TestBill_Taken(t *testing.T) {
	cases := map[string]struct {
		bill, instance string
		want           bool
	}{
		"nothing is written":             {bill: "2-4Gi"},
		"what was asked for":             {bill: "2-4Gi", instance: "2-4Gi", want: true},
		"one of several":                 {bill: "2-4Gi,ecs.c6.large", instance: "ecs.c6.large", want: true},
		"the next memory":                {bill: "2-4Gi", instance: "2-6Gi", want: true},
		"the next memory of all regions": {bill: "2-4Gi", instance: "2-8Gi", want: true},
		"the next vCPUs":                 {bill: "2-4Gi", instance: "4-4Gi", want: true},
		"two steps more":                 {bill: "2-4Gi", instance: "2-16Gi"},
		"the largest":                    {bill: "0.25-0.5Gi", instance: "64-512Gi"},
		"what ECI does not sell":         {bill: "0.25-0.5Gi", instance: "1000000-1000000Gi"},
		"less":                           {bill: "2-4Gi", instance: "1-2Gi"},
		"another instance type":          {bill: "ecs.c6.large", instance: "ecs.c6.26xlarge"},
		"what cannot be read":            {bill: "2-4Gi", instance: "?"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var bill Bill
			for text := range strings.SplitSeq(tc.bill, ",") {
				spec, err := Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				bill.Specs = append(bill.Specs, spec)
			}
			p := pod().Node("n")
			if tc.instance != "" {
				p.Annotation(AnnotationInstanceSpec, tc.instance)
			}
			if got, ok := bill.Taken(p.Obj(), region); ok != tc.want {
				t.Errorf("taken: %v (%s), want %v", ok, got, tc.want)
			}
		})
	}
}

func TestRestriction(t *testing.T) {
	cases := map[string]struct {
		annotations map[string]string
		want        string
	}{
		"none":                         {},
		"not ECI's":                    {annotations: map[string]string{"vswitch": "v"}},
		"no spot":                      {annotations: map[string]string{"k8s.aliyun.com/eci-spot-strategy": "NoSpot"}},
		"spot":                         {annotations: map[string]string{"k8s.aliyun.com/eci-spot-strategy": "SpotAsPriceGo"}, want: " (choosy)"},
		"a vSwitch":                    {annotations: map[string]string{"k8s.aliyun.com/eci-vswitch": "vsw-1"}, want: " (choosy, vswitch=vsw-1)"},
		"a vSwitch and spot":           {annotations: map[string]string{"k8s.aliyun.com/eci-vswitch": "vsw-1", "k8s.aliyun.com/eci-spot-strategy": "SpotAsPriceGo"}, want: " (choosy, spot-strategy=SpotAsPriceGo,vswitch=vsw-1)"},
		"spot within a price":          {annotations: map[string]string{"k8s.aliyun.com/eci-spot-strategy": "SpotWithPriceLimit", "k8s.aliyun.com/eci-spot-price-limit": "0.001"}, want: " (choosy, spot-price-limit=0.001,spot-strategy=SpotWithPriceLimit)"},
		"a spot strategy of no kind":   {annotations: map[string]string{"k8s.aliyun.com/eci-spot-strategy": "Nonsense"}, want: " (choosy, spot-strategy=Nonsense)"},
		"a family":                     {annotations: map[string]string{"k8s.aliyun.com/eci-instance-family": "ecs.nonsense"}, want: " (choosy, instance-family=ecs.nonsense)"},
		"a generation":                 {annotations: map[string]string{"k8s.aliyun.com/eci-instance-generation": "v9"}, want: " (choosy, instance-generation=v9)"},
		"a compute category":           {annotations: map[string]string{"k8s.aliyun.com/eci-compute-category": "economy"}, want: " (choosy, compute-category=economy)"},
		"a private pool or none":       {annotations: map[string]string{"k8s.aliyun.com/eci-privatepool-matchcriteria": "Target"}, want: " (choosy, privatepool-matchcriteria=Target)"},
		"an address":                   {annotations: map[string]string{"k8s.aliyun.com/eci-with-eip": "true"}, want: " (choosy, with-eip=true)"},
		"two things":                   {annotations: map[string]string{"k8s.aliyun.com/eci-vswitch": "v", "k8s.aliyun.com/eci-security-group": "s"}, want: " (choosy, security-group=s,vswitch=v)"},
		"a value that looks like two":  {annotations: map[string]string{"k8s.aliyun.com/eci-vswitch": "v,with-eip=true"}, want: " (choosy, 514d50e36739a320)"},
		"a value that is no plain one": {annotations: map[string]string{"k8s.aliyun.com/eci-vswitch": "a) b"}, want: " (choosy, 0c0bf0c665a1a620)"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := pod()
			for key, value := range tc.annotations {
				p.Annotation(key, value)
			}
			got := Restriction(p.Obj())
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
			if plain, restriction := Unrestricted("2-4Gi" + got); plain != "2-4Gi" || restriction != got {
				t.Errorf("parts: %q and %q", plain, restriction)
			}
		})
	}
}

func TestCreatedRestrictions(t *testing.T) {
	const plain, group, vSwitch = "", " (choosy, security-group=sg-1)", " (choosy, vswitch=vsw-1)"
	both := " (choosy, security-group=sg-1,vswitch=vsw-1)"
	cases := map[string]struct {
		annotations map[string]string
		vSwitches   []string
		want        []string
	}{
		"nothing is written back": {want: []string{plain}},
		"a security group":        {annotations: map[string]string{"security-group": "sg-1"}, want: []string{plain, group}},
		"the vSwitch and group of the VirtualNode": {
			annotations: map[string]string{"security-group": "sg-1", "vswitch": "vsw-1"}, vSwitches: []string{"vsw-1", "vsw-2"},
			want: []string{plain, group, both, vSwitch},
		},
		"a vSwitch where the VirtualNode names none": {annotations: map[string]string{"vswitch": "vsw-1"}, want: []string{plain, vSwitch}},
		"somebody's own vSwitch": {
			annotations: map[string]string{"security-group": "sg-1", "vswitch": "vsw-1"}, vSwitches: []string{"vsw-2"}, want: []string{both, vSwitch},
		},
		"a vSwitch beside somebody's own": {
			annotations: map[string]string{"vswitch": "vsw-1,vsw-2"}, vSwitches: []string{"vsw-1"}, want: []string{" (choosy, vswitch=vsw-1,vsw-2)"},
		},
		"spot": {annotations: map[string]string{"spot-strategy": "SpotAsPriceGo"}, want: []string{" (choosy)"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := pod()
			for key, value := range tc.annotations {
				p.Annotation(annotationPrefix+key, value)
			}
			if diff := cmp.Diff(tc.want, CreatedRestrictions(p.Obj(), tc.vSwitches)); diff != "" {
				t.Errorf("restrictions (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzBound checks that nothing that can be written on a bound pod makes it count for less than its resources, or for more vCPUs than ECI sells.
func FuzzBound(f *testing.F) {
	f.Add("2-4Gi,4-8Gi", "2-4Gi", "0.25-0.5Gi", int64(1000), int64(gib))
	f.Add("x", "1000000-1000000Gi", "1000000-1000000Gi", int64(-1), int64(1<<62))
	f.Fuzz(func(t *testing.T, useSpecs, record, instance string, milliCPU, memory int64) {
		p := podOf(nil, milliCPU, memory)
		p.Spec.NodeName = "n"
		floor := byResources(p, region)
		p.Annotations = map[string]string{AnnotationUseSpecs: useSpecs, v1alpha1.AnnotationECISpecs: record, AnnotationInstanceSpec: instance}
		bill := boundBill(p)
		if len(bill.Specs) == 0 {
			t.Fatal("the pod is not billed")
		}
		asked, err := wanted(p, region)
		if most := bill.Most(); (err != nil || !bill.isAmong(asked)) && (most.MilliCPU < floor.MilliCPU || most.Memory < floor.Memory) {
			t.Errorf("%s is less than %s", names(bill), floor)
		}
		for _, spec := range bill.Specs {
			if spec.InstanceType == "" && spec.MilliCPU > largest.MilliCPU {
				t.Errorf("%s is more than ECI sells", spec)
			}
		}
	})
}
