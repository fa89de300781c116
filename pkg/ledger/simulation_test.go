package ledger

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/spillway-k8s/spillway/pkg/placement"
)

const steps = 300

// TestSimulation changes a cluster at random and checks after every step that the counts equal a recount from scratch (R4).
func TestSimulation(t *testing.T) {
	for seed := range uint64(seeds()) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			sim := &simulation{random: rand.New(rand.NewPCG(seed, 0))}
			l, epoch := New[*fakePod](), int64(0)
			for step := range steps {
				if sim.random.IntN(50) == 0 {
					epoch++
				}
				sim.change()
				l.Sync(epoch, &sim.snapshot)
				if diff := cmp.Diff(sim.recount(), l.totals); diff != "" {
					t.Fatalf("step %d (-recount +ledger):\n%s", step, diff)
				}
				var pods int64
				for key, usage := range l.totals {
					if !key.Terminating {
						pods += usage.Pods
					}
				}
				if got, counts := l.Size(); int64(got) != pods || counts != len(l.totals) {
					t.Fatalf("step %d: the size is %d pods in %d counts, want %d in %d", step, got, counts, pods, len(l.totals))
				}
			}
		})
	}
}

type simulation struct {
	random     *rand.Rand
	snapshot   fakeSnapshot
	generation int64
	names      int
}

// change does one random thing that the scheduler's cache can do.
func (s *simulation) change() {
	nodes := &s.snapshot.nodes
	if len(*nodes) == 0 {
		s.addNode()
		return
	}
	i := s.random.IntN(len(*nodes))
	node := &(*nodes)[i]
	switch s.random.IntN(10) {
	case 0:
		s.addNode()
	case 1:
		*nodes = append((*nodes)[:i], (*nodes)[i+1:]...)
	case 2: // The list was rebuilt in another order.
		s.random.Shuffle(len(*nodes), func(a, b int) { (*nodes)[a], (*nodes)[b] = (*nodes)[b], (*nodes)[a] })
	case 3: // Deleted and added again under the same name, empty.
		*node = fakeNode{name: node.name, generation: s.nextGeneration()}
	case 4: // Heartbeat: a new generation, the same pods.
		node.generation = s.nextGeneration()
	case 5, 6:
		if len(node.pods) > 0 {
			at := s.random.IntN(len(node.pods))
			// The last one takes the place of the one that goes.
			node.pods = slices.Clone(node.pods)
			node.pods[at] = node.pods[len(node.pods)-1]
			node.pods = node.pods[:len(node.pods)-1]
		}
		node.generation = s.nextGeneration()
	default:
		node.pods = append(slices.Clone(node.pods), s.pod())
		node.generation = s.nextGeneration()
	}
}

func (s *simulation) addNode() {
	s.names++
	s.snapshot.nodes = append(s.snapshot.nodes, fakeNode{name: fmt.Sprintf("node-%d", s.names), generation: s.nextGeneration()})
}

func (s *simulation) pod() *fakePod {
	requests := []int64{s.random.Int64N(1000), s.random.Int64N(1 << 40)}
	if s.random.IntN(100) == 0 {
		requests[0] = math.MaxInt64 - s.random.Int64N(3)
	}
	return &fakePod{
		key: Key{
			Policy: types.UID(fmt.Sprintf("policy-%d", s.random.IntN(3))), Group: fmt.Sprintf("group-%d", s.random.IntN(2)), Unit: s.random.IntN(3),
		},
		requests: requests,
	}
}

func (s *simulation) nextGeneration() int64 {
	s.generation++
	return s.generation
}

func (s *simulation) recount() map[Key]placement.Usage {
	totals := map[Key]placement.Usage{}
	for _, node := range s.snapshot.nodes {
		for _, pod := range node.pods {
			totals[pod.key] = totals[pod.key].Add(pod.requests)
		}
	}
	return totals
}

// BenchmarkSync is the cost that every scheduling cycle of a governed pod pays: 5,000 nodes, of which one changed.
func BenchmarkSync(b *testing.B) {
	snapshot := &fakeSnapshot{}
	for i := range 5000 {
		pods := make([]*fakePod, 20)
		for p := range pods {
			pods[p] = &fakePod{key: Key{Policy: "p", Group: "g", Unit: i % 3}, requests: []int64{1000}}
		}
		snapshot.nodes = append(snapshot.nodes, fakeNode{name: fmt.Sprintf("node-%d", i), generation: int64(i + 1), pods: pods})
	}
	l := New[*fakePod]()
	l.Sync(0, snapshot)
	generation := int64(len(snapshot.nodes))
	b.ReportAllocs()
	for b.Loop() {
		generation++
		snapshot.nodes[generation%5000].generation = generation
		snapshot.counted = snapshot.counted[:0]
		l.Sync(0, snapshot)
	}
}
