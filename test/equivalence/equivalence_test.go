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
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

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
	// What matters of the log is in the record of the turnstile.
	flags := flag.NewFlagSet("klog", flag.PanicOnError)
	klog.InitFlags(flags)
	must(t, flags.Parse([]string{"-logtostderr=false", "-stderrthreshold=FATAL"}))
	klog.SetOutput(io.Discard)
	ctrl.SetLogger(klog.Background())
	base, other := sideOf(t, "EQUIVALENCE_BASE", stock), sideOf(t, "EQUIVALENCE_SIDE", governed)
	seeds, verbose := seedsOf(t)
	c := startCluster(t)
	reached := map[string]int{}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			sc := makeScene(seed)
			want, got := play(t, c, sc, base), play(t, c, sc, other)
			if verbose {
				t.Log(story(sc, want, got))
			}
			compare(t, sc, want, got)
			for i := range want {
				want[i].count(reached)
			}
		})
	}
	for _, what := range slices.Sorted(maps.Keys(reached)) {
		t.Logf("%6d %s", reached[what], what)
	}
	for _, what := range wanted {
		if base.name == stock.name && len(seeds) >= defaultSeeds && reached[what] == 0 {
			t.Errorf("no scene had a %s: the test does not test it", what)
		}
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
