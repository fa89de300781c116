// Package version says which Spillway a binary is. That is not the version of Kubernetes which the scheduler announces: k8s.io/component-base/version has
// that one.
package version

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// The linker sets them: see version_stamp in hack/make/release.mk.
var (
	version string
	commit  string
	date    string
)

// Info is where a binary comes from.
type Info struct {
	// Version is the release, such as v0.2.0; with -dev behind it for what is built between releases, and (devel) for what was built without make.
	Version string
	// Commit is the commit, and Date the time of it as RFC 3339 writes it: a build has no time of its own, so that it can be repeated. Both can be empty.
	Commit, Date string
}

// Get returns the version of this binary.
func Get() Info {
	info := Info{Version: version, Commit: commit, Date: date}
	if build, ok := debug.ReadBuildInfo(); ok && info.Version == "" {
		info.Version = build.Main.Version // `go install` of a release knows it.
	}
	info.Version = cmp.Or(info.Version, "(devel)")
	return info
}

// String writes the version in one line.
func (i Info) String() string {
	text := i.Version
	if i.Commit != "" {
		text += fmt.Sprintf(", commit %s of %s", i.Commit, i.Date)
	}
	return fmt.Sprintf("%s, %s %s/%s", text, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
