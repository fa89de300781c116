package simulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// State is everything that the simulator answers from. The admin API shows it and changes it by JSON merge patch (RFC 7386).
type State struct {
	// AccessKeys are the accounts: secrets by access key ID.
	AccessKeys map[string]string `json:"accessKeys"`
	// Regions are the regions that ECI is offered in, by ID.
	Regions map[string]Region `json:"regions"`
	// Latency delays every answer, such as "250ms".
	Latency string `json:"latency"`
	// ErrorRate is the share of calls that fail with InternalError, from 0 to 1.
	ErrorRate float64 `json:"errorRate"`
	// FailWith, when set, is the error code of every answer: Throttling.User, ServiceUnavailable or any other of the documented ones.
	FailWith string `json:"failWith"`
	// Outage closes every connection without an answer.
	Outage bool `json:"outage"`
}

// Region is what ListUsage and DescribeAvailableResource answer for a region.
type Region struct {
	// MaxCPU is the vCPU quota of the account.
	MaxCPU float64 `json:"maxCPU"`
	// UsedCPU is how much of it is used.
	UsedCPU float64 `json:"usedCPU"`
	// Zones are the stock categories by zone and instance type: WithStock, ClosedWithStock, WithoutStock or ClosedWithoutStock.
	Zones map[string]map[string]string `json:"zones"`
}

// DefaultState has one account, a quota of 1,000 vCPU in three regions, and stock everywhere.
func DefaultState() State {
	stock := map[string]string{"ecs.c6.large": "WithStock", "ecs.c6.xlarge": "WithStock", "ecs.g6.2xlarge": "WithStock"}
	region := func(zones ...string) Region {
		r := Region{MaxCPU: 1000, Zones: map[string]map[string]string{}}
		for _, zone := range zones {
			r.Zones[zone] = maps.Clone(stock)
		}
		return r
	}
	return State{
		AccessKeys: map[string]string{"simulator-id": "simulator-secret"},
		Regions: map[string]Region{
			"cn-beijing":     region("cn-beijing-i", "cn-beijing-j", "cn-beijing-k"),
			"cn-hangzhou":    region("cn-hangzhou-j", "cn-hangzhou-k"),
			"ap-southeast-1": region("ap-southeast-1a", "ap-southeast-1b"),
		},
		Latency: "0s",
	}
}

// validate returns an error that names the field, its value and what is allowed.
func (s *State) validate() error {
	if d, err := time.ParseDuration(s.Latency); err != nil || d < 0 {
		return fmt.Errorf("latency: %q: must be a duration of 0s or more, such as 250ms", s.Latency)
	}
	if s.ErrorRate < 0 || s.ErrorRate > 1 {
		return fmt.Errorf("errorRate: %v: must be from 0 to 1", s.ErrorRate)
	}
	for id, region := range s.Regions {
		if region.MaxCPU < 0 || region.UsedCPU < 0 {
			return fmt.Errorf("regions.%s: maxCPU %v, usedCPU %v: must be 0 or more", id, region.MaxCPU, region.UsedCPU)
		}
		for zone, stock := range region.Zones {
			for instanceType, category := range stock {
				if !slices.Contains(stockCategories, category) {
					return fmt.Errorf("regions.%s.zones.%s.%s: %q: must be one of %v", id, zone, instanceType, category, stockCategories)
				}
			}
		}
	}
	return nil
}

// latency is Latency as a duration.
func (s *State) latency() time.Duration {
	d, _ := time.ParseDuration(s.Latency) // validate has seen it
	return d
}

// clone returns a deep copy, so that a patch can be refused without a trace.
func (s *State) clone() (State, error) {
	var copied State
	data, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(data, &copied)
	}
	return copied, err
}
