package explain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

// Status shows how full policies and virtual nodes are, and what is wrong with them, in lines of text.
func Status(cluster *Cluster) string {
	text := cluster.policyTable() + cluster.virtualNodeTable()
	for _, sentence := range cluster.Unread {
		text += "\n" + sentence + "\n"
	}
	return text
}

// policyTable has a line for each unit of each policy.
func (c *Cluster) policyTable() string {
	if len(c.Policies) == 0 {
		return "There are no ResourcePolicies.\n"
	}
	rows, findings := [][]string{{"NAMESPACE", "POLICY", "READY", "WAITING", "HELD", "UNIT", "NODES", "USED", "STATE"}}, ""
	for i := range c.Policies {
		rp := &c.Policies[i]
		lead := []string{rp.Namespace, rp.Name, readiness(rp.Status.Conditions), fmt.Sprint(rp.Status.WaitingPods), fmt.Sprint(rp.Status.HeldPods)}
		if len(rp.Status.Units) == 0 {
			rows = append(rows, slices.Concat(lead, []string{"-", "-", "-", "-"}))
		}
		for unit := range rp.Status.Units {
			u := &rp.Status.Units[unit]
			rows = append(rows, slices.Concat(lead, []string{fmt.Sprintf("%d %s", unit, u.Name)}, usageOf(u, len(rp.Spec.MatchLabelKeys) > 0, "")))
			lead = make([]string, len(lead))
		}
		for _, sentence := range policyFindings(rp) {
			findings += fmt.Sprintf("ResourcePolicy %s/%s: %s\n", rp.Namespace, rp.Name, sentence)
		}
	}
	return table(rows) + findings
}

// virtualNodeTable has a line for each virtual node.
func (c *Cluster) virtualNodeTable() string {
	switch {
	case c.VirtualNodes == nil:
		return ""
	case len(c.VirtualNodes) == 0:
		return "\nThere are no VirtualNodes.\n"
	}
	rows, findings := [][]string{{"VIRTUALNODE", "NODE", "READY", "CAPACITY", "READ", "PODS", "PER HOUR", "SPEND LIMIT"}}, ""
	for i := range c.VirtualNodes {
		vn := &c.VirtualNodes[i]
		pods, spend := c.usage(vn)
		limit := "-"
		if vn.Spec.MaxSpendPerHour != nil {
			limit = offer.Decimal(vn.Spec.MaxSpendPerHour.Quantity)
		}
		rows = append(rows, []string{vn.Name, vn.NodeName(), readiness(vn.Status.Conditions), capacityOf(vn), c.age(vn), pods, spend, limit})
		if vn.Status.LimitedBy != "" {
			findings += fmt.Sprintf("VirtualNode %s: bounded by %s\n", vn.Name, vn.Status.LimitedBy)
		}
		for _, sentence := range c.virtualNodeFindings(vn) {
			findings += fmt.Sprintf("VirtualNode %s: %s\n", vn.Name, sentence)
		}
	}
	return "\n" + table(rows) + findings
}

// usage returns how many pods are on a virtual node, and what they cost in an hour.
func (c *Cluster) usage(vn *eciv1alpha1.VirtualNode) (pods, spend string) {
	if c.ECIPods == nil {
		return "-", "-"
	}
	var total ecispec.Pico
	count, unknown := 0, 0
	for i := range c.ECIPods {
		if c.ECIPods[i].Spec.NodeName != vn.NodeName() {
			continue
		}
		count++
		price := PricePerHour(vn, &c.ECIPods[i])
		total += price
		if price == 0 {
			unknown++
		}
	}
	if vn.Status.Price == nil {
		return fmt.Sprint(count), "not known"
	}
	spend = money(vn, total)
	if unknown > 0 {
		spend += fmt.Sprintf(", %d not priced", unknown)
	}
	return fmt.Sprint(count), spend
}

// table writes rows in aligned columns.
func table(rows [][]string) string {
	var out strings.Builder
	writer := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		_, _ = writer.Write([]byte(strings.Join(row, "\t") + "\n"))
	}
	_ = writer.Flush()
	return out.String()
}

// policyFindings has a sentence for each condition of a policy that its author should know of.
func policyFindings(rp *v1alpha1.ResourcePolicy) []string {
	var out []string
	ready := meta.FindStatusCondition(rp.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil:
		out = append(out, "It has no condition Ready: the controller has not looked at it yet, or the CRD in this cluster has no place for conditions.")
	case ready.Status != metav1.ConditionTrue:
		out = append(out, conditionWords(ready))
	}
	for _, kind := range []string{
		v1alpha1.ConditionMisconfigured, v1alpha1.ConditionPodsTolerateECI, v1alpha1.ConditionOverCap, v1alpha1.ConditionExhausted,
		v1alpha1.ConditionShadowed,
	} {
		if condition := meta.FindStatusCondition(rp.Status.Conditions, kind); condition != nil && condition.Status == metav1.ConditionTrue {
			out = append(out, conditionWords(condition))
		}
	}
	return out
}

// readiness writes the condition Ready in one word.
func readiness(conditions []metav1.Condition) string {
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil:
		return "Unknown"
	case ready.Status == metav1.ConditionTrue:
		return "yes"
	default:
		return ready.Reason
	}
}

// usageOf returns the columns NODES, USED and STATE of a unit; more is put behind its state.
func usageOf(unit *v1alpha1.UnitStatus, grouped bool, more string) []string {
	return []string{fmt.Sprint(unit.Nodes), usedOf(unit, grouped), stateOf(unit, grouped, more)}
}

// usedOf writes what counts for a unit, beside its caps.
func usedOf(unit *v1alpha1.UnitStatus, grouped bool) string {
	parts := []string{"pods " + beside(fmt.Sprint(unit.Pods), maxPods(unit), grouped)}
	for _, name := range slices.Sorted(maps.Keys(unit.MaxResources)) {
		used, most := unit.Requests[name], unit.MaxResources[name]
		parts = append(parts, string(name)+" "+beside(cmp.Or(used.String(), "0"), most.String(), grouped))
	}
	return strings.Join(parts, ", ")
}

func maxPods(unit *v1alpha1.UnitStatus) string {
	if unit.MaxPods == nil {
		return ""
	}
	return fmt.Sprint(*unit.MaxPods)
}

// beside writes an amount and its cap. The amount is that of all groups, and the cap that of each.
func beside(used, most string, grouped bool) string {
	switch {
	case most == "":
		return used
	case grouped:
		return fmt.Sprintf("%s (max %s a group)", used, most)
	default:
		return used + "/" + most
	}
}

// stateOf says what keeps further pods out of a unit, and one thing more.
func stateOf(unit *v1alpha1.UnitStatus, grouped bool, more string) string {
	var words []string
	full := "full"
	if grouped {
		full = "full for at least one group"
	}
	if isFull(unit) {
		words = append(words, full)
	}
	if unit.Nodes == 0 {
		words = append(words, "no node")
	}
	if more != "" {
		words = append(words, more)
	}
	return cmp.Or(strings.Join(words, ", "), "-")
}

// isFull tells whether a cap of the unit admits nothing more in the group with the least room.
func isFull(unit *v1alpha1.UnitStatus) bool {
	if unit.FreePods != nil && *unit.FreePods == 0 {
		return true
	}
	for _, free := range unit.FreeResources {
		if free.Sign() == 0 {
			return true
		}
	}
	return false
}

// selectorOf writes the selector of a policy.
func selectorOf(rp *v1alpha1.ResourcePolicy) string {
	if len(rp.Spec.Selector) == 0 {
		return "every pod of the namespace"
	}
	return joined(rp.Spec.Selector)
}

func joined[V ~string](labels map[string]V) string {
	pairs := make([]string, 0, len(labels))
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, key+"="+string(labels[key]))
	}
	return cmp.Or(strings.Join(pairs, ","), "none")
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
