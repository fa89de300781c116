package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/ledger"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

// instance is a pod of the simulation in one version.
type instance struct {
	spec    ecispec.Spec
	decided bool
}

func (p *instance) holding() offer.Holding {
	if p.decided {
		return offer.Holding{Spec: p.spec}
	}
	return offer.Holding{Spec: p.spec, Undecided: []string{p.spec.String()}}
}

// TestInstancesSimulation lets pods come, change and go on a few nodes and compares with a recount after every step.
func TestInstancesSimulation(t *testing.T) {
	specs := []ecispec.Spec{{MilliCPU: 2000, Memory: 4 << 30}, {MilliCPU: 500, Memory: 1 << 30}, {MilliCPU: 8000, Memory: 1 << 34, GPUs: 1}}
	for seed := range uint64(100) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			counts := ledger.NewInstances[*instance]()
			nodes, generations := make([][]*instance, 3), make([]int64, 3)
			var generation int64
			for step := range 300 {
				i := random.IntN(len(nodes))
				// A list that has been shown is never changed, as the scheduler's.
				pods := slices.Clone(nodes[i])
				switch at := 0; random.IntN(5) {
				case 0, 1:
					pods = append(pods, &instance{spec: specs[random.IntN(len(specs))]})
				case 2: // As the scheduler does it: the last one takes the place.
					if len(pods) > 0 {
						at = random.IntN(len(pods))
						pods[at] = pods[len(pods)-1]
						pods = pods[:len(pods)-1]
					}
				case 3:
					if len(pods) > 0 {
						at = random.IntN(len(pods))
						pods[at] = &instance{spec: pods[at].spec, decided: true}
					}
				default:
					slices.Reverse(pods)
				}
				generation++
				nodes[i], generations[i] = pods, generation
				if random.IntN(3) == 0 {
					continue // Several changes may be seen at once.
				}
				for n := range nodes {
					counts.Sync(fmt.Sprint(n), generations[n], nodes[n], (*instance).holding)
					compare(t, step, counts, fmt.Sprint(n), nodes[n])
				}
			}
		})
	}
}

// compare recounts a node from scratch.
func compare(t *testing.T, step int, counts *ledger.Instances[*instance], name string, pods []*instance) {
	t.Helper()
	want := offer.Held{Specs: map[ecispec.Spec]int64{}, Undecided: map[string]int64{}}
	for _, p := range pods {
		want.Node.MilliCPU += p.spec.MilliCPU
		want.Node.Memory += p.spec.Memory
		want.Node.GPUs += p.spec.GPUs
		want.Node.Pods++
		want.Specs[p.spec]++
		if !p.decided {
			want.Undecided[p.spec.String()]++
			want.Undecided[offer.AnySpec]++
		}
	}
	got := offer.Held{Specs: map[ecispec.Spec]int64{}, Undecided: map[string]int64{}}
	counts.Held(name, &got)
	if diff := cmp.Diff(want, got); diff != "" && (len(pods) > 0 || got.Node != (offer.Amount{})) {
		t.Fatalf("step %d, node %s (-recount +got):\n%s", step, name, diff)
	}
}

func TestInstancesForget(t *testing.T) {
	counts := ledger.NewInstances[*instance]()
	for _, name := range []string{"a", "b"} {
		counts.Sync(name, 1, []*instance{{spec: ecispec.Default()}}, (*instance).holding)
	}
	counts.Forget(func(name string) bool { return name == "a" })
	var held offer.Held
	if counts.Held("b", &held); held.Node.Pods != 0 || counts.Len() != 1 {
		t.Errorf("b is still counted: %+v", held)
	}
	if counts.Held("a", &held); held.Node.Pods != 1 {
		t.Errorf("a is forgotten: %+v", held)
	}
}
