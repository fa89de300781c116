package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

const root = "../../.."

// The Dockerfile and this program make the same images.
func TestDockerfile(t *testing.T) {
	file, err := os.Open(root + "/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	parsed, err := parser.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	type target struct {
		Name, Base, User string
		Entrypoint       []string
		Files            []string
	}
	var got, want []target
	for _, stage := range stages {
		if stage.Name == "build" {
			continue
		}
		one := target{Name: stage.Name, Base: stage.BaseName}
		for _, command := range stage.Commands {
			switch c := command.(type) {
			case *instructions.UserCommand:
				one.User = c.User
			case *instructions.EntrypointCommand:
				one.Entrypoint = slices.Clone(c.CmdLine)
			case *instructions.CopyCommand:
				one.Files = append(one.Files, c.DestPath)
			}
		}
		got = append(got, one)
	}
	for _, image := range images {
		path := "/" + image.binary
		want = append(want, target{Name: image.name, Base: "scratch", User: user, Entrypoint: []string{path}, Files: []string{path}})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-images of a release +targets of the Dockerfile:\n%s", diff)
	}
}

// Whatever makes a release makes it with one version of Go.
func TestOneGo(t *testing.T) {
	workflows, err := filepath.Glob(root + "/.github/workflows/*.yaml")
	if err != nil || len(workflows) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	versionIn := func(path, pattern string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		match := regexp.MustCompile(pattern).FindSubmatch(text)
		if match == nil {
			t.Fatalf("%s names no version of Go", path)
		}
		return string(match[1])
	}
	want := versionIn(root+"/hack/make/release.mk", `RELEASE_GO := go(\S+)`)
	if got := versionIn(root+"/Dockerfile", `golang:(\S+)`); got != want {
		t.Errorf("the Dockerfile has Go %s, and RELEASE_GO is %s", got, want)
	}
	for _, path := range workflows {
		if got := versionIn(path, `go-version: (\S+)`); got != want {
			t.Errorf("%s has Go %s, and RELEASE_GO is %s", filepath.Base(path), got, want)
		}
	}
}
