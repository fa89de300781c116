package simulator

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	openapiutil "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/aliyun/credentials-go/credentials"
	"github.com/google/go-cmp/cmp"
)

// call calls an action with the vendor's own client and returns the body of the answer as JSON.
func call(t *testing.T, url, version, action string, query map[string]*string) (string, error) {
	t.Helper()
	credential, err := credentials.NewCredential(new(credentials.Config).SetType("access_key").SetAccessKeyId("simulator-id").SetAccessKeySecret("simulator-secret"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := openapi.NewClient(&openapiutil.Config{
		Credential: credential, Protocol: dara.String("http"), Endpoint: dara.String(strings.TrimPrefix(url, "http://")),
	})
	if err != nil {
		t.Fatal(err)
	}
	params := &openapiutil.Params{
		Action: dara.String(action), Version: dara.String(version), Protocol: dara.String("http"), Pathname: dara.String("/"), Method: dara.String("POST"),
		AuthType: dara.String("AK"), Style: dara.String("RPC"), ReqBodyType: dara.String("formData"), BodyType: dara.String("json"),
	}
	result, err := client.CallApi(params, &openapiutil.OpenApiRequest{Query: query}, &dara.RuntimeOptions{})
	if err != nil {
		return "", err
	}
	body := result["body"].(map[string]any)
	if body["RequestId"] == "" {
		t.Error("the answer has no RequestId")
	}
	delete(body, "RequestId")
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data), nil
}

func start(t *testing.T) (*Server, string) {
	t.Helper()
	state := DefaultState()
	state.Regions["cn-test"] = Region{MaxCPU: 10, UsedCPU: 2.5, Zones: map[string]map[string]string{
		"cn-test-a": {"ecs.c6.large": "WithStock", "ecs.g6.large": "WithoutStock"},
		"cn-test-b": {"ecs.c6.large": "ClosedWithoutStock"},
	}}
	s := New(state)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func TestActions(t *testing.T) {
	_, url := start(t)
	cases := map[string]struct {
		action, version string
		query           map[string]*string
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
			query: map[string]*string{
				"ZoneId": dara.String("cn-test-a"), "DestinationResource.Category": dara.String("InstanceType"), "DestinationResource.Value": dara.String("ecs.g6.large"),
			},
			want: `{"AvailableZones":{"AvailableZone":[{"AvailableResources":{"AvailableResource":[{"SupportedResources":{"SupportedResource":[` +
				`{"StatusCategory":"WithoutStock","Value":"ecs.g6.large"}]},"Type":"InstanceType"}]},"RegionId":"cn-test","ZoneId":"cn-test-a"}]}}`,
		},
		"stock needs a category": {action: "DescribeAvailableResource", wantCode: "InvalidParameter.DestinationResource.Category"},
		"stock of a zone that is not there": {
			action:   "DescribeAvailableResource",
			query:    map[string]*string{"ZoneId": dara.String("cn-test-z"), "DestinationResource.Category": dara.String("InstanceType")},
			wantCode: "InvalidZoneId.NotFound",
		},
		"an action that is not there": {action: "CreateUnicorn", wantCode: "InvalidAction.NotFound"},
		"another version":             {action: "ListUsage", version: "2014-05-26", wantCode: "InvalidVersion"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.version == "" {
				tc.version = apiVersion
			}
			query := map[string]*string{"RegionId": dara.String("cn-test")}
			for key, value := range tc.query {
				query[key] = value
			}
			got, err := call(t, url, tc.version, tc.action, query)
			code := ""
			if refused := (*tea.SDKError)(nil); errors.As(err, &refused) {
				code = tea.StringValue(refused.Code)
			}
			if code != tc.wantCode {
				t.Errorf("code = %q, want %q (%v)", code, tc.wantCode, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

// signed returns a valid request for ListUsage, signed as the documentation says.
func signed(t *testing.T, s *Server, url string, edit func(*http.Request)) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/?RegionId=cn-test&Note=a+b%2Ac~", nil)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		"x-acs-action": "ListUsage", "x-acs-version": apiVersion, "x-acs-date": s.now().UTC().Format(time.RFC3339), "x-acs-signature-nonce": t.Name(),
		"x-acs-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	} {
		r.Header.Set(key, value)
	}
	headers := []string{"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"}
	if edit != nil {
		edit(r)
	}
	r.Header.Set("Authorization", "ACS3-HMAC-SHA256 Credential=simulator-id,SignedHeaders="+strings.Join(headers, ";")+
		",Signature="+sign("simulator-secret", canonicalRequest(r, headers)))
	return r
}

func codeOf(t *testing.T, r *http.Request) string {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var body struct{ Code, Message, HostId, RequestId string }
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK && (body.Message == "" || body.HostId == "" || body.RequestId == "") {
		t.Errorf("the error body lacks a documented field: %+v", body)
	}
	return body.Code
}

func TestSignature(t *testing.T) {
	s, url := start(t)
	cases := map[string]struct {
		before, after func(*http.Request)
		want          string
	}{
		"valid": {},
		"edited query": {
			after: func(r *http.Request) { r.URL.RawQuery += "&Extra=1" }, want: "SignatureDoesNotMatch",
		},
		"edited header": {
			after: func(r *http.Request) { r.Header.Set("x-acs-action", "DescribeAvailableResource") }, want: "SignatureDoesNotMatch",
		},
		"body that was not signed": {
			after: func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1 }, want: "SignatureDoesNotMatch",
		},
		"action that was not signed": {
			after: func(r *http.Request) {
				r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "x-acs-action;", "", 1))
			},
			want: "SignatureDoesNotMatch",
		},
		"clock is slow": {
			before: func(r *http.Request) {
				r.Header.Set("x-acs-date", s.now().Add(-16*time.Minute).UTC().Format(time.RFC3339))
			}, want: "InvalidTimeStamp.Expired",
		},
		"clock is fast": {
			before: func(r *http.Request) {
				r.Header.Set("x-acs-date", s.now().Add(16*time.Minute).UTC().Format(time.RFC3339))
			}, want: "InvalidTimeStamp.Expired",
		},
		"no signature": {after: func(r *http.Request) { r.Header.Del("Authorization") }, want: "IncompleteSignature"},
		"unknown account": {
			after: func(r *http.Request) {
				r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "simulator-id", "nobody", 1))
			},
			want: "InvalidAccessKeyId.NotFound",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := signed(t, s, url, tc.before)
			if tc.after != nil {
				tc.after(r)
			}
			if got := codeOf(t, r); got != tc.want {
				t.Errorf("code = %q, want %q", got, tc.want)
			}
		})
	}
	t.Run("the same request again", func(t *testing.T) {
		codeOf(t, signed(t, s, url, nil))
		if got := codeOf(t, signed(t, s, url, nil)); got != "SignatureNonceUsed" {
			t.Errorf("code = %q, want SignatureNonceUsed", got)
		}
	})
}

func TestAdmin(t *testing.T) {
	_, url := start(t)
	patch := func(body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, url+"/admin/state", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, strings.TrimSpace(string(text))
	}
	for body, want := range map[string]string{
		`{"latency":"soon"}`:                    `latency: "soon": must be a duration of 0s or more, such as 250ms`,
		`{"latency":"-1s"}`:                     `latency: "-1s": must be a duration of 0s or more, such as 250ms`,
		`{"errorRate":2}`:                       `errorRate: 2: must be from 0 to 1`,
		`{"regions":{"cn-test":{"maxCPU":-1}}}`: `regions.cn-test: maxCPU -1, usedCPU 2.5: must be 0 or more`,
		`{"outtage":true}`:                      `reading the new state: json: unknown field "outtage"`,
		`{"regions":{"cn-test":{"zones":{"z":{"t":"Plenty"}}}}}`: `regions.cn-test.zones.z.t: "Plenty": must be one of [WithStock ClosedWithStock WithoutStock ClosedWithoutStock]`,
	} {
		if status, text := patch(body); status != http.StatusBadRequest || text != want {
			t.Errorf("PATCH %s: %d %q, want 400 %q", body, status, text, want)
		}
	}
	if status, text := patch(`[]`); status != http.StatusBadRequest {
		t.Errorf("PATCH []: %d %s, want 400", status, text)
	}
	if status, text := patch(`{"regions":{"cn-test":{"maxCPU":4}}}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	got, err := call(t, url, apiVersion, "ListUsage", map[string]*string{"RegionId": dara.String("cn-test")})
	if err != nil || !strings.Contains(got, `"MaxCpu":4,`) || !strings.Contains(got, `"UsedCpu":2.5`) {
		t.Errorf("after the patch: %s, %v; want MaxCpu 4 and UsedCpu as before", got, err)
	}
	response, err := http.Get(url + "/admin/calls")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || strings.TrimSpace(string(text)) != `{"ListUsage OK":1}` {
		t.Errorf("calls: %s, %v", text, err)
	}
}
