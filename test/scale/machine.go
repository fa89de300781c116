package main

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

// images is how many images a machine reports: a kubelet tells of the 50 largest at most.
const images = 20

// machine returns the i-th node, as a kubelet and a cloud's controller write it.
func (p *plan) machine(i int) *corev1.Node {
	paid := paidMonth
	if i >= p.months() {
		paid = paidHour
	}
	name, zone := machineName(i), zones[i%len(zones)]
	node := wrappers.MakeNode(name).Label(labelPaid, paid).
		Label(corev1.LabelHostname, name).Label(corev1.LabelArchStable, "amd64").Label(corev1.LabelOSStable, "linux").
		Label(corev1.LabelTopologyZone, zone).Label(corev1.LabelTopologyRegion, "cn-beijing").Label(corev1.LabelInstanceTypeStable, "ecs.g7.4xlarge").
		Label("alibabacloud.com/nodepool-id", "np-"+paid).Label("node.csi.alibabacloud.com/disktype.cloud_essd", "available").
		Capacity(corev1.ResourceCPU, "16").Capacity(corev1.ResourceMemory, "64Gi").Capacity(corev1.ResourceEphemeralStorage, "120Gi").Obj()
	node.UID = ""
	node.Annotations = map[string]string{
		"csi.volume.kubernetes.io/nodeid":                        fmt.Sprintf(`{"diskplugin.csi.alibabacloud.com":"i-%020d"}`, i),
		"volumes.kubernetes.io/controller-managed-attach-detach": "true",
	}
	node.Spec.ProviderID = fmt.Sprintf("cn-beijing.i-%020d", i)
	node.Status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)}, {Type: corev1.NodeHostName, Address: name},
	}
	node.Status.NodeInfo = corev1.NodeSystemInfo{
		MachineID: fmt.Sprintf("%032d", i), KernelVersion: "5.10.134-16.al8.x86_64", OSImage: "Alibaba Cloud Linux 3", ContainerRuntimeVersion: "containerd://1.7.27",
		KubeletVersion: "v1.37.2", OperatingSystem: "linux", Architecture: "amd64",
	}
	for _, name := range []corev1.NodeConditionType{corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
		status := corev1.ConditionFalse
		if name == corev1.NodeReady {
			status = corev1.ConditionTrue
		}
		node.Status.Conditions = append(node.Status.Conditions, corev1.NodeCondition{
			Type: name, Status: status, LastHeartbeatTime: seconds(0), LastTransitionTime: seconds(0), Reason: "Kubelet" + string(name), Message: "as the kubelet says",
		})
	}
	for n := range images {
		image := fmt.Sprintf("registry.example/team/service-%02d", n)
		node.Status.Images = append(node.Status.Images, corev1.ContainerImage{
			Names: []string{fmt.Sprintf("%s@sha256:%064d", image, n), image + ":v1.2.3"}, SizeBytes: int64(n) << 24,
		})
	}
	return node
}

// seconds returns a moment since the beginning of the cluster's life.
func seconds(n int64) metav1.Time { return metav1.Time{Time: time.Unix(1_790_000_000+n, 0)} }

func quantities(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}
