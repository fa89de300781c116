package eci_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

var (
	small = ecispec.Spec{MilliCPU: 250, Memory: 512 << 20}
	typed = ecispec.Spec{MilliCPU: 2000, Memory: 4 << 30, InstanceType: "ecs.c6.large"}
)

// TestAnswers checks for each action what is asked and how the answer is read.
func TestAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		call func(context.Context, eci.Client) (any, error)
		body string
		// asked is the action, the version and the query of the first call.
		asked string
		want  any
	}{
		"usage": {
			call: func(ctx context.Context, c eci.Client) (any, error) { return c.ListUsage(ctx, "cn-beijing") },
			// Neither 2.01 nor 11.2505 times 1000 is what it should be in float64, and 9000000.001 is not in float32.
			body:  `{"Attributes":{"MaxCpu":2.01,"UsedCpu":11.2505,"MaxImageCacheCount":50}}`,
			asked: "ListUsage 2018-08-08 RegionId=cn-beijing",
			// What is used is rounded up, so that rounding never promises more than there is.
			want: eci.Usage{MaxMilliCPU: 2010, UsedMilliCPU: 11_251},
		},
		"usage of a large account": {
			call:  func(ctx context.Context, c eci.Client) (any, error) { return c.ListUsage(ctx, "cn-beijing") },
			body:  `{"Attributes":{"MaxCpu":1.5E+6,"UsedCpu":1000000.0019}}`,
			asked: "ListUsage 2018-08-08 RegionId=cn-beijing",
			want:  eci.Usage{MaxMilliCPU: 1_500_000_000, UsedMilliCPU: 1_000_000_002},
		},
		"regions": {
			call: func(ctx context.Context, c eci.Client) (any, error) { return c.DescribeRegions(ctx) },
			body: `{"Regions":[{"RegionId":"cn-beijing","Zones":["i","j","k"],"RecommendZones":["k"],"UnavailableZones":["j"]},` +
				`{"RegionId":"cn-hangzhou","Zones":["j"]}]}`,
			asked: "DescribeRegions 2018-08-08 ",
			want:  []eci.Region{{ID: "cn-beijing", Zones: []string{"i", "k"}}, {ID: "cn-hangzhou", Zones: []string{"j"}}},
		},
		"stock of vCPUs and memory": {
			call: func(ctx context.Context, c eci.Client) (any, error) {
				return c.DescribeAvailableResource(ctx, "cn-beijing", small)
			},
			body: stockBody("i", "WithoutStock", "WithStock", "ClosedWithoutStock") + stockBody("j") + stockBody("k", "ClosedWithoutStock", "ClosedWithStock") +
				stockBody("l", "ClosedWithoutStock") + stockBody("m", "ClosedWithoutStock", "WithoutStock"),
			asked: "DescribeAvailableResource 2018-08-08 DestinationResource.Category=InstanceType&DestinationResource.Cores=0.25&" +
				"DestinationResource.Memory=0.5&RegionId=cn-beijing",
			want: map[string]eci.Stock{"i": eci.StockWithStock, "j": eci.StockNotSold, "k": eci.StockLow, "l": eci.StockClosed, "m": eci.StockWithout},
		},
		"stock of an instance type": {
			call: func(ctx context.Context, c eci.Client) (any, error) {
				return c.DescribeAvailableResource(ctx, "cn-beijing", typed)
			},
			body: stockBody("i", "WithStock"),
			asked: "DescribeAvailableResource 2018-08-08 DestinationResource.Category=InstanceType&DestinationResource.Value=ecs.c6.large&" +
				"RegionId=cn-beijing",
			want: map[string]eci.Stock{"i": eci.StockWithStock},
		},
		"price of vCPUs and memory": {
			call: func(ctx context.Context, c eci.Client) (any, error) {
				return c.DescribeContainerGroupPrice(ctx, eci.Zone{Region: "cn-beijing", ID: "i"}, small)
			},
			body: `{"PriceInfo":{"Price":{"TradePrice":0.00012252,"OriginalPrice":1,"Currency":"CNY","DetailInfos":{"DetailInfo":[` +
				`{"Resource":"cpu","TradePrice":9.8e-05},{"Resource":"mem","TradePrice":6.13E-6},{"Resource":"mem","TradePrice":0.00001839},` +
				`{"Resource":"disk","TradePrice":1}]}}}}`,
			asked: "DescribeContainerGroupPrice 2018-08-08 Cpu=0.25&Memory=0.5&RegionId=cn-beijing&ZoneId=i",
			want:  eci.Price{Currency: "CNY", PerSecond: 122_520_000, CPUPerSecond: 98_000_000, MemoryPerSecond: 24_520_000},
		},
		"price of an instance type": {
			call: func(ctx context.Context, c eci.Client) (any, error) {
				return c.DescribeContainerGroupPrice(ctx, eci.Zone{Region: "cn-beijing", ID: "i"}, typed)
			},
			body:  `{"PriceInfo":{"Price":{"TradePrice":0.000000000001,"Currency":"USD"}}}`,
			asked: "DescribeContainerGroupPrice 2018-08-08 InstanceType=ecs.c6.large&RegionId=cn-beijing&ZoneId=i",
			want:  eci.Price{Currency: "USD", PerSecond: 1},
		},
		"status": {
			call: func(ctx context.Context, c eci.Client) (any, error) {
				return c.DescribeContainerGroupStatus(ctx, "cn-beijing", 90*time.Second+time.Nanosecond)
			},
			body: `{"Data":[{"ContainerGroupId":"eci-1","Namespace":"default","Name":"web-0","Uuid":"u","Status":"Running"},` +
				`{"ContainerGroupId":"eci-2","Name":"job","Status":"Scheduling"}]}`,
			asked: "DescribeContainerGroupStatus 2018-08-08 Limit=200&RegionId=cn-beijing&SinceSecond=91",
			want: []eci.GroupStatus{
				{ID: "eci-1", Namespace: "default", Name: "web-0", Status: "Running"}, {ID: "eci-2", Name: "job", Status: "Scheduling"},
			},
		},
		"status of none": {
			call: func(ctx context.Context, c eci.Client) (any, error) {
				return c.DescribeContainerGroupStatus(ctx, "cn-beijing", 0)
			},
			body:  `{"Data":[],"NextToken":""}`,
			asked: "DescribeContainerGroupStatus 2018-08-08 Limit=200&RegionId=cn-beijing",
			want:  []eci.GroupStatus{},
		},
		"status without a list": {
			call: func(ctx context.Context, c eci.Client) (any, error) {
				return c.DescribeContainerGroupStatus(ctx, "cn-beijing", 0)
			},
			body:  `{}`,
			asked: "DescribeContainerGroupStatus 2018-08-08 Limit=200&RegionId=cn-beijing",
			want:  []eci.GroupStatus{},
		},
		"groups": {
			call: func(ctx context.Context, c eci.Client) (any, error) {
				return c.DescribeContainerGroups(ctx, "cn-beijing")
			},
			body: `{"ContainerGroups":[{"ContainerGroupId":"eci-1","ContainerGroupName":"web-0","Status":"Running","Cpu":0.25,"Memory":0.5,"ZoneId":"i",` +
				`"VSwitchId":"vsw-i"},{"ContainerGroupId":"eci-2","ContainerGroupName":"job","Status":"Scheduling","InstanceType":"ecs.c6.large"}]}`,
			asked: "DescribeContainerGroups 2018-08-08 Limit=20&RegionId=cn-beijing",
			want: []eci.Group{
				{ID: "eci-1", Name: "web-0", Status: "Running", ZoneID: "i", VSwitchID: "vsw-i", MilliCPU: 250, Memory: 512 << 20},
				{ID: "eci-2", Name: "job", Status: "Scheduling", InstanceType: "ecs.c6.large"},
			},
		},
		"vSwitch": {
			call: func(ctx context.Context, c eci.Client) (any, error) {
				return c.DescribeVSwitches(ctx, "cn-beijing", []string{"vsw-i"})
			},
			body: `{"VSwitches":{"VSwitch":[{"VSwitchId":"vsw-other","ZoneId":"j","AvailableIpAddressCount":1},` +
				`{"VSwitchId":"vsw-i","ZoneId":"i","AvailableIpAddressCount":252}]}}`,
			asked: "DescribeVSwitches 2016-04-28 RegionId=cn-beijing&VSwitchId=vsw-i",
			want:  []eci.VSwitch{{ID: "vsw-i", ZoneID: "i", FreeIPs: 252}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "stock") {
				tc.body = `{"AvailableZones":{"AvailableZone":[` + strings.TrimSuffix(tc.body, ",") + `]}}`
			}
			server := saying(t, http.StatusOK, tc.body)
			got, err := tc.call(t.Context(), newClient(t, server.URL))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			call := server.received()[0]
			if asked := call.action + " " + call.version + " " + call.query.Encode(); asked != tc.asked {
				t.Errorf("asked %q, want %q", asked, tc.asked)
			}
		})
	}
}

// stockBody is a zone of the answer of DescribeAvailableResource.
func stockBody(zone string, categories ...string) string {
	var resources []string
	for _, category := range categories {
		resources = append(resources, `{"Value":"ecs.c6.large","StatusCategory":"`+category+`"}`)
	}
	return `{"RegionId":"cn-beijing","ZoneId":"` + zone + `","AvailableResources":{"AvailableResource":[{"Type":"InstanceType",` +
		`"SupportedResources":{"SupportedResource":[` + strings.Join(resources, ",") + `]}}]}},`
}

func TestIncompleteAnswers(t *testing.T) {
	calls := map[string]func(context.Context, eci.Client) error{
		"ListUsage":       func(ctx context.Context, c eci.Client) error { _, err := c.ListUsage(ctx, "r"); return err },
		"DescribeRegions": func(ctx context.Context, c eci.Client) error { _, err := c.DescribeRegions(ctx); return err },
		"DescribeAvailableResource": func(ctx context.Context, c eci.Client) error {
			_, err := c.DescribeAvailableResource(ctx, "r", small)
			return err
		},
		"DescribeContainerGroupPrice": func(ctx context.Context, c eci.Client) error {
			_, err := c.DescribeContainerGroupPrice(ctx, eci.Zone{}, small)
			return err
		},
		"DescribeContainerGroupStatus": func(ctx context.Context, c eci.Client) error {
			_, err := c.DescribeContainerGroupStatus(ctx, "r", 0)
			return err
		},
		"DescribeContainerGroups": func(ctx context.Context, c eci.Client) error {
			_, err := c.DescribeContainerGroups(ctx, "r")
			return err
		},
		"DescribeVSwitches": func(ctx context.Context, c eci.Client) error {
			_, err := c.DescribeVSwitches(ctx, "r", []string{"vsw-i"})
			return err
		},
	}
	for action, bodies := range map[string][]string{
		"ListUsage":       {`{}`, `{"Attributes":{"MaxCpu":1}}`, `{"Attributes":{"MaxCpu":1e300,"UsedCpu":0}}`, `{"Attributes":{"MaxCpu":null,"UsedCpu":0}}`},
		"DescribeRegions": {`{}`, `{"Regions":null}`, `{"Regions":[{"Zones":["i"]}]}`},
		"DescribeAvailableResource": {
			`{}`, `{"AvailableZones":{}}`, `{"AvailableZones":{"AvailableZone":[{}]}}`,
			`{"AvailableZones":{"AvailableZone":[` + strings.TrimSuffix(stockBody("i", "Plenty"), ",") + `]}}`,
		},
		"DescribeContainerGroupPrice": {
			`{}`, `{"PriceInfo":{"Price":{"TradePrice":1}}}`, `{"PriceInfo":{"Price":{"Currency":"CNY"}}}`,
			`{"PriceInfo":{"Price":{"Currency":"CNY","TradePrice":-1}}}`, `{"PriceInfo":{"Price":{"Currency":"CNY","TradePrice":1e-400}}}`,
			`{"PriceInfo":{"Price":{"Currency":"CNY","TradePrice":1,"DetailInfos":{"DetailInfo":[{"Resource":"cpu"}]}}}}`,
		},
		"DescribeContainerGroupStatus": {`{"Data":[{"ContainerGroupId":"eci-1"}]}`, `{"Data":[{"Status":"Running"}]}`},
		"DescribeContainerGroups": {
			`{}`, `{"ContainerGroups":[{"Status":"Running"}]}`, `{"ContainerGroups":[{"ContainerGroupId":"eci-1","Status":"Running","Cpu":-1}]}`,
		},
		"DescribeVSwitches": {
			`{}`, `{"VSwitches":{"VSwitch":[{"VSwitchId":"vsw-i","ZoneId":"i"}]}}`,
			`{"VSwitches":{"VSwitch":[{"VSwitchId":"vsw-i","AvailableIpAddressCount":1}]}}`,
		},
	} {
		for _, body := range bodies {
			t.Run(action+" "+body, func(t *testing.T) {
				wantError(t, calls[action](t.Context(), newClient(t, saying(t, http.StatusOK, body).URL)), eci.ClassServer, "")
			})
		}
	}
}

func TestPages(t *testing.T) {
	page := func(next string, groups ...string) string {
		for i := range groups {
			groups[i] = `{"ContainerGroupId":"` + groups[i] + `","Status":"` + "Running" + next + `"}`
		}
		list := strings.Join(groups, ",")
		return `{"Data":[` + list + `],"ContainerGroups":[` + list + `],"NextToken":"` + next + `"}`
	}
	server := newCloud(t, func(w http.ResponseWriter, n int, call received) {
		switch token := call.query.Get("NextToken"); token {
		case "":
			say(w, http.StatusOK, page("1", "a", "b"))
		case "1":
			say(w, http.StatusOK, page("2+/="))
		case "2+/=":
			say(w, http.StatusOK, page("", "b", "c"))
		default:
			t.Errorf("call %d has token %q", n, token)
		}
	})
	client := newClient(t, server.URL)
	statuses, err := client.DescribeContainerGroupStatus(t.Context(), "cn-beijing", 0)
	if err != nil {
		t.Fatal(err)
	}
	// b has moved to a later page, where it is newer.
	want := []eci.GroupStatus{{ID: "a", Status: "Running1"}, {ID: "b", Status: "Running"}, {ID: "c", Status: "Running"}}
	if diff := cmp.Diff(want, statuses); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	groups, err := client.DescribeContainerGroups(t.Context(), "cn-beijing")
	if err != nil || len(groups) != 4 {
		t.Errorf("groups %v, error %v", groups, err)
	}
	if n := len(server.received()); n != 6 {
		t.Errorf("%d calls, want 6", n)
	}
}

func TestPageThatFails(t *testing.T) {
	server := newCloud(t, func(w http.ResponseWriter, n int, _ received) {
		if n == 1 {
			refuse(404, "InvalidRegionId.NotFound")(w)
			return
		}
		say(w, http.StatusOK, `{"Data":[{"ContainerGroupId":"a","Status":"Running"}],"NextToken":"more"}`)
	})
	statuses, err := newClient(t, server.URL).DescribeContainerGroupStatus(t.Context(), "cn-beijing", 0)
	wantError(t, err, eci.ClassNotFound, "InvalidRegionId.NotFound")
	if statuses != nil {
		t.Errorf("half an answer: %v", statuses)
	}
}

func TestVSwitches(t *testing.T) {
	server := newCloud(t, func(w http.ResponseWriter, _ int, call received) {
		switch id := call.query.Get("VSwitchId"); id {
		case "vsw-gone":
			refuse(404, "InvalidVswitchID.NotFound")(w)
		case "vsw-none":
			say(w, http.StatusOK, `{"VSwitches":{"VSwitch":[]}}`)
		case "vsw-far":
			refuse(404, "InvalidRegionId.NotFound")(w)
		default:
			say(w, http.StatusOK, fmt.Sprintf(`{"VSwitches":{"VSwitch":[{"VSwitchId":%q,"ZoneId":"i","AvailableIpAddressCount":0}]}}`, id))
		}
	})
	client := newClient(t, server.URL)
	got, err := client.DescribeVSwitches(t.Context(), "cn-beijing", []string{"vsw-b", "vsw-gone", "", "vsw-none", "vsw-a"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]eci.VSwitch{{ID: "vsw-b", ZoneID: "i"}, {ID: "vsw-a", ZoneID: "i"}}, got); diff != "" {
		t.Errorf("vSwitches (-want +got):\n%s", diff)
	}
	if n := len(server.received()); n != 4 {
		t.Errorf("%d calls, want 4", n)
	}
	_, err = client.DescribeVSwitches(t.Context(), "cn-beijing", []string{"vsw-far"})
	wantError(t, err, eci.ClassNotFound, "InvalidRegionId.NotFound")
}

func TestBilled(t *testing.T) {
	for _, status := range []string{"Pending", "Running", "Restarting", "Updating", "Terminating"} {
		if !(eci.GroupStatus{Status: status}).Billed() {
			t.Errorf("%s is not billed", status)
		}
	}
	for _, status := range []string{"Scheduling", "ScheduleFailed", "Succeeded", "Failed", "Expired", ""} {
		if (eci.GroupStatus{Status: status}).Billed() {
			t.Errorf("%q is billed", status)
		}
	}
}

// TestEndpoint checks that the endpoint of a test or a proxy is used for both products, and that the signed host is the one that is called.
func TestEndpoint(t *testing.T) {
	server := saying(t, http.StatusOK, `{"Regions":[],"VSwitches":{"VSwitch":[]}}`)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(t, "http://"+at.Host+"/", func(c *eci.Config) { c.Region = "" })
	if _, err := client.DescribeRegions(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := client.DescribeVSwitches(t.Context(), "cn-beijing", []string{"vsw-i"}); err != nil {
		t.Error(err)
	}
}
