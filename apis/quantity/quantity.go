// Package quantity is an amount of a resource for the APIs of Spillway.
//
// +kubebuilder:object:generate=true
package quantity

import "k8s.io/apimachinery/pkg/api/resource"

// The schema that is generated for resource.Quantity lets texts through that its parser cannot read ("1e1.5") or does not finish ("1e3000000000").
// One such object would break every list of its kind for every typed client. The schema of Quantity lets through only what is read at once.

// Quantity is a Kubernetes quantity of at most 15 digits, such as 10, 500m, 1.5 or 20Gi.
// +kubebuilder:validation:Type=""
// +kubebuilder:validation:XIntOrString
// +kubebuilder:validation:MaxLength=24
// +kubebuilder:validation:Pattern=`^[+-]?([0-9]{1,15}([.][0-9]{0,3})?|[.][0-9]{1,3})([KMGTPE]i|[mkMGTPE]|[eE][0-9])?$`
type Quantity struct {
	resource.Quantity `json:"-"`
}

// MustParse returns the quantity of a constant text.
func MustParse(text string) Quantity { return Quantity{resource.MustParse(text)} }
