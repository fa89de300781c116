package main

import (
	"flag"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestProfilesAreForThisMachineAlone(t *testing.T) {
	for address, want := range map[string]bool{"0": true, "127.0.0.1:8082": true, "[::1]:8082": true, ":8082": false, "0.0.0.0:8082": false, "10.0.0.1:80": false, "no": false, "": false} {
		if got := isLoopbackOrOff(address); got != want {
			t.Errorf("%q: %v, want %v", address, got, want)
		}
	}
}

func TestAllowedPodKeys_Flag(t *testing.T) {
	cases := map[string]struct {
		args []string
		want []string
		err  string
	}{
		"not given": {},
		"list":      {args: []string{"--allowed-pod-keys=*,example.com/*"}, want: []string{"*", "example.com/*"}},
		"nothing":   {args: []string{"--allowed-pod-keys="}, want: []string{}},
		"invalid": {
			args: []string{"--allowed-pod-keys=fine,a b"},
			err:  `invalid value "fine,a b" for flag -allowed-pod-keys: "a b": must be a key such as team or example.com/team`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var o options
			flags := flag.NewFlagSet("", flag.ContinueOnError)
			o.addFlags(flags)
			err := parse(flags, tc.args)
			if tc.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tc.err) {
					t.Fatalf("got error %v, want %s", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			keys := o.controllers.AllowedPodKeys
			if tc.want == nil {
				if keys != nil {
					t.Errorf("keys %v without the flag: Setup takes its default", keys.Entries())
				}
			} else if diff := cmp.Diff(tc.want, keys.Entries(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}
