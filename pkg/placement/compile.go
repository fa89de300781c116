package placement

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
)

// DefaultTimeout is the longest wait in a unit under TimeoutOrExceedMax when the policy names none (source: ACK, whenTryNextUnits).
const DefaultTimeout = 15 * time.Minute

// Policy is a compiled ResourcePolicy. Immutable.
type Policy struct {
	Namespace string
	Name      string
	UID       types.UID
	// Generation grows with every edit of the policy.
	Generation int64
	// Units are the units in order.
	Units []Unit
	// Refusal is empty for a policy that is acted on. Otherwise the pods that it governs wait, and this is the reason they are given.
	Refusal string
	// Errors are what the policy is refused for.
	Errors field.ErrorList

	created  time.Time
	selector []label
	// tryNext, in ACK's documented spelling, and timeout are whenTryNextUnits.
	tryNext v1alpha1.TryNextPolicy
	timeout time.Duration
	// preemptFirst is preemptPolicy BeforeNextUnit.
	preemptFirst bool
	// ignorePrevious and ignoreTerminating leave pods out of the counts.
	ignorePrevious, ignoreTerminating bool
	// groupKeys are the matchLabelKeys.
	groupKeys []string
	// tracked are the resources with a cap in at least one unit, sorted.
	tracked []corev1.ResourceName
}

// Compile turns a ResourcePolicy into a Policy as an installation that allows its units every key would: for those who do not know which keys an
// installation allows.
func Compile(rp *v1alpha1.ResourcePolicy) *Policy { return CompileWith(rp, EveryPodKey()) }

// CompileWith turns a ResourcePolicy into a Policy, whose units may write these keys. It never fails: a spec that cannot be acted on yields a Policy with a
// Refusal.
func CompileWith(rp *v1alpha1.ResourcePolicy, keys *PodKeys) *Policy {
	p := &Policy{
		Namespace: rp.Namespace,
		Name:      rp.Name,
		UID:       rp.UID,

		Generation: rp.Generation,
		created:    rp.CreationTimestamp.Time,
		selector:   sortedLabels(rp.Spec.Selector),
		tracked:    trackedResources(rp.Spec.Units),

		preemptFirst:      rp.Spec.PreemptPolicy == v1alpha1.PreemptBeforeNextUnit,
		ignorePrevious:    ptr.Deref(rp.Spec.IgnorePreviousPod, false),
		ignoreTerminating: ptr.Deref(rp.Spec.IgnoreTerminatingPod, true),
	}
	p.tryNext, p.timeout = compileTryNext(rp.Spec.WhenTryNextUnits)
	if p.Errors = Validate(rp, keys); len(p.Errors) > 0 {
		p.Refusal = fmt.Sprintf("ResourcePolicy %s is refused: %v", rp.Name, p.Errors[0])
		if more := len(p.Errors) - 1; more > 0 {
			p.Refusal += fmt.Sprintf(" (and %d more, see its condition Ready)", more)
		}
	}
	for _, key := range rp.Spec.MatchLabelKeys {
		p.groupKeys = append(p.groupKeys, string(key))
	}
	titles := map[string]int{}
	for i := range rp.Spec.Units {
		unit := compileUnit(i, &rp.Spec.Units[i], p.tracked)
		titles[unit.Title]++
		if n := titles[unit.Title]; n > 1 {
			unit.Title = fmt.Sprintf("%s #%d", unit.Title, n)
		}
		p.Units = append(p.Units, unit)
	}
	return p
}

// compileTryNext returns the rule of whenTryNextUnits and its timeout, with the defaults that ACK documents.
func compileTryNext(when *v1alpha1.WhenTryNextUnits) (v1alpha1.TryNextPolicy, time.Duration) {
	rule, timeout := v1alpha1.TryNextLackResourceOrExceedMax, DefaultTimeout
	if when == nil {
		return rule, timeout
	}
	if when.Timeout != nil {
		timeout = when.Timeout.Duration
	}
	switch when.Policy {
	case "":
	case v1alpha1.TryNextLackResourceAndNoterminating:
		rule = v1alpha1.TryNextLackResourceAndNoTerminating
	default:
		rule = when.Policy
	}
	return rule, timeout
}

// trackedResources returns the resources that any of the units caps, sorted.
func trackedResources(units []v1alpha1.Unit) []corev1.ResourceName {
	var names []corev1.ResourceName
	for i := range units {
		for name := range units[i].MaxResources {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
