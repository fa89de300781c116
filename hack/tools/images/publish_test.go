package main

import (
	"archive/tar"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"sigs.k8s.io/yaml"
)

// indexOf returns the index in the layout of an image.
func indexOf(t *testing.T, name string) v1.ImageIndex {
	t.Helper()
	index, err := layout.ImageIndexFromPath(filepath.Join(dist(t), "images", name))
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// oneImage is what a test compares of an image.
type oneImage struct {
	Platform, User string
	Entrypoint     []string
	// Files have the names and sums of what is in it.
	Files map[string]string
}

func TestImages(t *testing.T) {
	sums := map[string]string{}
	for _, b := range built(t, "Binary") {
		sums[b.Name+" "+b.OS+"/"+b.Arch] = sumOf(contentOf(t, &b))
	}
	for _, image := range images {
		index := indexOf(t, image.name)
		manifest, err := index.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		var got, want []oneImage
		for _, descriptor := range manifest.Manifests {
			one, err := index.Image(descriptor.Digest)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, look(t, one, descriptor.Platform))
		}
		for _, platform := range []string{"linux/amd64", "linux/arm64"} {
			want = append(want, oneImage{
				Platform: platform, User: user, Entrypoint: []string{"/" + image.binary}, Files: map[string]string{image.binary: sums[image.binary+" "+platform]},
			})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", image.name, diff)
		}
	}
}

func look(t *testing.T, image v1.Image, platform *v1.Platform) oneImage {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != platform.OS || config.Architecture != platform.Architecture {
		t.Errorf("the index says %s and the image %s/%s", platform, config.OS, config.Architecture)
	}
	one := oneImage{Platform: platform.String(), User: config.Config.User, Entrypoint: config.Config.Entrypoint, Files: map[string]string{}}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		content, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		archive := tar.NewReader(content)
		for {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			file, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			one.Files[header.Name] = sumOf(file)
		}
	}
	return one
}

// The layouts can be pushed by the command of the release workflow, and have the digests there that images/SHA256SUMS says.
func TestPush(t *testing.T) {
	sums := string(read(t, filepath.Join(dist(t), "images", "SHA256SUMS")))
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	for _, image := range images {
		name := host + "/spillway/" + image.name + ":v0"
		output(t, tool(t, "crane"), "push", "--index", filepath.Join(dist(t), "images", image.name), name)
		got := output(t, tool(t, "crane"), "digest", name)
		if line := strings.TrimPrefix(got, "sha256:") + "  " + image.name + "\n"; !strings.Contains(sums, line) {
			t.Errorf("%s was pushed as %s, which images/SHA256SUMS does not have:\n%s", image.name, got, sums)
		}
	}
}

func TestChart(t *testing.T) {
	version := strings.TrimPrefix(fromMake(t, "SPILLWAY_VERSION"), "v")
	var chart struct{ Name, Version, AppVersion string }
	text := output(t, tool(t, "helm"), "show", "chart", filepath.Join(dist(t), "spillway-"+version+".tgz"))
	if err := yaml.Unmarshal([]byte(text), &chart); err != nil {
		t.Fatal(err)
	}
	if chart.Name != "spillway" || chart.Version != version || chart.AppVersion != version {
		t.Errorf("got %+v, want spillway %s", chart, version)
	}
}

// krew itself takes the manifest, and installs the plugin from its archive.
func TestKrew(t *testing.T) {
	path := filepath.Join(dist(t), "krew", "spillway.yaml")
	output(t, tool(t, "validate-krew-manifest"), "-manifest", path, "-skip-install")
	var manifest struct {
		Spec struct {
			Platforms []struct{ URI, SHA256 string } `json:"platforms"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(read(t, path), &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest.Spec.Platforms) != 5 {
		t.Errorf("the manifest has %d platforms, want 5", len(manifest.Spec.Platforms))
	}
	native := ""
	for _, platform := range manifest.Spec.Platforms {
		archive := filepath.Join(dist(t), filepath.Base(platform.URI))
		if got := sumOf(read(t, archive)); got != platform.SHA256 {
			t.Errorf("%s has the sum %s, and the manifest says %s", archive, got, platform.SHA256)
		}
		if strings.Contains(archive, runtime.GOOS+"_"+runtime.GOARCH) {
			native = archive
		}
	}
	home := t.TempDir()
	install := exec.Command(tool(t, "krew"), "install", "--manifest="+path, "--archive="+native)
	install.Env = append(os.Environ(), "KREW_ROOT="+home, "HOME="+home, "KREW_NO_UPGRADE_CHECK=1")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("krew install: %v\n%s", err, out)
	}
	if got := output(t, filepath.Join(home, "bin", "kubectl-spillway"), "version"); !strings.HasPrefix(got, os.Getenv("SPILLWAY_VERSION")) {
		t.Errorf("the installed plugin prints %q", got)
	}
}
