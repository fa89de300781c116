package resourcepolicy

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/metrics"
)

// readingTakes bounds a reading of the metrics. All of it is in memory, once the cache has been filled.
const readingTakes = 5 * time.Second

// state is what is read when the metrics are scraped.
func (c *Controller) state() *metrics.Policies {
	ctx, cancel := context.WithTimeout(context.Background(), readingTakes)
	defer cancel()
	all := &v1alpha1.ResourcePolicyList{}
	if err := c.client.List(ctx, all, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.Log.Error(err, "Reading the metrics of ResourcePolicies")
		return nil
	}
	read := &metrics.Policies{ByCondition: map[metrics.Condition]int{}, WritesWaiting: c.pace.waiting()}
	for _, name := range []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionShadowed, v1alpha1.ConditionExhausted, v1alpha1.ConditionOverCap,
		v1alpha1.ConditionMisconfigured, v1alpha1.ConditionPodsTolerateECI,
	} {
		// A status that no policy has is 0, not missing.
		for _, status := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown} {
			read.ByCondition[metrics.Condition{Type: name, Status: string(status)}] = 0
		}
		for i := range all.Items {
			status := metav1.ConditionUnknown
			if is := meta.FindStatusCondition(all.Items[i].Status.Conditions, name); is != nil {
				status = is.Status
			}
			read.ByCondition[metrics.Condition{Type: name, Status: string(status)}]++
		}
	}
	return read
}
