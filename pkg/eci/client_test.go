package eci_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/pkg/eci/simulator"
)

const (
	keyID  = "simulator-id"
	secret = "simulator-secret"
)

// serve starts a simulator in the default state with an edit, and returns its URL.
func serve(t *testing.T, edit func(*simulator.State)) string {
	t.Helper()
	state := simulator.DefaultState()
	if edit != nil {
		edit(&state)
	}
	server := httptest.NewServer(simulator.New(state))
	t.Cleanup(server.Close)
	return server.URL
}

func TestListUsage(t *testing.T) {
	endpoint := serve(t, func(s *simulator.State) {
		region := s.Regions["cn-beijing"]
		region.MaxCPU, region.UsedCPU = 100, 11.2505
		s.Regions["cn-beijing"] = region
	})
	client, err := eci.New(eci.Config{AccessKeyID: keyID, AccessKeySecret: secret, Region: "cn-beijing", Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.ListUsage(t.Context(), "cn-beijing")
	if err != nil {
		t.Fatal(err)
	}
	// What is used is rounded up, so that rounding never promises more than there is.
	if diff := cmp.Diff(eci.Usage{MaxMilliCPU: 100_000, UsedMilliCPU: 11_251}, got); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	cases := map[string]struct {
		edit      func(*simulator.State)
		config    eci.Config
		region    string
		wantClass eci.Class
		wantCode  string
		wantText  string
	}{
		"unknown access key": {
			config: eci.Config{AccessKeyID: "nobody", AccessKeySecret: secret}, wantClass: eci.ClassCredentials, wantCode: "InvalidAccessKeyId.NotFound",
		},
		"wrong secret": {
			config: eci.Config{AccessKeyID: keyID, AccessKeySecret: "wrong-secret"}, wantClass: eci.ClassCredentials, wantCode: "SignatureDoesNotMatch",
		},
		"missing rights": {
			edit: func(s *simulator.State) { s.FailWith = "Forbidden.RAM" }, wantClass: eci.ClassCredentials, wantCode: "Forbidden.RAM",
		},
		"throttled": {
			edit: func(s *simulator.State) { s.FailWith = "Throttling.User" }, wantClass: eci.ClassThrottled, wantCode: "Throttling.User",
		},
		"server failed": {
			edit: func(s *simulator.State) { s.ErrorRate = 1 }, wantClass: eci.ClassServer, wantCode: "InternalError",
		},
		"unknown region": {region: "cn-atlantis", wantClass: eci.ClassServer, wantCode: "InvalidRegionId.NotFound"},
		"no answer":      {edit: func(s *simulator.State) { s.Outage = true }, wantClass: eci.ClassNetwork, wantText: "ListUsage got no answer: the connection was closed"},
		"nobody listens": {config: eci.Config{AccessKeyID: keyID, AccessKeySecret: secret, Endpoint: "http://127.0.0.1:1"}, wantClass: eci.ClassNetwork,
			wantText: "ListUsage got no answer: the connection was refused"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := tc.config
			if config.AccessKeyID == "" {
				config.AccessKeyID, config.AccessKeySecret = keyID, secret
			}
			if config.Endpoint == "" {
				config.Endpoint = serve(t, tc.edit)
			}
			client, err := eci.New(config)
			if err != nil {
				t.Fatal(err)
			}
			region := tc.region
			if region == "" {
				region = "cn-beijing"
			}
			_, err = client.ListUsage(t.Context(), region)
			var failed *eci.Error
			if !errors.As(err, &failed) {
				t.Fatalf("error %v is no *eci.Error", err)
			}
			if failed.Class != tc.wantClass || failed.Code != tc.wantCode {
				t.Errorf("class %q, code %q, want %q, %q (%v)", failed.Class, failed.Code, tc.wantClass, tc.wantCode, err)
			}
			if tc.wantText != "" && err.Error() != tc.wantText {
				t.Errorf("error = %q, want %q", err, tc.wantText)
			}
			if strings.Contains(err.Error(), config.AccessKeySecret) {
				t.Errorf("the error gives the secret away: %v", err)
			}
		})
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for name, config := range map[string]eci.Config{
		"no access key":           {Region: "cn-beijing"},
		"endpoint without host":   {AccessKeyID: keyID, AccessKeySecret: secret, Endpoint: "eci.cn-beijing.aliyuncs.com"},
		"endpoint that is no URL": {AccessKeyID: keyID, AccessKeySecret: secret, Endpoint: "http://%zz"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := eci.New(config); err == nil {
				t.Error("no error")
			} else if strings.Contains(err.Error(), secret) {
				t.Errorf("the error gives the secret away: %v", err)
			}
		})
	}
}
