package v1alpha1

const (
	// AnnotationPolicy is written on a pod at binding: the name of the ResourcePolicy that governed it.
	AnnotationPolicy = "scheduling.spillway.dev/policy"
	// AnnotationUnit is written on a pod at binding: the unit it was placed in, as its resource and node labels, such as
	// "ecs paidtype=subscription" (R3). It keeps its meaning when units are reordered or added.
	AnnotationUnit = "scheduling.spillway.dev/unit"
	// AnnotationUserDeletionCost keeps the pod-deletion-cost that the user had set before Spillway wrote its own (R10).
	AnnotationUserDeletionCost = "scheduling.spillway.dev/user-deletion-cost"
	// AnnotationDeletionCost is the pod-deletion-cost that Spillway wrote last, so that another value is known to be the user's. Empty: what Spillway
	// wrote has been taken back.
	AnnotationDeletionCost = "scheduling.spillway.dev/deletion-cost"
	// AnnotationECISpecs is written on a pod at its binding to a virtual node: the specifications of which ECI bills one, such as "2-4Gi,ecs.c6.large".
	// Later edits of the pod do not change what it counts for.
	AnnotationECISpecs = "scheduling.spillway.dev/eci-specs"

	// AnnotationPodLabels notes what has become of the podLabels of the unit on a pod, so that each is written once:
	// key=value is a label that the pod carried with that value before its binding, a key alone one that is settled.
	AnnotationPodLabels = "scheduling.spillway.dev/pod-labels"

	// AnnotationPrefix begins the annotations that Spillway writes.
	AnnotationPrefix = "scheduling.spillway.dev/"

	// HeldMessagePrefix begins the message of the PodScheduled condition of a held pod; the name of its policy follows.
	HeldMessagePrefix = "held by ResourcePolicy "

	// RefusedMessagePrefix begins the message of condition Ready=False; what the policy is refused for follows.
	RefusedMessagePrefix = "the pods of this policy wait: "

	// LabelWait in podLabels of a unit, with the value "true", makes pods wait in the unit for a node (source: ACK, whenTryNextUnits). It is not
	// written on pods.
	LabelWait = "k8s.aliyun.com/resource-policy-wait-for-ecs-scaling"

	// LabelComputeClass and LabelComputeQoS are the labels of ACS compute power (source: ACK, units of resource acs).
	LabelComputeClass = "alibabacloud.com/compute-class"
	// LabelComputeQoS is the quality of service of an ACS pod.
	LabelComputeQoS = "alibabacloud.com/compute-qos"
	// AnnotationComputeQoSStrategy in podAnnotations of an acs unit says that the QoS is chosen elsewhere: the default is not written.
	AnnotationComputeQoSStrategy = "alpha.alibabacloud.com/compute-qos-strategy"
	// ComputeClassDefault and ComputeQoSDefault are what pods in an acs unit get.
	ComputeClassDefault = "general-purpose"
	// ComputeQoSDefault is the default of LabelComputeQoS.
	ComputeQoSDefault = "default"
)
