package ecispec

import (
	"math"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	podresources "k8s.io/component-helpers/resource"

	"github.com/spillway-k8s/spillway/apis/quantity"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// podOf reads any bytes as a pod that the API server would admit: no limit is less than its request. Every container is five bytes: its kind, its
// requests and by how much its limits are larger. The next two numbers are in the requests of the first container, however absurd they are.
func podOf(data []byte, milliCPU, memory int64) *corev1.Pod {
	p := wrappers.MakePod("p").Obj()
	p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{
		corev1.ResourceCPU: *resource.NewMilliQuantity(milliCPU, resource.DecimalSI), corev1.ResourceMemory: *resource.NewQuantity(memory, resource.BinarySI),
	}
	for ; len(data) >= 5 && len(p.Spec.Containers)+len(p.Spec.InitContainers) < 20; data = data[5:] {
		resources := resourcesOf(data)
		switch data[0] & 7 {
		case 0:
			p.Spec.Overhead = resources.Requests
		case 1:
			// The API server gives a pod with a limit a request, too.
			for name, limit := range resources.Limits {
				if _, ok := resources.Requests[name]; !ok {
					resources.Requests[name] = limit
				}
			}
			p.Spec.Resources = &resources
		case 2, 3:
			p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Resources: resources})
		case 4, 5:
			p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{
				Resources: resources, RestartPolicy: new(corev1.ContainerRestartPolicyAlways),
			})
		default:
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Resources: resources})
		}
	}
	return p
}

// resourcesOf leaves out requests and limits by the upper bits of the first byte.
func resourcesOf(data []byte) corev1.ResourceRequirements {
	resources := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	cpu, memory := int64(data[1])*100, int64(data[2])<<29
	if data[0]&8 == 0 {
		resources.Requests[corev1.ResourceCPU] = *resource.NewMilliQuantity(cpu, resource.DecimalSI)
	}
	if data[0]&16 == 0 {
		resources.Requests[corev1.ResourceMemory] = *resource.NewQuantity(memory, resource.BinarySI)
	}
	if data[0]&32 != 0 {
		resources.Limits[corev1.ResourceCPU] = *resource.NewMilliQuantity(cpu+int64(data[3])*10, resource.DecimalSI)
	}
	if data[0]&64 != 0 {
		resources.Limits[corev1.ResourceMemory] = *resource.NewQuantity(memory+int64(data[4])<<20, resource.BinarySI)
	}
	return resources
}

// withLimits turns limits into requests and drops what is negative, so that Kubernetes' own sum of the requests is what the pod asks of ECI.
func withLimits(pod *corev1.Pod) *corev1.Pod {
	pod = pod.DeepCopy()
	turn := func(resources *corev1.ResourceRequirements) {
		for name, quantity := range resources.Limits {
			resources.Requests[name] = quantity
		}
		for name, quantity := range resources.Requests {
			if quantity.Sign() < 0 {
				resources.Requests[name] = resource.Quantity{}
			}
		}
	}
	for i := range pod.Spec.Containers {
		turn(&pod.Spec.Containers[i].Resources)
	}
	for i := range pod.Spec.InitContainers {
		turn(&pod.Spec.InitContainers[i].Resources)
	}
	if pod.Spec.Resources != nil {
		turn(pod.Spec.Resources)
	}
	return pod
}

// FuzzBill compares with Kubernetes' own arithmetic: what is billed is what RoundUp makes of the limits, is never less than the requests, and does not
// become less when a container asks for more, in the order of vCPUs and then memory. TestPriceIsNotMonotone tells why the price may.
func FuzzBill(f *testing.F) {
	f.Add([]byte{}, int64(0), int64(0), int64(250), true)
	f.Add([]byte{6, 10, 2, 0, 0, 4, 20, 4, 0, 0, 2, 40, 8, 0, 0}, int64(1000), int64(gib), int64(1), true)
	f.Add([]byte{103, 10, 2, 50, 50, 0, 2, 1, 0, 0, 65, 30, 4, 0, 9}, int64(-1), int64(math.MinInt64), int64(10), false)
	f.Add([]byte{6, 255, 255, 0, 0}, int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64), false)
	f.Fuzz(func(t *testing.T, data []byte, milliCPU, memory, more int64, some bool) {
		in := anywhere
		if some {
			in = region
		}
		pod := podOf(data, milliCPU, memory)
		bill, err := For(pod, in)
		asked := podresources.PodRequests(withLimits(pod), podresources.PodResourcesOptions{})
		askedCPU, askedMemory := quantity.Amount(corev1.ResourceCPU, *asked.Cpu()), quantity.Amount(corev1.ResourceMemory, *asked.Memory())
		want, ok := RoundUp(in, askedCPU, askedMemory)
		if askedCPU == 0 && askedMemory == 0 {
			want = Default()
		}
		if ok != (err == nil) || ok && (len(bill.Specs) != 1 || bill.Specs[0] != want) {
			t.Fatalf("billed as %v, error %v, want %s, %v for %s", bill.Specs, err, want, ok, asked.Cpu())
		}
		if ok {
			requests := podresources.PodRequests(pod, podresources.PodResourcesOptions{})
			checkCovers(t, bill.Most(), requests)
		}
		if askedCPU == 0 && askedMemory == 0 {
			// Whoever asks for nothing gets more than whoever asks for little.
			return
		}
		addTo(&pod.Spec.Containers[len(data)%len(pod.Spec.Containers)], more)
		switch larger, err := For(pod, in); {
		case err == nil && !ok:
			t.Fatalf("too large before, now billed as %v", larger.Specs)
		case err == nil && compare(larger.Specs[0], want) < 0:
			t.Fatalf("asks for more and gets %s instead of %s", larger.Specs[0], want)
		}
	})
}

func checkCovers(t *testing.T, spec Spec, requests corev1.ResourceList) {
	t.Helper()
	cpu, memory := resource.NewMilliQuantity(spec.MilliCPU, resource.DecimalSI), resource.NewQuantity(spec.Memory, resource.BinarySI)
	if cpu.Cmp(*requests.Cpu()) < 0 || memory.Cmp(*requests.Memory()) < 0 {
		t.Fatalf("%s is less than %s and %s", spec, requests.Cpu(), requests.Memory())
	}
}

// addTo raises the requests and limits of a container.
func addTo(container *corev1.Container, more int64) {
	for _, resources := range []corev1.ResourceList{container.Resources.Requests, container.Resources.Limits} {
		for name, quantity := range resources {
			quantity.Add(*resource.NewMilliQuantity(max(more, 0), resource.DecimalSI))
			resources[name] = quantity
		}
	}
}

// FuzzUseSpecs reads any annotation: what is billed covers the requests, except for memory that is not known, and can be read again.
func FuzzUseSpecs(f *testing.F) {
	f.Add("2-4Gi,4-8Gi,ecs.c6.xlarge", "", "20Gi", int64(1500), int64(gib), int64(0))
	f.Add("ecs.gn6i-c24g1.12xlarge, 2-4Gi", "2.0-4.0Gi", "1e-99999999", int64(-1), int64(1), int64(2))
	f.Fuzz(func(t *testing.T, useSpecs, instanceSpec, extra string, milliCPU, memory, gpus int64) {
		pod := podOf(nil, milliCPU, memory)
		pod.Annotations = map[string]string{AnnotationUseSpecs: useSpecs, AnnotationInstanceSpec: instanceSpec, AnnotationExtraStorage: extra}
		pod.Spec.Containers[0].Resources.Requests[resourceGPU] = *resource.NewQuantity(gpus, resource.DecimalSI)
		bill, err := For(pod, region)
		if (err == nil) != (len(bill.Specs) > 0) || len(bill.Specs) > mostUseSpecs {
			t.Fatalf("billed as %v, error %v", bill.Specs, err)
		}
		_, taken := Parse(instanceSpec)
		for _, spec := range bill.Specs {
			if again, err := Parse(spec.String()); err != nil || again != spec {
				t.Errorf("%s is read as %+v, error %v", spec, again, err)
			}
			if taken == nil {
				continue
			}
			if spec.MilliCPU < milliCPU || spec.GPUs < gpus || spec.Memory < memory && (spec.Memory > 0 || spec.InstanceType == "") {
				t.Errorf("%s is less than %dm, %d and %d GPUs", spec, milliCPU, memory, gpus)
			}
		}
	})
}

// FuzzParse checks that a name that is read can be written and read again, and that its size is sound.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"2-4Gi", "0.25-0.5Gi", "0.001-0.001Gi", "1000000-999999.999Gi", "ecs.c6.large", "ecs.gn6v-c10g1.20xlarge", "ecs.e-c1m1.large"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		spec, err := Parse(text)
		if err != nil {
			if spec != (Spec{}) {
				t.Errorf("%q: %v, but %+v", text, err, spec)
			}
			return
		}
		if spec.MilliCPU <= 0 || spec.Memory < 0 || spec.GPUs < 0 || spec.InstanceType == "" && spec.Memory == 0 {
			t.Errorf("%q is read as %+v", text, spec)
		}
		if again, err := Parse(spec.String()); err != nil || again != spec {
			t.Errorf("%q is written %q and read as %+v, error %v", text, spec, again, err)
		}
	})
}

// FuzzPico checks that money is written as it is read, and that prices neither overflow nor become negative.
func FuzzPico(f *testing.F) {
	f.Add("0.0000077", int64(7_700_000), int64(2000), int64(4*gib))
	f.Add("9223372.036854775807", int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, text string, rate, milliCPU, memory int64) {
		if read, err := ParsePico(text); err == nil {
			if again, err := ParsePico(read.String()); err != nil || again != read || read < 0 {
				t.Errorf("%q is written %s and read as %s, error %v", text, read, again, err)
			}
		}
		written := Pico(max(rate, 0))
		if again, err := ParsePico(written.String()); err != nil || again != written {
			t.Errorf("%d is written %s and read as %d, error %v", written, written, again, err)
		}
		rates := Rates{CPUSecond: Pico(rate), GiBSecond: Pico(rate / 8), InstanceTypes: map[string]Pico{text: Pico(rate)}}
		for _, spec := range []Spec{{MilliCPU: milliCPU, Memory: memory}, {InstanceType: text}} {
			second, _ := rates.PerSecond(spec)
			hour, _ := rates.PerHour(spec)
			if second < 0 || hour < second || hour < math.MaxInt64 && second/secondsPerHour > hour {
				t.Errorf("%+v costs %s a second and %s an hour", spec, second, hour)
			}
		}
		larger := Spec{MilliCPU: plus(max(milliCPU, 0), 1), Memory: plus(max(memory, 0), 1)}
		if price(t, rates, larger) < price(t, rates, Spec{MilliCPU: milliCPU, Memory: memory}) {
			t.Errorf("%+v costs less than less", larger)
		}
	})
}
