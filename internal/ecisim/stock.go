package ecisim

import (
	"fmt"
	"maps"
	"slices"
)

// describeAvailableResource answers DescribeAvailableResource: the stock of an instance type, of so many vCPUs and so much memory, or of all that the
// state names, in one zone or in all.
func describeAvailableResource(c *call) (map[string]any, *apiError) {
	if category := c.query.Get("DestinationResource.Category"); category != "InstanceType" {
		return nil, invalid("DestinationResource.Category", "must be InstanceType.")
	}
	wanted, err := c.wantedResources()
	if err != nil {
		return nil, err
	}
	zoneID := c.query.Get("ZoneId")
	if zoneID != "" {
		if err := c.checkZone(zoneID); err != nil {
			return nil, err
		}
	}
	zones := []any{}
	for _, id := range slices.Sorted(maps.Keys(c.regionState.Zones)) {
		if zoneID != "" && zoneID != id {
			continue
		}
		zone := c.regionState.Zones[id]
		zones = append(zones, map[string]any{
			"RegionId": c.region,
			"ZoneId":   id,
			"AvailableResources": map[string]any{"AvailableResource": []any{map[string]any{
				"Type":               "InstanceType",
				"SupportedResources": map[string]any{"SupportedResource": zone.supportedResources(wanted)},
			}}},
		})
	}
	return map[string]any{"AvailableZones": map[string]any{"AvailableZone": zones}}, nil
}

// resource is something whose stock is asked for: the name in the answer, and the specification that the state knows.
type resource struct{ value, spec string }

// wantedResources reads DestinationResource; nothing means all that the state of a zone names.
func (c *call) wantedResources() ([]resource, *apiError) {
	const cores, memory, value = "DestinationResource.Cores", "DestinationResource.Memory", "DestinationResource.Value"
	if c.query.Get(cores)+c.query.Get(memory)+c.query.Get(value) == "" {
		return nil, nil
	}
	spec, err := c.spec(cores, memory, value)
	if err != nil {
		return nil, err
	}
	if spec.InstanceType != "" {
		return []resource{{spec.InstanceType, spec.InstanceType}}, nil
	}
	// The real API names instance types that ECI would take for it; which these are is not documented.
	return []resource{{fmt.Sprintf("eci.%vc%vg", vCPU(spec.MilliCPU), gib(spec.Memory)), spec.String()}}, nil
}

func (z *Zone) supportedResources(wanted []resource) []any {
	if wanted == nil {
		for _, spec := range slices.Sorted(maps.Keys(z.Stock)) {
			wanted = append(wanted, resource{spec, spec})
		}
	}
	resources := []any{}
	for _, r := range wanted {
		if category := z.category(r.spec); category != notSold {
			resources = append(resources, map[string]any{"Value": r.value, "StatusCategory": category})
		}
	}
	return resources
}
