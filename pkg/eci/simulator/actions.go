package simulator

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// listUsage answers ListUsage: the quotas of the account in a region.
func listUsage(region Region) map[string]any {
	return map[string]any{"Attributes": map[string]any{
		"MaxCpu": region.MaxCPU, "UsedCpu": region.UsedCPU,
		"MaxImageCacheCount": 50, "UsedImageCacheCount": 0,
		"MaxAutoImageCacheCount": 100, "UsedAutoImageCacheCount": 0,
		"MaxDataCacheCount": 10, "UsedDataCacheCount": 0,
	}}
}

// describeAvailableResource answers DescribeAvailableResource: the stock of an instance type, or of all, in one zone or in all.
func describeAvailableResource(region Region, query url.Values) (map[string]any, *apiError) {
	if category := query.Get("DestinationResource.Category"); category != "InstanceType" {
		return nil, &apiError{http.StatusBadRequest, "InvalidParameter.DestinationResource.Category", "DestinationResource.Category must be InstanceType."}
	}
	if zone := query.Get("ZoneId"); zone != "" && region.Zones[zone] == nil {
		return nil, &apiError{http.StatusNotFound, "InvalidZoneId.NotFound", "The specified ZoneId does not exist."}
	}
	zones := []any{}
	for _, zone := range slices.Sorted(maps.Keys(region.Zones)) {
		if wanted := query.Get("ZoneId"); wanted != "" && wanted != zone {
			continue
		}
		zones = append(zones, map[string]any{
			"RegionId": query.Get("RegionId"),
			"ZoneId":   zone,
			"AvailableResources": map[string]any{"AvailableResource": []any{map[string]any{
				"Type":               "InstanceType",
				"SupportedResources": map[string]any{"SupportedResource": supportedResources(region.Zones[zone], query.Get("DestinationResource.Value"))},
			}}},
		})
	}
	return map[string]any{"AvailableZones": map[string]any{"AvailableZone": zones}}, nil
}

func supportedResources(stock map[string]string, wanted string) []any {
	resources := []any{}
	for _, instanceType := range slices.Sorted(maps.Keys(stock)) {
		if wanted == "" || wanted == instanceType {
			resources = append(resources, map[string]any{"Value": instanceType, "StatusCategory": stock[instanceType]})
		}
	}
	return resources
}
