package ecisim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

// create is a request for a container group of 2-4Gi in cn-test-a, with an edit.
func create(edit query) query {
	q := query{"ContainerGroupName": "default-web", "ZoneId": "cn-test-a", "VSwitchId": "vsw-a", "Cpu": "2", "Memory": "4"}
	maps.Copy(q, edit)
	return q
}

// ledger returns what the admin API says about cn-test.
func (w *world) ledgerOf(t *testing.T) LedgerRegion {
	t.Helper()
	var ledger Ledger
	if _, body := w.admin(t, http.MethodGet, "/admin/ledger", ""); json.Unmarshal([]byte(body), &ledger) != nil {
		t.Fatal(body)
	}
	return ledger.Regions["cn-test"]
}

func TestCreateContainerGroup(t *testing.T) {
	const zone = `{"regions":{"cn-test":{"zones":{"cn-test-a":%s}}}}`
	cases := map[string]struct {
		state    string
		query    query
		wantCode string
	}{
		"fits":                                 {},
		"the last of the quota":                {query: query{"Cpu": "7.5", "Memory": "15"}},
		"more than the quota":                  {query: query{"Cpu": "7.501", "Memory": "15"}, wantCode: "QuotaExceeded"},
		"by instance type":                     {query: query{"InstanceType": "ecs.c6.xlarge", "Cpu": "", "Memory": ""}},
		"more than the quota by instance type": {query: query{"InstanceType": "ecs.c6.2xlarge", "Cpu": "", "Memory": ""}, wantCode: codeQuota},
		"no instance type":                     {query: query{"InstanceType": "large"}, wantCode: "InvalidParameter.InstanceType"},
		"no stock of an instance type":         {query: query{"InstanceType": "ecs.g6.large"}, wantCode: "OperationDenied.NoStock"},
		"not sold":                             {state: fmt.Sprintf(zone, `{"stock":{"2-4Gi":"NotSold"}}`), wantCode: "OperationDenied.NoStock"},
		"closed without stock":                 {query: query{"ZoneId": "cn-test-b", "VSwitchId": "vsw-b", "Cpu": "4", "Memory": "8"}, wantCode: "OperationDenied.NoStock"},
		"little stock":                         {query: query{"ZoneId": "cn-test-b", "VSwitchId": "vsw-b"}},
		"the category lies":                    {state: fmt.Sprintf(zone, `{"left":{"2-4Gi":0}}`), wantCode: "OperationDenied.NoStock"},
		"another specification is left":        {state: fmt.Sprintf(zone, `{"left":{"4-8Gi":0}}`)},
		"closed zone":                          {query: query{"ZoneId": "", "VSwitchId": "vsw-c"}, wantCode: "Zone.NotOnSale"},
		"no address":                           {state: `{"regions":{"cn-test":{"vSwitches":{"vsw-a":{"freeIPs":0}}}}}`, wantCode: "InvalidVSwitchId.IpNotEnough"},
		"no vSwitch":                           {query: query{"VSwitchId": ""}, wantCode: "MissingParameter"},
		"unknown vSwitch":                      {query: query{"VSwitchId": "vsw-z"}, wantCode: "InvalidVSwitchId.NotFound"},
		"vSwitch of another zone":              {query: query{"VSwitchId": "vsw-b"}, wantCode: "InvalidVSwitchId.NotFound"},
		"unknown zone":                         {query: query{"ZoneId": "cn-test-z"}, wantCode: "InvalidZoneId.NotFound"},
		"no name":                              {query: query{"ContainerGroupName": "x"}, wantCode: "InvalidParameter.ContainerGroupName"},
		"no memory":                            {query: query{"Memory": ""}, wantCode: "MissingParameter"},
		"a long token":                         {query: query{"ClientToken": strings.Repeat("x", 65)}, wantCode: "InvalidParameter.ClientToken"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			if tc.state != "" {
				w.patch(t, tc.state)
			}
			_, code := w.ask(t, "CreateContainerGroup", create(tc.query))
			if code != tc.wantCode {
				t.Errorf("code = %q, want %q", code, tc.wantCode)
			}
			want := 1
			if tc.wantCode != "" {
				want = 0
			}
			if got := w.ledgerOf(t).Groups; got != want {
				t.Errorf("%d groups, want %d", got, want)
			}
		})
	}
}

// expect calls an action and wants this code.
func (w *world) expect(t *testing.T, want, action string, q query) string {
	t.Helper()
	answer, code := w.ask(t, action, q)
	if code != want {
		t.Errorf("%s %v: code = %q, want %q", action, q, code, want)
	}
	return answer
}

// two creates two container groups where two are left, and returns the ID of the first.
func (w *world) two(t *testing.T) string {
	t.Helper()
	w.patch(t, `{"regions":{"cn-test":{"zones":{"cn-test-a":{"left":{"2-4Gi":2}}},"vSwitches":{"vsw-a":{"freeIPs":3}}}}}`)
	first := strings.Split(w.expect(t, "", "CreateContainerGroup", create(query{"ClientToken": "token"})), `"`)[3]
	w.expect(t, "", "CreateContainerGroup", create(nil))
	return first
}

// TestLedger looks at every place that shows the sums.
func TestLedger(t *testing.T) {
	w := start(t)
	first := w.two(t)
	w.expect(t, codeNoStock, "CreateContainerGroup", create(nil))
	w.expect(t, codeQuota, "CreateContainerGroup", create(query{"Cpu": "4", "Memory": "8"}))
	if answer := w.expect(t, "", "ListUsage", nil); !contains(answer, `"UsedCpu":6.5,`) {
		t.Errorf("the ledger's vCPUs are not used: %s", answer)
	}
	if answer := w.expect(t, "", "DescribeVSwitches", query{"VSwitchId": "vsw-a"}); !contains(answer, `"AvailableIpAddressCount":1,`) {
		t.Errorf("the ledger's addresses are not used: %s", answer)
	}
	want := LedgerRegion{
		Groups: 2, MilliCPU: 4000, Memory: 8 << 30, MostGroups: 2, MostMilliCPU: 4000, Refused: map[string]int64{codeNoStock: 1, codeQuota: 1},
	}
	if diff := cmp.Diff(want, w.ledgerOf(t)); diff != "" {
		t.Errorf("the ledger (-want +got):\n%s", diff)
	}
	w.expect(t, "", "DeleteContainerGroup", query{"ContainerGroupId": first})
	want.Groups, want.MilliCPU, want.Memory = 1, 2000, 4<<30
	if diff := cmp.Diff(want, w.ledgerOf(t)); diff != "" {
		t.Errorf("the ledger after a deletion (-want +got):\n%s", diff)
	}
}

func TestClientToken(t *testing.T) {
	w := start(t)
	first := w.two(t)
	if answer := w.expect(t, "", "CreateContainerGroup", create(query{"ClientToken": "token"})); !contains(answer, first) {
		t.Errorf("the same token again: %s, want %s", answer, first)
	}
	w.expect(t, "IdempotentParameterMismatch", "CreateContainerGroup", create(query{"ClientToken": "token", "Cpu": "4"}))
	w.expect(t, "", "DeleteContainerGroup", query{"ContainerGroupId": first})
	if answer := w.expect(t, "", "CreateContainerGroup", create(query{"ClientToken": "token"})); contains(answer, first) {
		t.Errorf("the token of what was deleted stands for it still: %s", answer)
	}
}

func TestDeletionGivesBack(t *testing.T) {
	w := start(t)
	first := w.two(t)
	w.expect(t, "MissingParameter", "DeleteContainerGroup", nil)
	w.expect(t, "", "DeleteContainerGroup", query{"ContainerGroupId": first})
	w.expect(t, "InvalidContainerGroupId.NotFound", "DeleteContainerGroup", query{"ContainerGroupId": first})
	w.expect(t, "", "CreateContainerGroup", create(nil))
	if status, _ := w.admin(t, http.MethodDelete, "/admin/groups", ""); status != http.StatusOK {
		t.Fatal(status)
	}
	if diff := cmp.Diff(LedgerRegion{Refused: map[string]int64{}}, w.ledgerOf(t)); diff != "" {
		t.Errorf("the ledger that was emptied (-want +got):\n%s", diff)
	}
	if _, state := w.admin(t, http.MethodGet, "/admin/state", ""); !contains(state, `"left":{"2-4Gi":2}`) {
		t.Errorf("emptying the ledger did not give back what was left: %s", state)
	}
}

// TestTheQuotaHoldsUnderLoad creates and deletes from many sides at once, while the state is patched.
func TestTheQuotaHoldsUnderLoad(t *testing.T) {
	w := start(t)
	var sides sync.WaitGroup
	for side := range 8 {
		sides.Go(func() {
			for i := range 10 {
				answer, code := w.ask(t, "CreateContainerGroup", create(nil))
				if code == "" && (side+i)%2 == 0 {
					w.ask(t, "DeleteContainerGroup", query{"ContainerGroupId": strings.Split(answer, `"`)[3]})
				}
				if i == 5 {
					w.patch(t, `{"regions":{"cn-test":{"zones":{"cn-test-a":{"left":{"2-4Gi":100}}}}}}`)
					w.admin(t, http.MethodGet, "/admin/groups", "")
				}
			}
		})
	}
	sides.Wait()
	got := w.ledgerOf(t)
	if got.MostMilliCPU > 7500 || got.MilliCPU != int64(got.Groups)*2000 || got.Groups == 0 || got.Refused[codeQuota] == 0 {
		t.Errorf("the ledger: %+v; want at most 7500 thousandths of a vCPU, and refusals", got)
	}
}

func TestGroupsOfTheAdminAPI(t *testing.T) {
	w := start(t)
	if _, body := w.admin(t, http.MethodGet, "/admin/groups", ""); body != "[]" {
		t.Errorf("no groups: %s", body)
	}
	w.patch(t, `{"creationDelay":"1m"}`)
	w.ask(t, "CreateContainerGroup", create(query{"InstanceType": "ecs.c6.large", "Tag.1.Key": "UID", "Tag.1.Value": "u"}))
	want := `[{"id":"eci-sim000000000001","name":"default-web","region":"cn-test","zone":"cn-test-a","vSwitch":"vsw-a","spec":"ecs.c6.large",` +
		`"milliCPU":2000,"memory":4294967296,"status":"Scheduling","tags":{"UID":"u"}}]`
	if _, body := w.admin(t, http.MethodGet, "/admin/groups", ""); body != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
}

// statuses is the part of DescribeContainerGroupStatus and DescribeContainerGroups that the tests look at.
type statuses struct {
	Data []struct {
		ContainerGroupID      string `json:"ContainerGroupId"`
		Name, Namespace, UUID string
		Status                string
		PodStatus             struct{ Phase string }
	}
	ContainerGroups []struct {
		ContainerGroupID string `json:"ContainerGroupId"`
	}
	NextToken  string
	TotalCount int
}

func (w *world) list(t *testing.T, action string, q query) statuses {
	t.Helper()
	answer, code := w.ask(t, action, q)
	var s statuses
	if err := json.Unmarshal([]byte(answer), &s); err != nil || code != "" {
		t.Fatal(answer, code, err)
	}
	return s
}

func TestDescribeContainerGroupStatus(t *testing.T) {
	w := start(t)
	w.patch(t, `{"creationDelay":"10s","regions":{"cn-test":{"maxCPU":10000}}}`)
	tags := query{"Tag.1.Key": "NameSpace", "Tag.1.Value": "shop", "Tag.2.Key": "PodName", "Tag.2.Value": "web-1", "Tag.3.Key": "UID", "Tag.3.Value": "u-1"}
	w.ask(t, "CreateContainerGroup", create(tags))
	w.ask(t, "CreateContainerGroup", create(query{"ZoneId": "cn-test-b", "VSwitchId": "vsw-b"}))

	got := w.list(t, "DescribeContainerGroupStatus", query{"ZoneId": "cn-test-a"}).Data
	if len(got) != 1 || got[0].Status != "Scheduling" || got[0].PodStatus.Phase != "Pending" {
		t.Errorf("a new group: %+v", got)
	}
	if len(got) == 1 && (got[0].Namespace != "shop" || got[0].Name != "web-1" || got[0].UUID != "u-1") {
		t.Errorf("the pod of the tags: %+v", got)
	}
	w.clock = w.clock.Add(10 * time.Second)
	if got := w.list(t, "DescribeContainerGroupStatus", query{"VSwitchId": "vsw-b"}).Data; len(got) != 1 || got[0].Status != "Running" ||
		got[0].PodStatus.Phase != "Running" || got[0].Name != "default-web" {
		t.Errorf("after the delay: %+v", got)
	}
	w.clock = w.clock.Add(5 * time.Second)
	for since, want := range map[string]int{"4": 0, "5": 2, "60": 2} {
		if got := w.list(t, "DescribeContainerGroupStatus", query{"SinceSecond": since}).Data; len(got) != want {
			t.Errorf("changed in the last %s s: %d, want %d", since, len(got), want)
		}
	}
}

func TestPages(t *testing.T) {
	w := start(t)
	w.patch(t, `{"regions":{"cn-test":{"maxCPU":10000}}}`)
	for range 45 {
		if _, code := w.ask(t, "CreateContainerGroup", create(nil)); code != "" {
			t.Fatal(code)
		}
	}
	for action, q := range map[string]query{"DescribeContainerGroups": {}, "DescribeContainerGroupStatus": {"Limit": "20"}} {
		seen, pages := map[string]bool{}, 0
		for token := "start"; token != ""; pages++ {
			if token != "start" {
				q["NextToken"] = token
			}
			page := w.list(t, action, q)
			if action == "DescribeContainerGroups" && page.TotalCount != 45 {
				t.Errorf("TotalCount = %d, want 45", page.TotalCount)
			}
			for _, g := range page.Data {
				seen[g.ContainerGroupID] = true
			}
			for _, g := range page.ContainerGroups {
				seen[g.ContainerGroupID] = true
			}
			token = page.NextToken
		}
		if len(seen) != 45 || pages != 3 {
			t.Errorf("%s: %d groups on %d pages, want 45 on 3", action, len(seen), pages)
		}
	}
}

func TestPagesThatAreNotThere(t *testing.T) {
	w := start(t)
	w.expect(t, "InvalidParameter.Limit", "DescribeContainerGroups", query{"Limit": "21"})
	w.expect(t, "InvalidParameter.Limit", "DescribeContainerGroupStatus", query{"Limit": "201"})
	w.expect(t, "InvalidParameter.NextToken", "DescribeContainerGroups", query{"NextToken": "x"})
}

func TestDescribeContainerGroups(t *testing.T) {
	w := start(t)
	w.expect(t, "", "CreateContainerGroup", create(query{"Tag.1.Key": "UID", "Tag.1.Value": "u"}))
	want := `{"ContainerGroups":[{"ContainerGroupId":"eci-sim000000000001","ContainerGroupName":"default-web","Cpu":2,"CreationTime":"` +
		w.clock.UTC().Format(time.RFC3339) + `","InstanceType":"","Memory":4,"RegionId":"cn-test","Status":"Running","Tags":[{"Key":"UID","Value":"u"}],` +
		`"VSwitchId":"vsw-a","ZoneId":"cn-test-a"}],"NextToken":"","TotalCount":1}`
	if got := w.expect(t, "", "DescribeContainerGroups", nil); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
