package placement

import "fmt"

// podCap stands for the cap on pods among those on resources, which are named by their index.
const podCap = -1

// Full tells whether a cap of the unit keeps a pod with these requests out (R4), given what its group has in the unit.
func (p *Policy) Full(unit int, usage Usage, requests []int64) bool {
	_, full := p.fullCap(unit, usage, requests)
	return full
}

// Over tells whether a group has more in the unit than its caps admit. That comes from an edit of the policy or of labels, never from a placement.
func (p *Policy) Over(unit int, usage Usage) bool {
	u := &p.Units[unit]
	if u.maxPods != NoCap && usage.Pods > u.maxPods {
		return true
	}
	for i, limit := range u.maxRequests {
		if limit != NoCap && i < len(usage.Requests) && usage.Requests[i] > limit {
			return true
		}
	}
	return false
}

// fullWords tells which cap keeps the pod out, for a message (R12). Empty: none does.
func (p *Policy) fullWords(unit int, usage Usage, requests []int64) string {
	i, full := p.fullCap(unit, usage, requests)
	switch {
	case !full:
		return ""
	case i == podCap:
		return fmt.Sprintf("full, max %d", p.Units[unit].maxPods)
	default:
		return fmt.Sprintf("full, maxResources %s %s leaves no room for the pod", p.tracked[i], p.Units[unit].maxTexts[i])
	}
}

// fullCap returns the first cap that keeps the pod out. Filter asks it for every node: it allocates nothing.
func (p *Policy) fullCap(unit int, usage Usage, requests []int64) (int, bool) {
	u := &p.Units[unit]
	if u.maxPods != NoCap && usage.Pods >= u.maxPods {
		return podCap, true
	}
	for i, limit := range u.maxRequests {
		if limit == NoCap || i >= len(requests) || requests[i] == 0 {
			continue
		}
		used := int64(0)
		if i < len(usage.Requests) {
			used = usage.Requests[i]
		}
		if Plus(used, requests[i]) > limit {
			return i, true
		}
	}
	return 0, false
}
