package placement

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestPodKeys_Default(t *testing.T) {
	cases := map[string]bool{
		"tier": true, "example.com/team": true, "io.kubernetes": true, "k8s.aliyun.com/eci-use-specs": true,
		"k8s.aliyun.com/eci-spot-strategy": true, "k8s.aliyun.com/eci-image-cache": true,
		"alibabacloud.com/compute-class": true, "alpha.alibabacloud.com/compute-qos-strategy": true,
		"k8s.aliyun.com/eci-ram-role-name": false, "k8s.aliyun.com/eci-security-group": false,
		"k8s.aliyun.com/eci-vswitch": false, "k8s.aliyun.com/eci-with-eip": false,
		"k8s.aliyun.com/eci-eip-instance-id": false, "k8s.aliyun.com/eip-bandwidth": false,
		"k8s.aliyun.com/eci-privatepool-id": false, "k8s.aliyun.com/eci-instance-id": false,
		"alibabacloud.com/eci": false, "controller.kubernetes.io/pod-deletion-cost": false,
		"container.apparmor.security.beta.kubernetes.io/app": false, "kubernetes.io/egress-bandwidth": false,
		"k8s.io/x": false, "a.b.k8s.io/x": false, "scheduling.x-k8s.io/x": false,
		"k8s.v1.cni.cncf.io/networks": false, "io.kubernetes.cri-o.Devices": false,
		"K8S.Aliyun.com/eci-ram-role-name": false, "scheduling.spillway.dev/unit": false, "spillway.dev/x": false,
		"notkubernetes.io/x": true, "": false, "/x": false, "a/b/c": false, "-x": false,
		"kubernetes.io./x": false,
	}
	for key, want := range cases {
		if why := DefaultPodKeys().refusal(key); (why == "") != want {
			t.Errorf("%q: allowed is not %v: %s", key, want, why)
		}
	}
}

func TestPodKeys_Refusal(t *testing.T) {
	cases := map[string]struct {
		list []string
		key  string
		want string
	}{
		"named": {list: []string{"example.com/a"}, key: "example.com/a"},
		"another of its domain": {
			list: []string{"example.com/b", "example.com/a", "example.org/c"}, key: "example.com/d",
			want: "units may not write this key on pods: allowedPodKeys allows only these keys of example.com: a, b",
		},
		"without a domain": {
			list: []string{"tier", "example.com/a"}, key: "team",
			want: "units may not write this key on pods: allowedPodKeys allows only these keys without a domain: tier",
		},
		"none of its domain": {
			list: []string{"*"}, key: "kubernetes.io/a",
			want: "units may not write this key on pods: allowedPodKeys allows no key of kubernetes.io",
		},
		"empty list": {
			key:  "tier",
			want: "units may not write this key on pods: allowedPodKeys allows no key without a domain",
		},
		"domain":                        {list: []string{"example.com/*"}, key: "example.com/a"},
		"reserved domain that is named": {list: []string{"k8s.aliyun.com/*"}, key: "k8s.aliyun.com/eci-ram-role-name"},
		"subdomain of a domain": {
			list: []string{"example.com/*"}, key: "a.example.com/a",
			want: "units may not write this key on pods: allowedPodKeys allows no key of a.example.com",
		},
		"all but the reserved": {list: []string{"*"}, key: "example.com/a"},
		"Spillway's own": {
			list: []string{"*"}, key: "eci.spillway.dev/a",
			want: "keys of spillway.dev are written by Spillway itself",
		},
		"no key": {list: []string{"*"}, key: "a b", want: "must be a key such as note or example.com/note"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			keys, err := ParsePodKeys(tc.list)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, keys.refusal(tc.key)); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParsePodKeys_Invalid(t *testing.T) {
	cases := map[string]string{
		"":                                keyForms,
		"a b":                             keyForms,
		"example.com/":                    keyForms,
		"*.example.com/*":                 keyForms,
		"/*":                              keyForms,
		"Example.com/*":                   keyForms,
		"example.com/a*":                  keyForms,
		"**":                              keyForms,
		"scheduling.spillway.dev/*":       "Spillway keeps its own records there",
		"scheduling.spillway.dev/unit":    "Spillway keeps its own records there",
		v1alpha1.AnnotationPrefix + "x/*": "Spillway keeps its own records there",
		"controller.kubernetes.io/pod-deletion-cost": "Spillway keeps its own records there",
	}
	for entry, want := range cases {
		if _, err := ParsePodKeys([]string{"fine", entry}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error with %q", entry, err, want)
		}
	}
}

// TestCompileWith shows that a policy is refused for each key that its installation does not allow, and only there.
func TestCompileWith(t *testing.T) {
	rp := wrappers.MakePolicy("p").Unit(wrappers.ECS()).Unit(wrappers.ECI().
		PodLabel("kubernetes.io/x", "y").PodLabel(v1alpha1.LabelWait, "true").
		PodAnnotation("k8s.aliyun.com/eci-ram-role-name", "admin")).Obj()
	want := []string{
		`spec.units[1].podLabels[kubernetes.io/x]: Invalid value: "y": units may not write this key on pods: ` +
			`allowedPodKeys allows no key of kubernetes.io`,
		`spec.units[1].podAnnotations[k8s.aliyun.com/eci-ram-role-name]: Invalid value: "admin": ` +
			`units may not write this key on pods: ` +
			`allowedPodKeys allows only these keys of k8s.aliyun.com: eci-auto-imc, eci-compute-category`,
	}
	policy := CompileWith(rp, DefaultPodKeys())
	if len(policy.Errors) != len(want) {
		t.Fatalf("errors %v, want %d", policy.Errors, len(want))
	}
	for i := range want {
		if got := policy.Errors[i].Error(); !strings.HasPrefix(got, want[i]) {
			t.Errorf("error %d is %q, want %q", i, got, want[i])
		}
	}
	if !strings.Contains(policy.Refusal, want[0]) {
		t.Errorf("refusal %q does not say %q", policy.Refusal, want[0])
	}
	if policy := Compile(rp); policy.Refusal != "" {
		t.Errorf("without an installation it is refused: %s", policy.Refusal)
	}
}

// TestValidate_LabelValue is about ACK's own CRD, which checks no values: the API server takes them from a Binding, and
// refuses every later update of the pod.
func TestValidate_LabelValue(t *testing.T) {
	rp := wrappers.MakePolicy("p").Unit(wrappers.ECS().PodLabel("tier", "no label value")).Obj()
	want := `spec.units[0].podLabels[tier]: Invalid value: "no label value": ` +
		`must be a label value: at most 63 letters, digits, '-', '_' or '.'`
	if err := Validate(rp, EveryPodKey()).ToAggregate(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestDefaultPodKeys_Chart compares the list of the chart with the default of the binaries.
func TestDefaultPodKeys_Chart(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "charts", "spillway", "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values struct {
		AllowedPodKeys []string `json:"allowedPodKeys"`
	}
	if err := yaml.Unmarshal(data, &values); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(DefaultPodKeys().Entries(), values.AllowedPodKeys); diff != "" {
		t.Errorf("allowedPodKeys of the chart (-binaries +chart):\n%s", diff)
	}
}

// inDomain reports whether a key has one of the domains, or a subdomain of one.
func inDomain(key string, domains ...string) bool {
	domain, _, prefixed := strings.Cut(key, "/")
	return prefixed && slices.ContainsFunc(domains, func(parent string) bool { return domain == parent || strings.HasSuffix(domain, "."+parent) })
}

// FuzzPodKeys compares a list with the rule spelled out: nothing but what it names is allowed, and never what Spillway
// writes.
func FuzzPodKeys(f *testing.F) {
	f.Add("*,k8s.aliyun.com/eci-use-specs", "k8s.aliyun.com/eci-use-specs")
	f.Add("*", "K8S.aliyun.com/eci-ram-role-name")
	f.Add("example.com/*", "scheduling.spillway.dev/unit")
	f.Add("example.com/*,a", "a.example.com/x")
	f.Fuzz(func(t *testing.T, list, key string) {
		entries := strings.Split(list, ",")
		keys, err := ParsePodKeys(entries)
		if err != nil {
			return
		}
		allowed := keys.refusal(key) == ""
		lower := strings.ToLower(key)
		named := slices.Contains(entries, key) || slices.Contains(entries, strings.SplitN(key, "/", 2)[0]+"/*")
		switch {
		case !allowed && slices.Contains(entries, key) && key != anyKey:
			t.Fatalf("%q is named by %q and refused", key, list)
		case !allowed:
			return
		case inDomain(lower, "spillway.dev") || lower == "controller.kubernetes.io/pod-deletion-cost" && key == lower:
			t.Fatalf("%q is allowed by %q", key, list)
		case len(validation.IsQualifiedName(lower)) > 0:
			t.Fatalf("%q is no key and is allowed", key)
		case named:
		case !slices.Contains(entries, anyKey):
			t.Fatalf("%q is allowed by %q, which does not name it", key, list)
		case inDomain(lower, "aliyun.com", "alibabacloud.com", "kubernetes.io", "k8s.io"):
			t.Fatalf("%q of a reserved domain is allowed by %q", key, list)
		}
	})
}
