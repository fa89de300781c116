package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is nobody's: no process of another image has it.
const user = "65532"

// image is one program.
type image struct{ name, binary string }

// images are the targets of the Dockerfile.
var images = []image{
	{name: "scheduler", binary: "spillway-scheduler"},
	{name: "controller", binary: "spillway-controller"},
	{name: "eci-simulator", binary: "eci-simulator"},
}

// index returns the image for each platform that there is a binary for.
func (r *release) index(image image, binaries []binary) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	found := 0
	for i := range binaries {
		b := &binaries[i]
		if b.Name != image.binary {
			continue
		}
		found++
		built, err := r.image(image, b)
		if err != nil {
			return nil, fmt.Errorf("for %s/%s: %w", b.OS, b.Arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: built, Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Platform: &v1.Platform{OS: b.OS, Architecture: b.Arch}},
		})
	}
	if found == 0 {
		return nil, errors.New("goreleaser built no Linux binary for it")
	}
	return index, nil
}

// image returns an image that has the binary and nothing else.
func (r *release) image(image image, b *binary) (v1.Image, error) {
	layer, err := r.layer(image.binary, b)
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	created := v1.Time{Time: r.date}
	withLayer, err := mutate.Append(base, mutate.Addendum{Layer: layer, History: v1.History{Created: created, CreatedBy: "COPY " + image.binary}})
	if err != nil {
		return nil, fmt.Errorf("adding the binary: %w", err)
	}
	config, err := withLayer.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = b.OS, b.Arch, created
	config.Config.User, config.Config.Entrypoint = user, []string{"/" + image.binary}
	config.Config.Labels = map[string]string{
		"org.opencontainers.image.title":    image.binary,
		"org.opencontainers.image.source":   "https://github.com/spillway-k8s/spillway",
		"org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.version":  r.version,
		"org.opencontainers.image.revision": r.commit,
	}
	return mutate.ConfigFile(withLayer, config)
}

// layer returns the binary as a layer that depends on its bytes and the commit's time only.
func (r *release) layer(name string, b *binary) (v1.Layer, error) {
	// goreleaser writes paths from the root of the repository, two above dist.
	content, err := os.ReadFile(filepath.Join(r.dist, "..", "..", b.Path))
	if err != nil {
		return nil, fmt.Errorf("reading the binary: %w", err)
	}
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	if err := writer.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), ModTime: r.date}); err != nil {
		return nil, fmt.Errorf("writing the layer: %w", err)
	}
	if _, err := writer.Write(content); err != nil {
		return nil, fmt.Errorf("writing the layer: %w", err)
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("writing the layer: %w", err)
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil }
	return tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer))
}
