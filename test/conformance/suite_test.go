// Package conformance tests what Spillway does in a cluster.
package conformance

import (
	"path/filepath"
	"testing"

	. "github.com/onsi/ginkgo/v2"

	"github.com/spillway-k8s/spillway/test/conformance/harness"
)

func TestConformance(t *testing.T) { harness.RunSuite(t, "Conformance") }

var _ = BeforeSuite(func() { harness.Start(filepath.Join("..", "..")) })
