package v1alpha1

const (
	// ConditionReady tells whether pods can be placed on the node.
	// True: the Node exists and its capacity is known. False: see the reason. Unknown: the controller has not looked yet.
	ConditionReady = "Ready"

	// ReasonNodeReady is the reason of Ready=True.
	ReasonNodeReady = "NodeReady"
	// ReasonNodeNameTaken is the reason of Ready=False when another VirtualNode, or a Node that Spillway did not create, has the node's name.
	ReasonNodeNameTaken = "NodeNameTaken"
	// ReasonNodeFailed is the reason of Ready=False when the Node or its Lease cannot be written. The message is the
	// API server's. An error that may pass, such as a conflict or a timeout, is retried for half a minute before it is
	// told.
	ReasonNodeFailed = "NodeFailed"
	// ReasonCapacityUnknown is the reason of Ready=False when the capacity was not read for so long that the node is closed to new pods.
	ReasonCapacityUnknown = "CapacityUnknown"
	// ReasonNodeMissing is the reason of Ready=False when the Node of an External virtual-kubelet does not exist.
	ReasonNodeMissing = "NodeMissing"
	// ReasonNodeNotVirtual is the reason of Ready=False when the Node of an External virtual-kubelet lacks the label of virtual nodes.
	ReasonNodeNotVirtual = "NodeNotVirtual"
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
	// ReasonCredentialsRefused is the reason of CapacityKnown=False when ECI does not accept the access key, its signature or its rights.
	ReasonCredentialsRefused = "CredentialsRefused"
	// ReasonCredentialsExpired is the reason of CapacityKnown=False when temporary credentials have expired.
	ReasonCredentialsExpired = "CredentialsExpired"
	// ReasonClockSkewed is the reason of CapacityKnown=False when the clock of the controller differs from ECI's by more than 15 minutes.
	ReasonClockSkewed = "ClockSkewed"
	// ReasonRegionUnknown is the reason of CapacityKnown=False when ECI has no such region.
	ReasonRegionUnknown = "RegionUnknown"
	// ReasonZoneUnknown is the reason of CapacityKnown=False when ECI is not sold in the zone. The message lists the zones of the region.
	ReasonZoneUnknown = "ZoneUnknown"
	// ReasonVSwitchUnusable is the reason of CapacityKnown=False when a vSwitch does not exist in the region, is in another zone, or is another VirtualNode's.
	ReasonVSwitchUnusable = "VSwitchUnusable"
	// ReasonPriceUnknown is the reason of CapacityKnown=False when spec.maxSpendPerHour is set and ECI has not told its
	// prices, or not for a day.
	ReasonPriceUnknown = "PriceUnknown"
	// ReasonThrottled is the reason of CapacityKnown=False when ECI asks to be called less often.
	ReasonThrottled = "Throttled"
	// ReasonEndpointUnreachable is the reason of CapacityKnown=False when no answer came from the endpoint.
	ReasonEndpointUnreachable = "EndpointUnreachable"
	// ReasonEndpointFailed is the reason of CapacityKnown=False when ECI answered with any other error.
	ReasonEndpointFailed = "EndpointFailed"
)

const (
	// ConditionStockAvailable tells whether ECI has what pods ask for in the zone.
	// True: nothing is known to be sold out. False: see the reason and status.stockOuts. Unknown: nothing was asked for yet.
	ConditionStockAvailable = "StockAvailable"

	// ReasonInStock is the reason of StockAvailable=True.
	ReasonInStock = "InStock"
	// ReasonSpecsSoldOut is the reason of StockAvailable=False when some specifications are sold out; others can be placed.
	ReasonSpecsSoldOut = "SpecsSoldOut"
	// ReasonZoneClosed is the reason of StockAvailable=False when ECI refuses every specification in the zone.
	ReasonZoneClosed = "ZoneClosed"
)

const (
	// ReasonPodMoved is the reason of the event on a pod that ECI refused and that is evicted to be placed again.
	ReasonPodMoved = "ECIRefused"
	// ReasonPodStays is the reason of the event on a pod that ECI refused and that cannot be placed again, because nothing
	// would create it anew, or because its Job would fail by it.
	ReasonPodStays = "ECIRefusedStays"
)
