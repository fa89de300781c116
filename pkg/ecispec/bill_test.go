package ecispec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

const region = "cn-hangzhou"

// list builds a ResourceList of "cpu=1 memory=2Gi".
func list(text string) corev1.ResourceList {
	resources := corev1.ResourceList{}
	for _, pair := range strings.Fields(text) {
		name, quantity, _ := strings.Cut(pair, "=")
		resources[corev1.ResourceName(name)] = resource.MustParse(quantity)
	}
	return resources
}

// container builds a container with requests and limits.
func container(requests, limits string, env ...corev1.EnvVar) corev1.Container {
	return corev1.Container{Name: "c", Resources: corev1.ResourceRequirements{Requests: list(requests), Limits: list(limits)}, Env: env}
}

func sidecar(requests string) corev1.Container {
	c := container(requests, "")
	c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	return c
}

// pod builds a pod of these containers.
func pod(containers ...corev1.Container) *wrappers.Pod {
	p := wrappers.MakePod("p")
	if len(containers) > 0 {
		p.Spec.Containers = containers
	}
	return p
}

func starting(p *wrappers.Pod, init ...corev1.Container) *wrappers.Pod {
	p.Spec.InitContainers = init
	return p
}

func names(bill Bill) string {
	var all []string
	for _, spec := range bill.Specs {
		all = append(all, spec.String())
	}
	return strings.Join(all, ",")
}

func TestFor(t *testing.T) {
	ignored := corev1.EnvVar{Name: EnvIgnore, Value: "TRUE"}
	two := "cpu=2 memory=4Gi"
	podLevel := pod(container(two, ""), container(two, ""))
	podLevel.Spec.Resources = &corev1.ResourceRequirements{Requests: list("cpu=1"), Limits: list("memory=8Gi")}
	overhead := pod(container(two, ""))
	overhead.Spec.Overhead = list("cpu=250m memory=120Mi")
	cases := map[string]struct {
		pod  *wrappers.Pod
		want string
	}{
		// ECI: "Specify the number of vCPUs and memory size to create a pod".
		"documented: nothing asked":          {pod: pod(), want: "2-4Gi"},
		"documented: 7 vCPU and 13 GiB":      {pod: pod(container("cpu=7 memory=13Gi", "")), want: "8-14Gi"},
		"documented: limits before requests": {pod: pod(container("cpu=500m memory=1Gi", two)), want: "2-4Gi"},
		// ECI: "Ignore specific containers during resource adjustment".
		"documented: two containers and a sidecar":          {pod: pod(container("", two), container("", two), container("", "cpu=250m memory=512Mi")), want: "6-10Gi"},
		"documented: two containers and an ignored sidecar": {pod: pod(container("", two), container("", two), container("", "cpu=250m memory=512Mi", ignored)), want: "4-8Gi"},

		"limits count per resource":                       {pod: pod(container("cpu=1 memory=3Gi", "memory=7Gi")), want: "1-8Gi"},
		"limits count per container":                      {pod: pod(container("cpu=1 memory=1Gi", two), container(two, "")), want: "4-8Gi"},
		"a zero counts as nothing asked":                  {pod: pod(container("cpu=0 memory=0", "")), want: "2-4Gi"},
		"only vCPUs":                                      {pod: pod(container("cpu=100m", "")), want: "0.25-0.5Gi"},
		"only memory":                                     {pod: pod(container("memory=7Gi", "")), want: "1-8Gi"},
		"a fraction of a thousandth":                      {pod: pod(container("cpu=2000000001n memory=1", "")), want: "4-2Gi"},
		"all containers ignored":                          {pod: pod(container(two, two, ignored)), want: "2-4Gi"},
		"ignoring switched off":                           {pod: pod(container("cpu=4 memory=4Gi", "", corev1.EnvVar{Name: EnvIgnore, Value: "false"})), want: "4-4Gi"},
		"ignoring from elsewhere":                         {pod: pod(container("cpu=4 memory=4Gi", "", corev1.EnvVar{Name: EnvIgnore})), want: "4-4Gi"},
		"a small init container":                          {pod: starting(pod(container(two, "")), container("cpu=1 memory=1Gi", "")), want: "2-4Gi"},
		"a large init container":                          {pod: starting(pod(container(two, "")), container("cpu=4 memory=1Gi", "")), want: "4-4Gi"},
		"a sidecar":                                       {pod: starting(pod(container(two, "")), sidecar(two)), want: "4-8Gi"},
		"a sidecar before an init container is beside it": {pod: starting(pod(container("cpu=1 memory=1Gi", "")), sidecar(two), container("cpu=4 memory=8Gi", "")), want: "6-12Gi"},
		"one after it is not":                             {pod: starting(pod(container("cpu=1 memory=1Gi", "")), container("cpu=4 memory=8Gi", ""), sidecar(two)), want: "4-8Gi"},
		"resources of the pod win":                        {pod: podLevel, want: "1-8Gi"},
		"overhead is added":                               {pod: overhead, want: "4-6Gi"},
		"what is negative is nothing":                     {pod: pod(container("cpu=-5 memory=-1Gi", ""), container(two, "")), want: "2-4Gi"},
		"30 GiB of ephemeral storage":                     {pod: pod(container("cpu=2 ephemeral-storage=10Gi", "ephemeral-storage=30Gi")), want: "2-1Gi"},
		"more of it by annotation":                        {pod: pod(container("cpu=2 ephemeral-storage=50Gi", "")).Annotation(AnnotationExtraStorage, "20Gi"), want: "2-1Gi"},

		// ACK: "Specify the compute specification when creating an ECI pod".
		"documented: eci-use-specs": {
			pod:  pod().Annotation(AnnotationUseSpecs, "2-4Gi,4-8Gi,ecs.c6.xlarge"),
			want: "2-4Gi,4-8Gi,ecs.c6.xlarge",
		},
		"documented: GPU types": {
			pod:  pod(container("", "nvidia.com/gpu=1")).Annotation(AnnotationUseSpecs, "ecs.gn6i-c4g1.xlarge,ecs.gn6i-c8g1.2xlarge"),
			want: "ecs.gn6i-c4g1.xlarge,ecs.gn6i-c8g1.2xlarge",
		},
		"blanks":                             {pod: pod().Annotation(AnnotationUseSpecs, " 2-4Gi, ,4-8Gi ,"), want: "2-4Gi,4-8Gi"},
		"entries are rounded up":             {pod: pod().Annotation(AnnotationUseSpecs, "2-3Gi,7-13Gi"), want: "2-4Gi,8-14Gi"},
		"small entries are dropped":          {pod: pod(container(two, "")).Annotation(AnnotationUseSpecs, "1-8Gi,4-2Gi,ecs.c6.large,2-4Gi"), want: "ecs.c6.large,2-4Gi"},
		"limits do not drop entries":         {pod: pod(container("cpu=1", "cpu=8 memory=2Gi")).Annotation(AnnotationUseSpecs, "2-4Gi"), want: "2-4Gi"},
		"memory that is not known is enough": {pod: pod(container(two, "")).Annotation(AnnotationUseSpecs, "ecs.hfc6.large,ecs.n4.small"), want: "ecs.hfc6.large"},
		"entries with too few GPUs":          {pod: pod(container("", "nvidia.com/gpu=2")).Annotation(AnnotationUseSpecs, "64-512Gi,ecs.gn6i-c4g1.xlarge,ecs.gn5-c4g1.2xlarge"), want: "ecs.gn5-c4g1.2xlarge"},
		"eci-instance-spec":                  {pod: pod(container(two, "")).Annotation(AnnotationInstanceSpec, "2.0-8.0Gi").Node("n"), want: "2-8Gi"},
		"eci-instance-spec of one of several": {
			pod: pod(container(two, "")).Annotation(AnnotationUseSpecs, "2-8Gi,4-8Gi").Annotation(AnnotationInstanceSpec, "4-8Gi").Node("n"), want: "4-8Gi",
		},
		"eci-instance-spec before there is an instance": {pod: pod(container(two, "")).Annotation(AnnotationInstanceSpec, "8-16Gi"), want: "2-4Gi"},
		"eci-instance-spec less than what is asked for": {pod: pod(container(two, "")).Annotation(AnnotationInstanceSpec, "0.25-0.5Gi").Node("n"), want: "2-4Gi"},
		"eci-instance-spec that is not read":            {pod: pod(container(two, "")).Annotation(AnnotationInstanceSpec, "?").Node("n"), want: "2-4Gi"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			bill, err := For(tc.pod.Obj(), region)
			if diff := cmp.Diff(tc.want, names(bill)); err != nil || diff != "" {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestForRefuses(t *testing.T) {
	cases := map[string]struct {
		pod  *wrappers.Pod
		want string
	}{
		"too large": {
			pod:  pod(container("cpu=80 memory=100Gi", "")),
			want: "the pod asks for 80 vCPU and 100 GiB; the largest ECI specification is 64-512Gi",
		},
		"absurd": {
			pod:  pod(container("cpu=9E memory=9E", ""), container("cpu=9E memory=9E", "")),
			want: "the pod asks for 9223372036854775.807 vCPU and 8589934592 GiB; the largest ECI specification is 64-512Gi",
		},
		"GPUs without an instance type": {
			pod: pod(container("", "nvidia.com/gpu=2")),
			want: "the pod asks for 2 nvidia.com/gpu and needs the annotation k8s.aliyun.com/eci-use-specs with an ECS instance type that has GPUs, " +
				"such as ecs.gn6i-c4g1.xlarge",
		},
		"no entry is enough": {
			pod:  pod(container("cpu=4 memory=8Gi nvidia.com/gpu=1", "")).Annotation(AnnotationUseSpecs, "8-16Gi"),
			want: `annotation k8s.aliyun.com/eci-use-specs: no specification in "8-16Gi" is enough for the pod, which requests 4 vCPU and 8 GiB and 1 GPU`,
		},
		"an entry that is none": {
			pod: pod().Annotation(AnnotationUseSpecs, "2-4Gi,4C8G"),
			want: `annotation k8s.aliyun.com/eci-use-specs: specification "4C8G" must be <vCPU>-<memory>Gi such as 2-4Gi, or an ECS instance type ` +
				`such as ecs.c6.large`,
		},
		"an entry that is too large": {
			pod:  pod().Annotation(AnnotationUseSpecs, "2-4Gi,96-192Gi"),
			want: `annotation k8s.aliyun.com/eci-use-specs: the largest ECI specification is 64-512Gi, which is less than "96-192Gi"`,
		},
		"six entries": {
			pod:  pod().Annotation(AnnotationUseSpecs, "1-2Gi,1-4Gi,1-8Gi,2-4Gi,2-8Gi,2-16Gi"),
			want: `annotation k8s.aliyun.com/eci-use-specs: "1-2Gi,1-4Gi,1-8Gi,2-4Gi,2-8Gi,2-16Gi" must have 1 to 5 specifications, separated by commas`,
		},
		"no entries": {
			pod:  pod().Annotation(AnnotationUseSpecs, " "),
			want: `annotation k8s.aliyun.com/eci-use-specs: " " must have 1 to 5 specifications, separated by commas`,
		},
		"ephemeral storage": {
			pod: pod(container("", "ephemeral-storage=20Gi"), container("ephemeral-storage=20Gi", "")),
			want: "the pod asks for 40 GiB of ephemeral storage and gets 30 GiB: annotation k8s.aliyun.com/eci-extra-ephemeral-storage adds to the 30 GiB " +
				"of every instance",
		},
		"not enough extra": {
			pod: pod(container("ephemeral-storage=51Gi", "")).Annotation(AnnotationExtraStorage, "20.5Gi"),
			want: "the pod asks for 51 GiB of ephemeral storage and gets 50.5 GiB: annotation k8s.aliyun.com/eci-extra-ephemeral-storage adds to the 30 GiB " +
				"of every instance",
		},
		"extra that is no quantity": {
			pod:  pod().Annotation(AnnotationExtraStorage, "much"),
			want: `annotation k8s.aliyun.com/eci-extra-ephemeral-storage: "much" must be a quantity such as 20Gi`,
		},
		"extra that takes long to read": {
			pod:  pod().Annotation(AnnotationExtraStorage, "1e-1000000000"),
			want: `annotation k8s.aliyun.com/eci-extra-ephemeral-storage: "1e-1000000000" must be a quantity such as 20Gi`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			bill, err := For(tc.pod.Obj(), region)
			if err == nil {
				t.Fatalf("billed as %s", names(bill))
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMost(t *testing.T) {
	c6 := Spec{MilliCPU: 2000, Memory: 4 * gib, InstanceType: "ecs.c6.large"}
	gpu := Spec{MilliCPU: 8000, GPUs: 1, InstanceType: "ecs.gn6i-c8g1.2xlarge"}
	cases := map[string]struct {
		specs []Spec
		want  Spec
	}{
		"one":     {specs: []Spec{c6}, want: c6},
		"several": {specs: []Spec{{MilliCPU: 1000, Memory: 8 * gib}, c6, gpu}, want: Spec{MilliCPU: 8000, Memory: 8 * gib, GPUs: 1}},
		"none":    {},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Bill{Specs: tc.specs}.Most()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func BenchmarkFor(b *testing.B) {
	pods := map[string]*corev1.Pod{
		"requests":  starting(pod(container("cpu=2 memory=3Gi", "cpu=4"), container("cpu=2 memory=3Gi", "")), sidecar("cpu=1"), container("cpu=9", "")).Obj(),
		"use-specs": pod(container("cpu=2 memory=3Gi", "")).Annotation(AnnotationUseSpecs, "2-4Gi,4-8Gi,ecs.c6.xlarge").Obj(),
	}
	for name, pod := range pods {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := For(pod, region); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
