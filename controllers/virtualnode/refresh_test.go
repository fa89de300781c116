package virtualnode

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestReadySaysThatTheNodeIsCordoned(t *testing.T) {
	for cordoned, want := range map[bool]string{
		false: "the capacity is known; for how much room there is see limitedBy and condition StockAvailable",
		true:  "Node " + nodeJ + " is cordoned: uncordon it to place pods",
	} {
		s := newScene(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeJ}, Spec: corev1.NodeSpec{Unschedulable: cordoned}})
		vn := wrappers.MakeZone("cn-beijing-j").Obj()
		vn.Status.LastRefreshTime, vn.Status.FreshUntil = &metav1.Time{Time: in(0)}, &metav1.Time{Time: in(60)}
		if err := s.ctrl.setReady(t.Context(), vn); err != nil {
			t.Fatal(err)
		}
		if got := meta.FindStatusCondition(vn.Status.Conditions, v1alpha1.ConditionReady); got.Message != want || got.Status != metav1.ConditionTrue {
			t.Errorf("cordoned %v: %s %q, want %q", cordoned, got.Status, got.Message, want)
		}
	}
}

// TestTheInventoryOfNoZone checks that a zone in which ECI is not sold is not called sold out, too.
func TestTheInventoryOfNoZone(t *testing.T) {
	for zone, want := range map[string]string{"cn-beijing-j": v1alpha1.ReasonSpecsSoldOut, "cn-beijing-x": v1alpha1.ReasonInStock} {
		s, vn := newScene(t), wrappers.MakeZone(zone).Obj()
		reading := &account.Reading{Zones: []string{"cn-beijing-j"}, Stock: map[string]account.Stock{"2-4Gi": {At: in(0), Zones: map[string]eci.Stock{}}}}
		s.ctrl.refreshStock(vn, reading, nil)
		if got := meta.FindStatusCondition(vn.Status.Conditions, v1alpha1.ConditionStockAvailable); got.Reason != want {
			t.Errorf("%s: %s %q, want %s", zone, got.Reason, got.Message, want)
		}
	}
}

// pricesAt are the prices of zone j as read at a time.
func pricesAt(at time.Time) map[string]account.Prices {
	return map[string]account.Prices{zoneJ: {
		At: at, Currency: "CNY", Rates: ecispec.Rates{CPUSecond: 50_000_000, GiBSecond: 10_000_000},
	}}
}

func TestRefreshPrice_SaysWhenItWasRead(t *testing.T) {
	s, vn := newScene(t), wrappers.MakeZone(zoneJ).Obj()
	want := &v1alpha1.Price{ReadTime: &metav1.Time{Time: in(5)}, Currency: "CNY", CPUPerHour: "0.18", MemoryPerHour: "0.036"}
	// Seconds are all that the API keeps: a fraction would be written again and again.
	s.ctrl.refreshPrice(vn, &account.Reading{Prices: pricesAt(in(5).Add(time.Millisecond))})
	if diff := cmp.Diff(want, vn.Status.Price); diff != "" {
		t.Errorf("price (-want +got):\n%s", diff)
	}
	s.ctrl.refreshPrice(vn, &account.Reading{})
	if diff := cmp.Diff(want, vn.Status.Price); diff != "" {
		t.Errorf("the price of a new leader that has not asked yet (-want +got):\n%s", diff)
	}
}

// TestRefresh_ForgetsOtherAccount checks that nothing that was read from another account decides in this one.
func TestRefresh_ForgetsOtherAccount(t *testing.T) {
	for _, account := range []string{"", "cn-beijing Secret other"} {
		vn, node := managed(zoneJ, in(0))
		vn.Spec.MaxSpendPerHour = wrappers.MakeZone(zoneJ).MaxSpend("1").Spec.MaxSpendPerHour
		vn.Status.Account, vn.Status.Price = account, &v1alpha1.Price{Currency: "USD", CPUPerHour: "1", MemoryPerHour: "1"}
		vn.Status.QuotaCPU = cpu(1000)
		s := newScene(t, vn, node)
		if _, err := s.ctrl.refresh(t.Context(), vn, nil); err != nil {
			t.Fatal(err)
		}
		if vn.Status.Price != nil || vn.Status.QuotaCPU != nil {
			t.Errorf("account %q: price %+v, quota %s", account, vn.Status.Price, vn.Status.QuotaCPU)
		}
		if _, _, known := offer.New(vn).Quota(); known {
			t.Errorf("account %q: the scheduler takes no quota for a quota without a bound", account)
		}
	}
}

func TestWhyUnknown_OldPrice(t *testing.T) {
	limited := wrappers.MakeZone(zoneJ).MaxSpend("1").Obj()
	cases := map[string]struct {
		vn   *v1alpha1.VirtualNode
		read time.Time
		want *unknown
	}{
		"read within a day": {vn: limited, read: in(1).Add(-offer.MaxPriceAge)},
		"read a day ago": {vn: limited, read: in(0).Add(-offer.MaxPriceAge), want: &unknown{
			v1alpha1.ReasonPriceUnknown, "spec.maxSpendPerHour is set, and ECI has not told its prices in the zone for 24h0m0s or longer",
		}},
		"without a limit on money": {vn: wrappers.MakeZone(zoneJ).Obj(), read: in(0).Add(-offer.MaxPriceAge)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			reading := account.NewReading(tc.vn, account.Reading{Zones: []string{zoneJ}, Prices: pricesAt(tc.read)})
			got := whyUnknown(tc.vn, reading, nil, in(0))
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(unknown{})); diff != "" {
				t.Errorf("unknown (-want +got):\n%s", diff)
			}
		})
	}
}
