package offer_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
)

// instance is a pod of the simulation in one version.
type instance struct {
	spec    ecispec.Spec
	decided bool
	refused time.Time
	// bound is zero while the binding is on its way.
	bound time.Time
}

func (p *instance) holding() offer.Holding {
	return offer.Holding{Bill: ecispec.Bill{Specs: []ecispec.Spec{p.spec}}, Stock: []string{p.spec.String()}, Decided: p.decided, Refused: p.refused, Bound: p.bound}
}

// TestInstancesSimulation lets pods come, change and go on a few nodes and compares with a recount after every step.
func TestInstancesSimulation(t *testing.T) {
	specs := []ecispec.Spec{{MilliCPU: 2000, Memory: 4 << 30}, {MilliCPU: 500, Memory: 1 << 30}, {MilliCPU: 8000, Memory: 1 << 34, GPUs: 1}}
	bindings := []time.Time{{}, time.Unix(1000, 0), time.Unix(1001, 0), time.Unix(1002, 0)}
	for seed := range uint64(100) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			counts := offer.NewInstances[*instance]()
			nodes, generations := make([][]*instance, 3), make([]int64, 3)
			var generation int64
			for step := range 300 {
				i := random.IntN(len(nodes))
				// A list that has been shown is never changed, as the scheduler's.
				pods := slices.Clone(nodes[i])
				switch at := 0; random.IntN(5) {
				case 0, 1:
					pods = append(pods, &instance{spec: specs[random.IntN(len(specs))], bound: bindings[random.IntN(len(bindings))]})
				case 2: // As the scheduler does it: the last one takes the place.
					if len(pods) > 0 {
						at = random.IntN(len(pods))
						pods[at] = pods[len(pods)-1]
						pods = pods[:len(pods)-1]
					}
				case 3:
					if len(pods) > 0 {
						at = random.IntN(len(pods))
						pods[at] = &instance{spec: pods[at].spec, bound: bindings[random.IntN(len(bindings))], decided: random.IntN(2) == 0, refused: time.Unix(int64(random.IntN(2)*(step+1)), 0).UTC()}
						if pods[at].decided || pods[at].refused.Unix() == 0 {
							pods[at].refused = time.Time{}
						}
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
func compare(t *testing.T, step int, counts *offer.Instances[*instance], name string, pods []*instance) {
	t.Helper()
	want := offer.Held{Bills: map[string]offer.Bills{}, Undecided: map[string]offer.Undecided{}}
	for _, p := range pods {
		want.Node.MilliCPU += p.spec.MilliCPU
		want.Node.Memory += p.spec.Memory
		want.Node.GPUs += p.spec.GPUs
		want.Node.Pods++
		bills := want.Bills[p.spec.String()]
		bills.Bill, bills.Pods = ecispec.Bill{Specs: []ecispec.Spec{p.spec}}, bills.Pods+1
		if !p.decided {
			bills.Uncreated++
		}
		want.Bills[p.spec.String()] = bills
		if p.decided {
			continue
		}
		for _, name := range []string{p.spec.String(), offer.AnySpec} {
			u := want.Undecided[name]
			if p.refused.IsZero() {
				if u.Pods++; u.Pods == 1 || p.bound.IsZero() || !u.Newest.IsZero() && p.bound.After(u.Newest) {
					u.Newest = p.bound
				}
			} else if p.refused.After(u.Refused) {
				u.Refused = p.refused
			}
			want.Undecided[name] = u
		}
	}
	var got offer.Held
	counts.Held(name, &got)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("step %d, node %s (-recount +got):\n%s", step, name, diff)
	}
	if counts.Amount(name) != want.Node {
		t.Fatalf("step %d, node %s: amount %+v, recount %+v", step, name, counts.Amount(name), want.Node)
	}
}

func TestInstancesForget(t *testing.T) {
	counts := offer.NewInstances[*instance]()
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
