package command

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// run runs the plugin against a server.
func run(t *testing.T, server string, args ...string) (string, error) {
	t.Helper()
	t.Setenv("KUBECONFIG", "/dev/null")
	var out bytes.Buffer
	command := New()
	command.SetOut(&out)
	command.SetErr(&out)
	command.SetArgs(append(args, "--server="+server, "--namespace=web"))
	err := command.Execute()
	return out.String(), err
}

func TestBadInput(t *testing.T) {
	// A cluster without Spillway, and without anything else.
	empty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api":
			_, _ = io.WriteString(w, `{"kind": "APIVersions", "versions": ["v1"]}`)
		case "/api/v1":
			_, _ = io.WriteString(w, `{"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "pods", "namespaced": true, "kind": "Pod"}]}`)
		case "/apis":
			_, _ = io.WriteString(w, `{"kind": "APIGroupList", "apiVersion": "v1", "groups": []}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}`)
		}
	}))
	defer empty.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	tests := map[string]struct {
		server, want string
		args         []string
	}{
		"unknown command": {
			args: []string{"explian", "pod", "nginx"}, want: `unknown command "explian": must be one of explain, help, status, version`,
		},
		"no pod named": {
			args: []string{"explain", "pod"}, want: `explain "pod": must be pod and the name of one pod, such as explain pod nginx-7d9c6b5f4-x2x7q`,
		},
		"two pods": {
			args: []string{"explain", "pod", "a", "b"}, want: `explain "pod a b": must be pod and the name of one pod, such as explain pod nginx-7d9c6b5f4-x2x7q`,
		},
		"another kind": {
			args: []string{"explain", "node/a"}, want: `explain "node/a": must be pod and the name of one pod, such as explain pod nginx-7d9c6b5f4-x2x7q`,
		},
		"no such pod": {
			server: empty.URL, args: []string{"explain", "pod/nginx"}, want: "there is no pod nginx in namespace web",
		},
		"no CRDs": {
			server: empty.URL, args: []string{"status"}, want: "reading ResourcePolicies: this cluster does not have Spillway's CRDs; its Helm chart installs them",
		},
		"no cluster": {
			server: gone.URL, args: []string{"status"}, want: "reading ResourcePolicies: failed to get server groups: Get",
		},
		"no kubeconfig": {
			args: []string{"status", "--kubeconfig=/nonexistent/kubeconfig"}, want: "reading the kubeconfig: stat /nonexistent/kubeconfig: no such file or directory",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := run(t, test.server, test.args...)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got the error %v, want the one line %q", err, test.want)
			}
			if out != "" {
				t.Errorf("printed %q, want nothing but the error", out)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	out, err := run(t, "", "version")
	if err != nil || !strings.Contains(out, "go1.") {
		t.Errorf("got %q and the error %v, want a version", out, err)
	}
}
