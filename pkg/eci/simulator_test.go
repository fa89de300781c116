package eci_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	openapiutil "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-k8s/spillway/internal/ecisim"
	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

// simulate starts a simulator in the default state with an edit, and returns its URL.
func simulate(t *testing.T, edit func(*ecisim.State)) string {
	t.Helper()
	state := ecisim.DefaultState()
	if edit != nil {
		edit(&state)
	}
	server := httptest.NewServer(ecisim.New(state))
	t.Cleanup(server.Close)
	return server.URL
}

// create creates so many container groups of 0.25 vCPU and 0.5 GiB with the vendor's own client.
func create(t *testing.T, url string, groups int) {
	t.Helper()
	api, err := openapi.NewClient(&openapiutil.Config{
		AccessKeyId: dara.String(keyID), AccessKeySecret: dara.String(secret), Protocol: dara.String("http"),
		Endpoint: dara.String(strings.TrimPrefix(url, "http://")),
	})
	if err != nil {
		t.Fatal(err)
	}
	params := &openapiutil.Params{
		Action: dara.String("CreateContainerGroup"), Version: dara.String("2018-08-08"), Protocol: dara.String("http"), Pathname: dara.String("/"),
		Method: dara.String("POST"), AuthType: dara.String("AK"), Style: dara.String("RPC"), ReqBodyType: dara.String("formData"), BodyType: dara.String("json"),
	}
	for i := range groups {
		query := map[string]*string{}
		for name, value := range map[string]string{
			"RegionId": "cn-beijing", "ContainerGroupName": fmt.Sprintf("default-web-%03d", i), "VSwitchId": "vsw-cn-beijing-i", "Cpu": "0.25", "Memory": "0.5",
			"Tag.1.Key": "NameSpace", "Tag.1.Value": "default", "Tag.2.Key": "PodName", "Tag.2.Value": fmt.Sprintf("web-%03d", i),
		} {
			query[name] = dara.String(value)
		}
		if _, err := api.CallApi(params, &openapiutil.OpenApiRequest{Query: query}, &dara.RuntimeOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSimulatorKnowsTheAccount(t *testing.T) {
	client := newClient(t, simulate(t, func(s *ecisim.State) {
		region := s.Regions["cn-beijing"]
		region.MaxCPU, region.UsedCPU = 100, 11.2505
		zone := region.Zones["cn-beijing-j"]
		zone.Closed = true
		region.Zones["cn-beijing-j"] = zone
		zone = region.Zones["cn-beijing-k"]
		zone.Stock = map[string]string{"ecs.c6.large": "ClosedWithStock", "0.25-0.5Gi": "NotSold"}
		region.Zones["cn-beijing-k"] = zone
		s.Regions["cn-beijing"] = region
	}))
	usage, err := client.ListUsage(t.Context(), "cn-beijing")
	if diff := cmp.Diff(eci.Usage{MaxMilliCPU: 100_000, UsedMilliCPU: 11_251}, usage); err != nil || diff != "" {
		t.Errorf("usage (-want +got): %v\n%s", err, diff)
	}
	regions, err := client.DescribeRegions(t.Context())
	want := []eci.Region{
		{ID: "ap-southeast-1", Zones: []string{"ap-southeast-1a", "ap-southeast-1b"}}, {ID: "cn-beijing", Zones: []string{"cn-beijing-i", "cn-beijing-k"}},
		{ID: "cn-hangzhou", Zones: []string{"cn-hangzhou-j", "cn-hangzhou-k"}},
	}
	if diff := cmp.Diff(want, regions); err != nil || diff != "" {
		t.Errorf("regions (-want +got): %v\n%s", err, diff)
	}
	for name, tc := range map[string]struct {
		spec ecispec.Spec
		want map[string]eci.Stock
	}{
		"instance type": {typed, map[string]eci.Stock{
			"cn-beijing-i": eci.StockWithStock, "cn-beijing-j": eci.StockNotSold, "cn-beijing-k": eci.StockLow,
		}},
		"vCPUs and memory": {small, map[string]eci.Stock{
			"cn-beijing-i": eci.StockWithStock, "cn-beijing-j": eci.StockNotSold, "cn-beijing-k": eci.StockNotSold,
		}},
	} {
		got, err := client.DescribeAvailableResource(t.Context(), "cn-beijing", tc.spec)
		if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
			t.Errorf("stock of %s (-want +got): %v\n%s", name, err, diff)
		}
	}
	price, err := client.DescribeContainerGroupPrice(t.Context(), eci.Zone{Region: "cn-beijing", ID: "cn-beijing-i"}, ecispec.Spec{MilliCPU: 2000, Memory: 4 << 30})
	wantPrice := eci.Price{Currency: "CNY", PerSecond: 122_520_000, CPUPerSecond: 98_000_000, MemoryPerSecond: 24_520_000}
	if diff := cmp.Diff(wantPrice, price); err != nil || diff != "" {
		t.Errorf("price (-want +got): %v\n%s", err, diff)
	}
}

func TestSimulatorHasGroups(t *testing.T) {
	const groups = 205 // more than a page of either action
	url := simulate(t, nil)
	create(t, url, groups)
	client := newClient(t, url)
	statuses, err := client.DescribeContainerGroupStatus(t.Context(), "cn-beijing", 0)
	if err != nil || len(statuses) != groups {
		t.Fatalf("%d statuses, error %v, want %d", len(statuses), err, groups)
	}
	if got := statuses[groups-1]; got.Namespace != "default" || got.Name != "web-204" || got.ID == "" {
		t.Errorf("status %+v", got)
	}
	recent, err := client.DescribeContainerGroupStatus(t.Context(), "cn-beijing", time.Hour)
	if err != nil || len(recent) != groups {
		t.Errorf("%d statuses of the last hour, error %v, want %d", len(recent), err, groups)
	}
	details, err := client.DescribeContainerGroups(t.Context(), "cn-beijing")
	if err != nil || len(details) != groups {
		t.Fatalf("%d groups, error %v, want %d", len(details), err, groups)
	}
	want := eci.Group{
		ID: statuses[0].ID, Name: "default-web-000", Status: details[0].Status, ZoneID: "cn-beijing-i", VSwitchID: "vsw-cn-beijing-i", MilliCPU: 250, Memory: 512 << 20,
	}
	if diff := cmp.Diff(want, details[0]); diff != "" {
		t.Errorf("group (-want +got):\n%s", diff)
	}
	usage, err := client.ListUsage(t.Context(), "cn-beijing")
	if want := int64(groups * 250); err != nil || usage.UsedMilliCPU != want {
		t.Errorf("usage %+v, error %v, want %d used", usage, err, want)
	}
	vSwitches, err := client.DescribeVSwitches(t.Context(), "cn-beijing", []string{"vsw-cn-beijing-j", "vsw-none", "vsw-cn-beijing-i"})
	wantVSwitches := []eci.VSwitch{
		{ID: "vsw-cn-beijing-j", ZoneID: "cn-beijing-j", FreeIPs: 1000}, {ID: "vsw-cn-beijing-i", ZoneID: "cn-beijing-i", FreeIPs: 1000 - groups},
	}
	if diff := cmp.Diff(wantVSwitches, vSwitches); err != nil || diff != "" {
		t.Errorf("vSwitches (-want +got): %v\n%s", err, diff)
	}
}

func TestSimulatorErrors(t *testing.T) {
	key := func(id, secret string) func(*eci.Config) {
		return func(c *eci.Config) { c.Credentials = eci.Credentials{AccessKeyID: id, AccessKeySecret: secret} }
	}
	none := func(*eci.Config) {}
	for name, tc := range map[string]struct {
		edit      func(*ecisim.State)
		config    func(*eci.Config)
		region    string
		wantClass eci.Class
		wantCode  string
	}{
		"unknown access key": {config: key("nobody", secret), wantClass: eci.ClassCredentials, wantCode: "InvalidAccessKeyId.NotFound"},
		"wrong secret":       {config: key(keyID, "wrong-secret"), wantClass: eci.ClassCredentials, wantCode: "SignatureDoesNotMatch"},
		"missing rights": {
			edit: func(s *ecisim.State) { s.FailWith = "Forbidden.RAM" }, config: none, wantClass: eci.ClassCredentials, wantCode: "Forbidden.RAM",
		},
		"a clock that is off": {
			edit: func(s *ecisim.State) { s.ClockSkew = "-20m" }, config: none, wantClass: eci.ClassCredentials, wantCode: "InvalidTimeStamp.Expired",
		},
		"throttled": {
			edit: func(s *ecisim.State) { s.FailWith = "Throttling.User" }, config: none, wantClass: eci.ClassThrottled, wantCode: "Throttling.User",
		},
		"server failed":  {edit: func(s *ecisim.State) { s.ErrorRate = 1 }, config: none, wantClass: eci.ClassServer, wantCode: "InternalError"},
		"unknown region": {region: "cn-atlantis", config: none, wantClass: eci.ClassNotFound, wantCode: "InvalidRegionId.NotFound"},
		"no answer":      {edit: func(s *ecisim.State) { s.Outage = true }, config: none, wantClass: eci.ClassNetwork},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.region == "" {
				tc.region = "cn-beijing"
			}
			_, err := newClient(t, simulate(t, tc.edit), tc.config).ListUsage(t.Context(), tc.region)
			wantError(t, err, tc.wantClass, tc.wantCode)
		})
	}
}

// TestSimulatorWantsSessions checks that a request is signed with the token of a session.
func TestSimulatorWantsSessions(t *testing.T) {
	url := simulate(t, func(s *ecisim.State) {
		s.AccessKeys["STS.id"] = sessionSecret
		s.SecurityTokens = map[string]ecisim.SecurityToken{"STS.id": {Token: sessionToken, Expires: time.Now().Add(time.Hour).Format(time.RFC3339)}}
	})
	given := func(c *eci.Config) {
		c.Credentials = eci.Credentials{AccessKeyID: "STS.id", AccessKeySecret: sessionSecret, SecurityToken: sessionToken}
	}
	assumed := asRole(writeToken(t, serviceToken), newSTS(t, session(time.Hour)).host())
	for name, config := range map[string]func(*eci.Config){"given": given, "assumed": assumed} {
		if _, err := newClient(t, url, config).ListUsage(t.Context(), "cn-beijing"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := newClient(t, url, func(c *eci.Config) {
		given(c)
		c.Credentials.SecurityToken = ""
	}).ListUsage(t.Context(), "cn-beijing")
	if err == nil {
		t.Error("a session needs no token")
	}
}

// TestSimulatorKnowsWhoCalls checks the account of each access key: two may belong to one account or to two.
func TestSimulatorKnowsWhoCalls(t *testing.T) {
	url := simulate(t, func(s *ecisim.State) {
		s.AccessKeys["second-id"], s.AccessKeys["third-id"], s.AccessKeys["STS.id"] = "second-secret", "third-secret", sessionSecret
		s.AccountIDs = map[string]string{"third-id": "1000000000000003", "STS.id": "1000000000000004"}
		s.SecurityTokens = map[string]ecisim.SecurityToken{"STS.id": {Token: sessionToken, Expires: time.Now().Add(time.Hour).Format(time.RFC3339)}}
	})
	for id, tc := range map[string]struct{ secret, token, want string }{
		keyID: {secret, "", "1000000000000001"}, "second-id": {"second-secret", "", "1000000000000001"},
		"third-id": {"third-secret", "", "1000000000000003"}, "STS.id": {sessionSecret, sessionToken, "1000000000000004"},
	} {
		got, err := newClient(t, url, func(c *eci.Config) {
			c.Credentials = eci.Credentials{AccessKeyID: id, AccessKeySecret: tc.secret, SecurityToken: tc.token}
		}).AccountID(t.Context())
		if got != tc.want || err != nil {
			t.Errorf("%s belongs to %q, %v; want %q", id, got, err, tc.want)
		}
	}
	_, err := newClient(t, url, func(c *eci.Config) { c.Credentials.AccessKeySecret = "wrong-secret" }).AccountID(t.Context())
	wantError(t, err, eci.ClassCredentials, "SignatureDoesNotMatch")
}
