package virtualnode

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

// readingTakes bounds a reading of the metrics. All of it is in memory, once the cache has been filled.
const readingTakes = 5 * time.Second

// forgetsMetrics drops the counters of a VirtualNode that is gone, which is not reconciled any more.
var forgetsMetrics = handler.Funcs{DeleteFunc: func(_ context.Context, e event.DeleteEvent, _ workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	metrics.ForgetVirtualNode(e.Object.GetName())
}}

// countStockOuts counts the stock-outs that were not known before.
func countStockOuts(before, after *v1alpha1.VirtualNode) {
	for _, out := range after.Status.StockOuts {
		if !slices.ContainsFunc(before.Status.StockOuts, func(known v1alpha1.StockOut) bool { return known.Spec == out.Spec }) {
			metrics.StockOutBegan(after.Name, string(out.Source), out.Reason)
		}
	}
}

// state is what is read when the metrics are scraped.
func (c *Controller) state() *[]metrics.VirtualNode {
	ctx, cancel := context.WithTimeout(context.Background(), readingTakes)
	defer cancel()
	all, err := c.virtualNodes(ctx)
	if err != nil {
		ctrl.Log.Error(err, "Reading the metrics of VirtualNodes")
		return nil
	}
	describing := offer.Describing(all)
	read := make([]metrics.VirtualNode, len(all))
	for i, vn := range all {
		read[i] = stateOf(vn)
		if describing[vn.NodeName()] != vn {
			continue // What is on the Node is another's.
		}
		pods, err := c.podsOn(ctx, vn.NodeName())
		if err != nil {
			ctrl.Log.Error(err, "Reading the metrics of a VirtualNode", "virtualNode", vn.Name)
			continue
		}
		setUse(&read[i], vn, live(pods), c.options.Readings.Get(vn.CredentialsKey()))
	}
	return &read
}

// stateOf returns what the status tells.
func stateOf(vn *v1alpha1.VirtualNode) metrics.VirtualNode {
	status := &vn.Status
	read := metrics.VirtualNode{Name: vn.Name, SoldOut: map[metrics.StockOut]int{}, LastRefresh: timeOf(status.LastRefreshTime), FreshUntil: timeOf(status.FreshUntil)}
	if len(status.Capacity) > 0 {
		read.Capacity = map[string]float64{}
	}
	for name, label := range map[corev1.ResourceName]string{
		corev1.ResourceCPU: metrics.ResourceCPU, corev1.ResourceMemory: metrics.ResourceMemory, corev1.ResourcePods: metrics.ResourcePods, resourceGPU: metrics.ResourceGPU,
	} {
		if amount, known := status.Capacity[name]; known {
			read.Capacity[label] = amount.AsApproximateFloat64()
		}
	}
	for _, name := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionCapacityKnown, v1alpha1.ConditionStockAvailable} {
		condition := metrics.Condition{Type: name, Status: string(metav1.ConditionUnknown), Reason: string(metav1.ConditionUnknown)}
		if is := meta.FindStatusCondition(status.Conditions, name); is != nil {
			condition.Status, condition.Reason = string(is.Status), is.Reason
		}
		read.Conditions = append(read.Conditions, condition)
	}
	for i := range status.StockOuts {
		out := &status.StockOuts[i]
		read.SoldOut[metrics.StockOut{Source: string(out.Source), Reason: metrics.StockReason(out.Reason)}]++
	}
	return read
}

// setUse sets what the pods on the Node hold and cost. reading may be nil.
func setUse(read *metrics.VirtualNode, vn *v1alpha1.VirtualNode, pods []*corev1.Pod, reading *account.Reading) {
	u := heldBy(pods, vn.Spec.Region)
	var prices account.Prices
	if reading != nil {
		prices = reading.Prices[vn.Spec.Zone]
	}
	var cost float64
	unpriced := 0
	for _, bill := range u.bills {
		each, known := prices.Rates.Dearest(bill)
		cost += each.Units()
		if !known || prices.Currency == "" {
			unpriced++
		}
	}
	read.Used = map[string]float64{
		metrics.ResourceCPU: float64(u.held.MilliCPU) / 1000, metrics.ResourceMemory: float64(u.held.Memory), metrics.ResourcePods: float64(u.held.Pods),
		metrics.ResourceGPU: float64(u.held.GPUs),
	}
	read.Currency, read.CostPerHour, read.UnpricedPods = prices.Currency, cost, unpriced
	if limit := vn.Spec.MaxSpendPerHour; limit != nil {
		read.CostLimit = limit.AsApproximateFloat64()
	}
}

func timeOf(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}
