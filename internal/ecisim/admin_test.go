package ecisim

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestPatchRefusesWhatItCannotUse(t *testing.T) {
	w := start(t)
	_, before := w.admin(t, http.MethodGet, "/admin/state", "")
	const categories = "must be one of [WithStock ClosedWithStock WithoutStock ClosedWithoutStock NotSold]"
	zone := func(text string) string { return `{"regions":{"cn-test":{"zones":{"z":` + text + `}}}}` }
	for body, want := range map[string]string{
		`{"latency":"soon"}`:                          `latency: "soon": must be a duration of 0s or more, such as 250ms`,
		`{"latency":"-1s"}`:                           `latency: "-1s": must be a duration of 0s or more, such as 250ms`,
		`{"creationDelay":"-1s"}`:                     `creationDelay: "-1s": must be a duration of 0s or more, such as 250ms`,
		`{"clockSkew":"late"}`:                        `clockSkew: "late": must be a duration, such as -20m`,
		`{"errorRate":2}`:                             `errorRate: 2: must be from 0 to 1`,
		`{"outtage":true}`:                            `reading the new state: json: unknown field "outtage"`,
		`{"accountIDs":{"nobody":"1"}}`:               `accountIDs.nobody: accessKeys has no such access key ID`,
		`{"accountIDs":{"simulator-id":"a"}}`:         `accountIDs.simulator-id: "a": must be the ID of an account, such as 1000000000000001`,
		`{"securityTokens":{"nobody":{"token":"t"}}}`: `securityTokens.nobody: accessKeys has no such access key ID`,
		`{"securityTokens":{"simulator-id":{}}}`:      `securityTokens.simulator-id.token: "": must not be empty`,
		`{"actions":{"ListUsage":{"latency":"-1s"}}}`: `actions.ListUsage.latency: "-1s": must be a duration of 0s or more, such as 250ms`,
		`{"actions":{"ListUsage":{"perMinute":-1}}}`:  `actions.ListUsage.perMinute: -1: must be from 0 to 1000000000`,
		`{"regions":{"cn-test":{"maxCPU":-1}}}`:       `regions.cn-test: maxCPU -1, usedCPU 2.5: must be from 0 to 1000000000`,
		`{"regions":{"cn-test":{"vSwitches":{"v":{"zone":"cn-test-a","freeIPs":-1}}}}}`: `regions.cn-test.vSwitches.v.freeIPs: -1: must be 0 or more`,
		`{"regions":{"cn-test":{"vSwitches":{"v":{"zone":"x"}}}}}`:                      `regions.cn-test.vSwitches.v.zone: "x": must be one of [cn-test-a cn-test-b cn-test-c]`,
		`{"securityTokens":{"simulator-id":{"token":"t","expires":"soon"}}}`: `securityTokens.simulator-id.expires: "soon": must be a time of RFC 3339, ` +
			`such as 2030-01-02T15:04:05Z`,
		`{"actions":{"CreateUnicorn":{}}}`: `actions.CreateUnicorn: must be one of [CreateContainerGroup DeleteContainerGroup DescribeAvailableResource ` +
			`DescribeContainerGroupPrice DescribeContainerGroupStatus DescribeContainerGroups DescribeRegions DescribeVSwitches GetCallerIdentity ListUsage]`,
		zone(`{"default":"Plenty"}`):                           `regions.cn-test.zones.z.default: "Plenty": ` + categories,
		zone(`{"stock":{"2-4Gi":"Plenty"}}`):                   `regions.cn-test.zones.z.stock.2-4Gi: "Plenty": ` + categories,
		zone(`{"stock":{"2.0-4Gi":"WithStock"}}`):              `regions.cn-test.zones.z.stock.2.0-4Gi: "2.0-4Gi": must be a specification such as 2-4Gi or ecs.c6.large`,
		zone(`{"left":{"large":1}}`):                           `regions.cn-test.zones.z.left.large: "large": must be a specification such as 2-4Gi or ecs.c6.large`,
		zone(`{"left":{"2-4Gi":-1}}`):                          `regions.cn-test.zones.z.left.2-4Gi: -1: must be 0 or more`,
		zone(`{"price":{"cpuSecond":-1}}`):                     `regions.cn-test.zones.z.price: cpuSecond -1, memorySecond 0: must be from 0 to 1000000000`,
		zone(`{"price":{"instanceTypes":{"t":-1}}}`):           `regions.cn-test.zones.z.price.instanceTypes.t: -1: must be from 0 to 1000000000`,
		`{"regions":{"cn-test":{"zones":{"cn-test-a":null}}}}`: `regions.cn-test.vSwitches.vsw-a.zone: "cn-test-a": must be one of [cn-test-b cn-test-c]`,
	} {
		if status, text := w.admin(t, http.MethodPatch, "/admin/state", body); status != http.StatusBadRequest || text != want {
			t.Errorf("PATCH %s: %d\ngot  %s\nwant %s", body, status, text, want)
		}
	}
	if status, text := w.admin(t, http.MethodPatch, "/admin/state", `[]`); status != http.StatusBadRequest {
		t.Errorf("PATCH []: %d %s, want 400", status, text)
	}
	if _, after := w.admin(t, http.MethodGet, "/admin/state", ""); after != before {
		t.Errorf("what was refused has changed the state:\n%s\n%s", before, after)
	}
}

func TestPatch(t *testing.T) {
	w := start(t)
	w.patch(t, `{"regions":{"cn-test":{"maxCPU":4,"zones":{"cn-test-d":{}}}}}`)
	if got, _ := w.ask(t, "ListUsage", nil); !strings.Contains(got, `"MaxCpu":4,`) || !strings.Contains(got, `"UsedCpu":2.5`) {
		t.Errorf("after the patch: %s; want MaxCpu 4 and UsedCpu as before", got)
	}
	want := `"cn-test-d":{"closed":false,"default":"WithStock","stock":{},"left":{},"price":{"cpuSecond":0.000049,"memorySecond":0.00000613,` +
		`"instanceTypes":{"ecs.c6.large":0.0001}}}`
	if _, state := w.admin(t, http.MethodGet, "/admin/state", ""); !strings.Contains(state, want) {
		t.Errorf("a zone with nothing said does not show what it means: %s", state)
	}
	w.ask(t, "CreateUnicorn", nil)
	if _, calls := w.admin(t, http.MethodGet, "/admin/calls", ""); calls != `{"ListUsage OK":1,"Unknown InvalidAction.NotFound":1}` {
		t.Errorf("calls: %s", calls)
	}
}

func TestScripts(t *testing.T) {
	cases := map[string]struct {
		state, token string
		want         string
	}{
		"nothing":                   {},
		"every action fails":        {state: `{"failWith":"ServiceUnavailable"}`, want: "ServiceUnavailable"},
		"this action fails":         {state: `{"actions":{"ListUsage":{"failWith":"Throttling.User"}}}`, want: "Throttling.User"},
		"another action fails":      {state: `{"actions":{"DescribeRegions":{"failWith":"Throttling.User"}}}`},
		"every call fails":          {state: `{"errorRate":1}`, want: "InternalError"},
		"the clock is behind":       {state: `{"clockSkew":"-16m"}`, want: "InvalidTimeStamp.Expired"},
		"the clock is ahead":        {state: `{"clockSkew":"16m"}`, want: "InvalidTimeStamp.Expired"},
		"the clock is nearly right": {state: `{"clockSkew":"14m"}`},
		"the token": {
			state: `{"securityTokens":{"simulator-id":{"token":"t1","expires":"2999-01-01T00:00:00Z"}}}`, token: "t1",
		},
		"another token": {
			state: `{"securityTokens":{"simulator-id":{"token":"t1","expires":"2999-01-01T00:00:00Z"}}}`, token: "t2", want: "InvalidSecurityToken.MismatchWithAccessKey",
		},
		"no token": {
			state: `{"securityTokens":{"simulator-id":{"token":"t1","expires":"2999-01-01T00:00:00Z"}}}`, want: "InvalidSecurityToken.MismatchWithAccessKey",
		},
		"a token that nobody issued": {token: "t1", want: "InvalidSecurityToken.MismatchWithAccessKey"},
		"an expired token": {
			state: `{"securityTokens":{"simulator-id":{"token":"t1","expires":"2020-01-01T00:00:00Z"}}}`, token: "t1", want: "InvalidSecurityToken.Expired",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.token = tc.token
			if tc.state != "" {
				w.patch(t, tc.state)
			}
			if _, code := w.ask(t, "ListUsage", nil); code != tc.want {
				t.Errorf("code = %q, want %q", code, tc.want)
			}
		})
	}
}

func TestRateLimit(t *testing.T) {
	w := start(t)
	w.patch(t, `{"actions":{"ListUsage":{"perMinute":120}}}`)
	ask := func(want string) {
		t.Helper()
		if _, code := w.ask(t, "ListUsage", nil); code != want {
			t.Errorf("code = %q, want %q", code, want)
		}
	}
	ask("")
	ask("")
	ask("Throttling.User")
	if _, code := w.ask(t, "DescribeRegions", nil); code != "" {
		t.Errorf("another action: %q", code)
	}
	w.clock = w.clock.Add(500 * time.Millisecond)
	ask("")
	ask("Throttling.User")
	w.patch(t, `{"actions":{"ListUsage":null}}`)
	ask("")
}

func TestLatencyOfAnAction(t *testing.T) {
	w := start(t)
	w.patch(t, `{"latency":"1ms","actions":{"ListUsage":{"latency":"50ms"}}}`)
	begin := time.Now()
	w.ask(t, "ListUsage", nil)
	if took := time.Since(begin); took < 51*time.Millisecond {
		t.Errorf("answered after %s, want 51ms or more", took)
	}
}
