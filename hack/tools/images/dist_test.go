package main

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// dist returns the directory of a release, which `make release-check` names.
func dist(t *testing.T) string {
	t.Helper()
	return fromMake(t, "SPILLWAY_DIST")
}

// tool returns the path of a binary in bin/.
func tool(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(fromMake(t, "SPILLWAY_BIN"), name)
}

func fromMake(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Skip("without a release there is nothing to check: make release-dry-run")
	}
	return value
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command.Args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func sumOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// built returns what goreleaser says that it has made, of one type.
func built(t *testing.T, kind string) []binary {
	t.Helper()
	var all []binary
	if err := json.Unmarshal(read(t, filepath.Join(dist(t), "artifacts.json")), &all); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(b binary) bool { return b.Type != kind })
}

func contentOf(t *testing.T, b *binary) []byte {
	t.Helper()
	return read(t, filepath.Join(dist(t), "..", "..", b.Path))
}

func TestPlatforms(t *testing.T) {
	var got []string
	for _, b := range built(t, "Binary") {
		got = append(got, strings.TrimSuffix(b.Name, ".exe")+" "+b.OS+"/"+b.Arch)
	}
	slices.Sort(got)
	want := []string{
		"eci-simulator linux/amd64", "eci-simulator linux/arm64",
		"kubectl-spillway darwin/amd64", "kubectl-spillway darwin/arm64", "kubectl-spillway linux/amd64", "kubectl-spillway linux/arm64",
		"kubectl-spillway windows/amd64",
		"spillway-controller linux/amd64", "spillway-controller linux/arm64", "spillway-scheduler linux/amd64", "spillway-scheduler linux/arm64",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestArchitectures(t *testing.T) {
	for _, b := range built(t, "Binary") {
		content := bytes.NewReader(contentOf(t, &b))
		got := ""
		switch b.OS {
		case "linux":
			file, err := elf.NewFile(content)
			if err != nil {
				t.Fatal(err)
			}
			got = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}[file.Machine]
			if libraries, err := file.ImportedLibraries(); err == nil && len(libraries) > 0 {
				t.Errorf("%s needs %v, which the images do not have", b.Path, libraries)
			}
		case "darwin":
			file, err := macho.NewFile(content)
			if err != nil {
				t.Fatal(err)
			}
			got = map[macho.Cpu]string{macho.CpuAmd64: "amd64", macho.CpuArm64: "arm64"}[file.Cpu]
		case "windows":
			file, err := pe.NewFile(content)
			if err != nil {
				t.Fatal(err)
			}
			got = map[uint16]string{pe.IMAGE_FILE_MACHINE_AMD64: "amd64"}[file.Machine]
		}
		if got != b.Arch {
			t.Errorf("%s is for %q, want %s", b.Path, got, b.Arch)
		}
	}
}

func TestVersions(t *testing.T) {
	version := fromMake(t, "SPILLWAY_VERSION")
	for _, b := range built(t, "Binary") {
		if !bytes.Contains(contentOf(t, &b), []byte(version)) {
			t.Errorf("%s is not stamped with %s", b.Path, version)
		}
		if b.OS != runtime.GOOS || b.Arch != runtime.GOARCH {
			continue
		}
		args, want := []string{"--version"}, version+", commit "
		switch b.Name {
		case "spillway-scheduler":
			want = "Kubernetes " + os.Getenv("K8S_VERSION")
		case "kubectl-spillway":
			args = []string{"version"}
		}
		if got := output(t, filepath.Join(dist(t), "..", "..", b.Path), args...); !strings.HasPrefix(got, want) {
			t.Errorf("%s %v prints %q, want %q", b.Path, args, got, want)
		}
	}
}

func TestChecksums(t *testing.T) {
	sums := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(read(t, filepath.Join(dist(t), "SHA256SUMS"))))
	for lines.Scan() {
		sum, name, _ := strings.Cut(lines.Text(), "  ")
		sums[name] = sum
		if got := sumOf(read(t, filepath.Join(dist(t), name))); got != sum {
			t.Errorf("%s has the sum %s, and SHA256SUMS says %s", name, got, sum)
		}
	}
	for _, pattern := range []string{"*.tar.gz", "*.zip", "*.bom.json", "*.tgz"} {
		files, err := filepath.Glob(filepath.Join(dist(t), pattern))
		if err != nil || len(files) == 0 {
			t.Errorf("no %s: %v", pattern, err)
		}
		for _, file := range files {
			if sums[filepath.Base(file)] == "" {
				t.Errorf("SHA256SUMS lacks %s", filepath.Base(file))
			}
		}
	}
}

// Each binary has a list of exactly the modules that are in it.
func TestSBOMs(t *testing.T) {
	version := strings.TrimPrefix(fromMake(t, "SPILLWAY_VERSION"), "v")
	for _, b := range built(t, "Binary") {
		info, err := buildinfo.Read(bytes.NewReader(contentOf(t, &b)))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"std " + info.GoVersion}
		for _, module := range info.Deps {
			module = cmp.Or(module.Replace, module)
			want = append(want, module.Path+" "+module.Version)
		}
		var sbom struct {
			BOMFormat string `json:"bomFormat"`
			Metadata  struct {
				Component struct{ Name, Version string } `json:"component"`
			} `json:"metadata"`
			Components []struct{ Name, Version string } `json:"components"`
		}
		name := strings.Join([]string{strings.TrimSuffix(b.Name, ".exe"), version, b.OS, b.Arch}, "_") + ".bom.json"
		if err := json.Unmarshal(read(t, filepath.Join(dist(t), name)), &sbom); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, component := range sbom.Components {
			got = append(got, component.Name+" "+component.Version)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := gocmp.Diff(want, got); diff != "" || sbom.BOMFormat != "CycloneDX" {
			t.Errorf("%s (%s): -modules of the binary +components:\n%s", name, sbom.BOMFormat, diff)
		}
	}
}

// The same source makes the same binary: in another directory, with an empty cache.
func TestReproducible(t *testing.T) {
	var want string
	for _, b := range built(t, "Binary") {
		if b.Name == "eci-simulator" && b.OS == "linux" && b.Arch == "amd64" {
			want = sumOf(contentOf(t, &b))
		}
	}
	source := t.TempDir()
	for _, directory := range []string{"apis", "cmd", "pkg", "go.mod", "go.sum"} {
		output(t, "cp", "-r", filepath.Join(root, directory), source)
	}
	path := filepath.Join(source, "again")
	command := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", fromMake(t, "SPILLWAY_LDFLAGS"), "-o", path, "./cmd/eci-simulator")
	command.Dir = source
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS=linux", "GOARCH=amd64", "GOCACHE="+t.TempDir())
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("building once more: %v\n%s", err, out)
	}
	if got := sumOf(read(t, path)); got != want {
		t.Errorf("the second build has the sum %s, the first one %s", got, want)
	}
}
