package equivalence

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	className   = "local"
	deviceClass = "gpu"
	driver      = "gpu.example.com"
)

type object = client.Object

// storageClass returns a class without a provisioner, whose volumes the scheduler chooses.
func storageClass() *storagev1.StorageClass {
	return &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: className}, Provisioner: "kubernetes.io/no-provisioner",
		VolumeBindingMode: new(storagev1.VolumeBindingWaitForFirstConsumer),
	}
}

// persistentVolume returns the volume with a number. No two have the same size: it is chance which of them a claim gets.
func persistentVolume(number int, mode corev1.PersistentVolumeAccessMode) *corev1.PersistentVolume {
	name := fmt.Sprintf("v%d", number)
	size := resource.NewQuantity(int64(number+1)<<30, resource.BinarySI)
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName: className, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			AccessModes:            []corev1.PersistentVolumeAccessMode{mode},
			Capacity:               corev1.ResourceList{corev1.ResourceStorage: *size},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/" + name}},
		},
	}
}

// tie binds a volume to the nodes with a label.
func tie(volume *corev1.PersistentVolume, key, value string) {
	volume.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}},
	}}}}
}

func volumeClaim(name string, mode corev1.PersistentVolumeAccessMode) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: new(className), AccessModes: []corev1.PersistentVolumeAccessMode{mode},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
}

// mount makes a pod use a volume claim.
func mount(pod *wrappers.Pod, claim string) {
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
	}})
}

// slice returns the devices of a node.
func slice(node string, count int) *resourcev1.ResourceSlice {
	s := &resourcev1.ResourceSlice{
		ObjectMeta: metav1.ObjectMeta{Name: node},
		Spec: resourcev1.ResourceSliceSpec{
			Driver: driver, NodeName: &node, Pool: resourcev1.ResourcePool{Name: node, Generation: 1, ResourceSliceCount: 1},
		},
	}
	for i := range count {
		s.Spec.Devices = append(s.Spec.Devices, resourcev1.Device{Name: fmt.Sprintf("gpu-%d", i)})
	}
	return s
}

func deviceClaim(name string, count int64) *resourcev1.ResourceClaim {
	return &resourcev1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{{
			Name: "gpus", Exactly: &resourcev1.ExactDeviceRequest{
				DeviceClassName: deviceClass, AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: count,
			},
		}}}},
	}
}

// use makes a pod use a claim of devices.
func use(pod *wrappers.Pod, claim string) {
	pod.Spec.ResourceClaims = append(pod.Spec.ResourceClaims, corev1.PodResourceClaim{Name: "gpus", ResourceClaimName: &claim})
	pod.Spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: "gpus"}}
}

// describe returns an object in one line.
func describe(o object) string {
	var what any
	switch o := o.(type) {
	case *corev1.Pod:
		spec := o.Spec.DeepCopy()
		spec.SchedulerName, spec.Containers[0].Image, spec.Containers[0].Resources.Limits = "", "", nil
		delete(spec.Containers[0].Resources.Requests, corev1.ResourceMemory)
		what = struct{ Labels, Spec any }{o.Labels, spec}
	case *corev1.Node:
		what = struct{ Labels, Taints, CPU any }{o.Labels, o.Spec.Taints, o.Status.Allocatable.Cpu()}
	case *corev1.PersistentVolume:
		what = struct{ AccessModes, Nodes any }{o.Spec.AccessModes, o.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0]}
	case *corev1.PersistentVolumeClaim:
		what = o.Spec.AccessModes
	case *resourcev1.ResourceSlice:
		what = len(o.Spec.Devices)
	case *resourcev1.ResourceClaim:
		what = o.Spec.Devices.Requests[0].Exactly.Count
	default:
		return o.GetName()
	}
	text, err := yaml.Marshal(what)
	if err != nil {
		panic(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return o.GetName() + " {" + strings.Join(lines, ", ") + "}"
}
