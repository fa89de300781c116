package ecisim

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// ledger has the container groups that exist, by region, and what refusing and creating them has added up to. Server.mu guards it.
type ledger struct {
	// last is the number of the last container group that was created.
	last    int64
	regions map[string]*account
}

// account is what the account has in a region. Everything is counted as it changes: asking must not get slower with the number of groups.
type account struct {
	// groups are in the order of their creation.
	groups []*group
	byID   map[string]*group
	// byToken are the groups by ClientToken, as long as they exist.
	byToken  map[string]*group
	vSwitch  map[string]int64
	milliCPU int64
	memory   int64

	mostMilliCPU int64
	mostGroups   int
	refused      map[string]int64
}

// group is a container group. All its states are billed, since it has no others than Scheduling and Running.
type group struct {
	number   int64
	request  createRequest
	created  time.Time
	runsFrom time.Time
}

func newLedger() *ledger { return &ledger{regions: map[string]*account{}} }

// region returns the account in a region.
func (l *ledger) region(id string) *account {
	a := l.regions[id]
	if a == nil {
		a = &account{byID: map[string]*group{}, byToken: map[string]*group{}, vSwitch: map[string]int64{}, refused: map[string]int64{}}
		l.regions[id] = a
	}
	return a
}

// add creates a container group.
func (l *ledger) add(region string, request createRequest, now time.Time, delay time.Duration) *group {
	l.last++
	g := &group{number: l.last, request: request, created: now, runsFrom: now.Add(delay)}
	a := l.region(region)
	a.groups = append(a.groups, g)
	a.byID[g.id()] = g
	if request.ClientToken != "" {
		a.byToken[request.ClientToken] = g
	}
	a.count(g, 1)
	a.mostMilliCPU, a.mostGroups = max(a.mostMilliCPU, a.milliCPU), max(a.mostGroups, len(a.groups))
	return g
}

// remove deletes a container group.
func (a *account) remove(g *group) {
	i, _ := a.after(g.number - 1)
	a.groups = slices.Delete(a.groups, i, i+1)
	delete(a.byID, g.id())
	delete(a.byToken, g.request.ClientToken)
	a.count(g, -1)
}

// after returns the index of the first group with a higher number.
func (a *account) after(number int64) (int, bool) {
	return slices.BinarySearchFunc(a.groups, number+1, func(g *group, n int64) int { return cmp.Compare(g.number, n) })
}

func (a *account) count(g *group, sign int64) {
	a.milliCPU += sign * g.request.Spec.MilliCPU
	a.memory += sign * g.request.Spec.Memory
	a.vSwitch[g.request.VSwitch] += sign
	if a.vSwitch[g.request.VSwitch] == 0 {
		delete(a.vSwitch, g.request.VSwitch)
	}
}

// page returns up to limit groups that pass, of those after a number, and the number to go on from, or 0 when there are no more.
func (a *account) page(after int64, limit int, pass func(*group) bool) (groups []*group, next int64) {
	start, _ := a.after(after)
	for _, g := range a.groups[start:] {
		if !pass(g) {
			continue
		}
		if len(groups) == limit {
			return groups, groups[limit-1].number
		}
		groups = append(groups, g)
	}
	return groups, 0
}

func (g *group) id() string { return fmt.Sprintf("eci-sim%012d", g.number) }

// status is the Status that the API shows.
func (g *group) status(now time.Time) string {
	if now.Before(g.runsFrom) {
		return "Scheduling"
	}
	return "Running"
}

// changed is when the status was last another one.
func (g *group) changed(now time.Time) time.Time {
	if now.Before(g.runsFrom) {
		return g.created
	}
	return g.runsFrom
}
