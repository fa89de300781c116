package v1alpha1

const (
	// ConditionReady tells whether pods can be placed on the node.
	// True: the Node exists and its capacity is known. False: see the reason. Unknown: the controller has not looked yet.
	ConditionReady = "Ready"

	// ReasonNodeReady is the reason of Ready=True.
	ReasonNodeReady = "NodeReady"
	// ReasonNodeNameTaken is the reason of Ready=False when another VirtualNode, or a Node that Spillway did not create, has the node's name.
	ReasonNodeNameTaken = "NodeNameTaken"
	// ReasonNodeFailed is the reason of Ready=False when the Node or its Lease cannot be written. The message is the API server's.
	ReasonNodeFailed = "NodeFailed"
	// ReasonCapacityUnknown is the reason of Ready=False when the capacity was not read for so long that the node is closed to new pods.
	ReasonCapacityUnknown = "CapacityUnknown"
	// ReasonDraining is the reason of Ready=False while the VirtualNode is being deleted and pods are left on its node.
	ReasonDraining = "Draining"
)

const (
	// ConditionCapacityKnown tells whether the last attempt to read the capacity from ECI succeeded.
	// True: the capacity in the status is fresh. False: see the reason; the old capacity stays in force for a short time, then the node is closed
	// to new pods (Ready=False, CapacityUnknown). Unknown: the controller has not looked yet.
	ConditionCapacityKnown = "CapacityKnown"

	// ReasonRefreshed is the reason of CapacityKnown=True.
	ReasonRefreshed = "Refreshed"
	// ReasonCredentialsMissing is the reason of CapacityKnown=False when the Secret or one of its keys is missing.
	ReasonCredentialsMissing = "CredentialsMissing"
	// ReasonCredentialsUnreadable is the reason of CapacityKnown=False when the controller may not, or cannot, read the Secret.
	ReasonCredentialsUnreadable = "CredentialsUnreadable"
	// ReasonCredentialsRefused is the reason of CapacityKnown=False when ECI does not accept the access key or its signature.
	ReasonCredentialsRefused = "CredentialsRefused"
	// ReasonThrottled is the reason of CapacityKnown=False when ECI asks to be called less often.
	ReasonThrottled = "Throttled"
	// ReasonEndpointUnreachable is the reason of CapacityKnown=False when no answer came from the endpoint.
	ReasonEndpointUnreachable = "EndpointUnreachable"
	// ReasonEndpointFailed is the reason of CapacityKnown=False when ECI answered with any other error.
	ReasonEndpointFailed = "EndpointFailed"
)
