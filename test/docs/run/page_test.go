package main

import "testing"

func TestCompare(t *testing.T) {
	const printed = "NAME   READY\nweb    True\n  pod-7f  Running   5s\n"
	for name, c := range map[string]struct {
		shown []string
		same  bool
	}{
		"nothing shown":     {same: true},
		"the same":          {shown: []string{"NAME READY", "web   True"}, same: true},
		"dots for anything": {shown: []string{"pod-...  Running  ...", "", "..."}, same: true},
		"another word":      {shown: []string{"web False"}},
		"part of a line":    {shown: []string{"web"}},
		"one line too many": {shown: []string{"web True", "api True"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := compare(c.shown, printed); (err == nil) != c.same {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestShell(t *testing.T) {
	s, err := openShell([]string{"PATH=/usr/bin:/bin"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, c := range []struct {
		text, want string
		fails      bool
	}{
		{text: "x=1; f() { echo $x; }"},
		{text: "f\ncat <<EOF\nhere\nEOF", want: "1\nhere\n\n"},
		{text: "echo lost >&2; false", fails: true},
		{text: "printf 'no newline'", want: "no newline\n"},
		{text: "sleep 100 &\n"},
	} {
		got, err := s.run(t.Context(), c.text)
		if (err != nil) != c.fails || c.want != "" && got != c.want {
			t.Errorf("%q: got %q, %v", c.text, got, err)
		}
	}
}

func TestShellSeesWhatFailsWithin(t *testing.T) {
	s, err := openShell([]string{"PATH=/usr/bin:/bin"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for command, ok := range map[string]bool{
		"for n in 0 1; do test $n = 1; done":            false,
		"false | true":                                  false,
		"for n in 0 1; do test $n = 1 || true; done":    true,
		"if false; then true; fi; test -z \"$missing\"": true,
	} {
		if _, err := s.run(t.Context(), command); (err == nil) != ok {
			t.Errorf("%s: %v, want success %v", command, err, ok)
		}
	}
}
