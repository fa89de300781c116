package eci_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-k8s/spillway/pkg/eci"
)

const (
	serviceToken  = "token-of-the-service-account"
	sessionSecret = "secret-of-the-session"
	sessionToken  = "token-of-the-session"
)

// TestMain lets the process trust the certificate of httptest's servers: the provider of credentials-go calls STS over HTTPS only, and trusts what the
// system trusts, which Go reads once.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	server.Close()
	dir, err := os.MkdirTemp("", "eci")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		err = os.WriteFile(filepath.Join(dir, "ca.pem"), certificate, 0o600)
	}
	if err == nil {
		err = os.Setenv("SSL_CERT_FILE", filepath.Join(dir, "ca.pem"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// sts is an STS that answers what a test wants.
type sts struct {
	*httptest.Server
	mu sync.Mutex
	// tokens are those of the service account that were exchanged.
	tokens []string
}

func newSTS(t *testing.T, answer http.HandlerFunc) *sts {
	t.Helper()
	var s *sts
	s = newHTTPS(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("Action") != "AssumeRoleWithOIDC" || r.FormValue("RoleArn") != "role" || r.FormValue("OIDCProviderArn") != "provider" ||
			r.FormValue("RoleSessionName") != "spillway" {
			t.Errorf("STS was asked %s with %v", r.URL, r.Form)
		}
		s.mu.Lock()
		s.tokens = append(s.tokens, r.FormValue("OIDCToken"))
		s.mu.Unlock()
		answer(w, r)
	})
	return s
}

// newHTTPS starts a server that the process trusts.
func newHTTPS(t *testing.T, answer http.HandlerFunc) *sts {
	t.Helper()
	s := &sts{Server: httptest.NewUnstartedServer(answer)}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // It complains about clients that do not trust it.
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *sts) host() string { return strings.TrimPrefix(s.URL, "https://") }

// session answers with a session that lasts for so long.
func session(lasts time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		expiry := time.Now().Add(lasts).UTC().Format("2006-01-02T15:04:05Z")
		say(w, http.StatusOK, `{"Credentials":{"AccessKeyId":"STS.id",`+
			`"AccessKeySecret":"`+sessionSecret+`","SecurityToken":"`+sessionToken+`","Expiration":"`+expiry+`"}}`)
	}
}

// writeToken writes the token of the service account, and returns its file.
func writeToken(t *testing.T, token string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// asRole gives a client a role instead of an access key.
func asRole(file, host string) func(*eci.Config) {
	return func(c *eci.Config) {
		c.Credentials = eci.Credentials{RRSA: &eci.RRSA{RoleARN: "role", OIDCProviderARN: "provider", TokenFile: file}}
		c.STSEndpoint = host
	}
}

func TestRoleSession(t *testing.T) {
	asked := newSTS(t, session(time.Hour))
	server := saying(t, http.StatusOK, usageBody)
	client := newClient(t, server.URL, asRole(writeToken(t, serviceToken), asked.host()))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := client.ListUsage(t.Context(), "cn-beijing"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if diff := cmp.Diff([]string{serviceToken}, asked.tokens); diff != "" {
		t.Errorf("exchanged tokens (-want +got):\n%s", diff)
	}
	for _, call := range server.received() {
		if call.token != sessionToken {
			t.Errorf("%s came with the token %q", call.action, call.token)
		}
	}
}

// TestRoleIsRenewed checks that a session in its last minutes is renewed, with the token of the moment: the cluster replaces it.
func TestRoleIsRenewed(t *testing.T) {
	asked := newSTS(t, session(2*time.Minute))
	file := writeToken(t, serviceToken)
	client := newClient(t, saying(t, http.StatusOK, usageBody).URL, asRole(file, asked.host()))
	for _, token := range []string{serviceToken, "the-next-token"} {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := client.ListUsage(t.Context(), "cn-beijing"); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{serviceToken, "the-next-token"}, asked.tokens); diff != "" {
		t.Errorf("exchanged tokens (-want +got):\n%s", diff)
	}
}

func TestRoleErrors(t *testing.T) {
	refusing := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			say(w, status, `{"RequestId":"request-1","Code":"`+code+`","Message":"the token `+serviceToken+` is refused"}`)
		}
	}
	saying := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, body) }
	}
	for name, tc := range map[string]struct {
		token  string
		noFile bool
		answer http.HandlerFunc
		host   string
		class  eci.Class
		code   string
		want   string
	}{
		"no token file":    {noFile: true, class: eci.ClassCredentials, want: "the token file of RRSA does not exist"},
		"empty token file": {token: "\n", answer: refusing(400, "MissingOIDCToken"), class: eci.ClassCredentials, want: "the token file of RRSA is empty"},
		"refused": {
			answer: refusing(401, "AuthenticationFail.OIDCToken.Expired"), class: eci.ClassCredentials, code: "AuthenticationFail.OIDCToken.Expired",
			want: "AssumeRoleWithOIDC was refused (AuthenticationFail.OIDCToken.Expired)",
		},
		"unknown role": {
			answer: refusing(404, "EntityNotExist.Role"), class: eci.ClassCredentials, code: "EntityNotExist.Role",
			want: "AssumeRoleWithOIDC was refused (EntityNotExist.Role)",
		},
		"throttled": {
			answer: refusing(400, "Throttling.User"), class: eci.ClassThrottled, code: "Throttling.User",
			want: "AssumeRoleWithOIDC was refused (Throttling.User)",
		},
		"out of order": {
			answer: refusing(500, "InternalError"), class: eci.ClassServer, code: "InternalError", want: "AssumeRoleWithOIDC was refused (InternalError)",
		},
		"no code":    {answer: refusing(400, "see "+serviceToken), class: eci.ClassServer, want: "AssumeRoleWithOIDC was refused"},
		"no session": {answer: saying(`{}`), class: eci.ClassServer, want: "AssumeRoleWithOIDC answered without a valid session"},
		"no JSON":    {answer: saying(serviceToken), class: eci.ClassServer, want: "AssumeRoleWithOIDC answered without a valid session"},
		"no key":     {answer: saying(`{"Credentials":{}}`), class: eci.ClassServer, want: "AssumeRoleWithOIDC answered without a valid session"},
		"no expiry": {
			answer: saying(`{"Credentials":{"AccessKeyId":"a","AccessKeySecret":"b","SecurityToken":"c"}}`), class: eci.ClassServer,
			want: "AssumeRoleWithOIDC answered without a valid session",
		},
		"unreachable": {host: "127.0.0.1:1", class: eci.ClassNetwork, want: "AssumeRoleWithOIDC got no answer: the connection was refused"},
		"cut off": {
			answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, class: eci.ClassNetwork,
			want: "AssumeRoleWithOIDC got no answer: the connection was closed",
		},
		"not trusted": {host: "localhost", class: eci.ClassNetwork, want: "AssumeRoleWithOIDC got no answer: the certificate of the endpoint is not trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeToken(t, serviceToken)
			if tc.token != "" {
				file = writeToken(t, tc.token)
			}
			if tc.noFile {
				file = filepath.Join(t.TempDir(), "none")
			}
			asked := newSTS(t, func(w http.ResponseWriter, r *http.Request) { tc.answer(w, r) })
			host := asked.host()
			switch tc.host {
			case "":
			case "localhost": // for which the certificate is not
				host = strings.Replace(host, "127.0.0.1", tc.host, 1)
			default:
				host = tc.host
			}
			server := newCloud(t, func(http.ResponseWriter, int, received) { t.Error("ECI was called") })
			seen := &observer{}
			client := newClient(t, server.URL, asRole(file, host), func(c *eci.Config) { c.Observe = seen.observe })
			_, err := client.ListUsage(t.Context(), "cn-beijing")
			wantError(t, err, tc.class, tc.code)
			if err.Error() != tc.want {
				t.Errorf("error = %q, want %q", err, tc.want)
			}
			if len(seen.seen) > 0 {
				t.Errorf("observed %v", seen.seen)
			}
		})
	}
}

// TestRoleEndsWithContext checks that an STS which hangs holds no call longer than it wants, and that its answer is used by the next.
func TestRoleEndsWithContext(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	answer := session(time.Hour)
	asked := newSTS(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		answer(w, r)
	})
	client := newClient(t, saying(t, http.StatusOK, usageBody).URL, asRole(writeToken(t, serviceToken), asked.host()))
	first, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := client.ListUsage(first, "cn-beijing")
	wantError(t, err, eci.ClassNetwork, "")
	if want := "AssumeRoleWithOIDC got no answer: the request was cancelled"; err.Error() != want {
		t.Errorf("error = %q, want %q", err, want)
	}
	second, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = client.ListUsage(second, "cn-beijing")
	wantError(t, err, eci.ClassNetwork, "")
	close(release)
	if _, err := client.ListUsage(t.Context(), "cn-beijing"); err != nil {
		t.Error(err)
	}
	if len(asked.tokens) != 1 {
		t.Errorf("STS was asked %d times", len(asked.tokens))
	}
}
