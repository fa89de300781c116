package eci

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
)

// DescribeVSwitches calls the action of this name of VPC for each ID.
func (c *client) DescribeVSwitches(ctx context.Context, region string, ids []string) ([]VSwitch, error) {
	found := []VSwitch{}
	for _, id := range ids {
		if id == "" {
			continue // VPC would answer with all.
		}
		vSwitch, ok, err := c.describeVSwitch(ctx, region, id)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, vSwitch)
		}
	}
	return found, nil
}

// describeVSwitch returns one vSwitch, or false when there is none of this ID.
func (c *client) describeVSwitch(ctx context.Context, region, id string) (VSwitch, bool, error) {
	r := request{c.vpc, "DescribeVSwitches", map[string]string{"RegionId": region, "VSwitchId": id}}
	var answer struct {
		VSwitches struct {
			VSwitch []struct {
				VSwitchID               string      `json:"VSwitchId"`
				ZoneID                  string      `json:"ZoneId"`
				AvailableIPAddressCount json.Number `json:"AvailableIpAddressCount"`
			}
		}
	}
	err := c.call(ctx, r, &answer)
	var failed *Error
	if errors.As(err, &failed) && failed.Class == ClassNotFound && strings.Contains(strings.ToLower(failed.Code), "vswitch") {
		return VSwitch{}, false, nil
	}
	if err != nil {
		return VSwitch{}, false, err
	}
	if answer.VSwitches.VSwitch == nil {
		return VSwitch{}, false, incomplete(r.action, "VSwitches")
	}
	for _, each := range answer.VSwitches.VSwitch {
		if each.VSwitchID != id {
			continue
		}
		free, err := each.AvailableIPAddressCount.Int64()
		if err != nil || free < 0 || each.ZoneID == "" {
			return VSwitch{}, false, incomplete(r.action, "ZoneId and AvailableIpAddressCount")
		}
		return VSwitch{ID: id, ZoneID: each.ZoneID, FreeIPs: free}, true, nil
	}
	return VSwitch{}, false, nil
}
