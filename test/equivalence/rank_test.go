package equivalence

import (
	"context"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	fwk "k8s.io/kube-scheduler/framework"
)

const (
	rankName  = "Rank"
	rankLabel = "rank"
)

// rank scores each node by its label, 0 to 9. Among nodes with equal scores the scheduler takes the first, and which one is
// first depends on its history and on the order in Go's maps.
type rank struct{}

var _ fwk.ScorePlugin = rank{}

func newRank(context.Context, runtime.Object, fwk.Handle) (fwk.Plugin, error) { return rank{}, nil }

// Name returns the name of the plugin.
func (rank) Name() string { return rankName }

// Score returns the rank of the node.
func (rank) Score(_ context.Context, _ fwk.CycleState, _ *corev1.Pod, node fwk.NodeInfo) (int64, *fwk.Status) {
	score, err := strconv.ParseInt(node.Node().Labels[rankLabel], 10, 64)
	if err != nil {
		return 0, fwk.AsStatus(err)
	}
	return score, nil
}

// ScoreExtensions returns nil: the score is normal.
func (rank) ScoreExtensions() fwk.ScoreExtensions { return nil }
