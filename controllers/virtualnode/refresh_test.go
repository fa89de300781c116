package virtualnode

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/pkg/eci"
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
