package virtualnode

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/test/scrape"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestMetricsOfRefusedPods(t *testing.T) {
	s := newScene(t, refused("moved", "ReplicaSet", "apps/v1"), refused("stays", "", ""))
	before := scrape.Read(t, &metrics.Controller)
	for range 2 {
		s.moveAll(soldOut(0), s.pods())
	}
	want := scrape.Series{
		`spillway_eci_refused_pods_total{action="moved",reason="NoStock",virtualnode="cn-beijing-j"}`: 1,
		`spillway_eci_refused_pods_total{action="stays",reason="NoStock",virtualnode="cn-beijing-j"}`: 1,
	}
	if diff := cmp.Diff(want, scrape.Read(t, &metrics.Controller).Since(before)); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

// TestMetricsOfStockOuts checks that a stock-out counts once, and again when it comes back.
func TestMetricsOfStockOuts(t *testing.T) {
	none, out := wrappers.MakeZone("z").Obj(), wrappers.MakeZone("z").Obj()
	out.Status.StockOuts = []v1alpha1.StockOut{{Spec: "2-4Gi", Source: v1alpha1.SourceInventory, Reason: "WithoutStock"}}
	before := scrape.Read(t, &metrics.Controller)
	for range 2 {
		countStockOuts(none, out)
		countStockOuts(out, out)
		countStockOuts(out, none)
	}
	want := scrape.Series{`spillway_virtualnode_stock_outs_total{reason="WithoutStock",source="Inventory",virtualnode="z"}`: 2}
	if diff := cmp.Diff(want, scrape.Read(t, &metrics.Controller).Since(before)); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestMetricsOfVirtualNodes(t *testing.T) {
	j := wrappers.MakeZone(zoneJ).Offers("cpu", "10500m").Offers("memory", "80Gi").Offers("pods", "40").Fresh(in(0)).Obj()
	setCondition(j, v1alpha1.ConditionReady, v1alpha1.ReasonNodeReady, "")
	setCondition(j, v1alpha1.ConditionCapacityKnown, v1alpha1.ReasonThrottled, "")
	j.Status.StockOuts = []v1alpha1.StockOut{
		{Spec: "2-4Gi", Source: v1alpha1.SourcePod, Reason: "NoStock"}, {Spec: "4-8Gi", Source: v1alpha1.SourcePod, Reason: "NoStock"},
		{Spec: "*", Source: v1alpha1.SourcePod, Reason: "QuotaExceeded.ElasticQuota"},
	}
	// Two VirtualNodes name one Node: what is on it is the older one's.
	j.CreationTimestamp = metav1.NewTime(in(-100))
	second := wrappers.MakeZone(zoneJ).Obj()
	second.Name, second.UID, second.CreationTimestamp = "second", "second", metav1.NewTime(in(-50))
	ended := running("ended", nodeJ, "")
	ended.Status.Phase = corev1.PodSucceeded
	s := newScene(t, j, second, running("a", nodeJ, "eci-a"), running("b", nodeJ, ""), ended)
	metrics.ReadVirtualNodes(s.ctrl.state)
	t.Cleanup(func() { metrics.ReadVirtualNodes(func() *[]metrics.VirtualNode { return nil }) })
	condition := func(name, condition, status, reason string) string {
		return `spillway_virtualnode_condition{condition="` + condition + `",reason="` + reason + `",status="` + status + `",virtualnode="` + name + `"}`
	}
	want := scrape.Series{
		`spillway_virtualnode_capacity{resource="cpu",virtualnode="cn-beijing-j"}`:                      10.5,
		`spillway_virtualnode_capacity{resource="memory",virtualnode="cn-beijing-j"}`:                   80 << 30,
		`spillway_virtualnode_capacity{resource="pods",virtualnode="cn-beijing-j"}`:                     40,
		`spillway_virtualnode_used{resource="cpu",virtualnode="cn-beijing-j"}`:                          4,
		`spillway_virtualnode_used{resource="memory",virtualnode="cn-beijing-j"}`:                       8 << 30,
		`spillway_virtualnode_used{resource="pods",virtualnode="cn-beijing-j"}`:                         2,
		`spillway_virtualnode_unpriced_pods{virtualnode="cn-beijing-j"}`:                                2,
		`spillway_virtualnode_last_refresh_timestamp_seconds{virtualnode="cn-beijing-j"}`:               float64(in(0).Unix()),
		`spillway_virtualnode_fresh_until_timestamp_seconds{virtualnode="cn-beijing-j"}`:                float64(in(60).Unix()),
		`spillway_virtualnode_sold_out_specs{reason="NoStock",source="Pod",virtualnode="cn-beijing-j"}`: 2,
		`spillway_virtualnode_sold_out_specs{reason="Quota",source="Pod",virtualnode="cn-beijing-j"}`:   1,
		condition(zoneJ, "Ready", "True", "NodeReady"):                                                  1,
		condition(zoneJ, "CapacityKnown", "False", "Throttled"):                                         1,
		condition(zoneJ, "StockAvailable", "Unknown", "Unknown"):                                        1,
		condition("second", "Ready", "Unknown", "Unknown"):                                              1,
		condition("second", "CapacityKnown", "Unknown", "Unknown"):                                      1,
		condition("second", "StockAvailable", "Unknown", "Unknown"):                                     1,
	}
	got := scrape.Read(t, &metrics.Controller)
	if diff := cmp.Diff(want, got.Since(scrape.Series{}).Of("spillway_virtualnode_", "_total")); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

// TestMetricsOfStatusWritesOfAVirtualNodeThatIsGone checks that they count as those of policies do: nothing has failed.
func TestMetricsOfStatusWritesOfAVirtualNodeThatIsGone(t *testing.T) {
	s := newScene(t)
	vn := wrappers.MakeZone(zoneJ).Obj()
	after := vn.DeepCopy()
	setCondition(after, v1alpha1.ConditionReady, v1alpha1.ReasonNodeReady, "")
	before := scrape.Read(t, &metrics.Controller)
	if err := s.ctrl.patchStatus(t.Context(), vn, after); !apierrors.IsNotFound(err) {
		t.Errorf("error %v, want not found", err)
	}
	want := scrape.Series{`spillway_status_writes_total{kind="virtualnode",result="written"}`: 1}
	if diff := cmp.Diff(want, scrape.Read(t, &metrics.Controller).Since(before)); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestMetricsOfMoney(t *testing.T) {
	vn := wrappers.MakeZone(zoneJ).MaxSpend("20").Obj()
	// A vCPU for an hour costs 0.36, a GiB 0.036.
	reading := account.NewReading(vn, account.Reading{Prices: map[string]account.Prices{zoneJ: {
		At: time.Now(), Currency: "CNY", Rates: ecispec.Rates{CPUSecond: 100_000_000, GiBSecond: 10_000_000},
	}}})
	var read metrics.VirtualNode
	setUse(&read, vn, []*corev1.Pod{running("a", nodeJ, ""), running("b", nodeJ, "")}, reading)
	if diff := cmp.Diff([]any{"CNY", 1.728, 20.0}, []any{read.Currency, read.CostPerHour, read.CostLimit}); diff != "" {
		t.Errorf("currency, cost and limit (-want +got):\n%s", diff)
	}
	unpriced := running("c", nodeJ, "")
	unpriced.Annotations = map[string]string{"k8s.aliyun.com/eci-use-specs": "ecs.gn7i-c32g1.8xlarge"}
	setUse(&read, vn, []*corev1.Pod{running("a", nodeJ, ""), unpriced}, reading)
	if diff := cmp.Diff([]any{0.864, 1}, []any{read.CostPerHour, read.UnpricedPods}); diff != "" {
		t.Errorf("cost, and pods without a price (-want +got):\n%s", diff)
	}
	setUse(&read, vn, nil, nil)
	if read.Currency != "" {
		t.Errorf("a cost in %s is told although no price is known", read.Currency)
	}
}
