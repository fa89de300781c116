package virtualnode

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

const (
	scoreKey fwk.StateKey = "PreScore" + Name

	// stockScore is what stock that is not low is worth; the rest is the price's.
	stockScore = 60
	priceScore = fwk.MaxScore - stockScore
)

// scores are those of a cycle by node. Immutable.
type scores map[string]int64

// Clone returns the scores themselves.
func (s scores) Clone() fwk.StateData { return s }

// PreScore scores the nodes when all of them are described by VirtualNodes; otherwise pods are scored as by the stock scheduler.
func (pl *VirtualNode) PreScore(_ context.Context, state fwk.CycleState, _ *corev1.Pod, nodes []fwk.NodeInfo) *fwk.Status {
	asking := pl.askingOf(state)
	if asking == nil || len(nodes) == 0 || asking.catalog.nodes[nodes[0].Node().Name] == nil {
		return fwk.NewStatus(fwk.Skip)
	}
	ranks := make(map[string]offer.Rank, len(nodes))
	for _, info := range nodes {
		name := info.Node().Name
		node := asking.catalog.nodes[name]
		if node == nil {
			return fwk.NewStatus(fwk.Skip)
		}
		ranks[name] = node.Rank(asking.candidate(node.Region))
	}
	state.Write(scoreKey, score(ranks))
	return nil
}

// Score returns the score that PreScore has found; 0 if PreScore did not run, because the profile disables it.
func (pl *VirtualNode) Score(_ context.Context, state fwk.CycleState, _ *corev1.Pod, nodeInfo fwk.NodeInfo) (int64, *fwk.Status) {
	data, _ := state.Read(scoreKey)
	found, _ := data.(scores)
	return found[nodeInfo.Node().Name], nil
}

// ScoreExtensions returns nil: the scores are between 0 and MaxScore.
func (*VirtualNode) ScoreExtensions() fwk.ScoreExtensions { return nil }

// askingOf returns what the pod of this cycle asks of ECI, as it will be in its unit.
func (pl *VirtualNode) askingOf(state fwk.CycleState) *Asking {
	if mark, err := state.Read(tolerateKey); err == nil {
		return mark.(tolerated).asking
	}
	if c := cycleOf(state); c != nil {
		return c.asking
	}
	return nil
}

// score turns ranks into scores: stock first, then the price in proportion between the lowest and the highest. A price that is not known is the highest.
func score(ranks map[string]offer.Rank) scores {
	var lowest, highest ecispec.Pico
	for _, r := range ranks {
		if r.Price > 0 && (lowest == 0 || r.Price < lowest) {
			lowest = r.Price
		}
		highest = max(highest, r.Price)
	}
	all := scores{}
	for name, r := range ranks {
		if !r.LowStock {
			all[name] = stockScore
		}
		switch {
		case highest == lowest && r.Price == highest:
			all[name] += priceScore
		case r.Price > 0:
			all[name] += int64(float64(priceScore) * float64(highest-r.Price) / float64(highest-lowest))
		}
	}
	return all
}
