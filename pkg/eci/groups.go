package eci

import (
	"context"
	"encoding/json"
	"strconv"
	"time"
)

const (
	// statusPage and groupPage are the most that ECI returns in a page (source: ECI, DescribeContainerGroupStatus and DescribeContainerGroups, Limit).
	statusPage = 200
	groupPage  = 20
)

// statusAnswer is the body of DescribeContainerGroupStatus.
type statusAnswer struct {
	Data []struct {
		ContainerGroupID        string `json:"ContainerGroupId"`
		Namespace, Name, Status string
	}
	NextToken string
}

// DescribeContainerGroupStatus calls the action of this name for each page.
func (c *client) DescribeContainerGroupStatus(ctx context.Context, region string, since time.Duration) ([]GroupStatus, error) {
	query := map[string]string{"RegionId": region, "Limit": strconv.Itoa(statusPage)}
	if since > 0 {
		seconds := since / time.Second
		if since%time.Second > 0 {
			seconds++
		}
		query["SinceSecond"] = strconv.FormatInt(int64(seconds), 10)
	}
	statuses, index := []GroupStatus{}, map[string]int{}
	err := request{c.eci, "DescribeContainerGroupStatus", query}.pages(func(r request) (string, error) {
		var answer statusAnswer
		if err := c.call(ctx, r, &answer); err != nil {
			return "", err
		}
		// Without Data there are none: no sample of an empty answer is published. To take a group for missing only promises less room.
		for _, each := range answer.Data {
			if each.ContainerGroupID == "" || each.Status == "" {
				return "", incomplete(r.action, "ContainerGroupId and Status")
			}
			at, seen := index[each.ContainerGroupID]
			if !seen {
				at = len(statuses)
				index[each.ContainerGroupID] = at
				statuses = append(statuses, GroupStatus{})
			}
			statuses[at] = GroupStatus{ID: each.ContainerGroupID, Namespace: each.Namespace, Name: each.Name, Status: each.Status}
		}
		return answer.NextToken, nil
	})
	if err != nil {
		return nil, err
	}
	return statuses, nil
}

// groupAnswer is a container group in the body of DescribeContainerGroups.
type groupAnswer struct {
	ContainerGroupID   string `json:"ContainerGroupId"`
	ContainerGroupName string
	Status             string
	CPU                json.Number `json:"Cpu"`
	Memory             json.Number
	InstanceType       string
	ZoneID             string `json:"ZoneId"`
	VSwitchID          string `json:"VSwitchId"`
}

// DescribeContainerGroups calls the action of this name for each page.
func (c *client) DescribeContainerGroups(ctx context.Context, region string) ([]Group, error) {
	query := map[string]string{"RegionId": region, "Limit": strconv.Itoa(groupPage)}
	groups := []Group{}
	err := request{c.eci, "DescribeContainerGroups", query}.pages(func(r request) (string, error) {
		var answer struct {
			ContainerGroups []groupAnswer
			NextToken       string
		}
		if err := c.call(ctx, r, &answer); err != nil {
			return "", err
		}
		if answer.ContainerGroups == nil {
			return "", incomplete(r.action, "ContainerGroups")
		}
		for i := range answer.ContainerGroups {
			group, ok := answer.ContainerGroups[i].group()
			if !ok {
				return "", incomplete(r.action, "ContainerGroupId, Status, Cpu and Memory")
			}
			groups = append(groups, group)
		}
		return answer.NextToken, nil
	})
	if err != nil {
		return nil, err
	}
	return groups, nil
}

// group returns the group of the answer, or false when it lacks something.
func (g *groupAnswer) group() (Group, bool) {
	group := Group{
		ID: g.ContainerGroupID, Name: g.ContainerGroupName, Status: g.Status,
		ZoneID: g.ZoneID, VSwitchID: g.VSwitchID, InstanceType: g.InstanceType,
	}
	cpu, okCPU := decimal{}, true
	if g.CPU != "" {
		cpu, okCPU = parseDecimal(g.CPU)
	}
	memory, okMemory := decimal{}, true
	if g.Memory != "" {
		memory, okMemory = parseDecimal(g.Memory)
	}
	group.MilliCPU, group.Memory = cpu.ceilMilli(), memory.ceilGiB()
	return group, group.ID != "" && group.Status != "" && okCPU && okMemory
}
