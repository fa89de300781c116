package explain

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

// virtualNodes shows the virtual node that the pod is on, or all of them while it waits and its policy has a unit of them. A pod that has ended does neither.
func (e *explanation) virtualNodes() {
	if e.ended() {
		return
	}
	waits := e.pod.Spec.NodeName == "" && e.policy != nil && e.policy.Refusal == "" && e.hasVirtualUnit()
	found := false
	for i := range e.cluster.VirtualNodes {
		vn := &e.cluster.VirtualNodes[i]
		if waits || vn.NodeName() == e.pod.Spec.NodeName {
			found = true
			e.virtualNode(vn)
		}
	}
	if !found && e.cluster.VirtualNodes != nil && e.onVirtualNode() {
		e.line("\nNode %s is a virtual node without a VirtualNode: what ECI would accept there is not known.", e.pod.Spec.NodeName)
	}
}

func (e *explanation) hasVirtualUnit() bool {
	for i := range e.policy.Units {
		if e.policy.Units[i].Nodes.Virtual {
			return true
		}
	}
	return false
}

// virtualNode shows what ECI would accept on a virtual node, and what the pod costs there.
func (e *explanation) virtualNode(vn *eciv1alpha1.VirtualNode) {
	e.line("\nVirtualNode %s, node %s:", vn.Name, vn.NodeName())
	e.line("  capacity: %s, read %s", capacityOf(vn), e.cluster.age(vn))
	if vn.Status.LimitedBy != "" {
		e.line("  bounded by: %s", vn.Status.LimitedBy)
	}
	if price := PricePerHour(vn, e.pod); price > 0 {
		e.line("  price: %s an hour for this pod", money(vn, price))
	}
	if e.pod.Spec.NodeName == "" {
		if why := offer.New(vn).Forbids(offer.NewCandidate(e.pod, vn.Spec.Region)); why != "" {
			e.line("  %s", why)
		}
	}
	for _, sentence := range e.cluster.virtualNodeFindings(vn) {
		e.line("  %s", sentence)
	}
}

// PricePerHour is what a pod costs in an hour on a virtual node, by ECI's list of prices: a placed one by what it was billed at its binding. It is 0 when that is
// not known.
func PricePerHour(vn *eciv1alpha1.VirtualNode, pod *corev1.Pod) ecispec.Pico {
	node := offer.New(vn)
	if pod.Spec.NodeName == "" {
		return node.Rank(offer.NewCandidate(pod, vn.Spec.Region)).Price
	}
	held := offer.HoldingOf(pod, vn.Spec.Region)
	return node.PriceOf(held.Bill)
}

// money writes an amount of the account's currency, to the hundredth of a cent.
func money(vn *eciv1alpha1.VirtualNode, amount ecispec.Pico) string {
	return fmt.Sprintf("%.4f %s", amount.Units(), vn.Status.Price.Currency)
}

// capacityOf writes what the pods on a virtual node may hold.
func capacityOf(vn *eciv1alpha1.VirtualNode) string {
	var parts []string
	for _, of := range []struct {
		name corev1.ResourceName
		unit string
	}{{corev1.ResourceCPU, " vCPU"}, {corev1.ResourceMemory, ""}, {corev1.ResourcePods, " pods"}, {"nvidia.com/gpu", " GPUs"}} {
		if amount, ok := vn.Status.Capacity[of.name]; ok {
			text := amount.String()
			if of.name != corev1.ResourceMemory {
				text = strconv.FormatFloat(amount.AsApproximateFloat64(), 'f', -1, 64) // 1000, where a quantity writes 1k.
			}
			parts = append(parts, text+of.unit)
		}
	}
	if len(parts) == 0 {
		return "not known"
	}
	return strings.Join(parts, ", ")
}

// age says when the capacity of a virtual node was read.
func (c *Cluster) age(vn *eciv1alpha1.VirtualNode) string {
	if vn.Status.LastRefreshTime == nil {
		return "never"
	}
	return c.ago(vn.Status.LastRefreshTime.Time) + " ago"
}

// virtualNodeFindings has a sentence for each thing that keeps pods from a virtual node.
func (c *Cluster) virtualNodeFindings(vn *eciv1alpha1.VirtualNode) []string {
	var out []string
	status := &vn.Status
	if len(status.Conditions) == 0 {
		out = append(out, "The controller has not looked at it yet.")
	}
	if status.FreshUntil != nil && !status.FreshUntil.After(c.Now) {
		out = append(out, "The capacity is too old to place pods by.")
	}
	for _, kind := range []string{eciv1alpha1.ConditionReady, eciv1alpha1.ConditionCapacityKnown} {
		if condition := meta.FindStatusCondition(status.Conditions, kind); condition != nil && condition.Status != metav1.ConditionTrue {
			out = append(out, conditionWords(condition))
		}
	}
	for i := range status.StockOuts {
		s := &status.StockOuts[i]
		spec := s.Spec
		if spec == offer.AnySpec {
			spec = "every specification"
		}
		until := "until ECI says otherwise"
		if s.Source == eciv1alpha1.SourcePod {
			until = fmt.Sprintf("one pod may try again at %s", s.Until.UTC().Format("15:04:05 UTC"))
		}
		out = append(out, fmt.Sprintf("Sold out: %s (%s), since %s; %s.", spec, s.Reason, c.ago(s.Since.Time), until))
	}
	if len(status.LowStock) > 0 {
		out = append(out, "Soon sold out: "+strings.Join(status.LowStock, ", ")+".")
	}
	return out
}

// conditionWords writes a condition in one line.
func conditionWords(condition *metav1.Condition) string {
	return fmt.Sprintf("%s=%s %s: %s", condition.Type, condition.Status, condition.Reason, condition.Message)
}
