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
		"every field that ACK documents": {edit: func(spec *v1alpha1.ResourcePolicySpec) {
			spec.PreemptPolicy = v1alpha1.PreemptBeforeNextUnit
			spec.IgnorePreviousPod, spec.IgnoreTerminatingPod = ptr.To(true), ptr.To(false)
			spec.WhenTryNextUnits = &v1alpha1.WhenTryNextUnits{
				Policy: v1alpha1.TryNextLackResourceAndNoterminating, Timeout: &metav1.Duration{Duration: time.Minute},
			}
			spec.Units[0] = wrappers.Elastic().PodLabel("a", "b").PodAnnotation("a", "b").Unit
			spec.Units[1] = wrappers.ACS().PodLabel(v1alpha1.LabelWait, "true").Unit
		}},
		"whenTryNextUnits.policy": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) {
				spec.WhenTryNextUnits = &v1alpha1.WhenTryNextUnits{Policy: v1alpha1.TryNextTimeout}
			},
			want: `spec.whenTryNextUnits.policy: Unsupported value: "Timeout": supported values: "LackResourceOrExceedMax", "ExceedMax", "TimeoutOrExceedMax", "LackResourceAndNoTerminating"`,
		},
		"a resource that only ACK's CRD has": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) { spec.Units[0].Resource = "idc" },
			want: `spec.units[0].resource: Unsupported value: "idc": supported values: "acs", "eci", "ecs", "elastic"`,
		},
		"two units of one name": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) { spec.Units[0].Name, spec.Units[1].Name = "a", "a" },
			want: `spec.units[1].name: Invalid value: "a": another unit has this name: names must differ`,
		},
		"two units with the same expressions": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) {
				spec.Units[0] = wrappers.ECS().Where("a", "In", "1", "2").Unit
				spec.Units[1] = wrappers.ECS().Where("a", "In", "2", "1").Unit
			},
			want: `spec.units[1]: Invalid value: "ecs a in (1,2)": another unit has the same nodes, podLabels and podAnnotations: remove one or make them differ`,
		},
		"an expression that no label can meet": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) { spec.Units[0] = wrappers.ECS().Where("a", "In").Unit },
			want: `spec.units[0].matchExpressions[0]: Invalid value: "a": ` + nodeRequirements,
		},
		"podLabels against the selector": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) {
				spec.Selector = v1alpha1.LabelSet{"app": "web"}
				spec.Units[0] = wrappers.ECS().PodLabel("app", "other").Unit
			},
			want: `spec.units[0].podLabels[app]: Invalid value: "other": would take the pods out of the policy, whose selector requires app=web`,
		},
		"podLabels with a key of matchLabelKeys": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) {
				spec.MatchLabelKeys = []v1alpha1.LabelKey{"version"}
				spec.Units[0] = wrappers.ECS().PodLabel("version", "1").Unit
			},
			want: `spec.units[0].podLabels[version]: Invalid value: "1": would change the group of the pods: the key is one of matchLabelKeys`,
		},
		"podAnnotations that are Spillway's": {
			edit: func(spec *v1alpha1.ResourcePolicySpec) {
				spec.Units[0] = wrappers.ECS().PodAnnotation(corev1.PodDeletionCost, "1").Unit
			},
			want: `spec.units[0].podAnnotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "1": this annotation is written by Spillway itself`,
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
			if err := Validate(rp, EveryPodKey()).ToAggregate(); err != nil {
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
