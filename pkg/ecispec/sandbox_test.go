package ecispec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

// plain is a pod with something of everything that ECI can run.
func plain() *wrappers.Pod {
	p := pod()
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web"}}
	p.Spec.InitContainers = []corev1.Container{{Name: "init"}}
	p.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80}}
	p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		Privileged:   new(false),
		Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_BIND_SERVICE", "CAP_CHOWN"}, Drop: []corev1.Capability{"ALL"}},
	}
	return p
}

// adding adds capabilities to the first container.
func adding(capabilities ...corev1.Capability) func(*corev1.PodSpec) {
	return func(s *corev1.PodSpec) {
		added := &s.Containers[0].SecurityContext.Capabilities.Add
		*added = append(*added, capabilities...)
	}
}

// TestUnsupported has what "Limits" (ECI) lists, and what a sandbox cannot share with its host.
func TestUnsupported(t *testing.T) {
	cases := map[string]struct {
		change func(spec *corev1.PodSpec)
		want   string
	}{
		"fine":        {change: func(*corev1.PodSpec) {}},
		"hostNetwork": {change: func(s *corev1.PodSpec) { s.HostNetwork = true }, want: "ECI cannot run pods with hostNetwork"},
		"hostPID":     {change: func(s *corev1.PodSpec) { s.HostPID = true }, want: "ECI cannot run pods with hostPID"},
		"hostIPC":     {change: func(s *corev1.PodSpec) { s.HostIPC = true }, want: "ECI cannot run pods with hostIPC"},
		"hostPort": {
			change: func(s *corev1.PodSpec) { s.Containers[0].Ports[0].HostPort = 8080 },
			want:   "ECI cannot run pods with hostPort 8080 (container main)",
		},
		"port 111": {
			change: func(s *corev1.PodSpec) { s.Containers[0].Ports[0].ContainerPort = 111 },
			want:   "ECI cannot run pods with containerPort 111, which it reserves (container main)",
		},
		"port 10250": {
			change: func(s *corev1.PodSpec) { s.Containers[0].Ports[0].ContainerPort = 10250 },
			want:   "ECI cannot run pods with containerPort 10250, which it reserves (container main)",
		},
		"port 10255 of an init container": {
			change: func(s *corev1.PodSpec) { s.InitContainers[0].Ports = []corev1.ContainerPort{{ContainerPort: 10255}} },
			want:   "ECI cannot run pods with containerPort 10255, which it reserves (container init)",
		},
		"privileged": {
			change: func(s *corev1.PodSpec) { s.Containers[0].SecurityContext.Privileged = new(true) },
			want:   "ECI cannot run privileged containers (container main)",
		},
		"privileged init container": {
			change: func(s *corev1.PodSpec) {
				s.InitContainers[0].SecurityContext = &corev1.SecurityContext{Privileged: new(true)}
			},
			want: "ECI cannot run privileged containers (container init)",
		},
		"a capability that a VirtualNode may allow": {change: adding("SYS_ADMIN", "ipc_lock", "CAP_NET_ADMIN")},
		"all capabilities": {
			change: adding("NET_ADMIN", "ALL"), want: `ECI cannot run containers with the added capability "ALL" (container main)`,
		},
		"all capabilities in lower case": {
			change: adding("all"), want: `ECI cannot run containers with the added capability "all" (container main)`,
		},
		"a capability without a name": {
			change: adding(""), want: `ECI cannot run containers with the added capability "" (container main)`,
		},
		"what is no capability": {
			change: adding("NET ADMIN\n"), want: `ECI cannot run containers with the added capability "NET ADMIN\n" (container main)`,
		},
		"a capability with a long name": {
			change: adding(corev1.Capability(strings.Repeat("A", 1000))),
			want:   `ECI cannot run containers with the added capability "` + strings.Repeat("A", 64) + `" (container main)`,
		},
		"hostPath": {
			change: func(s *corev1.PodSpec) {
				s.Volumes[0].VolumeSource = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}
			},
			want: "ECI cannot run pods with hostPath volumes (volume scratch)",
		},
		"20 containers": {change: func(s *corev1.PodSpec) { s.Containers = append(s.Containers, make([]corev1.Container, 18)...) }},
		"21 containers": {
			change: func(s *corev1.PodSpec) { s.Containers = append(s.Containers, make([]corev1.Container, 19)...) },
			want:   "ECI cannot run pods with more than 20 containers (this one has 21)",
		},
		"20 volumes": {change: func(s *corev1.PodSpec) { s.Volumes = make([]corev1.Volume, 20) }},
		"21 volumes": {
			change: func(s *corev1.PodSpec) { s.Volumes = make([]corev1.Volume, 21) },
			want:   "ECI cannot run pods with more than 20 volumes (this one has 21)",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := plain()
			tc.change(&p.Spec)
			if diff := cmp.Diff(tc.want, Unsupported(p.Obj())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	daemon := plain()
	daemon.OwnerReferences[0] = metav1.OwnerReference{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "agent"}
	if diff := cmp.Diff("ECI cannot run pods of a DaemonSet (owner agent)", Unsupported(daemon.Obj())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for apiVersion, want := range map[string]string{
		"apps.kruise.io/v1alpha1": "ECI cannot run pods of a DaemonSet (owner agent)", "ads.example.com/v1": "",
	} {
		daemon.OwnerReferences[0].APIVersion = apiVersion
		if got := Unsupported(daemon.Obj()); got != want {
			t.Errorf("of a DaemonSet of %s: %q, want %q", apiVersion, got, want)
		}
	}
}

func TestUnsupportedDoesNotAllocate(t *testing.T) {
	p := plain().Obj()
	if got := testing.AllocsPerRun(100, func() { Unsupported(p); AddedCapabilities(p) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkUnsupported(b *testing.B) {
	p := plain()
	for i := range 5 {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: fmt.Sprint(i), SecurityContext: p.Spec.Containers[0].SecurityContext})
	}
	b.ReportAllocs()
	for b.Loop() {
		if reason := Unsupported(p.Obj()); reason != "" {
			b.Fatal(reason)
		}
	}
}
