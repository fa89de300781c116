package placement

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// Policy is a compiled ResourcePolicy. Immutable.
type Policy struct {
	Namespace string
	Name      string
	UID       types.UID
	// Units are the units in order.
	Units []Unit
	// Refusal is empty for a policy that is acted on. Otherwise the pods that it governs wait, and this is the reason they are given.
	Refusal string

	created  time.Time
	selector []label
	// groupKeys are the matchLabelKeys.
	groupKeys []string
	// tracked are the resources with a cap in at least one unit, sorted.
	tracked []corev1.ResourceName
}

// Unit is a compiled unit. Immutable.
type Unit struct {
	// Index is the place of the unit in the order, from 0.
	Index int
	// ID tells the unit from the others of its policy and stays the same when units are reordered: it is recorded on pods (R3).
	ID string
	// Nodes are the nodes of the unit (R2).
	Nodes NodeSet

	// maxPods is the cap on pods, or NoCap.
	maxPods int64
	// maxTexts are the caps of maxRequests as the user wrote them.
	maxTexts []string
	// maxRequests are the caps on sums of requests in the order of Policy.tracked, each an amount or NoCap.
	maxRequests []int64
	// title is how messages name the unit: "ecs, paidtype=subscription".
	title string
}

// Compile turns a ResourcePolicy into a Policy. It never fails: a spec that cannot be acted on yields a Policy with a Refusal.
func Compile(rp *v1alpha1.ResourcePolicy) *Policy {
	p := &Policy{
		Namespace: rp.Namespace,
		Name:      rp.Name,
		UID:       rp.UID,
		created:   rp.CreationTimestamp.Time,
		selector:  sortedLabels(rp.Spec.Selector),
		tracked:   trackedResources(rp.Spec.Units),
	}
	if errs := Validate(rp); len(errs) > 0 {
		p.Refusal = fmt.Sprintf("ResourcePolicy %s is refused: %v", rp.Name, errs[0])
		if more := len(errs) - 1; more > 0 {
			p.Refusal += fmt.Sprintf(" (and %d more, see its condition Ready)", more)
		}
	}
	for _, key := range rp.Spec.MatchLabelKeys {
		p.groupKeys = append(p.groupKeys, string(key))
	}
	ids := map[string]int{}
	for i := range rp.Spec.Units {
		unit := compileUnit(i, &rp.Spec.Units[i], p.tracked)
		ids[unit.ID]++
		if n := ids[unit.ID]; n > 1 {
			unit.ID = fmt.Sprintf("%s #%d", unit.ID, n)
		}
		p.Units = append(p.Units, unit)
	}
	return p
}

func compileUnit(index int, spec *v1alpha1.Unit, tracked []corev1.ResourceName) Unit {
	nodes := newNodeSet(spec)
	unit := Unit{Index: index, ID: nodes.Key, Nodes: nodes, maxPods: NoCap, title: string(spec.Resource)}
	for _, l := range nodes.labels {
		unit.title += ", " + l.key + "=" + l.value
	}
	if spec.Max != nil {
		unit.maxPods = int64(*spec.Max)
	}
	for _, name := range tracked {
		limit, text := NoCap, ""
		if quantity, ok := spec.MaxResources[name]; ok {
			limit, text = Amount(name, quantity.Quantity), quantity.String()
		}
		unit.maxRequests, unit.maxTexts = append(unit.maxRequests, limit), append(unit.maxTexts, text)
	}
	return unit
}

// trackedResources returns the resources that any of the units caps, sorted.
func trackedResources(units []v1alpha1.Unit) []corev1.ResourceName {
	var names []corev1.ResourceName
	for i := range units {
		for name := range units[i].MaxResources {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
