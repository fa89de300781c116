package placement

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// resourceNames says what maxResources can name. A typo such as "cpus" would be a cap that caps nothing.
const resourceNames = "must be cpu, memory, ephemeral-storage, hugepages-<size> or a name with a domain such as nvidia.com/gpu"

// notActedOn ends the message about a field that ACK's API has and this version of Spillway does not act on.
const notActedOn = "Spillway does not act on this field yet: remove it"

// Validate returns an error for every field of a ResourcePolicy that cannot be acted on: of type Invalid for a value that never can, of type
// NotSupported or Forbidden for what this version does not act on. A policy with errors is refused as a whole: to ignore a field silently would place
// pods where the user did not want them. The API server has checked everything else by the rules in the CRD.
func Validate(rp *v1alpha1.ResourcePolicy) field.ErrorList {
	spec, path := &rp.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if spec.PreemptPolicy == v1alpha1.PreemptBeforeNextUnit {
		errs = append(errs, field.NotSupported(path.Child("preemptPolicy"), spec.PreemptPolicy, []v1alpha1.PreemptPolicy{v1alpha1.PreemptAfterAllUnits}))
	}
	if spec.IgnorePreviousPod != nil && *spec.IgnorePreviousPod {
		errs = append(errs, field.NotSupported(path.Child("ignorePreviousPod"), "true", []string{"false"}))
	}
	if spec.IgnoreTerminatingPod != nil && !*spec.IgnoreTerminatingPod {
		errs = append(errs, field.NotSupported(path.Child("ignoreTerminatingPod"), "false", []string{"true"}))
	}
	errs = append(errs, validateWhenTryNextUnits(spec.WhenTryNextUnits, path.Child("whenTryNextUnits"))...)
	if len(spec.MatchExpressions) > 0 {
		errs = append(errs, field.Forbidden(path.Child("matchExpressions"), notActedOn))
	}
	if spec.ConsumerRef != nil {
		errs = append(errs, field.Forbidden(path.Child("consumerRef"), notActedOn))
	}
	for i := range spec.Units {
		errs = append(errs, validateUnit(&spec.Units[i], path.Child("units").Index(i))...)
	}
	return errs
}

func validateWhenTryNextUnits(when *v1alpha1.WhenTryNextUnits, path *field.Path) field.ErrorList {
	if when == nil {
		return nil
	}
	var errs field.ErrorList
	if when.Policy != "" && when.Policy != v1alpha1.TryNextLackResourceOrExceedMax {
		errs = append(errs, field.NotSupported(path.Child("policy"), when.Policy, []v1alpha1.TryNextPolicy{v1alpha1.TryNextLackResourceOrExceedMax}))
	}
	if when.Timeout != nil {
		errs = append(errs, field.Forbidden(path.Child("timeout"), notActedOn))
	}
	return errs
}

func validateUnit(unit *v1alpha1.Unit, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if unit.Resource != v1alpha1.ResourceECS && unit.Resource != v1alpha1.ResourceECI {
		errs = append(errs, field.NotSupported(path.Child("resource"), unit.Resource, []v1alpha1.ResourceType{v1alpha1.ResourceECI, v1alpha1.ResourceECS}))
	}
	for _, name := range slices.Sorted(maps.Keys(unit.MaxResources)) {
		if !isResourceName(string(name)) {
			errs = append(errs, field.Invalid(path.Child("maxResources"), string(name), resourceNames))
		}
		if quantity := unit.MaxResources[name]; quantity.Sign() <= 0 {
			errs = append(errs, field.Invalid(path.Child("maxResources").Key(string(name)), quantity.String(), "must be more than 0, such as 10 or 20Gi"))
		}
	}
	if len(unit.PodLabels) > 0 {
		errs = append(errs, field.Forbidden(path.Child("podLabels"), notActedOn))
	}
	if len(unit.PodAnnotations) > 0 {
		errs = append(errs, field.Forbidden(path.Child("podAnnotations"), notActedOn))
	}
	if unit.SpotInstance != nil {
		errs = append(errs, field.Forbidden(path.Child("spotInstance"), notActedOn))
	}
	if unit.ScaleInWeight != nil {
		errs = append(errs, field.Forbidden(path.Child("scaleInWeight"), notActedOn))
	}
	return errs
}

// isResourceName tells whether pods can request a resource of this name.
func isResourceName(name string) bool {
	return name == "cpu" || name == "memory" || name == "ephemeral-storage" || strings.HasPrefix(name, "hugepages-") || strings.Contains(name, "/")
}
