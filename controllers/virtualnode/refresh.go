package virtualnode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

const (
	codeTokenExpired  = "InvalidSecurityToken.Expired"
	codeClockSkew     = "InvalidTimeStamp.Expired"
	codeRegionUnknown = "InvalidRegionId.NotFound"
)

// unknown is why a capacity is not known: a reason of CapacityKnown=False and a sentence.
type unknown struct{ reason, message string }

// refresh sets the capacity, the price, the stock and the conditions by the newest reading of the account and the pods on the node. When ECI has not
// answered, the capacity of the last refresh stays in force until it is MaxAge old.
func (c *Controller) refresh(ctx context.Context, vn *v1alpha1.VirtualNode, pods []*corev1.Pod) ([]refusedPod, error) {
	reading := c.options.Readings.Get(vn.CredentialsKey())
	if reading == nil {
		reading = &account.Reading{} // Nothing was asked yet, for example because this is a new leader.
	}
	c.noteAccount(vn, reading)
	c.refreshPrice(vn, reading)
	refused := c.refreshStock(vn, reading, pods)
	all, err := c.virtualNodes(ctx)
	if err != nil {
		return nil, err
	}
	switch why := whyUnknown(vn, reading, all, c.options.Clock.Now()); {
	case why != nil:
		setCondition(vn, v1alpha1.ConditionCapacityKnown, why.reason, why.message)
	case reading.Covers(vn):
		status := &vn.Status
		status.AccountID = reading.AccountID
		u, err := c.useOf(ctx, vn, live(pods), reading.Groups)
		if err != nil {
			return nil, err
		}
		found := capacityOf(vn, reading, &u)
		status.NodeName, status.Capacity, status.QuotaCPU, status.LimitedBy = vn.NodeName(), found.resources, &found.quotaCPU, found.limitedBy
		status.LastRefreshTime, status.FreshUntil = &metav1.Time{Time: reading.At}, &metav1.Time{Time: reading.At.Add(c.options.MaxAge)}
		setCondition(vn, v1alpha1.ConditionCapacityKnown, v1alpha1.ReasonRefreshed, "ECI answered the last request for its quota")
	}
	return refused, c.setReady(ctx, vn)
}

// noteAccount closes the node to new pods when the credentials of the VirtualNode, or the account that they belong to,
// have changed: what was read before says nothing of them. Until the new account is known what the pods on the node
// hold stays in the old one, where they most likely are.
func (c *Controller) noteAccount(vn *v1alpha1.VirtualNode, reading *account.Reading) {
	status := &vn.Status
	another := reading.AccountID != "" && status.AccountID != "" && reading.AccountID != status.AccountID
	if status.Account == vn.CredentialsKey() && !another {
		return
	}
	// The prices may be in another currency.
	if status.Account, status.QuotaCPU, status.Price = vn.CredentialsKey(), nil, nil; status.FreshUntil != nil {
		status.FreshUntil = &metav1.Time{Time: c.options.Clock.Now()}
	}
	if reading.AccountID != "" {
		status.AccountID = reading.AccountID
	}
}

// setReady sets condition Ready of a VirtualNode that has its node's name.
func (c *Controller) setReady(ctx context.Context, vn *v1alpha1.VirtualNode) error {
	node := &corev1.Node{}
	err := c.client.Get(ctx, client.ObjectKey{Name: vn.NodeName()}, node)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("getting the Node: %w", err)
	}
	if !vn.IsManaged() {
		if node.Name == "" {
			setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonNodeMissing,
				fmt.Sprintf("Node %s does not exist: its virtual-kubelet has to create it, or spec.nodeName has to name another one", vn.NodeName()))
			return nil
		}
		if !v1alpha1.IsVirtualNode(node.Labels) {
			setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonNodeNotVirtual, fmt.Sprintf(
				"Node %s lacks the label %s=%s, so that it is taken for a machine: correct spec.nodeName, or the labels of the Node",
				vn.NodeName(), v1alpha1.LabelNodeType, v1alpha1.NodeTypeVirtualKubelet))
			return nil
		}
	}
	switch {
	case vn.Status.LastRefreshTime == nil:
		setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonCapacityUnknown,
			fmt.Sprintf("no new pods: the capacity was never read from ECI; see condition %s", v1alpha1.ConditionCapacityKnown))
	case c.stale(vn):
		setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonCapacityUnknown,
			fmt.Sprintf("no new pods: the capacity could not be read from ECI for %s or longer; see condition %s", c.options.MaxAge, v1alpha1.ConditionCapacityKnown))
	case node.Spec.Unschedulable:
		setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonNodeReady, fmt.Sprintf("Node %s is cordoned: uncordon it to place pods", vn.NodeName()))
	default:
		setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonNodeReady, "the capacity is known; for how much room there is see limitedBy and condition StockAvailable")
	}
	return nil
}

// stale tells whether the capacity is too old to place pods by.
func (c *Controller) stale(vn *v1alpha1.VirtualNode) bool {
	return vn.Status.FreshUntil == nil || !c.options.Clock.Now().Before(vn.Status.FreshUntil.Time)
}

// refreshPrice publishes the prices of the zone, and when they were read. Those of an earlier reading stay when ECI
// does not tell new ones; whoever decides by them looks at their age.
func (c *Controller) refreshPrice(vn *v1alpha1.VirtualNode, reading *account.Reading) {
	prices, known := reading.Prices[vn.Spec.Zone]
	if !known {
		return
	}
	perHour := func(spec ecispec.Spec) string {
		price, _ := prices.Rates.PerHour(spec)
		return price.String()
	}
	price := &v1alpha1.Price{
		ReadTime: &metav1.Time{Time: prices.At.Truncate(time.Second)},
		Currency: prices.Currency, CPUPerHour: perHour(ecispec.Spec{MilliCPU: 1000}), MemoryPerHour: perHour(ecispec.Spec{Memory: 1 << 30}),
	}
	for name := range prices.Rates.InstanceTypes {
		price.InstanceTypes = append(price.InstanceTypes, v1alpha1.InstanceTypePrice{Type: name, PerHour: perHour(ecispec.Spec{InstanceType: name})})
	}
	slices.SortFunc(price.InstanceTypes, func(a, b v1alpha1.InstanceTypePrice) int { return strings.Compare(a.Type, b.Type) })
	vn.Status.Price = price
}

// refreshStock publishes the stock-outs and returns the pods that ECI refuses.
func (c *Controller) refreshStock(vn *v1alpha1.VirtualNode, reading *account.Reading, pods []*corev1.Pod) []refusedPod {
	now := c.options.Clock.Now()
	news := stockNews{now: now, zone: vn.Spec.Zone, interval: c.options.StockInterval}
	if slices.Contains(reading.Zones, vn.Spec.Zone) {
		news.inventory = reading.Stock // Of a zone that is none ECI says that nothing is sold there.
	}
	refused, created := sortPods(pods, c.behold(vn, reading))
	news.creations = created
	for i := range refused {
		news.refusals = append(news.refusals, refused[i].refusal)
	}
	vn.Status.StockOuts = c.memory.bookOf(vn.UID).update(vn.Status.StockOuts, &news)
	vn.Status.LowStock = news.lowStock(runningOut(pods, vn.Spec.Region, now))
	outs := vn.Status.StockOuts
	switch every := slices.IndexFunc(outs, func(out v1alpha1.StockOut) bool { return out.Spec == anySpec }); {
	case every >= 0:
		setCondition(vn, v1alpha1.ConditionStockAvailable, v1alpha1.ReasonZoneClosed,
			fmt.Sprintf("ECI refuses every pod in the zone (%s); stockOuts tells when one may try again", outs[every].Reason))
	case len(outs) > 0:
		var specs []string
		for i := range outs {
			specs = append(specs, fmt.Sprintf("%s (%s)", outs[i].Spec, outs[i].Reason))
		}
		setCondition(vn, v1alpha1.ConditionStockAvailable, v1alpha1.ReasonSpecsSoldOut,
			fmt.Sprintf("ECI has none in the zone of %s; stockOuts tells when one pod may try again", strings.Join(specs, ", ")))
	default:
		setCondition(vn, v1alpha1.ConditionStockAvailable, v1alpha1.ReasonInStock, "nothing is known to be sold out in the zone")
	}
	return refused
}

// whyUnknown returns why the reading gives no capacity for a VirtualNode, or nil when it does, or does not speak of it yet. all are all VirtualNodes.
func whyUnknown(
	vn *v1alpha1.VirtualNode, reading *account.Reading, all []*v1alpha1.VirtualNode, now time.Time,
) *unknown {
	switch {
	case reading.Failure != nil:
		return &unknown{reasonOf(reading.Failure), advice(reading.Failure, vn)}
	case !reading.Covers(vn):
		return nil
	case !slices.Contains(reading.Zones, vn.Spec.Zone):
		return &unknown{v1alpha1.ReasonZoneUnknown, fmt.Sprintf("spec.zone %q: ECI is not sold there, but in %s of %s",
			vn.Spec.Zone, strings.Join(reading.Zones, ", "), vn.Spec.Region)}
	}
	for i, id := range vn.Spec.VSwitches {
		v, exists := reading.VSwitches[id]
		switch {
		case !exists:
			return &unknown{v1alpha1.ReasonVSwitchUnusable, fmt.Sprintf("spec.vSwitches[%d] %q does not exist in region %s", i, id, vn.Spec.Region)}
		case v.ZoneID != vn.Spec.Zone:
			return &unknown{v1alpha1.ReasonVSwitchUnusable, fmt.Sprintf("spec.vSwitches[%d] %q is in zone %s; it must be in spec.zone %s", i, id, v.ZoneID, vn.Spec.Zone)}
		}
		if other := whoseVSwitch(vn, id, all); other != "" {
			return &unknown{v1alpha1.ReasonVSwitchUnusable, fmt.Sprintf("spec.vSwitches[%d] %q is VirtualNode %s's: its free addresses cannot be promised twice", i, id, other)}
		}
	}
	if vn.Spec.MaxSpendPerHour == nil {
		return nil
	}
	switch prices, known := reading.Prices[vn.Spec.Zone]; {
	case !known:
		return &unknown{v1alpha1.ReasonPriceUnknown, "spec.maxSpendPerHour is set, and ECI has not told its prices in the zone"}
	case now.Sub(prices.At) >= offer.MaxPriceAge:
		return &unknown{v1alpha1.ReasonPriceUnknown, fmt.Sprintf(
			"spec.maxSpendPerHour is set, and ECI has not told its prices in the zone for %s or longer", offer.MaxPriceAge)}
	}
	return nil
}

// whoseVSwitch returns the name of a VirtualNode that has a vSwitch and goes before vn; "" when there is none.
func whoseVSwitch(vn *v1alpha1.VirtualNode, id string, all []*v1alpha1.VirtualNode) string {
	for _, other := range offer.Describing(all) {
		if other.UID != vn.UID && goesFirst(other, vn) && slices.Contains(other.Spec.VSwitches, id) {
			return other.Name
		}
	}
	return ""
}

// advice returns a failure with what the user can do about it.
func advice(failure error, vn *v1alpha1.VirtualNode) string {
	var failed *eci.Error
	whose := "Secret " + vn.Spec.Credentials.SecretName
	if role := vn.Spec.Credentials.RRSA; role != nil {
		whose = "RAM role " + role.RoleARN
	}
	switch {
	case errors.Is(failure, account.ErrRegionUnknown):
		return fmt.Sprintf("spec.region %q: %v", vn.Spec.Region, failure)
	case !errors.As(failure, &failed):
		return failure.Error()
	case failed.Code == codeTokenExpired:
		return fmt.Sprintf("%v: renew the temporary credentials in %s", failure, whose)
	case failed.Code == codeClockSkew:
		return fmt.Sprintf("%v: the clock of the controller differs from ECI's by more than 15 minutes", failure)
	case failed.Code == codeRegionUnknown:
		return fmt.Sprintf("%v: spec.region %q is not a region of ECI", failure, vn.Spec.Region)
	case failed.Class == eci.ClassCredentials:
		return fmt.Sprintf("%v: check the credentials of %s and what they may do", failure, whose)
	default:
		return failure.Error()
	}
}

// reasonOf returns the reason of CapacityKnown=False for a failure.
func reasonOf(failure error) string {
	var failed *eci.Error
	switch {
	case errors.Is(failure, account.ErrCredentialsMissing):
		return v1alpha1.ReasonCredentialsMissing
	case errors.Is(failure, account.ErrCredentialsUnreadable):
		return v1alpha1.ReasonCredentialsUnreadable
	case errors.Is(failure, account.ErrRegionUnknown):
		return v1alpha1.ReasonRegionUnknown
	case !errors.As(failure, &failed):
		return v1alpha1.ReasonEndpointFailed
	}
	switch reason, known := reasonsByCode[failed.Code]; {
	case known:
		return reason
	case failed.Class == eci.ClassCredentials:
		return v1alpha1.ReasonCredentialsRefused
	case failed.Class == eci.ClassThrottled:
		return v1alpha1.ReasonThrottled
	case failed.Class == eci.ClassNetwork:
		return v1alpha1.ReasonEndpointUnreachable
	default:
		return v1alpha1.ReasonEndpointFailed
	}
}

// reasonsByCode are the error codes that have a reason of their own.
var reasonsByCode = map[string]string{
	codeTokenExpired: v1alpha1.ReasonCredentialsExpired, codeClockSkew: v1alpha1.ReasonClockSkewed, codeRegionUnknown: v1alpha1.ReasonRegionUnknown,
}

// live returns the pods that have not ended.
func live(pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool {
		return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	})
}
