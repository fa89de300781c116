package main

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestMetricsFlags(t *testing.T) {
	empty, full := t.TempDir(), t.TempDir()
	for _, name := range []string{certificateFile, keyFile} {
		if err := os.WriteFile(filepath.Join(full, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]struct {
		args []string
		want string
	}{
		"the defaults":           {},
		"for the network's sake": {args: []string{"--metrics-auth=false"}},
		"in the clear":           {args: []string{"--metrics-auth=false", "--metrics-secure=false"}},
		"off":                    {args: []string{"--metrics-bind-address=0", "--metrics-secure=false"}},
		"a certificate":          {args: []string{"--metrics-cert-dir=" + full}},
		"tokens in the clear": {
			args: []string{"--metrics-secure=false"},
			want: "--metrics-auth=true: must be false with --metrics-secure=false, because tokens must not be sent over HTTP",
		},
		"a certificate for nothing": {
			args: []string{"--metrics-cert-dir=/certs", "--metrics-auth=false", "--metrics-secure=false"},
			want: `--metrics-cert-dir="/certs": must be empty with --metrics-secure=false`,
		},
		"no certificate there": {
			args: []string{"--metrics-cert-dir=" + empty},
			want: `--metrics-cert-dir="` + empty + `": must be a directory with the files tls.crt and tls.key: stat ` + empty + "/tls.crt: no such file or directory",
		},
		"no address": {args: []string{"--metrics-bind-address="}, want: `--metrics-bind-address="": must be an address and port such as :8443, or 0`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			flags, o := flag.NewFlagSet("test", flag.ContinueOnError), &metricsOptions{}
			flags.SetOutput(io.Discard)
			o.addFlags(flags)
			if err := flags.Parse(tc.args); err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := o.validate(); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestTokensAreAskedForUnlessSwitchedOff(t *testing.T) {
	for _, auth := range []bool{true, false} {
		o := metricsOptions{address: ":8443", secure: true, auth: auth}
		if got := o.server().FilterProvider != nil; got != auth {
			t.Errorf("--metrics-auth=%v: asked %v", auth, got)
		}
	}
}
