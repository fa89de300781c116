package eci

import (
	"context"
	"encoding/json"
)

// ListUsage calls the action of this name.
func (c *client) ListUsage(ctx context.Context, region string) (Usage, error) {
	r := request{c.eci, "ListUsage", map[string]string{"RegionId": region}}
	var answer struct {
		Attributes struct {
			MaxCPU  json.Number `json:"MaxCpu"`
			UsedCPU json.Number `json:"UsedCpu"`
		}
	}
	if err := c.call(ctx, r, &answer); err != nil {
		return Usage{}, err
	}
	limit, okLimit := parseDecimal(answer.Attributes.MaxCPU)
	used, okUsed := parseDecimal(answer.Attributes.UsedCPU)
	if !okLimit || !okUsed {
		return Usage{}, incomplete(r.action, "MaxCpu and UsedCpu")
	}
	return Usage{MaxMilliCPU: limit.floorMilli(), UsedMilliCPU: used.ceilMilli()}, nil
}
