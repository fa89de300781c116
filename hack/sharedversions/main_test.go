package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRun(t *testing.T) {
	const first = `module a
require (
	golang.org/x/net v0.60.0
	k8s.io/api v0.0.0 // indirect
	k8s.io/klog/v2 v2.140.0
)
replace k8s.io/api => k8s.io/api v0.37.2
`
	tests := map[string]struct {
		second string
		want   string
	}{
		"equal versions": {
			second: "module b\nrequire golang.org/x/net v0.60.0\nrequire k8s.io/api v0.37.2\n",
		},
		"module that only one requires": {
			second: "module b\nrequire golang.org/x/sys v0.48.0\n",
		},
		"replacement of a module that only one requires": {
			second: "module b\nreplace golang.org/x/net => golang.org/x/net v0.57.0\n",
		},
		"replacement of a version that is not required": {
			second: "module b\nrequire golang.org/x/net v0.60.0\nreplace golang.org/x/net v0.59.0 => golang.org/x/net v0.57.0\n",
		},
		"other version": {
			second: "module b\nrequire golang.org/x/net v0.57.0\n",
			want: "golang.org/x/net is v0.60.0 in a.mod and v0.57.0 in b.mod, so it is compiled twice: " +
				"set both to the newer version (go get, or replace) and run go mod tidy",
		},
		"other replacement": {
			second: "module b\nrequire k8s.io/api v0.0.0\nreplace k8s.io/api => k8s.io/api v0.37.1\n",
			want: "k8s.io/api is v0.37.2 in a.mod and v0.37.1 in b.mod, so it is compiled twice: " +
				"set both to the newer version (go get, or replace) and run go mod tidy",
		},
		"fork, and a version of another module": {
			second: "module b\nrequire k8s.io/klog/v2 v2.130.1\nrequire golang.org/x/net v0.60.0\n" +
				"replace golang.org/x/net v0.60.0 => example.com/net v0.1.0\n",
			want: "golang.org/x/net is v0.60.0 in a.mod and example.com/net@v0.1.0 in b.mod, so it is compiled twice: " +
				"set both to the newer version (go get, or replace) and run go mod tidy\n" +
				"k8s.io/klog/v2 is v2.140.0 in a.mod and v2.130.1 in b.mod, so it is compiled twice: " +
				"set both to the newer version (go get, or replace) and run go mod tidy",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			writeFile(t, "a.mod", first)
			writeFile(t, "b.mod", test.second)
			got := ""
			if err := run([]string{"a.mod", "b.mod"}); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestRun_UnreadableFile(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "a.mod", "module a\n")
	writeFile(t, "b.mod", "modul b\n")
	err := run([]string{"a.mod", "b.mod"})
	if err == nil || !strings.HasPrefix(err.Error(), "reading b.mod: ") {
		t.Errorf("got error %v, want one of reading b.mod", err)
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
