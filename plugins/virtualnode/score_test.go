package virtualnode

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/spillway-k8s/spillway/pkg/offer"
)

func metav1Condition(conditionType, reason string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: metav1.ConditionFalse, Reason: reason}
}

func TestScores(t *testing.T) {
	cases := map[string]struct {
		ranks map[string]offer.Rank
		want  scores
	}{
		"equal":                     {ranks: map[string]offer.Rank{"a": {Price: 5}, "b": {Price: 5}}, want: scores{"a": 100, "b": 100}},
		"the cheaper":               {ranks: map[string]offer.Rank{"a": {Price: 4}, "b": {Price: 5}}, want: scores{"a": 100, "b": 60}},
		"in proportion":             {ranks: map[string]offer.Rank{"a": {Price: 4}, "b": {Price: 5}, "c": {Price: 6}}, want: scores{"a": 100, "b": 80, "c": 60}},
		"stock before price":        {ranks: map[string]offer.Rank{"a": {Price: 4, LowStock: true}, "b": {Price: 5}}, want: scores{"a": 40, "b": 60}},
		"prices are not known":      {ranks: map[string]offer.Rank{"a": {}, "b": {LowStock: true}}, want: scores{"a": 100, "b": 40}},
		"one price is not known":    {ranks: map[string]offer.Rank{"a": {Price: 4}, "b": {}}, want: scores{"a": 100, "b": 60}},
		"two prices, one not known": {ranks: map[string]offer.Rank{"a": {Price: 4}, "b": {Price: 5}, "c": {}}, want: scores{"a": 100, "b": 60, "c": 60}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, score(tc.ranks)); diff != "" {
				t.Errorf("scores (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScore(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	low := zone(zoneJ, "100").Price("0.1", "0.01")
	low.Status.LowStock = []string{"2-4Gi"}
	w := newWorld(t, low, zone(zoneK, "100"))
	state := w.begin(billed("p"))
	nodes, err := w.handle.lister.NodeInfos().List()
	if err != nil {
		t.Fatal(err)
	}
	if status := w.pl.PreScore(ctx, state, billed("p").Obj(), nodes); !status.IsSkip() {
		t.Errorf("with an ECS node among the nodes: %v, want a skip", status)
	}
	var virtual []fwk.NodeInfo
	for _, info := range nodes {
		if info.Node().Name != "ecs" {
			virtual = append(virtual, info)
		}
	}
	if status := w.pl.PreScore(ctx, state, billed("p").Obj(), virtual); !status.IsSuccess() {
		t.Fatal(status)
	}
	got := map[string]int64{}
	for _, info := range virtual {
		value, status := w.pl.Score(ctx, state, billed("p").Obj(), info)
		if !status.IsSuccess() {
			t.Fatal(status)
		}
		got[info.Node().Name] = value
	}
	if diff := cmp.Diff(map[string]int64{nodeJ: 40, nodeK: 60}, got); diff != "" {
		t.Errorf("scores (-want +got):\n%s", diff)
	}
	if value, status := w.pl.Score(ctx, w.begin(billed("p")), billed("p").Obj(), virtual[0]); !status.IsSuccess() || value != 0 {
		t.Errorf("the profile disables PreScore: %d, %v, want 0", value, status)
	}
	bare := newWorld(t)
	if status := bare.pl.PreScore(ctx, bare.begin(billed("p")), billed("p").Obj(), virtual); !status.IsSkip() {
		t.Errorf("without VirtualNodes: %v, want a skip", status)
	}
}
