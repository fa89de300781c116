package v1alpha1

const (
	// AnnotationPolicy is written on a pod at binding: the name of the ResourcePolicy that governed it.
	AnnotationPolicy = "scheduling.spillway.dev/policy"
	// AnnotationUnit is written on a pod at binding: the unit it was placed in, as its resource and node labels, such as
	// "ecs paidtype=subscription" (R3). It keeps its meaning when units are reordered or added.
	AnnotationUnit = "scheduling.spillway.dev/unit"
	// AnnotationUserDeletionCost keeps the pod-deletion-cost that the user had set before Spillway wrote its own (R10).
	AnnotationUserDeletionCost = "scheduling.spillway.dev/user-deletion-cost"
)
