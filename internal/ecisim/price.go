package ecisim

import "math"

// describeContainerGroupPrice answers DescribeContainerGroupPrice: what a specification costs for a second.
func describeContainerGroupPrice(c *call) (map[string]any, *apiError) {
	zoneID := c.query.Get("ZoneId")
	if zoneID == "" {
		return nil, missing("ZoneId")
	}
	if err := c.checkZone(zoneID); err != nil {
		return nil, err
	}
	spec, err := c.spec("Cpu", "Memory", "InstanceType")
	if err != nil {
		return nil, err
	}
	list := c.regionState.Zones[zoneID].Price
	var total float64
	var details []any
	if spec.InstanceType != "" {
		price, ok := list.InstanceTypes[spec.InstanceType]
		if !ok {
			return nil, invalid("InstanceType", "is not sold in the specified zone.")
		}
		total, details = price, []any{detail("instanceType", price)}
	} else {
		cpu, memory := vCPU(spec.MilliCPU)*list.CPUSecond, gib(spec.Memory)*list.MemorySecond
		total, details = cpu+memory, []any{detail("cpu", cpu), detail("mem", memory)}
	}
	return map[string]any{"PriceInfo": map[string]any{
		"Price": map[string]any{
			"OriginalPrice": money(total), "DiscountPrice": 0, "TradePrice": money(total), "Currency": "CNY",
			"DetailInfos": map[string]any{"DetailInfo": details},
		},
		"SpotPrices": map[string]any{"SpotPrice": []any{}},
	}}, nil
}

func detail(resource string, price float64) map[string]any {
	return map[string]any{
		"Resource": resource, "OriginalPrice": money(price), "DiscountPrice": 0, "TradePrice": money(price), "Rules": map[string]any{"Rule": []any{}},
	}
}

// money drops the digits that only the arithmetic of floating point has put there.
func money(amount float64) float64 { return math.Round(amount*1e12) / 1e12 }
