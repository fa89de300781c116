package eci_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-k8s/spillway/pkg/eci"
)

const usageBody = `{"RequestId":"request-1","Attributes":{"MaxCpu":100,"UsedCpu":11}}`

// observer remembers what a client tells it.
type observer struct {
	mu   sync.Mutex
	seen []string
}

func (o *observer) observe(action, outcome string, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, action+" "+outcome)
}

// drop closes the connection without an answer.
func drop(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// cut closes the connection in the middle of an answer.
func cut(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "1000")
	say(w, http.StatusOK, usageBody)
}

// reset closes the connection as a peer that has lost it does.
func reset(w http.ResponseWriter) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_ = connection.(*net.TCPConn).SetLinger(0)
	_ = connection.Close()
}

func refuse(status int, code string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		say(w, status, `{"RequestId":"request-1","HostId":"127.0.0.1","Code":"`+code+`","Message":"signed with simulator-secret"}`)
	}
}

func TestRetry(t *testing.T) {
	fine := func(w http.ResponseWriter) { say(w, http.StatusOK, usageBody) }
	for name, tc := range map[string]struct {
		first, second func(http.ResponseWriter)
		want          []string
		wantErr       string
	}{
		"a dropped connection": {first: drop, second: fine, want: []string{"ListUsage Network", "ListUsage OK"}},
		"a reset connection":   {first: reset, second: fine, want: []string{"ListUsage Network", "ListUsage OK"}},
		"half an answer":       {first: cut, second: fine, want: []string{"ListUsage Network", "ListUsage OK"}},
		"an internal error":    {first: refuse(500, "InternalError"), second: fine, want: []string{"ListUsage Server", "ListUsage OK"}},
		"a failed gateway": {
			first: func(w http.ResponseWriter) { say(w, 502, "<html>bad gateway</html>") }, second: fine, want: []string{"ListUsage Server", "ListUsage OK"},
		},
		"only once": {
			first: drop, second: drop, want: []string{"ListUsage Network", "ListUsage Network"},
			wantErr: "ListUsage got no answer: the connection was closed",
		},
		"the second answer counts": {
			first: drop, second: refuse(403, "Forbidden.RAM"), want: []string{"ListUsage Network", "ListUsage Credentials"},
			wantErr: "ListUsage was refused with status 403 (Forbidden.RAM)",
		},
		"not when throttled": {
			first: refuse(503, "Throttling.User"), want: []string{"ListUsage Throttled"},
			wantErr: "ListUsage was refused with status 503 (Throttling.User)",
		},
		"not when refused": {
			first: refuse(404, "InvalidAccessKeyId.NotFound"), want: []string{"ListUsage Credentials"},
			wantErr: "ListUsage was refused with status 404 (InvalidAccessKeyId.NotFound)",
		},
		"not after nonsense": {
			first: func(w http.ResponseWriter) { say(w, 200, "<html>welcome</html>") }, want: []string{"ListUsage Server"},
			wantErr: "ListUsage answered with a body that is not the documented JSON",
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := newCloud(t, func(w http.ResponseWriter, n int, _ received) {
				switch {
				case n == 0:
					tc.first(w)
				case n == 1 && tc.second != nil:
					tc.second(w)
				default:
					t.Errorf("call %d", n)
				}
			})
			seen := &observer{}
			_, err := newClient(t, server.URL, func(c *eci.Config) { c.Observe = seen.observe }).ListUsage(t.Context(), "cn-beijing")
			if diff := cmp.Diff(tc.want, seen.seen); diff != "" {
				t.Errorf("observed (-want +got):\n%s", diff)
			}
			switch {
			case tc.wantErr == "" && err != nil:
				t.Error(err)
			case tc.wantErr != "" && (err == nil || err.Error() != tc.wantErr):
				t.Errorf("error = %v, want %q", err, tc.wantErr)
			}
		})
	}
}

func TestNoRetryWithoutTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	server := newCloud(t, func(http.ResponseWriter, int, received) {
		cancel()
		panic(http.ErrAbortHandler)
	})
	_, err := newClient(t, server.URL).ListUsage(ctx, "cn-beijing")
	wantError(t, err, eci.ClassNetwork, "")
	if n := len(server.received()); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// TestEnd checks that a call ends with its context, and that the connection ends too.
func TestEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		begin func(context.Context) (context.Context, context.CancelFunc)
		want  string
	}{
		"cancelled": {context.WithCancel, "ListUsage got no answer: the request was cancelled"},
		"timed out": {
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 200*time.Millisecond)
			},
			"ListUsage got no answer: the request timed out",
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := tc.begin(t.Context())
			defer cancel()
			gone, arrived := make(chan struct{}), make(chan struct{})
			server := http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				close(arrived)
				<-r.Context().Done()
				close(gone)
			})}
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = server.Serve(listener) }()
			t.Cleanup(func() { _ = server.Close() })
			go func() {
				<-arrived
				if name == "cancelled" {
					cancel()
				}
			}()
			_, err = newClient(t, "http://"+listener.Addr().String()).ListUsage(ctx, "cn-beijing")
			wantError(t, err, eci.ClassNetwork, "")
			if err.Error() != tc.want {
				t.Errorf("error = %q, want %q", err, tc.want)
			}
			<-gone
		})
	}
}

func TestThrottledRests(t *testing.T) {
	server := newCloud(t, func(w http.ResponseWriter, _ int, call received) {
		if call.action == "ListUsage" {
			refuse(429, "Throttling.User")(w)
			return
		}
		say(w, http.StatusOK, `{"Regions":[]}`)
	})
	limits := eci.NewLimiter()
	share := func(c *eci.Config) { c.Limits = limits }
	_, err := newClient(t, server.URL, share).ListUsage(t.Context(), "cn-beijing")
	wantError(t, err, eci.ClassThrottled, "Throttling.User")

	// Another client of the account holds back too, and says so at once instead of at the deadline. Other actions go on.
	other := newClient(t, server.URL, share)
	ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
	defer cancel()
	_, err = other.ListUsage(ctx, "cn-beijing")
	wantError(t, err, eci.ClassThrottled, "")
	if want := "ListUsage was not sent: its rate limit leaves no room before the deadline"; err.Error() != want {
		t.Errorf("error = %q, want %q", err, want)
	}
	if ctx.Err() != nil {
		t.Error("the call waited in vain")
	}
	if _, err := other.DescribeRegions(ctx); err != nil {
		t.Error(err)
	}
	if n := len(server.received()); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
}

func TestClasses(t *testing.T) {
	for code, want := range map[string]eci.Class{
		"InvalidAccessKeyId.NotFound": eci.ClassCredentials, "InvalidAccessKeyId.Inactive": eci.ClassCredentials,
		"SignatureDoesNotMatch": eci.ClassCredentials, "Forbidden.RAM": eci.ClassCredentials, "NoPermission": eci.ClassCredentials,
		"InvalidSecurityToken.Expired": eci.ClassCredentials, "InvalidTimeStamp.Expired": eci.ClassCredentials,
		"Throttling": eci.ClassThrottled, "Throttling.Api": eci.ClassThrottled, "Degrade.Api": eci.ClassThrottled,
		"OperationDenied.NoStock": eci.ClassNoStock, "Zone.NotOnSale": eci.ClassNoStock, "InvalidResourceType.NotSupported": eci.ClassNoStock,
		"InstanceType.Offline": eci.ClassNoStock,
		"QuotaExceed":          eci.ClassQuota, "DedicatedHostQuotaExceeded": eci.ClassQuota, "DiskNumber.LimitExceed": eci.ClassQuota,
		"InvalidRegionId.NotFound": eci.ClassNotFound, "InvalidZoneId.NotFound": eci.ClassNotFound, "InvalidVSwitchId.NotFound": eci.ClassNotFound,
		"InvalidVswitchID.NotFound": eci.ClassNotFound, "InvalidContainerGroupId.NotFound": eci.ClassNotFound,
		"InvalidAction.NotFound": eci.ClassServer, "MissingParameter": eci.ClassServer,
	} {
		t.Run(code, func(t *testing.T) {
			server := newCloud(t, func(w http.ResponseWriter, _ int, _ received) { refuse(400, code)(w) })
			_, err := newClient(t, server.URL).ListUsage(t.Context(), "cn-beijing")
			wantError(t, err, want, code)
		})
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		class  eci.Class
	}{
		"too many requests": {429, "slow down", eci.ClassThrottled},
		"a secret as code":  {400, `{"Code":"signed: simulator-secret","RequestId":"request-1"}`, eci.ClassServer},
		"a long code":       {400, `{"Code":"` + strings.Repeat("a", 10_000) + `"}`, eci.ClassServer},
		"nothing":           {200, "", eci.ClassServer},
		"a list":            {200, "[]", eci.ClassServer},
		"no fields":         {200, `{"RequestId":"request-1"}`, eci.ClassServer},
		"a word":            {200, `{"Attributes":{"MaxCpu":"many","UsedCpu":1}}`, eci.ClassServer},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newClient(t, saying(t, tc.status, tc.body).URL).ListUsage(t.Context(), "cn-beijing")
			wantError(t, err, tc.class, "")
			if len(err.Error()) > 100 {
				t.Errorf("a long error: %v", err)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	seen := &observer{}
	_, err := newClient(t, "http://127.0.0.1:1", func(c *eci.Config) { c.Observe = seen.observe }).ListUsage(t.Context(), "cn-beijing")
	wantError(t, err, eci.ClassNetwork, "")
	if want := "ListUsage got no answer: the connection was refused"; err.Error() != want {
		t.Errorf("error = %q, want %q", err, want)
	}
	if len(seen.seen) != 1 {
		t.Errorf("observed %v, want one call", seen.seen)
	}
}

func TestTooLate(t *testing.T) {
	server := saying(t, http.StatusOK, usageBody)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newClient(t, server.URL).ListUsage(ctx, "cn-beijing")
	wantError(t, err, eci.ClassNetwork, "")
	if n := len(server.received()); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// TestRedirect checks that what is signed goes nowhere else.
func TestRedirect(t *testing.T) {
	elsewhere := saying(t, http.StatusOK, usageBody)
	server := newCloud(t, func(w http.ResponseWriter, _ int, _ received) {
		w.Header().Set("Location", elsewhere.URL)
		say(w, http.StatusTemporaryRedirect, "")
	})
	_, err := newClient(t, server.URL).ListUsage(t.Context(), "cn-beijing")
	wantError(t, err, eci.ClassServer, "")
	if n := len(elsewhere.received()); n != 0 {
		t.Errorf("%d calls elsewhere", n)
	}
}

// TestProxyPassword checks that the password of a proxy is not told to the endpoint, as the OpenAPI library would.
func TestProxyPassword(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://user:password@127.0.0.1:1")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if told := r.Header.Get("Proxy-Authorization"); told != "" {
			t.Errorf("the endpoint was told %q", told)
		}
		say(w, http.StatusOK, usageBody)
	}))
	t.Cleanup(server.Close)
	if _, err := newClient(t, server.URL).ListUsage(t.Context(), "cn-beijing"); err != nil {
		t.Error(err)
	}
}
