package main

import (
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	// variables is how many environment variables a container has.
	variables                = 12
	serviceName, servicePort = "service", 8080
	// runUser is who the containers run as.
	runUser = 1000
)

// replicaSet returns an owner of pods. It wants none: nobody plays its controller.
func (p *plan) replicaSet(key ownerKey) *appsv1.ReplicaSet {
	pod := p.template(key)
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace(key.policy), Name: setName(key.policy, key.revision), Labels: pod.Labels},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: ptr.To[int32](0), Selector: &metav1.LabelSelector{MatchLabels: pod.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels, Annotations: pod.Annotations}, Spec: pod.Spec},
		},
	}
}

// pod returns the n-th pod as its ReplicaSet creates it, and in the place where it belongs. owner is the UID of the ReplicaSet.
func (p *plan) pod(n int, owner types.UID) (*corev1.Pod, place) {
	at := p.place(n)
	key := ownerKey{at.policy, at.revision}
	pod := p.template(key)
	pod.Namespace, pod.Name = p.namespace(at.policy), fmt.Sprintf("%s-%06d", setName(at.policy, at.revision), n)
	pod.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "apps/v1", Kind: "ReplicaSet", Name: setName(at.policy, at.revision), UID: owner, Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
	}}
	return pod, at
}

// written returns what the scheduler writes on a pod with its Binding.
func (p *plan) written(at place) (labels, annotations map[string]string) {
	if at.unrecorded {
		return p.unitLabels(at), nil
	}
	cost := costIn(at.unit)
	annotations = map[string]string{
		v1alpha1.AnnotationPolicy: appName(at.policy), v1alpha1.AnnotationUnit: placement.Compile(p.policy(at.policy)).Units[at.unit].ID,
		corev1.PodDeletionCost: cost, v1alpha1.AnnotationDeletionCost: cost,
	}
	if at.unlabelled {
		return nil, annotations
	}
	return p.unitLabels(at), annotations
}

// unitLabels returns the podLabels of the unit.
func (*plan) unitLabels(at place) map[string]string {
	if at.policy%kinds == kindLabels && at.unit == spill {
		return map[string]string{labelSpill: spillValue}
	}
	return nil
}

// costIn returns the deletion cost of a pod in a unit whose user has set none (R10).
func costIn(unit int) string { return strconv.Itoa(int(placement.DeletionCost(unit, ""))) }

// template returns a pod of a ReplicaSet: a service with a sidecar, as large as such pods are.
func (*plan) template(key ownerKey) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{
				labelApp: appName(key.policy), labelHash: hashOf(key.policy, key.revision), "app.kubernetes.io/part-of": "shop", "app.kubernetes.io/version": "1.2.3",
			},
			Annotations: map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": "9090", "kubectl.kubernetes.io/restartedAt": "2026-11-01T08:00:00+08:00"},
		},
		Spec: corev1.PodSpec{
			SchedulerName: wrappers.SchedulerName, TerminationGracePeriodSeconds: ptr.To[int64](30), EnableServiceLinks: ptr.To(false),
			InitContainers: []corev1.Container{container("migrate", "10m", "16Mi")},
			Containers:     []corev1.Container{container(serviceName, "100m", "256Mi"), container("proxy", "50m", "64Mi")},
			Volumes: []corev1.Volume{
				{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "config"}}}},
				{Name: "keys", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "keys"}}},
				{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			},
			Tolerations: []corev1.Toleration{
				{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr.To[int64](300)},
				{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr.To[int64](300)},
			},
			SecurityContext: &corev1.PodSecurityContext{RunAsUser: ptr.To[int64](runUser), RunAsNonRoot: ptr.To(true), FSGroup: ptr.To[int64](runUser)},
		},
	}
}

func container(name, cpu, memory string) corev1.Container {
	c := corev1.Container{
		Name: name, Image: "registry.example/team/" + name + ":v1.2.3", Args: []string{"--config=/etc/config/config.yaml", "--log-level=info"},
		Resources: corev1.ResourceRequirements{Requests: quantities(cpu, memory), Limits: quantities(cpu, memory)},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "config", MountPath: "/etc/config"}, {Name: "keys", MountPath: "/etc/keys", ReadOnly: true}, {Name: "scratch", MountPath: "/tmp"},
		},
	}
	for i := range variables {
		c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SERVICE_SETTING_%02d", i), Value: fmt.Sprintf("http://service-%02d.shop.svc.cluster.local:8080", i)})
	}
	if name == serviceName {
		c.Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: servicePort}}
		ready := corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromInt32(servicePort)}}
		c.ReadinessProbe = &corev1.Probe{ProbeHandler: ready, PeriodSeconds: 5}
	}
	return c
}

// running is the status that a kubelet writes.
func running(pod *corev1.Pod, n int) corev1.PodStatus {
	status := corev1.PodStatus{
		Phase: corev1.PodRunning, StartTime: ptr.To(seconds(int64(n))), PodIP: fmt.Sprintf("172.%d.%d.%d", 16+n>>16, n>>8&255, n&255), QOSClass: corev1.PodQOSGuaranteed,
	}
	for _, name := range []corev1.PodConditionType{
		corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled,
	} {
		status.Conditions = append(status.Conditions, corev1.PodCondition{Type: name, Status: corev1.ConditionTrue, LastTransitionTime: seconds(int64(n))})
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: fmt.Sprintf("%s@sha256:%064d", c.Image, 7), ContainerID: fmt.Sprintf("containerd://%064d", n),
			Ready: true, Started: ptr.To(true),
			State:              corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: seconds(int64(n))}},
			AllocatedResources: c.Resources.Requests, Resources: c.Resources.DeepCopy(),
		})
	}
	return status
}

// waiting is the status of a pod for which the scheduler has found no place, or which it holds.
func waiting(at place) corev1.PodStatus {
	condition := corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, LastTransitionTime: seconds(0),
		Message: "0/5003 nodes are available: unit 2 (eci): no node with room",
	}
	if at.policy%kinds == kindFull {
		condition.Reason, condition.Message = corev1.PodReasonSchedulingGated, v1alpha1.HeldMessagePrefix+appName(at.policy)
	}
	return corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{condition}, QOSClass: corev1.PodQOSGuaranteed}
}
