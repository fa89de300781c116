package resourcepolicy

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/utils/ptr"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
)

const (
	// maxName, maxFill and maxMessage are the CRD's limits on units[].name, fill and the message of a condition, in characters.
	maxName    = 2048
	maxFill    = 4096
	maxMessage = 32768
	// between stands between the units in fill.
	between = " | "
)

// status returns the status of the policy. lost are the findings about labels that take pods from their owners.
func (s *scene) status(rp *v1alpha1.ResourcePolicy, pods counted, lost []placement.Finding) v1alpha1.ResourcePolicyStatus {
	status := v1alpha1.ResourcePolicyStatus{
		ObservedGeneration: rp.Generation, WaitingPods: pods.waiting, HeldPods: pods.held, Conditions: slices.Clone(rp.Status.Conditions),
	}
	if s.policy.Refusal != "" {
		// Nothing is placed by the units of a refused policy, and some of them may be what it is refused for.
		s.setRefused(&status, rp)
		return status
	}
	nodes := s.nodesByUnit()
	status.Units = s.units(rp, pods, nodes)
	status.Fill = fill(status.Units, s.policy.Grouped())
	s.setConditions(&status, rp, judgement{pods: pods, nodes: nodes, lost: lost})
	return status
}

// nodesByUnit returns what the nodes of each unit are.
func (s *scene) nodesByUnit() []unitNodes {
	out := make([]unitNodes, len(s.policy.Units))
	for i := range out {
		out[i] = s.fleet.in(&s.policy.Units[i].Nodes)
	}
	return out
}

// units returns how full each unit is.
func (s *scene) units(rp *v1alpha1.ResourcePolicy, pods counted, nodes []unitNodes) []v1alpha1.UnitStatus {
	write := newAmounts(s.policy.Tracked(), rp.Spec.Units)
	out := make([]v1alpha1.UnitStatus, 0, len(s.policy.Units))
	for i := range s.policy.Units {
		unit := &s.policy.Units[i]
		all := placement.Usage{Requests: make([]int64, len(s.policy.Tracked()))}
		free, freeRequests := unit.MaxPods(), slices.Clone(unit.MaxRequests())
		for _, usage := range pods.groups {
			all = all.Merge(usage[i])
			free = least(free, unit.MaxPods(), usage[i].Pods)
			for n, requests := range usage[i].Requests {
				freeRequests[n] = least(freeRequests[n], unit.MaxRequests()[n], requests)
			}
		}
		out = append(out, v1alpha1.UnitStatus{
			Name: shorten(unit.Title, maxName), Nodes: count32(int64(nodes[i].number)), Pods: count32(all.Pods),
			MaxPods: cap32(unit.MaxPods()), FreePods: cap32(free),
			Requests: write.list(all.Requests), MaxResources: write.list(unit.MaxRequests()), FreeResources: write.list(freeRequests),
		})
	}
	return out
}

// least returns the smaller of what is free so far and what a group leaves of a limit: never below 0, and NoCap when there is no limit.
func least(free, limit, used int64) int64 {
	if limit == placement.NoCap {
		return placement.NoCap
	}
	return min(free, max(limit-used, 0))
}

// cap32 returns a cap for the status: nil when there is none.
func cap32(limit int64) *int32 {
	if limit == placement.NoCap {
		return nil
	}
	return ptr.To(count32(limit))
}

func count32(number int64) int32 { return int32(min(number, math.MaxInt32)) }

// fill returns how full the units are in one line. Where caps are for each group, a unit may rightly have more pods than its cap says: then the cap is
// not written as a fraction.
func fill(units []v1alpha1.UnitStatus, grouped bool) string {
	parts := make([]string, 0, len(units))
	for i := range units {
		unit := &units[i]
		number := fmt.Sprint(unit.Pods)
		switch {
		case unit.MaxPods != nil && grouped:
			number += fmt.Sprintf(" (max %d a group)", *unit.MaxPods)
		case unit.MaxPods != nil:
			number += fmt.Sprintf("/%d", *unit.MaxPods)
		}
		parts = append(parts, number+" "+unit.Name)
	}
	line := strings.Join(parts, between)
	if utf8.RuneCountInString(line) <= maxFill {
		return line
	}
	for i := range parts {
		parts[i] = shorten(parts[i], maxFill/len(parts)-len(between))
	}
	return strings.Join(parts, between)
}

// shorten returns a text of at most so many characters, which are more than one.
func shorten(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
