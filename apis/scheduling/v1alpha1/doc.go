// Package v1alpha1 is the ResourcePolicy API: in which order the nodes of a cluster are filled, and up to where.
//
// Words used by the whole project: a unit is one entry of spec.units; a group is the set of governed pods with the same values for
// spec.matchLabelKeys; a pod is governed by at most one policy; pods spill when they go to a later unit.
//
// The group, the kind and every field that ACK Pro publishes keep their names, defaults and meaning, so that a manifest written for ACK Pro
// applies unchanged (source: ACK, "Configure priority-based resource scheduling").
//
// +kubebuilder:object:generate=true
// +groupName=scheduling.alibabacloud.com
package v1alpha1
