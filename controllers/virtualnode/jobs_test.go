package virtualnode

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestAffords(t *testing.T) {
	ignore := batchv1.PodFailurePolicyRule{
		Action:          batchv1.PodFailurePolicyActionIgnore,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
	}
	failJob := ignore
	failJob.Action = batchv1.PodFailurePolicyActionFailJob
	policy := func(rules ...batchv1.PodFailurePolicyRule) batchv1.JobSpec {
		return batchv1.JobSpec{BackoffLimit: new(int32(0)), PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: rules}}
	}
	cases := map[string]struct {
		spec    batchv1.JobSpec
		status  batchv1.JobStatus
		evicted int32
		want    bool
	}{
		"by default":                    {want: true},
		"the last failure":              {status: batchv1.JobStatus{Failed: 5}, want: true},
		"one too many":                  {status: batchv1.JobStatus{Failed: 6}},
		"pods that are going":           {status: batchv1.JobStatus{Failed: 4, Terminating: new(int32(2))}},
		"pods not counted yet":          {status: batchv1.JobStatus{Failed: 4, UncountedTerminatedPods: &batchv1.UncountedTerminatedPods{Failed: []types.UID{"a", "b"}}}},
		"pods evicted just now":         {status: batchv1.JobStatus{Failed: 4}, evicted: 2},
		"no failure is allowed":         {spec: batchv1.JobSpec{BackoffLimit: new(int32(0))}},
		"disruptions are ignored":       {spec: policy(failJob, ignore), want: true},
		"disruptions fail the Job":      {spec: policy(failJob)},
		"failures are counted by index": {spec: batchv1.JobSpec{BackoffLimitPerIndex: new(int32(3))}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := affords(&batchv1.Job{Spec: tc.spec, Status: tc.status}, tc.evicted); got != tc.want {
				t.Errorf("affords = %v, want %v", got, tc.want)
			}
		})
	}
}
