// Command images makes the images of a release from its binaries, without a Docker engine: an OCI image layout for each, for all platforms. The Dockerfile
// makes the same ones, and a test compares the two.
package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// release is where the images come from.
type release struct {
	// dist is the directory that goreleaser wrote.
	dist string
	// version, commit and date go into the labels; date is also when the images were created.
	version, commit string
	date            time.Time
}

// binary is a line of goreleaser's artifacts.json.
type binary struct {
	Name string `json:"name"`
	Path string `json:"path"`
	OS   string `json:"goos"`
	Arch string `json:"goarch"`
	Type string `json:"type"`
}

func main() {
	var r release
	var date string
	flag.StringVar(&r.dist, "dist", "", "directory that goreleaser wrote; the layouts, and their digests, go to images/ in it")
	flag.StringVar(&r.version, "version", "", "version of the release, such as v0.2.0")
	flag.StringVar(&r.commit, "commit", "", "commit of the release")
	flag.StringVar(&date, "date", "", "time of the commit, such as 2026-11-25T00:00:00Z")
	flag.Parse()
	if err := r.make(date); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func (r *release) make(date string) error {
	var err error
	if r.date, err = time.Parse(time.RFC3339, date); err != nil {
		return fmt.Errorf("--date=%q: must be a time such as 2026-11-25T00:00:00Z", date)
	}
	binaries, err := r.binaries()
	if err != nil {
		return err
	}
	sums := ""
	for _, image := range images {
		digest, err := r.write(image, binaries)
		if err != nil {
			return fmt.Errorf("making the image %s: %w", image.name, err)
		}
		sums += digest.Hex + "  " + image.name + "\n"
	}
	if err := os.WriteFile(filepath.Join(r.dist, "images", "SHA256SUMS"), []byte(sums), 0o644); err != nil {
		return fmt.Errorf("writing the digests: %w", err)
	}
	return nil
}

// binaries returns the Linux binaries of the release.
func (r *release) binaries() ([]binary, error) {
	text, err := os.ReadFile(filepath.Join(r.dist, "artifacts.json"))
	if err != nil {
		return nil, fmt.Errorf("reading what goreleaser built: %w", err)
	}
	var all []binary
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("decoding what goreleaser built: %w", err)
	}
	all = slices.DeleteFunc(all, func(b binary) bool { return b.Type != "Binary" || b.OS != "linux" })
	// goreleaser lists them as they were finished; the digest of an index depends on the order in it.
	slices.SortFunc(all, func(a, b binary) int { return cmp.Compare(a.Arch, b.Arch) })
	return all, nil
}

// write makes the layout of an image, and returns the digest of the index of its platforms.
func (r *release) write(image image, binaries []binary) (v1.Hash, error) {
	index, err := r.index(image, binaries)
	if err != nil {
		return v1.Hash{}, err
	}
	directory := filepath.Join(r.dist, "images", image.name)
	if err := os.RemoveAll(directory); err != nil {
		return v1.Hash{}, fmt.Errorf("removing the old layout: %w", err)
	}
	// The layout's own index is that of the platforms: crane pushes the layout's.
	if _, err := layout.Write(directory, index); err != nil {
		return v1.Hash{}, fmt.Errorf("writing the layout: %w", err)
	}
	return index.Digest()
}
