package ecisim

import (
	"fmt"
	"maps"
	"slices"
)

const (
	maxVSwitches     = 50
	defaultVSwitches = 10
)

// listUsage answers ListUsage: the quotas of the account in a region.
func listUsage(c *call) (map[string]any, *apiError) {
	used := c.regionState.UsedCPU + vCPU(c.ledger.region(c.region).milliCPU)
	return map[string]any{"Attributes": map[string]any{
		"MaxCpu": c.regionState.MaxCPU, "UsedCpu": used,
		"MaxImageCacheCount": 50, "UsedImageCacheCount": 0,
		"MaxAutoImageCacheCount": 100, "UsedAutoImageCacheCount": 0,
		"MaxDataCacheCount": 10, "UsedDataCacheCount": 0,
	}}, nil
}

// describeRegions answers DescribeRegions: the regions and their zones.
func describeRegions(c *call) (map[string]any, *apiError) {
	regions := []any{}
	for _, id := range slices.Sorted(maps.Keys(c.state.Regions)) {
		if c.region != "" && c.region != id {
			continue
		}
		zones, open, closed := []string{}, []string{}, []string{}
		for _, zone := range slices.Sorted(maps.Keys(c.state.Regions[id].Zones)) {
			zones = append(zones, zone)
			if c.state.Regions[id].Zones[zone].Closed {
				closed = append(closed, zone)
			} else {
				open = append(open, zone)
			}
		}
		regions = append(regions, map[string]any{
			"RegionId": id, "RegionEndpoint": "eci." + id + ".aliyuncs.com", "Zones": zones, "RecommendZones": open, "UnavailableZones": closed,
		})
	}
	return map[string]any{"Regions": regions}, nil
}

// describeVSwitches answers DescribeVSwitches of VPC: one vSwitch, or those of a region or a zone in pages.
func describeVSwitches(c *call) (map[string]any, *apiError) {
	number, err := c.integer("PageNumber", 1, 1, 1<<20)
	if err != nil {
		return nil, err
	}
	size, err := c.integer("PageSize", defaultVSwitches, 1, maxVSwitches)
	if err != nil {
		return nil, err
	}
	wanted, zone := c.query.Get("VSwitchId"), c.query.Get("ZoneId")
	account, found := c.ledger.region(c.region), []any{}
	for i, id := range slices.Sorted(maps.Keys(c.regionState.VSwitches)) {
		vSwitch := c.regionState.VSwitches[id]
		if wanted != "" && wanted != id || zone != "" && zone != vSwitch.Zone {
			continue
		}
		found = append(found, map[string]any{
			"VSwitchId": id, "ZoneId": vSwitch.Zone, "VpcId": "vpc-" + c.region, "Status": "Available",
			"AvailableIpAddressCount": max(0, vSwitch.FreeIPs-account.vSwitch[id]), "CidrBlock": fmt.Sprintf("10.%d.0.0/16", i%256),
		})
	}
	from, to := min((number-1)*size, len(found)), min(number*size, len(found))
	return map[string]any{
		"PageNumber": number, "PageSize": size, "TotalCount": len(found), "VSwitches": map[string]any{"VSwitch": found[from:to]},
	}, nil
}
