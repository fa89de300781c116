package eci

import (
	"context"
	"encoding/json"
	"math"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

// priceAnswer is the body of DescribeContainerGroupPrice.
type priceAnswer struct {
	PriceInfo struct {
		Price struct {
			Currency    string
			TradePrice  json.Number
			DetailInfos struct {
				DetailInfo []struct {
					Resource   string
					TradePrice json.Number
				}
			}
		}
	}
}

// DescribeContainerGroupPrice calls the action of this name.
func (c *client) DescribeContainerGroupPrice(ctx context.Context, zone Zone, spec ecispec.Spec) (Price, error) {
	r := request{c.eci, "DescribeContainerGroupPrice", map[string]string{"RegionId": zone.Region, "ZoneId": zone.ID}}
	if spec.InstanceType != "" {
		r.query["InstanceType"] = spec.InstanceType
	} else {
		r.query["Cpu"], r.query["Memory"] = formatCPU(spec.MilliCPU), formatGiB(spec.Memory)
	}
	var answer priceAnswer
	if err := c.call(ctx, r, &answer); err != nil {
		return Price{}, err
	}
	said := answer.PriceInfo.Price
	whole, ok := parseDecimal(said.TradePrice)
	if !ok || said.Currency == "" {
		return Price{}, incomplete(r.action, "TradePrice and Currency")
	}
	price := Price{Currency: said.Currency, PerSecond: whole.pico}
	for _, detail := range said.DetailInfos.DetailInfo {
		var part *ecispec.Pico
		switch detail.Resource {
		case "cpu":
			part = &price.CPUPerSecond
		case "mem":
			part = &price.MemoryPerSecond
		default:
			continue // such as the disk or the GPU of an instance type, which are in the whole
		}
		share, ok := parseDecimal(detail.TradePrice)
		if !ok || share.pico > math.MaxInt64-*part {
			return Price{}, incomplete(r.action, "TradePrice of "+detail.Resource)
		}
		*part += share.pico
	}
	return price, nil
}
