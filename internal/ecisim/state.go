package ecisim

import (
	"encoding/json"
	"time"
)

// State is everything that the simulator is told; what it counts by itself is the ledger. The admin API shows the state and changes it by JSON merge
// patch (RFC 7386).
type State struct {
	// AccessKeys are the secrets by access key ID.
	AccessKeys map[string]string `json:"accessKeys"`
	// AccountIDs are the IDs of the accounts that access keys of AccessKeys belong to, by access key ID; the others
	// belong to 1000000000000001. The regions are those of every account.
	AccountIDs map[string]string `json:"accountIDs"`
	// SecurityTokens are the tokens that must come with an access key of AccessKeys, by access key ID, as with keys that STS has issued.
	SecurityTokens map[string]SecurityToken `json:"securityTokens"`
	// Regions are the regions that ECI is offered in, by ID.
	Regions map[string]Region `json:"regions"`
	// Actions are the scripts of single actions, by name.
	Actions map[string]ActionScript `json:"actions"`
	// CreationDelay is how long a new container group is Scheduling before it is Running, such as "3s".
	CreationDelay string `json:"creationDelay"`
	// Latency delays every answer, such as "250ms".
	Latency string `json:"latency"`
	// ClockSkew shifts the clock that the dates of requests and of security tokens are compared with, such as "-20m".
	ClockSkew string `json:"clockSkew"`
	// ErrorRate is the share of calls that fail with InternalError, from 0 to 1.
	ErrorRate float64 `json:"errorRate"`
	// FailWith, when set, is the error code of every answer: Throttling.User, ServiceUnavailable or any other of the documented ones.
	FailWith string `json:"failWith"`
	// Outage closes every connection without an answer.
	Outage bool `json:"outage"`
}

// SecurityToken is what STS gives with a temporary access key.
type SecurityToken struct {
	// Token is the value of the header x-acs-security-token.
	Token string `json:"token"`
	// Expires is when the access key and the token stop working, as RFC 3339.
	Expires string `json:"expires"`
}

// ActionScript changes how one action is answered.
type ActionScript struct {
	// FailWith, when set, is the error code of every answer.
	FailWith string `json:"failWith"`
	// Latency delays every answer, in addition to that of the state; empty means none.
	Latency string `json:"latency"`
	// PerMinute, when above 0, is how many calls are answered in a minute, by a token bucket that holds those of one second; others get Throttling.User.
	PerMinute float64 `json:"perMinute"`
}

// Region is what ECI has in a region for the account.
type Region struct {
	// MaxCPU is the vCPU quota of the account.
	MaxCPU float64 `json:"maxCPU"`
	// UsedCPU is how much of it is used by others than the container groups of the ledger.
	UsedCPU float64 `json:"usedCPU"`
	// Zones are the zones by ID.
	Zones map[string]Zone `json:"zones"`
	// VSwitches are the account's vSwitches by ID.
	VSwitches map[string]VSwitch `json:"vSwitches"`
}

// Zone is the stock and the price list of a zone. Specifications are written as in the annotation eci-use-specs: 2-4Gi or ecs.c6.large.
type Zone struct {
	// Closed zones sell nothing.
	Closed bool `json:"closed"`
	// Default is the stock category of what Stock does not name; empty means WithStock.
	Default string `json:"default"`
	// Stock are the stock categories by specification: WithStock, ClosedWithStock, WithoutStock, ClosedWithoutStock, or NotSold, which is not listed.
	Stock map[string]string `json:"stock"`
	// Left is how many more container groups can be created, by specification, whatever the category says. Creations and deletions change it.
	Left map[string]int64 `json:"left"`
	// Price is the price list; one that is empty becomes DefaultPrice.
	Price Price `json:"price"`
}

// Price is what is paid in a zone, in CNY for a second.
type Price struct {
	// CPUSecond is for a vCPU.
	CPUSecond float64 `json:"cpuSecond"`
	// MemorySecond is for a GiB.
	MemorySecond float64 `json:"memorySecond"`
	// InstanceTypes are for a whole instance, by instance type.
	InstanceTypes map[string]float64 `json:"instanceTypes"`
}

// VSwitch is a vSwitch of the account.
type VSwitch struct {
	// Zone is the ID of its zone.
	Zone string `json:"zone"`
	// FreeIPs is how many addresses are free while no container group of the ledger uses one.
	FreeIPs int64 `json:"freeIPs"`
}

// DefaultPrice is the price list of the sample in the documentation of DescribeContainerGroupPrice.
func DefaultPrice() Price {
	return Price{CPUSecond: 0.000049, MemorySecond: 0.00000613, InstanceTypes: map[string]float64{"ecs.c6.large": 0.0001}}
}

// DefaultState has one account, a quota of 1,000 vCPU in three regions, stock everywhere, and a vSwitch with 1,000 addresses in each zone.
func DefaultState() State {
	region := func(zones ...string) Region {
		r := Region{MaxCPU: 1000, Zones: map[string]Zone{}, VSwitches: map[string]VSwitch{}}
		for _, zone := range zones {
			r.Zones[zone] = Zone{}
			r.VSwitches["vsw-"+zone] = VSwitch{Zone: zone, FreeIPs: 1000}
		}
		return r
	}
	state := State{
		AccessKeys: map[string]string{"simulator-id": "simulator-secret"},
		Regions: map[string]Region{
			"cn-beijing":     region("cn-beijing-i", "cn-beijing-j", "cn-beijing-k"),
			"cn-hangzhou":    region("cn-hangzhou-j", "cn-hangzhou-k"),
			"ap-southeast-1": region("ap-southeast-1a", "ap-southeast-1b"),
		},
	}
	state.complete()
	return state
}

// complete fills in what an absent or empty field means, so that the state that is shown is the one that works.
func (s *State) complete() {
	for _, d := range []*string{&s.Latency, &s.CreationDelay, &s.ClockSkew} {
		if *d == "" {
			*d = "0s"
		}
	}
	for id, region := range s.Regions {
		region.Zones, region.VSwitches = orEmpty(region.Zones), orEmpty(region.VSwitches)
		s.Regions[id] = region
		for id, zone := range region.Zones {
			zone.Stock, zone.Left = orEmpty(zone.Stock), orEmpty(zone.Left)
			if zone.Default == "" {
				zone.Default = withStock
			}
			if zone.Price.CPUSecond == 0 && zone.Price.MemorySecond == 0 && len(zone.Price.InstanceTypes) == 0 {
				zone.Price = DefaultPrice()
			}
			zone.Price.InstanceTypes = orEmpty(zone.Price.InstanceTypes)
			region.Zones[id] = zone
		}
	}
	s.AccountIDs, s.SecurityTokens, s.Actions = orEmpty(s.AccountIDs), orEmpty(s.SecurityTokens), orEmpty(s.Actions)
}

// orEmpty shows what is absent as {} and not as null.
func orEmpty[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}

// category is the stock category of a specification.
func (z *Zone) category(spec string) string {
	if z.Closed {
		return notSold
	}
	if category, ok := z.Stock[spec]; ok {
		return category
	}
	return z.Default
}

// delay is how long the answer to an action is delayed.
func (s *State) delay(action string) time.Duration {
	return duration(s.Latency) + duration(s.Actions[action].Latency)
}

// duration is a duration that validate has seen.
func duration(text string) time.Duration {
	d, _ := time.ParseDuration(text)
	return d
}

// clone returns a deep copy, which shares nothing with the caller's.
func (s *State) clone() (State, error) {
	var copied State
	data, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(data, &copied)
	}
	return copied, err
}
