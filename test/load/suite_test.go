// Package load puts a cluster's worth of nodes and pods on Spillway: the order at 2,000 nodes, a scheduler that is killed again and again, preemption by
// hundreds of pods. What it checks it recounts from the objects of the API server, with arithmetic of its own.
//
// `make test-load` runs the short form, which `make test` has as well; `make test-load LONG=1` runs the long one. Each amount can be set alone:
//
//	LOAD_KILLS    how often the scheduler is killed (8; long 50)
//	LOAD_PODS     how many pods come and go meanwhile (400; long 2,000)
//	LOAD_ARRIVALS how many pods come to the full unit of the strict order while others go (1,000; long 5,000)
//	LOAD_ROUNDS   rounds of preemption (2, one for each preemptPolicy; long 20)
//	LOAD_NODES    nodes to preempt on, with four pods each and as many preemptors as nodes (100; long 500)
//
// All random choices follow from Ginkgo's seed, which it prints: `make test-load SEED=n` makes them again.
package load

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/klog/v2"

	"github.com/spillway-k8s/spillway/test/conformance/harness"
)

// settles is how long everything may take that must happen by itself. It is far below the five-minute flush of the scheduling queue, which would hide a
// pod that nobody woke.
const settles = 90 * time.Second

func TestLoad(t *testing.T) { harness.RunSuite(t, "Load") }

var _ = BeforeSuite(func() {
	// The log of the scheduler and the controllers is shown with a test that fails; what passes shows its results only.
	flags := flag.NewFlagSet("klog", flag.PanicOnError)
	klog.InitFlags(flags)
	Expect(flags.Parse([]string{"-logtostderr=false", "-stderrthreshold=FATAL"})).To(Succeed())
	klog.SetOutput(GinkgoWriter)
	harness.Start(filepath.Join("..", ".."))
})

// amount returns how much of something the run has.
func amount(variable string, short, long int) int {
	GinkgoHelper()
	if text := os.Getenv(variable); text != "" {
		n, err := strconv.Atoi(text)
		Expect(err).NotTo(HaveOccurred(), variable)
		return n
	}
	if os.Getenv("LOAD_LONG") != "" {
		return long
	}
	return short
}

// chance returns the random choices of one part of the suite.
func chance(part uint64) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(GinkgoRandomSeed()), part))
}

// say prints a line of the result, also when the test passes.
func say(format string, args ...any) {
	fmt.Printf("\n"+format, args...) // Ginkgo leaves its line of dots open.
}
