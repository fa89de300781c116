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

// plainSpot are the values of spot-strategy by which a pod takes whatever spot instances there are.
var plainSpot = []string{"SpotAsPriceGo", "SpotWithPriceLimit"}

// kindRestrictions are the annotations, without their prefix, by which a pod takes only some kinds of what ECI has of a specification (ACK: "ECI Pod
// Annotation").
var kindRestrictions = []string{
	"spot-strategy", "spot-price-limit", "instance-family", "instance-generation", "compute-category", "privatepool-matchcriteria",
}

// ownRestrictions begin the annotations, without their prefix, by which a pod needs something of its own beside an instance: a vSwitch, a private pool, an
// address, a cache. What is lacking then is lacking for pods with the same.
var ownRestrictions = []string{
	"vswitch", "security-group", "privatepool-id", "eip-", "with-eip", "private-ip-address", "fixed-ip", "ipv6", "data-cache", "image-cache", "imc-",
}

// plainValue is a value that may be written into a status.
var plainValue = regexp.MustCompile(`^[a-zA-Z0-9._=,-]+$`)

// writtenBack are the annotations, without their prefix, that ECI's virtual-kubelet also writes itself on pods whose
// instance it has created.
var writtenBack = []string{"security-group", "vswitch"}

// Restriction returns what stands behind the names of the specifications of a restricted pod, such as " (choosy)" for any spot instance,
// " (choosy, instance-family=ecs.c7)" or " (choosy, vswitch=vsw-1)": it takes only a part of what ECI has of them. That ECI has none for it says nothing
// about other pods (R15), so that only pods which are restricted by the same values have the same name. It is empty for a pod that takes any.
func Restriction(pod *corev1.Pod) string { return restriction(pod, nil) }

// CreatedRestrictions returns how a pod may have been restricted whose instance ECI has created: as it says now, or
// without what the virtual-kubelet may have written back. Any security group may have been. A vSwitch may have been if it
// is one of those of the VirtualNode, or if the VirtualNode does not say which it has.
func CreatedRestrictions(pod *corev1.Pod, vSwitches []string) []string {
	var restrictions []string
	for without := range 1 << len(writtenBack) {
		var ignored []string
		for i, name := range writtenBack {
			if without&(1<<i) != 0 {
				ignored = append(ignored, name)
			}
		}
		if slices.Contains(ignored, "vswitch") && !isAmongAll(pod.Annotations[annotationPrefix+"vswitch"], vSwitches) {
			continue
		}
		restrictions = append(restrictions, restriction(pod, ignored))
	}
	slices.Sort(restrictions)
	return slices.Compact(restrictions)
}

// isAmongAll reports whether all entries of a list, separated by commas, are among these, or nothing is known of these.
func isAmongAll(list string, these []string) bool {
	for entry := range strings.SplitSeq(list, ",") {
		if len(these) > 0 && !slices.Contains(these, strings.TrimSpace(entry)) {
			return false
		}
	}
	return true
}

// restriction is Restriction without some annotations.
func restriction(pod *corev1.Pod, ignored []string) string {
	spot := ""
	var values []string
	for key, value := range pod.Annotations {
		name, isECI := strings.CutPrefix(key, annotationPrefix)
		if !isECI || value == "" || slices.Contains(ignored, name) {
			continue
		}
		switch {
		case name == "spot-strategy" && value == "NoSpot":
		case name == "spot-strategy" && slices.Contains(plainSpot, value):
			spot = name + "=" + value
		case slices.Contains(kindRestrictions, name), slices.ContainsFunc(ownRestrictions, func(prefix string) bool { return strings.HasPrefix(name, prefix) }):
			values = append(values, name+"="+value)
		}
	}
	switch {
	case len(values) > 0 && spot != "":
		return restrictionOpen + ", " + shorten(append(values, spot)) + restrictionClose
	case len(values) > 0:
		return restrictionOpen + ", " + shorten(values) + restrictionClose
	case spot != "":
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

// shorten joins what restricts a pod to a short text without anything that a user could make look like another text: not by
// a value that looks like a second one either.
func shorten(values []string) string {
	slices.Sort(values)
	text := strings.Join(values, ",")
	if len(text) <= maxRestriction && plainValue.MatchString(text) && strings.Count(text, "=") == len(values) {
		return text
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(strings.Join(values, "\x00")))
	return hex.EncodeToString(sum.Sum(nil))
}
