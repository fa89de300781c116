package ledger

import (
	"maps"
	"slices"

	"github.com/spillway-k8s/spillway/pkg/placement"
)

// recount counts the pods anew that an edit may count differently: those of the policies that were edited, and those that they may govern now.
func (l *Ledger[P]) recount(edit *placement.Edit, snapshot Snapshot[P]) {
	var again []*countedPod[P]
	for _, policy := range edit.Recount {
		again = slices.AppendSeq(again, maps.Keys(l.governed[policy]))
	}
	if edit.Claims() {
		for counted := range l.namespaces[edit.Namespace] {
			if _, labels := snapshot.Owner(counted.pod); edit.MayGovern(labels) {
				again = append(again, counted)
			}
		}
	}
	for _, counted := range again {
		l.subtract(counted)
		counted.adds = snapshot.Contribution(counted.node.place, counted.pod)
		l.add(counted)
	}
}
