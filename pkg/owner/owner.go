// Package owner compares the kind of an object that owns a pod. It is pure.
//
// A kind has a meaning in its API group only: a StatefulSet of apps.kruise.io (OpenKruise) is not one of apps, although
// both are called StatefulSet, and a cluster may have both under one name.
package owner

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kind is a kind of an API group; the group is empty for the core API. Versions do not matter: an object is the same in
// all of them.
type Kind struct{ Group, Kind string }

// The kinds that Spillway knows.
var (
	ReplicaSet            = Kind{"apps", "ReplicaSet"}
	StatefulSet           = Kind{"apps", "StatefulSet"}
	DaemonSet             = Kind{"apps", "DaemonSet"}
	ReplicationController = Kind{"", "ReplicationController"}
	Job                   = Kind{"batch", "Job"}
	// AdvancedDaemonSet is OpenKruise's.
	AdvancedDaemonSet = Kind{"apps.kruise.io", "DaemonSet"}
)

// daemonSets are the kinds that run one pod on each node.
var daemonSets = []Kind{DaemonSet, AdvancedDaemonSet}

// KindOf returns the kind of an owner.
func KindOf(ref *metav1.OwnerReference) Kind {
	group, _, found := strings.Cut(ref.APIVersion, "/")
	if !found {
		group = "" // The core API: "v1".
	}
	return Kind{Group: group, Kind: ref.Kind}
}

// IsDaemonSet reports whether an owner runs one pod on each node: a DaemonSet of Kubernetes, or an Advanced DaemonSet
// of OpenKruise. Both mean the machines of a cluster by "each node", so that ECI is not meant by either. ref may be
// nil. It does not allocate.
func IsDaemonSet(ref *metav1.OwnerReference) bool {
	return ref != nil && slices.Contains(daemonSets, KindOf(ref))
}
