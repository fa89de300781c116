package eci

import (
	"context"
	"slices"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

// stocks are the categories from the worst to the best.
var stocks = []Stock{StockNotSold, StockClosed, StockWithout, StockLow, StockWithStock}

// zoneStock is a zone in the body of DescribeAvailableResource.
type zoneStock struct {
	ZoneID             string `json:"ZoneId"`
	AvailableResources struct {
		AvailableResource []struct {
			SupportedResources struct {
				SupportedResource []struct{ StatusCategory Stock }
			}
		}
	}
}

// DescribeRegions calls the action of this name.
func (c *client) DescribeRegions(ctx context.Context) ([]Region, error) {
	r := request{c.eci, "DescribeRegions", nil}
	var answer struct {
		Regions []struct {
			RegionID         string `json:"RegionId"`
			Zones            []string
			UnavailableZones []string
		}
	}
	if err := c.call(ctx, r, &answer); err != nil {
		return nil, err
	}
	if answer.Regions == nil {
		return nil, incomplete(r.action, "Regions")
	}
	regions := []Region{}
	for _, each := range answer.Regions {
		if each.RegionID == "" {
			return nil, incomplete(r.action, "RegionId")
		}
		zones := slices.DeleteFunc(each.Zones, func(zone string) bool { return slices.Contains(each.UnavailableZones, zone) })
		regions = append(regions, Region{ID: each.RegionID, Zones: zones})
	}
	return regions, nil
}

// DescribeAvailableResource calls the action of this name.
func (c *client) DescribeAvailableResource(ctx context.Context, region string, spec ecispec.Spec) (map[string]Stock, error) {
	r := request{c.eci, "DescribeAvailableResource", map[string]string{"RegionId": region, "DestinationResource.Category": "InstanceType"}}
	if spec.InstanceType != "" {
		r.query["DestinationResource.Value"] = spec.InstanceType
	} else {
		r.query["DestinationResource.Cores"] = formatCPU(spec.MilliCPU)
		r.query["DestinationResource.Memory"] = formatGiB(spec.Memory)
	}
	var answer struct {
		AvailableZones struct{ AvailableZone []zoneStock }
	}
	if err := c.call(ctx, r, &answer); err != nil {
		return nil, err
	}
	if answer.AvailableZones.AvailableZone == nil {
		return nil, incomplete(r.action, "AvailableZones")
	}
	byZone := map[string]Stock{}
	for i := range answer.AvailableZones.AvailableZone {
		zone := &answer.AvailableZones.AvailableZone[i]
		stock, ok := zone.best()
		if !ok || zone.ZoneID == "" {
			return nil, incomplete(r.action, "ZoneId and StatusCategory")
		}
		byZone[zone.ZoneID] = stock
	}
	return byZone, nil
}

// best returns the best category of the zone, or false when it has one that is not known.
func (z *zoneStock) best() (Stock, bool) {
	best := slices.Index(stocks, StockNotSold)
	for _, available := range z.AvailableResources.AvailableResource {
		for _, each := range available.SupportedResources.SupportedResource {
			rank := slices.Index(stocks, each.StatusCategory)
			if rank < 0 {
				return "", false
			}
			best = max(best, rank)
		}
	}
	return stocks[best], true
}
