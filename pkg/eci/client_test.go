package eci_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spillway-k8s/spillway/pkg/eci"
)

const (
	keyID  = "simulator-id"
	secret = "simulator-secret"
)

// received is a request as the server saw it.
type received struct {
	action, version, token string
	query                  url.Values
}

// cloud is a server that answers what a test wants, and remembers what it was asked.
type cloud struct {
	*httptest.Server
	mu    sync.Mutex
	calls []received
}

// newCloud starts a server. answer gets the number of the call, from 0.
func newCloud(t *testing.T, answer func(w http.ResponseWriter, n int, call received)) *cloud {
	t.Helper()
	c := &cloud{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := r.Header.Get
		call := received{header("x-acs-action"), header("x-acs-version"), header("x-acs-security-token"), r.URL.Query()}
		c.mu.Lock()
		n := len(c.calls)
		c.calls = append(c.calls, call)
		c.mu.Unlock()
		answer(w, n, call)
	}))
	t.Cleanup(c.Close)
	return c
}

// saying starts a server that always answers the same.
func saying(t *testing.T, status int, body string) *cloud {
	t.Helper()
	return newCloud(t, func(w http.ResponseWriter, _ int, _ received) { say(w, status, body) })
}

func say(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// received returns what the server was asked until now.
func (c *cloud) received() []received {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

// newClient returns a client of the server, with an edit of its configuration.
func newClient(t *testing.T, endpoint string, edit ...func(*eci.Config)) eci.Client {
	t.Helper()
	config := eci.Config{Credentials: eci.Credentials{AccessKeyID: keyID, AccessKeySecret: secret}, Region: "cn-beijing", Endpoint: endpoint}
	for _, each := range edit {
		each(&config)
	}
	client, err := eci.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// wantError checks the class and the code of an error, and that its text gives nothing away.
func wantError(t *testing.T, err error, class eci.Class, code string) {
	t.Helper()
	var failed *eci.Error
	if !errors.As(err, &failed) {
		t.Fatalf("error %v is no *eci.Error", err)
	}
	if failed.Class != class || failed.Code != code {
		t.Errorf("class %q, code %q, want %q, %q (%v)", failed.Class, failed.Code, class, code, err)
	}
	for _, hidden := range []string{secret, keyID, sessionSecret, sessionToken, serviceToken, "request-1", "127.0.0.1"} {
		if strings.Contains(err.Error(), hidden) {
			t.Errorf("the error gives %q away: %v", hidden, err)
		}
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	key := eci.Credentials{AccessKeyID: keyID, AccessKeySecret: secret}
	role := &eci.RRSA{RoleARN: "role", OIDCProviderARN: "provider", TokenFile: "token"}
	// What is not given must not be taken from the environment.
	for _, name := range []string{"ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN"} {
		t.Setenv(name, "from-the-environment")
	}
	for name, config := range map[string]eci.Config{
		"no access key":            {Region: "cn-beijing"},
		"no secret":                {Region: "cn-beijing", Credentials: eci.Credentials{AccessKeyID: keyID}},
		"a token only":             {Region: "cn-beijing", Credentials: eci.Credentials{SecurityToken: sessionToken}},
		"neither region nor host":  {Credentials: key},
		"region of another domain": {Credentials: key, Region: "cn-beijing.example.com/"},
		"endpoint without host":    {Credentials: key, Endpoint: "eci.cn-beijing.aliyuncs.com"},
		"endpoint that is no URL":  {Credentials: key, Endpoint: "http://%zz"},
		"endpoint of another kind": {Credentials: key, Endpoint: "ftp://eci.cn-beijing.aliyuncs.com"},
		"endpoint with a password": {Credentials: key, Endpoint: "https://user:" + secret + "@eci.cn-beijing.aliyuncs.com"},
		"endpoint with a path":     {Credentials: key, Endpoint: "https://eci.cn-beijing.aliyuncs.com/v1"},
		"access key and role":      {Region: "cn-beijing", Credentials: eci.Credentials{AccessKeyID: keyID, AccessKeySecret: secret, RRSA: role}},
		"role without token":       {Region: "cn-beijing", Credentials: eci.Credentials{RRSA: &eci.RRSA{RoleARN: "role", OIDCProviderARN: "provider"}}},
		"role without provider":    {Region: "cn-beijing", Credentials: eci.Credentials{RRSA: &eci.RRSA{RoleARN: "role", TokenFile: "token"}}},
		"role without ARN":         {Region: "cn-beijing", Credentials: eci.Credentials{RRSA: &eci.RRSA{OIDCProviderARN: "provider", TokenFile: "token"}}},
		"role without region":      {Endpoint: "http://127.0.0.1:1", Credentials: eci.Credentials{RRSA: role}},
		"STS endpoint as a URL":    {Region: "cn-beijing", STSEndpoint: "https://sts.aliyuncs.com", Credentials: eci.Credentials{RRSA: role}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := eci.New(config)
			if err == nil {
				t.Fatal("no error")
			}
			wantClass := eci.ClassCredentials
			if config.Credentials.RRSA == nil && config.Credentials.AccessKeySecret != "" {
				wantClass = eci.ClassNetwork
			}
			wantError(t, err, wantClass, "")
		})
	}
}
