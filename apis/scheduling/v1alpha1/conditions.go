package v1alpha1

const (
	// ConditionReady tells whether the scheduler places pods by this policy.
	// True: pods are placed by it. False: pods that it governs wait, with the same reason in their PodScheduled condition; they are never placed as
	// if there were no policy. Unknown: the controller has not looked yet.
	ConditionReady = "Ready"

	// ReasonAccepted is the reason of Ready=True.
	ReasonAccepted = "Accepted"
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
