package version

import (
	"runtime"
	"testing"
)

func TestString(t *testing.T) {
	machine := ", " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
	for want, info := range map[string]Info{
		"v0.2.0, commit 1f2e3d of 2026-11-25T00:00:00Z" + machine: {Version: "v0.2.0", Commit: "1f2e3d", Date: "2026-11-25T00:00:00Z"},
		"(devel)" + machine: {Version: "(devel)"},
	} {
		if got := info.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestGet(t *testing.T) {
	if got := Get().Version; got == "" {
		t.Error("a binary that nothing is known of must say so")
	}
}
