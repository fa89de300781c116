package main

import (
	"strings"
	"testing"
)

const stream = `
{"config": {"go_version": "go1.26.11", "db_last_modified": "2026-11-05T00:00:00Z"}}
{"osv": {"id": "GO-2025-3521", "summary": "gitRepo"}}
{"osv": {"id": "GO-2025-3547", "summary": "namespaces"}}
{"osv": {"id": "GO-2026-6617", "summary": "HPACK"}}
{"finding": {"osv": "GO-2025-3521", "trace": [{"module": "k8s.io/kubernetes", "version": "v1.37.2", "function": "init"}]}}
{"finding": {"osv": "GO-2026-6617", "fixed_version": "v0.60.0", "trace": [{"module": "golang.org/x/net", "version": "v0.57.0"}]}}
`

const (
	namespaces = `{"finding": {"osv": "GO-2025-3547", "trace": [{"module": "k8s.io/kubernetes", "version": "v1.37.2", "function": "init"}]}}`
	hpack      = `{"finding": {"osv": "GO-2026-6617", "fixed_version": "v0.60.0", "trace": [{"module": "golang.org/x/net", "version": "v0.57.0", "function": "Call"}]}}`
)

func TestJudge(t *testing.T) {
	for name, test := range map[string]struct{ stream, text, err string }{
		"explained, and one that nothing calls": {stream: stream + namespaces, text: "nothing that can be reached is unexplained (2 explained)"},
		"not explained": {
			stream: stream + namespaces + hpack, text: "GO-2026-6617 HPACK\n  in golang.org/x/net v0.57.0, fixed in v0.60.0\n",
			err: "1 vulnerabilities can be reached",
		},
		"explained for nothing": {stream: stream, text: "gitRepo", err: "explained.txt has GO-2025-3547, which was not found"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := read(strings.NewReader(test.stream))
			if err != nil {
				t.Fatal(err)
			}
			text, err := r.judge()
			if !strings.Contains(text, test.text) {
				t.Errorf("got\n%s, want %q in it", text, test.text)
			}
			if (err == nil) != (test.err == "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
				t.Errorf("got the error %v, want %q", err, test.err)
			}
		})
	}
}
