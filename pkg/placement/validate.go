package placement

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// resourceNames says what maxResources can name. A typo such as "cpus" would be a cap that caps nothing.
const resourceNames = "must be cpu, memory, ephemeral-storage, hugepages-<size> or a name with a domain such as nvidia.com/gpu"

// nodeRequirements says what matchExpressions can be.
const nodeRequirements = "must be a label key with values that fit its operator: one or more for In and NotIn, one integer for Gt and Lt, none for Exists and DoesNotExist"

// notActedOn ends the message about a field that ACK's API has and this version of Spillway does not act on.
const notActedOn = "Spillway does not act on this field yet: remove it"

// resourceTypes are the resources that units can name. ACK's own CRD may be installed, which admits others.
var resourceTypes = []v1alpha1.ResourceType{v1alpha1.ResourceACS, v1alpha1.ResourceECI, v1alpha1.ResourceECS, v1alpha1.ResourceElastic}

// Validate returns an error for every field of a ResourcePolicy that cannot be acted on: of type Invalid for a value that never can, of type
// NotSupported or Forbidden for what this version does not act on. A policy with errors is refused as a whole: to ignore a field silently would place
// pods where the user did not want them. The API server has checked everything else by the rules in the CRD. keys are those that units may write on pods.
func Validate(rp *v1alpha1.ResourcePolicy, keys *PodKeys) field.ErrorList {
	spec, path := &rp.Spec, field.NewPath("spec")
	var errs field.ErrorList
	errs = append(errs, validateWhenTryNextUnits(spec.WhenTryNextUnits, path.Child("whenTryNextUnits"))...)
	if len(spec.MatchExpressions) > 0 {
		errs = append(errs, field.Forbidden(path.Child("matchExpressions"), notActedOn))
	}
	if spec.ConsumerRef != nil {
		errs = append(errs, field.Forbidden(path.Child("consumerRef"), notActedOn))
	}
	ids := sets.New[string]()
	for i := range spec.Units {
		unit, at := &spec.Units[i], path.Child("units").Index(i)
		nodes := newNodeSet(unit)
		switch id := unitID(unit, &nodes); {
		case ids.Has(id) && unit.Name != "":
			errs = append(errs, field.Invalid(at.Child("name"), unit.Name, "another unit has this name: names must differ"))
		case ids.Has(id):
			errs = append(errs, field.Invalid(at, id, "another unit has the same nodes, podLabels and podAnnotations: remove one or make them differ"))
		default:
			ids.Insert(id)
		}
		errs = append(errs, validateUnit(unit, at)...)
		errs = append(errs, validateWritten(spec, unit, at)...)
		errs = append(errs, validateKeys(unit, keys, at)...)
	}
	return errs
}

func validateWhenTryNextUnits(when *v1alpha1.WhenTryNextUnits, path *field.Path) field.ErrorList {
	if when == nil {
		return nil
	}
	var errs field.ErrorList
	if when.Policy == v1alpha1.TryNextTimeout {
		errs = append(errs, field.NotSupported(path.Child("policy"), when.Policy, []v1alpha1.TryNextPolicy{
			v1alpha1.TryNextLackResourceOrExceedMax, v1alpha1.TryNextExceedMax, v1alpha1.TryNextTimeoutOrExceedMax,
			v1alpha1.TryNextLackResourceAndNoTerminating,
		}))
	}
	return errs
}

func validateUnit(unit *v1alpha1.Unit, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if !slices.Contains(resourceTypes, unit.Resource) {
		errs = append(errs, field.NotSupported(path.Child("resource"), unit.Resource, resourceTypes))
	}
	for i := range unit.MatchExpressions {
		if _, err := newRequirement(&unit.MatchExpressions[i]); err != nil {
			errs = append(errs, field.Invalid(path.Child("matchExpressions").Index(i), unit.MatchExpressions[i].Key, nodeRequirements))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unit.MaxResources)) {
		if !isResourceName(string(name)) {
			errs = append(errs, field.Invalid(path.Child("maxResources"), string(name), resourceNames))
		}
		if quantity := unit.MaxResources[name]; quantity.Sign() <= 0 {
			errs = append(errs, field.Invalid(path.Child("maxResources").Key(string(name)), quantity.String(), "must be more than 0, such as 10 or 20Gi"))
		}
	}
	if unit.SpotInstance != nil {
		errs = append(errs, field.Forbidden(path.Child("spotInstance"), notActedOn))
	}
	if unit.ScaleInWeight != nil {
		errs = append(errs, field.Forbidden(path.Child("scaleInWeight"), notActedOn))
	}
	return errs
}

// validateWritten refuses labels that a unit would write on pods and that decide which policy governs them and in which group.
func validateWritten(spec *v1alpha1.ResourcePolicySpec, unit *v1alpha1.Unit, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, l := range writtenLabels(unit.PodLabels) {
		at := path.Child("podLabels").Key(l.key)
		if value, ok := spec.Selector[l.key]; ok && string(value) != l.value {
			errs = append(errs, field.Invalid(at, l.value, fmt.Sprintf("would take the pods out of the policy, whose selector requires %s=%s", l.key, value)))
		}
		if slices.Contains(spec.MatchLabelKeys, v1alpha1.LabelKey(l.key)) {
			errs = append(errs, field.Invalid(at, l.value, "would change the group of the pods: the key is one of matchLabelKeys"))
		}
	}
	return errs
}

// validateKeys refuses the keys that units may not write on pods, and values that the API server would never accept on a pod: it does not check what
// travels in a Binding, and a pod with such a label cannot be updated afterwards.
func validateKeys(unit *v1alpha1.Unit, keys *PodKeys, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, l := range writtenLabels(unit.PodLabels) {
		at := path.Child("podLabels").Key(l.key)
		if why := keys.refusal(l.key); why != "" {
			errs = append(errs, field.Invalid(at, l.value, why))
		}
		if len(validation.IsValidLabelValue(l.value)) > 0 {
			errs = append(errs, field.Invalid(at, l.value, "must be a label value: at most 63 letters, digits, '-', '_' or '.'"))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(unit.PodAnnotations)) {
		why := keys.refusal(key)
		if isOwnKey(key) {
			why = "this annotation is written by Spillway itself"
		}
		if why != "" {
			errs = append(errs, field.Invalid(path.Child("podAnnotations").Key(key), string(unit.PodAnnotations[key]), why))
		}
	}
	return errs
}

// isResourceName tells whether pods can request a resource of this name.
func isResourceName(name string) bool {
	return name == "cpu" || name == "memory" || name == "ephemeral-storage" || strings.HasPrefix(name, "hugepages-") || strings.Contains(name, "/")
}
