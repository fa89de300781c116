package placement

import (
	"fmt"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// Finding is something that a policy says and its author hardly means. The policy is acted on nevertheless.
type Finding struct {
	// Reason is a reason of condition Misconfigured.
	Reason string
	// Message is one sentence that names the field.
	Message string
}

// Cluster is what findings are made from.
type Cluster struct {
	// NodesIn returns how many nodes are in a unit.
	NodesIn func(unit *Unit) int
	// HasResource tells whether a node of the unit has some of the resource.
	HasResource func(unit *Unit, name string) bool
}

// Findings returns what is odd about a policy that is acted on, in the order of the reasons of condition Misconfigured. others are all policies of its
// namespace.
func (p *Policy) Findings(others []*Policy, cluster Cluster) []Finding {
	var out []Finding
	add := func(reason, format string, args ...any) {
		out = append(out, Finding{Reason: reason, Message: fmt.Sprintf(format, args...)})
	}
	nodes := 0
	for i := range p.Units {
		nodes += cluster.NodesIn(&p.Units[i])
	}
	if nodes == 0 {
		add(v1alpha1.ReasonNoNodes, "no node of the cluster is in any unit: every pod waits")
	}
	for i := range p.Units {
		if by := p.unreachableBy(i); by >= 0 {
			add(v1alpha1.ReasonUnreachableUnit, "spec.units[%d] (%s) can never be used: spec.units[%d] (%s) has no cap and contains all of its nodes",
				i, p.Units[i].Title, by, p.Units[by].Title)
		}
	}
	for i := range p.Units {
		unit := &p.Units[i]
		for n, limit := range unit.maxRequests {
			name := string(p.tracked[n])
			if limit != NoCap && cluster.NodesIn(unit) > 0 && !cluster.HasResource(unit, name) {
				add(v1alpha1.ReasonUnknownResource, "spec.units[%d].maxResources[%s]: no node of the unit has this resource, so that the cap caps nothing", i, name)
			}
		}
	}
	if p.tryNext == v1alpha1.TryNextTimeoutOrExceedMax && p.timeout <= 0 {
		add(v1alpha1.ReasonZeroTimeout, "spec.whenTryNextUnits.timeout is 0s: pods do not wait, as with LackResourceOrExceedMax; set a longer time")
	}
	for i := range p.Units {
		if taker := p.labelsGiveTo(&p.Units[i], others); taker != nil {
			add(v1alpha1.ReasonPodLabelsChangePolicy, "spec.units[%d].podLabels would give pods to ResourcePolicy %s: such pods are not placed in the unit",
				i, taker.Name)
		}
	}
	return out
}

// unreachableBy returns the index of an earlier unit without caps that contains all nodes of the unit, or -1.
func (p *Policy) unreachableBy(unit int) int {
	for i := range unit {
		if !p.Units[i].HasCap() && p.Units[unit].Nodes.within(&p.Units[i].Nodes) {
			return i
		}
	}
	return -1
}

// labelsGiveTo returns a policy that goes first and needs a label that the unit writes, if a pod of p can have the rest of its selector (R1).
func (p *Policy) labelsGiveTo(unit *Unit, others []*Policy) *Policy {
	written := append(append([]label{}, unit.podLabels...), unit.defaultLabels...)
	for _, other := range others {
		if other.UID == p.UID || Precedence(other, p) > 0 {
			continue
		}
		needs, possible := false, true
		for _, l := range other.selector {
			if hasKey(written, l.key) {
				needs = true
				possible = possible && hasAll(written, []label{l})
			} else if hasKey(p.selector, l.key) {
				possible = possible && hasAll(p.selector, []label{l})
			}
		}
		if needs && possible {
			return other
		}
	}
	return nil
}

func hasKey(set []label, key string) bool {
	for _, l := range set {
		if l.key == key {
			return true
		}
	}
	return false
}
