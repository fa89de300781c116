package equivalence

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// frame is what a side looks like after a step.
type frame struct {
	// Rejected is the reason for which the API server has rejected the step.
	Rejected metav1.StatusReason
	Pods     map[string]podState
	// VolumeClaims has the volume of each claim, Volumes the claim of each volume, Claims the devices and users of each.
	VolumeClaims, Volumes, Claims map[string]string
	// did is compared by rules of its own.
	did *record
}

// podState is what the scheduler has made of a pod.
type podState struct {
	Node, Nominated string
	Terminating     bool
	// Condition is the reason of its condition PodScheduled.
	Condition string
}

// wanted is what must happen in some scene: a test in which nothing happens holds nothing.
var wanted = []string{
	"rejection by DynamicResources", "rejection by InterPodAffinity", "rejection by NodeAffinity", "rejection by NodePorts",
	"rejection by NodeResourcesFit", "rejection by NodeUnschedulable", "rejection by PodTopologySpread",
	"rejection by TaintToleration", "rejection by VolumeBinding", "rejection by VolumeRestrictions",
	"preemption after rejection by NodeResourcesFit", "preemption after rejection by NodePorts",
	"preemption after rejection by InterPodAffinity", "preemption after rejection by VolumeRestrictions",
	"volume bound", "claim allocated", "claim deallocated", "pod woken and placed",
}

// count adds what has happened in the step.
func (f *frame) count(reached map[string]int) {
	for what, times := range f.did.Reached {
		reached[what] += times
	}
	for _, line := range f.did.Wakes {
		pod, _, woken := strings.Cut(line, " woken by ")
		switch {
		case woken && f.Pods[pod].Node != "":
			reached["pod woken and placed"]++
		case strings.Contains(line, "deallocation of ResourceClaim completed"):
			reached["claim deallocated"]++
		}
	}
	reached["volume bound"] += len(f.Volumes)
	for _, uses := range f.Claims {
		if uses != "" {
			reached["claim allocated"]++
		}
	}
}

// frame returns what the side looks like.
func (s *stage) frame(rejected error) frame {
	f := frame{
		Rejected: apierrors.ReasonForError(rejected), Pods: map[string]podState{}, VolumeClaims: map[string]string{},
		Volumes: map[string]string{}, Claims: map[string]string{}, did: s.queue.take(),
	}
	for i := range s.pods.Items {
		pod := &s.pods.Items[i]
		state := podState{Node: pod.Spec.NodeName, Nominated: pod.Status.NominatedNodeName, Terminating: pod.DeletionTimestamp != nil}
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodScheduled {
				state.Condition = condition.Reason
			}
		}
		f.Pods[pod.Name] = state
	}
	for i := range s.volumeClaims.Items {
		f.VolumeClaims[s.volumeClaims.Items[i].Name] = s.volumeClaims.Items[i].Spec.VolumeName
	}
	for i := range s.volumes.Items {
		if claim := s.volumes.Items[i].Spec.ClaimRef; claim != nil {
			f.Volumes[s.volumes.Items[i].Name] = claim.Name
		}
	}
	for i := range s.claims.Items {
		claim := &s.claims.Items[i]
		var uses []string
		if claim.Status.Allocation != nil {
			for _, result := range claim.Status.Allocation.Devices.Results {
				uses = append(uses, result.Pool+"/"+result.Device)
			}
		}
		for _, user := range claim.Status.ReservedFor {
			uses = append(uses, user.Name)
		}
		f.Claims[claim.Name] = strings.Join(uses, " ")
	}
	return f
}

// compare reports the first step after which the sides differ: later differences follow from it. Until then no pod may have
// been tried more often than on the base. It may have been tried less often: what such an attempt of the base has changed
// would be a difference.
func compare(t *testing.T, sc *scene, want, got []frame) {
	t.Helper()
	var vain []string
	for i := range min(len(want), len(got)) {
		for _, pod := range slices.Sorted(maps.Keys(got[i].did.Attempts)) {
			if times, allowed := got[i].did.Attempts[pod], want[i].did.Attempts[pod]; times > allowed {
				vain = append(vain, fmt.Sprintf("step %d (%s): pod %s was tried %d times instead of %d%s",
					i, sc.steps[i].what, pod, times, allowed, bothDid(&want[i], &got[i])))
			}
		}
		if diff := cmp.Diff(want[i], got[i], cmpopts.IgnoreFields(frame{}, "did")); diff != "" {
			t.Errorf("%v: DIFFERENT after step %d (%s), -base +side:\n%s%s", sc, i, sc.steps[i].what, diff, bothDid(&want[i], &got[i]))
			break
		}
	}
	if len(vain) > 0 {
		t.Errorf("%v: %d times AWAKE in vain:\n%s", sc, len(vain), strings.Join(vain[:min(len(vain), maxShown)], "\n"))
	}
}

func bothDid(want, got *frame) string {
	return "\nthe base:\n" + indent(want.did.Wakes) + "\nthe side:\n" + indent(got.did.Wakes)
}

func indent(lines []string) string { return "  " + strings.Join(lines, "\n  ") }

// story tells a scene on both sides.
func story(sc *scene, want, got []frame) string {
	var b strings.Builder
	for _, step := range sc.setup {
		fmt.Fprintf(&b, "\nsetup: %s", step.what)
	}
	for i := range min(len(want), len(got)) {
		fmt.Fprintf(&b, "\nstep %d: %s %s", i, sc.steps[i].what, want[i].Rejected)
		fmt.Fprintf(&b, "\n base %v %v %v %v\n%s", want[i].Pods, want[i].VolumeClaims, want[i].Claims, want[i].did.Attempts, indent(want[i].did.Wakes))
		fmt.Fprintf(&b, "\n side %v %v %v %v\n%s", got[i].Pods, got[i].VolumeClaims, got[i].Claims, got[i].did.Attempts, indent(got[i].did.Wakes))
	}
	return b.String()
}
