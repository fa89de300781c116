package ecispec

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestAddedCapabilities(t *testing.T) {
	cases := map[string]struct {
		pod  *wrappers.Pod
		want []AddedCapability
	}{
		"none":                              {pod: plain()},
		"no security context":               {pod: pod()},
		"what container runtimes grant":     {pod: pod().Add("CHOWN", "chown", "CAP_SETUID", "AUDIT_WRITE", "MKNOD", "SYS_CHROOT")},
		"NET_RAW, which ECI does not grant": {pod: pod().Add("NET_RAW"), want: []AddedCapability{{"NET_RAW", "main"}}},
		"in lower case":                     {pod: pod().Add("net_admin"), want: []AddedCapability{{"NET_ADMIN", "main"}}},
		"with CAP_":                         {pod: pod().Add("CAP_NET_ADMIN"), want: []AddedCapability{{"NET_ADMIN", "main"}}},
		"twice":                             {pod: pod().Add("SYSLOG", "syslog", "CAP_SYSLOG"), want: []AddedCapability{{"SYSLOG", "main"}}},
		"what Unsupported has a reason for": {pod: pod().Add("ALL", "", "CAP_CAP_SYSLOG", "A-B", "2", "_")},
		"of the kernels of tomorrow":        {pod: pod().Add("WARP_9"), want: []AddedCapability{{"WARP_9", "main"}}},
		"of an init container":              {pod: pod().Init("istio-init", "NET_ADMIN"), want: []AddedCapability{{"NET_ADMIN", "istio-init"}}},
		"of a sidecar":                      {pod: asSidecars(pod().Init("proxy", "BPF")), want: []AddedCapability{{"BPF", "proxy"}}},
		"of two containers, and one of both": {
			pod:  pod().Add("SYSLOG", "NET_ADMIN").Init("istio-init", "NET_ADMIN", "NET_RAW"),
			want: []AddedCapability{{"NET_ADMIN", "istio-init"}, {"NET_RAW", "istio-init"}, {"SYSLOG", "main"}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, AddedCapabilities(tc.pod.Obj())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// asSidecars makes the init containers of a pod sidecars.
func asSidecars(p *wrappers.Pod) *wrappers.Pod {
	for i := range p.Spec.InitContainers {
		p.Spec.InitContainers[i].RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	}
	return p
}

// FuzzAddedCapabilities checks that whatever a container adds is granted, never run, or something that a VirtualNode
// can allow: the rule of the CRD takes it in spec.allowedCapabilities.
func FuzzAddedCapabilities(f *testing.F) {
	for _, name := range []string{"", "ALL", "all", "CHOWN", "cap_chown", "NET_ADMIN", "CAP_CAP_X", "CAP_", "_", "9", "ſ", "A\x00", "WAKE_ALARM"} {
		f.Add(name)
	}
	allowable := regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,31}$`)
	f.Fuzz(func(t *testing.T, name string) {
		p := pod().Add(corev1.Capability(name)).Obj()
		added := AddedCapabilities(p)
		switch never := Unsupported(p); {
		case never != "":
			if len(added) > 0 {
				t.Errorf("%q: %v although %s", name, added, never)
			}
		case len(added) > 0:
			got := added[0].Name
			if !allowable.MatchString(got) || got == "ALL" || got[:min(4, len(got))] == "CAP_" {
				t.Errorf("%q: no VirtualNode can allow %q", name, got)
			}
		default:
			if !slices.Contains([]byte("ACDFKMNS"), capabilityName(corev1.Capability(name))[0]) {
				t.Errorf("%q is granted", name)
			}
		}
	})
}

// TestAddedCapabilities_Many bounds what a pod costs: nobody limits how many capabilities it adds.
func TestAddedCapabilities_Many(t *testing.T) {
	var names []corev1.Capability
	for i := range 10 * maxAddedCapabilities {
		names = append(names, corev1.Capability(fmt.Sprintf("C%d", i)))
	}
	if got := AddedCapabilities(plain().Add(names...).Add(names...).Obj()); len(got) != maxAddedCapabilities {
		t.Errorf("%d capabilities, want %d", len(got), maxAddedCapabilities)
	}
}
