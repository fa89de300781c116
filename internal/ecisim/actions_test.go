package ecisim

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stockOf is the answer of DescribeAvailableResource for one zone.
func stockOf(zone, resources string) string {
	return `{"AvailableResources":{"AvailableResource":[{"SupportedResources":{"SupportedResource":[` + resources +
		`]},"Type":"InstanceType"}]},"RegionId":"cn-test","ZoneId":"` + zone + `"}`
}

func stockAnswer(zones string) string { return `{"AvailableZones":{"AvailableZone":[` + zones + `]}}` }

func TestActions(t *testing.T) {
	w := start(t)
	cases := map[string]struct {
		action, version string
		query           query
		want            string
		wantCode        string
	}{
		"ListUsage": {
			action: "ListUsage",
			want: `{"Attributes":{"MaxAutoImageCacheCount":100,"MaxCpu":10,"MaxDataCacheCount":10,"MaxImageCacheCount":50,` +
				`"UsedAutoImageCacheCount":0,"UsedCpu":2.5,"UsedDataCacheCount":0,"UsedImageCacheCount":0}}`,
		},
		"stock of one type in one zone": {
			action: "DescribeAvailableResource",
			query:  query{"ZoneId": "cn-test-a", "DestinationResource.Category": "InstanceType", "DestinationResource.Value": "ecs.g6.large"},
			want:   stockAnswer(stockOf("cn-test-a", `{"StatusCategory":"WithoutStock","Value":"ecs.g6.large"}`)),
		},
		"stock by vCPU and memory in all zones": {
			action: "DescribeAvailableResource",
			query:  query{"DestinationResource.Category": "InstanceType", "DestinationResource.Cores": "2", "DestinationResource.Memory": "4"},
			want: stockAnswer(stockOf("cn-test-a", `{"StatusCategory":"WithStock","Value":"eci.2c4g"}`) + "," +
				stockOf("cn-test-b", `{"StatusCategory":"ClosedWithStock","Value":"eci.2c4g"}`) + "," + stockOf("cn-test-c", ``)),
		},
		"stock of fractions has the default of the zone": {
			action: "DescribeAvailableResource",
			query: query{"ZoneId": "cn-test-b", "DestinationResource.Category": "InstanceType",
				"DestinationResource.Cores": "0.25", "DestinationResource.Memory": "0.5"},
			want: stockAnswer(stockOf("cn-test-b", `{"StatusCategory":"ClosedWithoutStock","Value":"eci.0.25c0.5g"}`)),
		},
		"what is not sold is not listed": {
			action: "DescribeAvailableResource",
			query: query{"ZoneId": "cn-test-a", "DestinationResource.Category": "InstanceType",
				"DestinationResource.Cores": "64", "DestinationResource.Memory": "512"},
			want: stockAnswer(stockOf("cn-test-a", ``)),
		},
		"stock of what the state names": {
			action: "DescribeAvailableResource",
			query:  query{"ZoneId": "cn-test-a", "DestinationResource.Category": "InstanceType"},
			want: stockAnswer(stockOf("cn-test-a",
				`{"StatusCategory":"WithStock","Value":"ecs.c6.large"},{"StatusCategory":"WithoutStock","Value":"ecs.g6.large"}`)),
		},
		"stock needs a category": {action: "DescribeAvailableResource", wantCode: "InvalidParameter.DestinationResource.Category"},
		"stock of vCPUs without memory": {
			action: "DescribeAvailableResource", query: query{"DestinationResource.Category": "InstanceType", "DestinationResource.Cores": "2"},
			wantCode: "MissingParameter",
		},
		"stock of what is no instance type": {
			action: "DescribeAvailableResource", query: query{"DestinationResource.Category": "InstanceType", "DestinationResource.Value": "2-4Gi"},
			wantCode: "InvalidParameter.DestinationResource.Value",
		},
		"stock of a zone that is not there": {
			action: "DescribeAvailableResource", query: query{"ZoneId": "cn-test-z", "DestinationResource.Category": "InstanceType"},
			wantCode: "InvalidZoneId.NotFound",
		},
		"a region": {
			action: "DescribeRegions",
			want: `{"Regions":[{"RecommendZones":["cn-test-a","cn-test-b"],"RegionEndpoint":"eci.cn-test.aliyuncs.com","RegionId":"cn-test",` +
				`"UnavailableZones":["cn-test-c"],"Zones":["cn-test-a","cn-test-b","cn-test-c"]}]}`,
		},
		"a region that is not there": {action: "DescribeRegions", query: query{"RegionId": "cn-atlantis"}, wantCode: "InvalidRegionId.NotFound"},
		"price by vCPU and memory": {
			action: "DescribeContainerGroupPrice", query: query{"ZoneId": "cn-test-a", "Cpu": "2", "Memory": "4"},
			want: priceAnswer("0.00012252", priceDetail("0.000098", "cpu")+","+priceDetail("0.00002452", "mem")),
		},
		"price of an instance type": {
			action: "DescribeContainerGroupPrice", query: query{"ZoneId": "cn-test-a", "InstanceType": "ecs.c6.large"},
			want: priceAnswer("0.0001", priceDetail("0.0001", "instanceType")),
		},
		"price of an instance type without a price": {
			action: "DescribeContainerGroupPrice", query: query{"ZoneId": "cn-test-a", "InstanceType": "ecs.c6.xlarge"},
			wantCode: "InvalidParameter.InstanceType",
		},
		"price of nothing":            {action: "DescribeContainerGroupPrice", query: query{"ZoneId": "cn-test-a"}, wantCode: "MissingParameter"},
		"price of a negative vCPU":    {action: "DescribeContainerGroupPrice", query: query{"ZoneId": "cn-test-a", "Cpu": "-1", "Memory": "NaN"}, wantCode: "InvalidParameter.Cpu"},
		"price without a zone":        {action: "DescribeContainerGroupPrice", query: query{"Cpu": "1", "Memory": "2"}, wantCode: "MissingParameter"},
		"an action that is not there": {action: "CreateUnicorn", wantCode: "InvalidAction.NotFound"},
		"another version":             {action: "ListUsage", version: "2014-05-26", wantCode: "InvalidVersion"},
		"whose key it is": {
			action: "GetCallerIdentity", version: stsVersion, query: query{"RegionId": ""},
			want: `{"AccountId":"1000000000000001","Arn":"acs:ram::1000000000000001:user/simulator-id","IdentityType":"RAMUser",` +
				`"PrincipalId":"simulator-id","UserId":"simulator-id"}`,
		},
		"STS's version for ECI": {action: "ListUsage", version: stsVersion, wantCode: "InvalidAction.NotFound"},
		"another product":       {action: "ListUsage", version: vpcVersion, wantCode: "InvalidAction.NotFound"},
		"a vSwitch": {
			action: "DescribeVSwitches", version: vpcVersion, query: query{"VSwitchId": "vsw-b"},
			want: vSwitchAnswer(1, 10, 1, vSwitchOf("b", 1)),
		},
		"the vSwitches of a zone": {
			action: "DescribeVSwitches", version: vpcVersion, query: query{"ZoneId": "cn-test-c"},
			want: vSwitchAnswer(1, 10, 1, vSwitchOf("c", 2)),
		},
		"the second page of vSwitches": {
			action: "DescribeVSwitches", version: vpcVersion, query: query{"PageNumber": "2", "PageSize": "2"},
			want: vSwitchAnswer(2, 2, 3, vSwitchOf("c", 2)),
		},
		"a page behind the last": {
			action: "DescribeVSwitches", version: vpcVersion, query: query{"PageNumber": "9", "PageSize": "50"}, want: vSwitchAnswer(9, 50, 3, ""),
		},
		"a page that is too long":                {action: "DescribeVSwitches", version: vpcVersion, query: query{"PageSize": "51"}, wantCode: "InvalidParameter.PageSize"},
		"a vSwitch of another region":            {action: "DescribeVSwitches", version: vpcVersion, query: query{"VSwitchId": "vsw-cn-beijing-j"}, want: vSwitchAnswer(1, 10, 0, "")},
		"two vSwitches, as ECI itself writes it": {action: "DescribeVSwitches", version: vpcVersion, query: query{"VSwitchId": "vsw-a,vsw-b"}, want: vSwitchAnswer(1, 10, 0, "")},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.version == "" {
				tc.version = eciVersion
			}
			got, code := w.askVersion(t, tc.version, tc.action, tc.query)
			if code != tc.wantCode {
				t.Errorf("code = %q, want %q", code, tc.wantCode)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func priceAnswer(total, details string) string {
	return `{"PriceInfo":{"Price":{"Currency":"CNY","DetailInfos":{"DetailInfo":[` + details + `]},"DiscountPrice":0,"OriginalPrice":` + total +
		`,"TradePrice":` + total + `},"SpotPrices":{"SpotPrice":[]}}}`
}

func priceDetail(price, resource string) string {
	return `{"DiscountPrice":0,"OriginalPrice":` + price + `,"Resource":"` + resource + `","Rules":{"Rule":[]},"TradePrice":` + price + `}`
}

func vSwitchAnswer(page, size, total int, vSwitches string) string {
	return fmt.Sprintf(`{"PageNumber":%d,"PageSize":%d,"TotalCount":%d,"VSwitches":{"VSwitch":[%s]}}`, page, size, total, vSwitches)
}

func vSwitchOf(letter string, network int) string {
	return fmt.Sprintf(`{"AvailableIpAddressCount":100,"CidrBlock":"10.%d.0.0/16","Status":"Available","VSwitchId":"vsw-%s","VpcId":"vpc-cn-test","ZoneId":"cn-test-%s"}`,
		network, letter, letter)
}

func TestDescribeRegionsNeedsNoRegion(t *testing.T) {
	w := start(t)
	got, code := w.ask(t, "DescribeRegions", query{"RegionId": ""})
	if code != "" {
		t.Fatal(code)
	}
	for _, region := range []string{"ap-southeast-1", "cn-beijing", "cn-hangzhou", "cn-test"} {
		if !contains(got, `"RegionId":"`+region+`"`) {
			t.Errorf("%s is missing in %s", region, got)
		}
	}
}
