package preflight

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/util/version"
	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes"
)

// Oldest and Newest are the minor versions of Kubernetes that Spillway is tested with, the first and the last. Older ones are refused: the scheduler of 1.37
// can act as 1.34 at the oldest (k8s.io/component-base/compatibility). A newer one is only warned of, because a control plane may be upgraded first
// (kubernetes.io, "Version Skew Policy"), and a scheduler that stops at that moment would hurt more.
var (
	Oldest = version.MajorMinor(1, 34)
	Newest = version.MajorMinor(1, 37)
)

// checkVersion holds the version of the API server to the range, and to the version that the binary acts as.
func checkVersion(_ context.Context, client kubernetes.Interface, needs *Needs) error {
	info, err := client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("reading the version of the API server: %w", err)
	}
	full, err := version.ParseGeneric(info.GitVersion)
	if err != nil {
		return fmt.Errorf("reading the version of the API server: %w", err)
	}
	server, err := actingVersion(info, full)
	if err != nil {
		return err
	}
	words := info.GitVersion
	if server.Minor() != full.Minor() {
		words += fmt.Sprintf(" (it emulates %s)", server)
	}
	switch actsAs := needs.ActsAs; {
	case server.LessThan(Oldest):
		return finding(fmt.Sprintf("the cluster is Kubernetes %s: Spillway supports %s to %s; upgrade the cluster first", words, Oldest, Newest))
	case actsAs != nil && server.LessThan(version.MajorMinor(actsAs.Major(), actsAs.Minor())):
		return finding(fmt.Sprintf("the cluster is Kubernetes %s and the scheduler acts as %s, which asks for APIs that the cluster lacks: start it with "+
			"--emulated-version=%s, as the chart does", words, actsAs, server))
	case Newest.LessThan(server):
		return fmt.Errorf("the cluster is Kubernetes %s: Spillway is tested with %s to %s; look for a newer release of Spillway", words, Oldest, Newest)
	default:
		return nil
	}
}

// actingVersion returns the minor version whose APIs the server has: one that emulates an older version has those of the older one.
func actingVersion(info *apiversion.Info, full *version.Version) (*version.Version, error) {
	if info.EmulationMajor == "" || info.EmulationMinor == "" {
		return version.MajorMinor(full.Major(), full.Minor()), nil
	}
	emulated, err := version.ParseMajorMinor(info.EmulationMajor + "." + info.EmulationMinor)
	if err != nil {
		return nil, fmt.Errorf("reading the version that the API server emulates: %w", err)
	}
	return emulated, nil
}
