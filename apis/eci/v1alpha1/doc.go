// Package v1alpha1 is the VirtualNode API: an ECI zone as a node of the cluster, and what ECI would accept there now.
//
// +kubebuilder:object:generate=true
// +groupName=eci.spillway.dev
package v1alpha1
