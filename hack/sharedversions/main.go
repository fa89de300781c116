// Command sharedversions checks that two Go modules require the same version of every module that both require. The Go
// build cache keeps a package by its version and the versions of its imports, so equal versions are compiled once.
//
//	sharedversions go.mod hack/tools/kubernetes/go.mod
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
)

// goMod is the part of the output of "go mod edit -json" that decides about versions.
type goMod struct {
	Require []module
	Replace []struct{ Old, New module }
}

// module is a module at a version. The version is empty in a replacement that applies to all versions, or that is a
// directory.
type module struct {
	Path    string
	Version string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(files []string) error {
	if len(files) != 2 {
		return fmt.Errorf("sharedversions compares two go.mod files, and was given %d", len(files))
	}
	var required [2]map[string]module
	for i, file := range files {
		mod, err := read(file)
		if err != nil {
			return err
		}
		required[i] = mod.versions()
	}
	return compare(files, required)
}

func read(file string) (goMod, error) {
	var mod goMod
	out, err := exec.Command("go", "mod", "edit", "-json", file).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return mod, fmt.Errorf("reading %s: %w", file, err)
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return mod, fmt.Errorf("parsing %s: %w", file, err)
	}
	return mod, nil
}

// versions returns what is compiled for each required module: the module itself, or its replacement.
func (m goMod) versions() map[string]module {
	versions := map[string]module{}
	for _, required := range m.Require {
		versions[required.Path] = required
		for _, replace := range m.Replace {
			if replace.Old.Path == required.Path && (replace.Old.Version == "" || replace.Old.Version == required.Version) {
				versions[required.Path] = replace.New
			}
		}
	}
	return versions
}

// compare returns an error for each module whose versions differ, sorted by path. files names the two go.mod files.
func compare(files []string, required [2]map[string]module) error {
	var errs []error
	for _, path := range slices.Sorted(maps.Keys(required[0])) {
		first := required[0][path]
		second, shared := required[1][path]
		if shared && first != second {
			errs = append(errs, fmt.Errorf("%s is %s in %s and %s in %s, so it is compiled twice: "+
				"set both to the newer version (go get, or replace) and run go mod tidy",
				path, first.text(path), files[0], second.text(path), files[1]))
		}
	}
	return errors.Join(errs...)
}

// text returns the version, with the path of a replacement.
func (m module) text(path string) string {
	if m.Path == path {
		return m.Version
	}
	return m.Path + "@" + m.Version
}
