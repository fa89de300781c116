package ecisim

import (
	"fmt"
	"strconv"
	"time"
)

const (
	maxGroups   = 20
	maxStatuses = 200
)

// describeContainerGroups answers DescribeContainerGroups: the container groups of a region, 20 at a time.
func describeContainerGroups(c *call) (map[string]any, *apiError) {
	account := c.ledger.region(c.region)
	shown, next, err := c.page(maxGroups, func(*group) bool { return true })
	if err != nil {
		return nil, err
	}
	groups := make([]any, len(shown))
	for i, g := range shown {
		groups[i] = map[string]any{
			"ContainerGroupId": g.id(), "ContainerGroupName": g.request.Name, "Status": g.status(c.now), "RegionId": c.region,
			"Cpu": vCPU(g.request.Spec.MilliCPU), "Memory": gib(g.request.Spec.Memory), "InstanceType": g.request.Spec.InstanceType,
			"ZoneId": g.request.Zone, "VSwitchId": g.request.VSwitch, "CreationTime": g.created.UTC().Format(time.RFC3339), "Tags": g.request.Tags.shown(),
		}
	}
	return map[string]any{"ContainerGroups": groups, "NextToken": next, "TotalCount": len(account.groups)}, nil
}

// describeContainerGroupStatus answers DescribeContainerGroupStatus: what has changed in the last SinceSecond seconds, or everything.
func describeContainerGroupStatus(c *call) (map[string]any, *apiError) {
	zone, vSwitch := c.query.Get("ZoneId"), c.query.Get("VSwitchId")
	since, err := c.integer("SinceSecond", 0, 0, 1<<31-1)
	if err != nil {
		return nil, err
	}
	from := c.now.Add(-time.Duration(since) * time.Second)
	shown, next, err := c.page(maxStatuses, func(g *group) bool {
		return (zone == "" || zone == g.request.Zone) && (vSwitch == "" || vSwitch == g.request.VSwitch) && (since == 0 || !g.changed(c.now).Before(from))
	})
	if err != nil {
		return nil, err
	}
	data := make([]any, len(shown))
	for i, g := range shown {
		data[i] = map[string]any{
			"ContainerGroupId": g.id(), "Name": g.podName(), "Namespace": g.request.Tags.value("NameSpace"), "Uuid": g.request.Tags.value("UID"),
			"Status": g.status(c.now), "PodStatus": g.podStatus(c.now),
		}
	}
	return map[string]any{"Data": data, "NextToken": next}, nil
}

// page reads Limit and NextToken, and returns the groups of that page and the next token.
func (c *call) page(limit int, pass func(*group) bool) (shown []*group, next string, err *apiError) {
	limit, err = c.integer("Limit", limit, 1, limit)
	if err != nil {
		return nil, "", err
	}
	after := int64(0)
	if token := c.query.Get("NextToken"); token != "" {
		number, err := strconv.ParseInt(token, 10, 64)
		if err != nil || number < 0 {
			return nil, "", invalid("NextToken", "must be one that a call has returned.")
		}
		after = number
	}
	shown, number := c.ledger.region(c.region).page(after, limit, pass)
	if number > 0 {
		next = strconv.FormatInt(number, 10)
	}
	return shown, next, nil
}

// podName is the name of the pod, which the tags tell: that of the group is cut.
func (g *group) podName() string {
	if name := g.request.Tags.value("PodName"); name != "" {
		return name
	}
	return g.request.Name
}

func (g *group) podStatus(now time.Time) map[string]any {
	phase, created := "Pending", map[string]any{"Type": "ContainerInstanceCreated", "Status": "False", "Reason": "Creating", "Message": ""}
	if g.status(now) == "Running" {
		phase, created = "Running", map[string]any{"Type": "ContainerInstanceCreated", "Status": "True", "Reason": "", "Message": ""}
	}
	return map[string]any{
		"Phase":      phase,
		"Conditions": []any{map[string]any{"Type": "PodScheduled", "Status": "True", "Reason": "", "Message": ""}, created},
		"PodIp":      fmt.Sprintf("10.%d.%d.%d", g.number>>16&0xff, g.number>>8&0xff, g.number&0xff),
	}
}

func (t tags) shown() []any {
	shown := make([]any, len(t))
	for i, tag := range t {
		shown[i] = map[string]any{"Key": tag.Key, "Value": tag.Value}
	}
	return shown
}
