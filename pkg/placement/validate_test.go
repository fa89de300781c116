package placement

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// TestValidate has a case for every field that ACK's API has and this version does not act on.
func TestValidate(t *testing.T) {
	cases := map[string]struct {
		edit func(spec *v1alpha1.ResourcePolicySpec)
		want string
	}{
		"everything that is acted on": {edit: func(spec *v1alpha1.ResourcePolicySpec) {
			spec.Strategy = v1alpha1.StrategyPrefer
			spec.PreemptPolicy = v1alpha1.PreemptAfterAllUnits
			spec.IgnorePreviousPod, spec.IgnoreTerminatingPod = ptr.To(false), ptr.To(true)
			spec.WhenTryNextUnits = &v1alpha1.WhenTryNextUnits{Policy: v1alpha1.TryNextLackResourceOrExceedMax}
		}},
		"preemptPolicy": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) { spec.PreemptPolicy = v1alpha1.PreemptBeforeNextUnit },
			want: `spec.preemptPolicy: Unsupported value: "BeforeNextUnit": supported values: "AfterAllUnits"`,
		},
		"ignorePreviousPod": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) { spec.IgnorePreviousPod = ptr.To(true) },
			want: `spec.ignorePreviousPod: Unsupported value: "true": supported values: "false"`,
		},
		"ignoreTerminatingPod": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) { spec.IgnoreTerminatingPod = ptr.To(false) },
			want: `spec.ignoreTerminatingPod: Unsupported value: "false": supported values: "true"`,
		},
		"whenTryNextUnits.policy": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) {
				spec.WhenTryNextUnits = &v1alpha1.WhenTryNextUnits{Policy: v1alpha1.TryNextLackResourceAndNoterminating}
			},
			want: `spec.whenTryNextUnits.policy: Unsupported value: "LackResourceAndNoterminating": supported values: "LackResourceOrExceedMax"`,
		},
		"whenTryNextUnits.timeout": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) {
				spec.WhenTryNextUnits = &v1alpha1.WhenTryNextUnits{Timeout: &metav1.Duration{Duration: time.Minute}}
			},
			want: "spec.whenTryNextUnits.timeout: Forbidden: " + notActedOn,
		},
		"matchExpressions": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) {
				spec.MatchExpressions = make([]metav1.LabelSelectorRequirement, 1)
			},
			want: "spec.matchExpressions: Forbidden: " + notActedOn,
		},
		"consumerRef": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) { spec.ConsumerRef = &corev1.ObjectReference{} },
			want: "spec.consumerRef: Forbidden: " + notActedOn,
		},
		"elastic": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) { spec.Units[1].Resource = v1alpha1.ResourceElastic },
			want: `spec.units[1].resource: Unsupported value: "elastic": supported values: "eci", "ecs"`,
		},
		"acs": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) { spec.Units[0].Resource = v1alpha1.ResourceACS },
			want: `spec.units[0].resource: Unsupported value: "acs": supported values: "eci", "ecs"`,
		},
		"podLabels": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) { spec.Units[0].PodLabels = v1alpha1.LabelSet{"a": "b"} },
			want: "spec.units[0].podLabels: Forbidden: " + notActedOn,
		},
		"podAnnotations": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) {
				spec.Units[0].PodAnnotations = map[string]v1alpha1.AnnotationValue{"a": "b"}
			},
			want: "spec.units[0].podAnnotations: Forbidden: " + notActedOn,
		},
		"spotInstance": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) { spec.Units[0].SpotInstance = ptr.To(false) },
			want: "spec.units[0].spotInstance: Forbidden: " + notActedOn,
		},
		"scaleInWeight": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) { spec.Units[0].ScaleInWeight = ptr.To[int32](1) },
			want: "spec.units[0].scaleInWeight: Forbidden: " + notActedOn,
		},
		"maxResources of zero": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) { spec.Units[0] = wrappers.ECS().MaxResource("cpu", "0").Unit },
			want: `spec.units[0].maxResources[cpu]: Invalid value: "0": must be more than 0, such as 10 or 20Gi`,
		},
		"a typo in maxResources": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) { spec.Units[0] = wrappers.ECS().MaxResource("cpus", "1").Unit },
			want: `spec.units[0].maxResources: Invalid value: "cpus": ` + resourceNames,
		},
		"negative maxResources": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) {
				spec.Units[0] = wrappers.ECS().MaxResource("memory", "-1Gi").Unit
			},
			want: `spec.units[0].maxResources[memory]: Invalid value: "-1Gi": must be more than 0, such as 10 or 20Gi`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			rp := wrappers.MakePolicy("p").Unit(wrappers.ECS()).Unit(wrappers.ECI()).Obj()
			tc.edit(&rp.Spec)
			got := ""
			if err := Validate(rp).ToAggregate(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			wantRefusal := ""
			if tc.want != "" {
				wantRefusal = "ResourcePolicy p is refused: " + tc.want
			}
			if diff := cmp.Diff(wantRefusal, Compile(rp).Refusal); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
		})
	}
}
