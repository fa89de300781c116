package ecispec

import corev1 "k8s.io/api/core/v1"

// choosyAnnotations are those by which a pod takes only a part of what ECI has of a specification (ACK: "ECI Pod Annotation").
var choosyAnnotations = []string{
	"k8s.aliyun.com/eci-spot-strategy", "k8s.aliyun.com/eci-instance-family", "k8s.aliyun.com/eci-instance-generation", "k8s.aliyun.com/eci-compute-category",
	"k8s.aliyun.com/eci-privatepool-matchcriteria", "k8s.aliyun.com/eci-privatepool-id", "k8s.aliyun.com/eci-vswitch",
}

// IsChoosy tells whether the pod takes only a part of what ECI has of its specifications: spot instances, one family, one vSwitch, a private pool. That ECI has
// none for it says nothing about what others can have.
func IsChoosy(pod *corev1.Pod) bool {
	if len(pod.Annotations) == 0 {
		return false
	}
	for _, name := range choosyAnnotations {
		if value := pod.Annotations[name]; value != "" && value != "NoSpot" {
			return true
		}
	}
	return false
}
