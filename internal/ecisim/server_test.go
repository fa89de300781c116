package ecisim

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
)

// query are the parameters of an action, besides RegionId.
type query = map[string]string

// world is a simulator behind HTTP whose clock the test moves.
type world struct {
	*Server
	url   string
	clock time.Time
	// token is the security token that requests carry.
	token string
}

// start starts a simulator with the region cn-test: 10 vCPU of which 2.5 are used by others, an open zone and an empty one, and a vSwitch in each.
func start(t *testing.T) *world {
	t.Helper()
	state := DefaultState()
	state.Regions["cn-test"] = Region{
		MaxCPU: 10, UsedCPU: 2.5,
		Zones: map[string]Zone{
			"cn-test-a": {Stock: map[string]string{"ecs.c6.large": "WithStock", "ecs.g6.large": "WithoutStock", "64-512Gi": "NotSold"}},
			"cn-test-b": {Default: "ClosedWithoutStock", Stock: map[string]string{"2-4Gi": "ClosedWithStock"}},
			"cn-test-c": {Closed: true},
		},
		VSwitches: map[string]VSwitch{
			"vsw-a": {Zone: "cn-test-a", FreeIPs: 100}, "vsw-b": {Zone: "cn-test-b", FreeIPs: 100}, "vsw-c": {Zone: "cn-test-c", FreeIPs: 100},
		},
	}
	w := &world{Server: New(state), clock: time.Now()}
	w.now = func() time.Time { return w.clock }
	server := httptest.NewServer(w.Server)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// ask calls an action in cn-test with the vendor's own client, and returns the body of the answer as JSON and the code of an error.
func (w *world) ask(t *testing.T, action string, q query) (body, code string) {
	t.Helper()
	version := eciVersion
	if action == "DescribeVSwitches" {
		version = vpcVersion
	}
	return w.askVersion(t, version, action, q)
}

func (w *world) askVersion(t *testing.T, version, action string, q query) (body, code string) {
	t.Helper()
	request := &openapiutil.OpenApiRequest{Query: map[string]*string{"RegionId": dara.String("cn-test")}}
	for key, value := range q {
		request.Query[key] = dara.String(value)
	}
	params := &openapiutil.Params{
		Action: dara.String(action), Version: dara.String(version), Protocol: dara.String("http"), Pathname: dara.String("/"), Method: dara.String("POST"),
		AuthType: dara.String("AK"), Style: dara.String("RPC"), ReqBodyType: dara.String("formData"), BodyType: dara.String("json"),
	}
	result, err := w.client(t).CallApi(params, request, &dara.RuntimeOptions{})
	if refused := (*tea.SDKError)(nil); errors.As(err, &refused) {
		return "", tea.StringValue(refused.Code)
	}
	if err != nil {
		return "", err.Error()
	}
	answer := result["body"].(map[string]any)
	if answer["RequestId"] == "" {
		t.Error("the answer has no RequestId")
	}
	delete(answer, "RequestId")
	data, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	return string(data), ""
}

func (w *world) client(t *testing.T) *openapi.Client {
	t.Helper()
	config := new(credentials.Config).SetType("access_key").SetAccessKeyId("simulator-id").SetAccessKeySecret("simulator-secret")
	if w.token != "" {
		config.SetType("sts").SetSecurityToken(w.token)
	}
	credential, err := credentials.NewCredential(config)
	if err != nil {
		t.Fatal(err)
	}
	client, err := openapi.NewClient(&openapiutil.Config{
		Credential: credential, Protocol: dara.String("http"), Endpoint: dara.String(strings.TrimPrefix(w.url, "http://")), HttpClient: plain{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// plain is there because the vendor's own transport has a data race when it is used from two goroutines.
type plain struct{}

func (plain) Call(r *http.Request, _ *http.Transport) (*http.Response, error) {
	return http.DefaultClient.Do(r)
}

// admin calls the admin API and returns the status and the body.
func (w *world) admin(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(body))
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

// patch changes the state.
func (w *world) patch(t *testing.T, body string) {
	t.Helper()
	if status, text := w.admin(t, http.MethodPatch, "/admin/state", body); status != http.StatusOK {
		t.Fatalf("PATCH %s: %d %s", body, status, text)
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
		"x-acs-action": "ListUsage", "x-acs-version": eciVersion, "x-acs-date": s.now().UTC().Format(time.RFC3339), "x-acs-signature-nonce": t.Name(),
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
	w := start(t)
	s, url := w.Server, w.url
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
