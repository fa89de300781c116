package placement

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// anyKey is the entry of a list that allows every key outside the reserved domains.
	anyKey = "*"
	// spillwayDomain is the domain of the records that Spillway keeps on pods. No list allows it.
	spillwayDomain = "spillway.dev"
	// keyForms says what an entry of a list can be.
	keyForms = "must be a key such as team or example.com/team, every key of a domain such as example.com/*, " +
		"or * for every key outside the reserved domains"
)

// defaultPodKeys are the keys that ACK documents for units, and every key outside the reserved domains. What gives a
// pod rights or another place in the network is left out: RAM roles, elastic IP addresses, vSwitches, security groups,
// private pools.
var defaultPodKeys = []string{
	anyKey,
	"alibabacloud.com/compute-class",
	"alibabacloud.com/compute-qos",
	"alpha.alibabacloud.com/compute-qos-strategy",
	"k8s.aliyun.com/eci-auto-imc",
	"k8s.aliyun.com/eci-compute-category",
	"k8s.aliyun.com/eci-extra-ephemeral-storage",
	"k8s.aliyun.com/eci-fail-strategy",
	"k8s.aliyun.com/eci-gpu-driver-version",
	"k8s.aliyun.com/eci-image-cache",
	"k8s.aliyun.com/eci-imc-id",
	"k8s.aliyun.com/eci-instance-family",
	"k8s.aliyun.com/eci-instance-generation",
	"k8s.aliyun.com/eci-max-pending-minute",
	"k8s.aliyun.com/eci-schedule-strategy",
	"k8s.aliyun.com/eci-spot-duration",
	"k8s.aliyun.com/eci-spot-fallback",
	"k8s.aliyun.com/eci-spot-price-limit",
	"k8s.aliyun.com/eci-spot-strategy",
	"k8s.aliyun.com/eci-use-specs",
}

// reservedDomains are those whose keys mean something to the cloud, to Kubernetes, or to what runs and connects the
// containers of a pod that is bound. They and their subdomains are allowed by name only.
var reservedDomains = []string{
	"aliyun.com", "alibabacloud.com", "kubernetes.io", "k8s.io", "x-k8s.io", spillwayDomain,
	"cilium.io", "cncf.io", "containerd.io", "cri-o.io", "crio.io", "istio.io", "katacontainers.io", "koordinator.sh",
	"ovn.org", "projectcalico.org", "virtual-kubelet.io",
}

// runtimePrefixes begin keys without a domain that container runtimes read.
var runtimePrefixes = []string{"io.containerd.", "io.katacontainers.", "io.kubernetes."}

// PodKeys are the keys of the labels and annotations that units may write on pods. What a unit writes travels in the
// Binding (R9), which no admission policy for pods sees: without this list whoever writes a policy could give pods what
// admission would refuse. Immutable.
type PodKeys struct {
	entries []string
	// every allows all keys but those that no list allows.
	every bool
	// unreserved allows every key outside the reserved domains.
	unreserved     bool
	exact, domains sets.Set[string]
}

// DefaultPodKeys returns the keys that are allowed unless an installation says otherwise.
func DefaultPodKeys() *PodKeys {
	keys, err := ParsePodKeys(defaultPodKeys)
	if err != nil {
		panic(err) // The list is a constant, and a test parses it.
	}
	return keys
}

// EveryPodKey returns the list for those who do not know which keys the installation allows.
func EveryPodKey() *PodKeys { return &PodKeys{every: true} }

// ParsePodKeys returns the keys of a list whose entries are keys, domains such as example.com/*, or * for every key
// outside the reserved domains. An empty list allows nothing.
func ParsePodKeys(entries []string) (*PodKeys, error) {
	keys := &PodKeys{entries: slices.Clone(entries), exact: sets.New[string](), domains: sets.New[string]()}
	for _, entry := range entries {
		if entry == anyKey {
			keys.unreserved = true
			continue
		}
		if isOwnKey(entry) {
			return nil, fmt.Errorf("%q: cannot be allowed, because Spillway keeps its own records there", entry)
		}
		domain, all := strings.CutSuffix(entry, "/*")
		switch {
		case all && len(validation.IsDNS1123Subdomain(domain)) == 0:
			keys.domains.Insert(domain)
		case !all && len(validation.IsQualifiedName(entry)) == 0:
			keys.exact.Insert(entry)
		default:
			return nil, fmt.Errorf("%q: %s", entry, keyForms)
		}
	}
	return keys, nil
}

// Entries returns the list.
func (k *PodKeys) Entries() []string { return append([]string{}, k.entries...) }

// refusal returns why units may not write a key, and which keys like it they may, as the end of a sentence. It is empty
// for an allowed key.
func (k *PodKeys) refusal(key string) string {
	domain, _ := splitKey(key)
	switch {
	// Kubernetes compares the domains of annotations without regard to case.
	case len(validation.IsQualifiedName(strings.ToLower(key))) > 0:
		return "must be a key such as note or example.com/note"
	case isOwnKey(key):
		return "keys of " + spillwayDomain + " are written by Spillway itself"
	case k.every, k.exact.Has(key), k.domains.Has(domain), k.unreserved && !isReserved(key):
		return ""
	}
	return "units may not write this key on pods: " + k.allowedLike(domain)
}

// allowedLike says which keys of a domain are allowed.
func (k *PodKeys) allowedLike(domain string) string {
	var names []string
	for _, key := range sets.List(k.exact) {
		if d, name := splitKey(key); d == domain {
			names = append(names, name)
		}
	}
	like := "without a domain"
	if domain != "" {
		like = "of " + domain
	}
	if len(names) == 0 {
		return "allowedPodKeys allows no key " + like
	}
	return fmt.Sprintf("allowedPodKeys allows only these keys %s: %s", like, strings.Join(names, ", "))
}

// isOwnKey reports whether Spillway itself writes a key: a policy must not, whatever a list says.
func isOwnKey(key string) bool {
	domain, _ := splitKey(key)
	return key == corev1.PodDeletionCost || isIn(domain, spillwayDomain)
}

// isReserved reports whether * leaves a key out.
func isReserved(key string) bool {
	domain, name := splitKey(key)
	if domain == "" {
		return slices.ContainsFunc(runtimePrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	}
	return slices.ContainsFunc(reservedDomains, func(reserved string) bool { return isIn(domain, reserved) })
}

// isIn reports whether a domain is another one or a subdomain of it.
func isIn(domain, parent string) bool {
	domain = strings.ToLower(domain)
	return domain == parent || strings.HasSuffix(domain, "."+parent)
}

// splitKey returns the domain of a key, empty when it has none, and its name.
func splitKey(key string) (domain, name string) {
	if domain, name, ok := strings.Cut(key, "/"); ok {
		return domain, name
	}
	return "", key
}
