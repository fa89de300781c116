package ecispec

import (
	"encoding/hex"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const (
	annotationPrefix = "k8s.aliyun.com/eci-"
	// restrictionOpen and restrictionClose enclose the restriction behind the name of a specification.
	restrictionOpen  = " (choosy"
	restrictionClose = ")"
	// maxRestriction is how long a restriction may be before its hash takes its place.
	maxRestriction = 64
)

// kindRestrictions are the annotations, without their prefix, by which a pod takes only some kinds of what ECI has of a specification (ACK: "ECI Pod
// Annotation").
var kindRestrictions = []string{
	"spot-strategy", "instance-family", "instance-generation", "compute-category", "privatepool-matchcriteria",
}

// ownRestrictions begin the annotations, without their prefix, by which a pod needs something of its own beside an instance: a vSwitch, a private pool, an
// address, a cache. What is lacking then is lacking for pods with the same.
var ownRestrictions = []string{
	"vswitch", "security-group", "privatepool-id", "eip-", "with-eip", "private-ip-address", "fixed-ip", "ipv6", "data-cache", "image-cache", "imc-",
}

// plainValue is a value that may be written into a status.
var plainValue = regexp.MustCompile(`^[a-zA-Z0-9._=,-]+$`)

// Restriction returns what stands behind the names of the specifications of a restricted pod, such as " (choosy)" or " (choosy, vswitch=vsw-1)": it takes only
// a part of what ECI has of them. That ECI has none for it says nothing about other pods (R15). It is empty for a pod that takes any.
func Restriction(pod *corev1.Pod) string {
	restricted := false
	var own []string
	for key, value := range pod.Annotations {
		name, isECI := strings.CutPrefix(key, annotationPrefix)
		if !isECI || value == "" {
			continue
		}
		switch {
		case slices.Contains(kindRestrictions, name):
			restricted = restricted || value != "NoSpot"
		case slices.ContainsFunc(ownRestrictions, func(prefix string) bool { return strings.HasPrefix(name, prefix) }):
			own = append(own, name+"="+value)
		}
	}
	switch {
	case len(own) > 0:
		return restrictionOpen + ", " + shorten(own) + restrictionClose
	case restricted:
		return restrictionOpen + restrictionClose
	default:
		return ""
	}
}

// Unrestricted returns the name of a specification, and the restriction that stood behind it.
func Unrestricted(name string) (plain, restriction string) {
	if at := strings.Index(name, restrictionOpen); at >= 0 {
		return name[:at], name[at:]
	}
	return name, ""
}

// shorten joins what a pod needs of its own to a short text without anything that a user could make look like another text.
func shorten(own []string) string {
	slices.Sort(own)
	text := strings.Join(own, ",")
	if len(text) <= maxRestriction && plainValue.MatchString(text) {
		return text
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(text))
	return hex.EncodeToString(sum.Sum(nil))
}
