package eci_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/spillway-k8s/spillway/pkg/eci"
)

const identityBody = `{"RequestId":"request-1","AccountId":"1000000000000009","IdentityType":"RAMUser","Arn":"acs:ram::1000000000000009:user/a"}`

func TestAccountID(t *testing.T) {
	server := saying(t, http.StatusOK, identityBody)
	got, err := newClient(t, server.URL).AccountID(t.Context())
	if got != "1000000000000009" || err != nil {
		t.Errorf("account %q, %v", got, err)
	}
	call := server.received()[0]
	if call.action != "GetCallerIdentity" || call.version != "2015-04-01" || call.query.Has("RegionId") {
		t.Errorf("asked %+v", call)
	}
}

// TestAccountID_NotAnID checks that what is no ID of an account is not taken for one.
func TestAccountID_NotAnID(t *testing.T) {
	for name, body := range map[string]string{
		"none": `{"RequestId":"request-1"}`, "empty": `{"AccountId":""}`, "an ARN": `{"AccountId":"acs:ram::1"}`, "a number": `{"AccountId":1}`,
		"two lines": `{"AccountId":"1\n2"}`, "a long one": `{"AccountId":"100000000000000000000000000000001"}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newClient(t, saying(t, http.StatusOK, body).URL).AccountID(t.Context())
			if got != "" {
				t.Errorf("account %q", got)
			}
			wantError(t, err, eci.ClassServer, "")
		})
	}
}

// TestAccountID_Endpoint checks where STS is: an STS that is named goes before the endpoint that replaces all others.
func TestAccountID_Endpoint(t *testing.T) {
	simulated := saying(t, http.StatusOK, identityBody)
	var asked string
	named := newHTTPS(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("x-acs-action")
		say(w, http.StatusOK, `{"AccountId":"1000000000000008"}`)
	})
	got, err := newClient(t, simulated.URL, func(c *eci.Config) { c.STSEndpoint = named.host() }).AccountID(t.Context())
	if got != "1000000000000008" || err != nil || asked != "GetCallerIdentity" || len(simulated.received()) > 0 {
		t.Errorf("account %q, %v; STS was asked %q, the other endpoint %v", got, err, asked, simulated.received())
	}
}

// TestAccountID_OfARole checks that the session of the role asks, not the token.
func TestAccountID_OfARole(t *testing.T) {
	var token string
	server := newHTTPS(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-acs-action") == "" {
			session(time.Hour)(w, r)
			return
		}
		token = r.Header.Get("x-acs-security-token")
		say(w, http.StatusOK, identityBody)
	})
	got, err := newClient(t, "http://127.0.0.1:1", asRole(writeToken(t, serviceToken), server.host())).AccountID(t.Context())
	if got != "1000000000000009" || err != nil || token != sessionToken {
		t.Errorf("account %q, %v, by the token %q", got, err, token)
	}
}

// TestShare checks that a client waits by the limits that it was given last.
func TestShare(t *testing.T) {
	server := newCloud(t, func(w http.ResponseWriter, _ int, _ received) { refuse(429, "Throttling.User")(w) })
	one, other, shared := newClient(t, server.URL), newClient(t, server.URL), eci.NewLimiter()
	one.Share(shared)
	other.Share(shared)
	_, err := one.ListUsage(t.Context(), "cn-beijing")
	wantError(t, err, eci.ClassThrottled, "Throttling.User")
	ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
	defer cancel()
	_, err = other.ListUsage(ctx, "cn-beijing")
	wantError(t, err, eci.ClassThrottled, "")
	if n := len(server.received()); n != 1 {
		t.Errorf("%d calls, want 1: the account was throttled", n)
	}
}
