package v1alpha1

const (
	// ConditionReady tells whether the scheduler places pods by this policy.
	// True: pods are placed by it. False: pods that it governs wait, with the same reason in their PodScheduled condition; they are never placed as
	// if there were no policy. Unknown: the controller has not looked yet.
	ConditionReady = "Ready"

	// ReasonAccepted is the reason of Ready=True.
	ReasonAccepted = "Accepted"
	// ReasonAcceptedForNamespace is the reason of Ready=True when the selector is empty: the policy governs every pod of its namespace that no policy
	// with a selector governs.
	ReasonAcceptedForNamespace = "AcceptedForNamespace"
	// ReasonUnsupported is the reason of Ready=False when the policy uses a field or value that this version does not act on. The message names
	// each field, its value and what is allowed.
	ReasonUnsupported = "Unsupported"
	// ReasonInvalid is the reason of Ready=False when a value can never be acted on. The message names each field, its value and what is allowed.
	ReasonInvalid = "Invalid"
)

const (
	// ConditionShadowed tells whether another policy takes pods that this policy's selector also matches (R1). It is information, not an error.
	// True: the message names the winner. False: no other policy of the namespace is certain to take any of its pods.
	ConditionShadowed = "Shadowed"

	// ReasonSameSelector is the reason of Shadowed=True when an older policy (or one first by name) has the same selector: no pod is left.
	ReasonSameSelector = "SameSelector"
	// ReasonMoreSpecific is the reason of Shadowed=True when a policy with this selector and more keys takes the pods that carry them all.
	ReasonMoreSpecific = "MoreSpecific"
	// ReasonNotShadowed is the reason of Shadowed=False.
	ReasonNotShadowed = "NotShadowed"
)

const (
	// ConditionExhausted tells whether every unit is full for at least one group of pods (R7). It is information, not an error.
	// True: such pods are held until one of theirs ends, and no new node can help them. False: every group has a unit that is not full.
	// Absent while Ready is not True: the caps of a refused policy decide nothing.
	ConditionExhausted = "Exhausted"

	// ReasonAllUnitsFull is the reason of Exhausted=True.
	ReasonAllUnitsFull = "AllUnitsFull"
	// ReasonRoomLeft is the reason of Exhausted=False when every unit has a cap and one is not full.
	ReasonRoomLeft = "RoomLeft"
	// ReasonUnitWithoutCap is the reason of Exhausted=False when a unit has no cap: it is never full.
	ReasonUnitWithoutCap = "UnitWithoutCap"
)

const (
	// ConditionOverCap reports whether a group of pods has more in a unit than its caps admit. It is information, not an error: no placement does that, but
	// pods that are resized in place, and edits of caps and labels.
	// True: nothing is added there until enough pods have ended or were resized. False: every group is within its caps.
	// Absent while Ready is not True: the caps of a refused policy decide nothing.
	ConditionOverCap = "OverCap"

	// ReasonCapExceeded is the reason of OverCap=True. The message names the unit.
	ReasonCapExceeded = "CapExceeded"
	// ReasonWithinCaps is the reason of OverCap=False.
	ReasonWithinCaps = "WithinCaps"
)

const (
	// ConditionMisconfigured tells whether the policy is acted on but says something that its author hardly means.
	// True: the message has one sentence for each finding; the reason is that of the first, in the order below. False: nothing was found.
	// Absent while Ready is not True: what a refused policy says is not judged any further.
	ConditionMisconfigured = "Misconfigured"

	// ReasonNoNodes is the reason when no node of the cluster is in any of the units: every pod waits.
	ReasonNoNodes = "NoNodes"
	// ReasonUnreachableUnit is the reason when a unit can never be used: an earlier one without caps contains all of its nodes.
	ReasonUnreachableUnit = "UnreachableUnit"
	// ReasonUnknownResource is the reason when maxResources names a resource that no node of the unit has: the cap caps nothing.
	ReasonUnknownResource = "UnknownResource"
	// ReasonZeroTimeout is the reason when timeout is 0s under TimeoutOrExceedMax: pods do not wait.
	ReasonZeroTimeout = "ZeroTimeout"
	// ReasonPodLabelsChangePolicy is the reason when podLabels of a unit would give pods to another policy: such pods are not placed in the unit.
	ReasonPodLabelsChangePolicy = "PodLabelsChangePolicy"
	// ReasonPodLabelsLeaveOwner is the reason when podLabels of a unit would take a pod that waits now from the selector of its ReplicaSet,
	// StatefulSet or ReplicationController, which would make another pod in its place: such pods are not placed in the unit.
	ReasonPodLabelsLeaveOwner = "PodLabelsLeaveOwner"
	// ReasonDeletionCostOutOfRange is the reason when pods of the policy have a controller.kubernetes.io/pod-deletion-cost of
	// the user's below -499999 or above 499999: it counts as that, so that the pods stay in the band of their unit (R10).
	ReasonDeletionCostOutOfRange = "DeletionCostOutOfRange"
	// ReasonNothingFound is the reason of Misconfigured=False.
	ReasonNothingFound = "NothingFound"
)

const (
	// ConditionPodsTolerateECI reports whether pods of the policy tolerate the taint of virtual nodes themselves:
	// virtual-kubelet.io/provider=alibabacloud:NoSchedule or k8s.aliyun.com/vnode=true:NoSchedule. Spillway needs no
	// toleration. cluster-autoscaler and Karpenter know of none but the pod's own: for a pod that has it they count virtual
	// nodes as free room.
	// True: autoscalers add no nodes for such pods, and may remove nodes on which they run. Pods are placed nevertheless.
	// False: no pod of this scheduler that has not ended has such a toleration, or no unit has nodes of ECS.
	// Absent while Ready is not True.
	ConditionPodsTolerateECI = "PodsTolerateECI"

	// ReasonTolerationFound is the reason of PodsTolerateECI=True. The message has the number of pods and an example.
	ReasonTolerationFound = "TolerationFound"
	// ReasonNoToleration is the reason of PodsTolerateECI=False when no pod has such a toleration.
	ReasonNoToleration = "NoToleration"
	// ReasonNoECSUnit is the reason of PodsTolerateECI=False when all units are of ECI or ACS, whatever the pods tolerate: no
	// autoscaler adds or removes such nodes.
	ReasonNoECSUnit = "NoECSUnit"
)
