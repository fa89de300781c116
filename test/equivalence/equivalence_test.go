// Package equivalence holds rule R14: a policy with the one unit `ecs` for all pods changes nothing but which nodes are
// allowed. Who is placed, who preempts whom, which claims and volumes are bound or freed, and who wakes on which event is as
// in kube-scheduler. The test plays random scenes with the real scheduler on a real API server: once with the profile of
// kube-scheduler, once with a policy. Whenever nothing happens any more, both must look the same.
//
//	EQUIVALENCE_SEED=42     plays one scene, and prints what happened
//	EQUIVALENCE_SEEDS=10000 plays many (100)
//	EQUIVALENCE_BASE        is what a policy is compared with: stock (the default), or ungoverned: Spillway's profile without
//	                        a policy
//	EQUIVALENCE_SIDE        is what is compared with that: governed (the default), ungoverned, or stock, which tests the test
//
// Pod groups are not played: their feature gate is one of the whole process.
package equivalence

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

const (
	defaultSeeds = 100
	firstSeed    = 1
	// maxShown is how many of the attempts that should not have been are shown for a scene.
	maxShown = 3
)

func TestEquivalence_OneUnitForAllPods(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Skip("KUBEBUILDER_ASSETS does not name the directory with etcd and kube-apiserver: run make test")
	}
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard) // What matters of the log is in the record of the turnstile.
	ctrl.SetLogger(klog.Background())
	base, other := sideOf(t, "EQUIVALENCE_BASE", stock), sideOf(t, "EQUIVALENCE_SIDE", governed)
	seeds, verbose := seedsOf(t)
	c := startCluster(t)
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			sc := makeScene(seed)
			want, got := play(t, c, sc, base), play(t, c, sc, other)
			if verbose {
				t.Log(story(sc, want, got))
			}
			compare(t, sc, want, got)
		})
	}
}

func sideOf(t *testing.T, variable string, standard side) side {
	t.Helper()
	name := os.Getenv(variable)
	if name == "" {
		return standard
	}
	i := slices.IndexFunc(allSides, func(s side) bool { return s.name == name })
	if i < 0 {
		t.Fatalf("%s: %q is not a side", variable, name)
	}
	return allSides[i]
}

// seedsOf returns the seeds to play, and whether one was named.
func seedsOf(t *testing.T) ([]uint64, bool) {
	t.Helper()
	if text := os.Getenv("EQUIVALENCE_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		must(t, err)
		return []uint64{seed}, true
	}
	count := defaultSeeds
	if text := os.Getenv("EQUIVALENCE_SEEDS"); text != "" {
		var err error
		count, err = strconv.Atoi(text)
		must(t, err)
	}
	seeds := make([]uint64, count)
	for i := range seeds {
		seeds[i] = firstSeed + uint64(i)
	}
	return seeds, false
}

// frame is what a side looks like after a step.
type frame struct {
	// Rejected is the reason for which the API server has rejected the step.
	Rejected metaReason
	Pods     map[string]podState
	// VolumeClaims has the volume of each claim, Volumes the claim of each volume, Claims the devices and users of each.
	VolumeClaims, Volumes, Claims map[string]string
	// did is compared by rules of its own.
	did *record
}

type metaReason string

// podState is what the scheduler has made of a pod.
type podState struct {
	Node, Nominated string
	Terminating     bool
	// Condition is the reason of its condition PodScheduled.
	Condition string
}

// play plays a scene on a side, and clears the side.
func play(t *testing.T, c *cluster, sc *scene, s side) []frame {
	t.Helper()
	st := newStage(c, sc, s)
	defer func() {
		if err := st.clear(context.WithoutCancel(t.Context())); err != nil {
			t.Fatalf("clearing %s: %v", s.name, err)
		}
	}()
	for _, step := range sc.setup {
		must(t, step.do(t.Context(), st))
	}
	must(t, st.calm(t.Context()))
	var frames []frame
	for i, step := range sc.steps {
		err := step.do(t.Context(), st)
		if err != nil && apierrors.ReasonForError(err) == "" {
			t.Fatalf("%v, %s, step %d (%s): %v", sc, s.name, i, step.what, err)
		}
		if settled := st.settle(t.Context()); settled != nil {
			t.Errorf("%v, %s, step %d (%s): %v\n%s", sc, s.name, i, step.what, settled, strings.Join(st.queue.take().Wakes, "\n"))
			break
		}
		frames = append(frames, st.frame(err))
	}
	return frames
}

// frame returns what the side looks like.
func (s *stage) frame(rejected error) frame {
	f := frame{
		Rejected: metaReason(apierrors.ReasonForError(rejected)), Pods: map[string]podState{}, VolumeClaims: map[string]string{},
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
