package ledger

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const steps = 300

// TestSync_Simulation changes a cluster and its policies at random and checks after every step that the counts equal a recount from scratch (R4), and that
// an edit counts no pod anew of a policy that it does not concern (R15).
func TestSync_Simulation(t *testing.T) {
	for seed := range uint64(wrappers.Seeds()) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			sim := newSimulation(seed)
			l := New[*simPod]()
			l.Sync(sim.policies.EditsSince(placement.NewPolicies()), sim)
			for step := range steps {
				before := sim.policies
				if sim.random.IntN(5) == 0 {
					sim.editPolicy()
				} else {
					sim.change()
				}
				sim.asked = nil
				l.Sync(sim.policies.EditsSince(before), sim)
				for _, pod := range sim.asked {
					if sim.policies != before && pod.namespace != sim.edited {
						t.Fatalf("step %d: an edit in %s counts a pod of %s anew", step, sim.edited, pod.namespace)
					}
				}
				if diff := cmp.Diff(sim.recount(), l.totals, sameSums); diff != "" {
					t.Fatalf("step %d (-recount +ledger):\n%s", step, diff)
				}
				sim.checkSize(t, l)
			}
		})
	}
}

// sameSums takes a sum of nothing for no sum, as everybody who reads a Usage does.
var sameSums = cmp.Comparer(func(a, b placement.Usage) bool {
	for i := range max(len(a.Requests), len(b.Requests)) {
		if i < len(a.Requests) && i < len(b.Requests) {
			if a.Requests[i] != b.Requests[i] {
				return false
			}
		} else if i < len(a.Requests) && a.Requests[i] != 0 || i < len(b.Requests) && b.Requests[i] != 0 {
			return false
		}
	}
	return a.Pods == b.Pods
})

// simPod is a pod of the simulation in one version.
type simPod struct {
	namespace string
	labels    map[string]string
	unit      int
	requests  []int64
}

type simNode struct {
	name       string
	generation int64
	pods       []*simPod
}

// simulation is a cluster; it is the snapshot that the ledger follows.
type simulation struct {
	random     *rand.Rand
	nodes      []simNode
	generation int64
	names      int
	specs      []*wrappers.Policy
	policies   *placement.Policies
	// edited is the namespace of the last edit, and asked are the pods whose contribution was asked for.
	edited string
	asked  []*simPod
}

var simNamespaces = []string{"blue", "red"}

func newSimulation(seed uint64) *simulation {
	s := &simulation{random: rand.New(rand.NewPCG(seed, 0)), policies: placement.NewPolicies()}
	for _, namespace := range simNamespaces {
		for i := range 3 {
			p := wrappers.MakePolicy(fmt.Sprintf("%s-%d", namespace, i)).Unit(wrappers.ECS()).Unit(wrappers.ECI().MaxResource("cpu", "1"))
			p.Namespace(namespace)
			s.specs = append(s.specs, p)
		}
		s.publish(namespace)
	}
	return s
}

// publish compiles the policies of a namespace.
func (s *simulation) publish(namespace string) {
	var compiled []*placement.Policy
	for _, p := range s.specs {
		if p.Obj().Namespace == namespace && p.Spec.Units != nil {
			compiled = append(compiled, placement.Compile(p.Obj()))
		}
	}
	s.policies, s.edited = s.policies.WithNamespace(namespace, compiled), namespace
}

// editPolicy changes what a policy selects, how its pods count, or its caps; or deletes it, or creates it anew.
func (s *simulation) editPolicy() {
	p := s.specs[s.random.IntN(len(s.specs))]
	p.Generation++
	switch s.random.IntN(6) {
	case 0:
		p.Spec.Selector = nil
	case 1:
		p.Selector("app", fmt.Sprint(s.random.IntN(2)))
	case 2:
		p.Selector("tier", fmt.Sprint(s.random.IntN(2)))
	case 3:
		p.Spec.MatchLabelKeys = nil
		if s.random.IntN(2) == 0 {
			p.GroupBy("tier")
		}
	case 4:
		p.Spec.Units = []v1alpha1.Unit{{Resource: v1alpha1.ResourceECS, Max: new(s.random.Int32N(9))}}
	default:
		if p.Spec.Units = nil; s.random.IntN(2) == 0 {
			p.Unit(wrappers.ECI().MaxResource("memory", "1Gi"))
		}
	}
	s.publish(p.Obj().Namespace)
}

func (s *simulation) Len() int               { return len(s.nodes) }
func (s *simulation) Generation(i int) int64 { return s.nodes[i].generation }
func (s *simulation) Name(i int) string      { return s.nodes[i].name }
func (s *simulation) Pods(i int) int         { return len(s.nodes[i].pods) }
func (s *simulation) Pod(i, at int) *simPod  { return s.nodes[i].pods[at] }

func (s *simulation) Owner(pod *simPod) (string, map[string]string) { return pod.namespace, pod.labels }

func (s *simulation) Contribution(_ int, pod *simPod) Contribution {
	s.asked = append(s.asked, pod)
	policy := s.policies.Governing(pod.namespace, pod.labels)
	if policy == nil {
		return Contribution{}
	}
	c := Contribution{Policy: policy.UID, Unit: pod.unit % len(policy.Units), Priority: int32(pod.unit)}
	if policy.TracksResources() {
		c.Requests = pod.requests
	}
	if group, err := policy.Group(pod.labels); err == nil {
		c.Group, c.Counts = group, true
	}
	return c
}

// checkSize compares the size that the ledger reports with what it has, and checks that it forgets pods that are gone.
func (s *simulation) checkSize(t *testing.T, l *Ledger[*simPod]) {
	t.Helper()
	var counted int64
	for _, usage := range l.totals {
		counted += usage.Pods
	}
	if got, counts := l.Size(); int64(got) != counted || counts != len(l.totals) {
		t.Fatalf("the size is %d pods in %d counts, want %d in %d", got, counts, counted, len(l.totals))
	}
	pods, known := 0, 0
	for _, node := range s.nodes {
		pods += len(node.pods)
	}
	for _, set := range l.namespaces {
		known += len(set)
	}
	if pods != known {
		t.Fatalf("%d pods are known of %d", known, pods)
	}
}

// change does one random thing that the scheduler's cache can do.
func (s *simulation) change() {
	nodes := &s.nodes
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
		*node = simNode{name: node.name, generation: s.nextGeneration()}
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
	s.nodes = append(s.nodes, simNode{name: fmt.Sprintf("node-%d", s.names), generation: s.nextGeneration()})
}

func (s *simulation) pod() *simPod {
	requests := []int64{s.random.Int64N(1000)}
	if s.random.IntN(100) == 0 {
		requests[0] = math.MaxInt64 - s.random.Int64N(3)
	}
	pod := &simPod{namespace: simNamespaces[s.random.IntN(2)], labels: map[string]string{}, unit: s.random.IntN(3), requests: requests}
	for _, key := range []string{"app", "tier"} {
		if s.random.IntN(3) > 0 {
			pod.labels[key] = fmt.Sprint(s.random.IntN(2))
		}
	}
	return pod
}

func (s *simulation) nextGeneration() int64 {
	s.generation++
	return s.generation
}

func (s *simulation) recount() map[Key]placement.Usage {
	totals := map[Key]placement.Usage{}
	for i, node := range s.nodes {
		for _, pod := range node.pods {
			if c := s.Contribution(i, pod); c.Counts {
				totals[c.Key()] = totals[c.Key()].Add(c.Requests)
			}
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
	l.Sync(nil, snapshot)
	generation := int64(len(snapshot.nodes))
	b.ReportAllocs()
	for b.Loop() {
		generation++
		snapshot.nodes[generation%5000].generation = generation
		snapshot.counted = snapshot.counted[:0]
		l.Sync(nil, snapshot)
	}
}

// BenchmarkSync_Edit is what one edit of one policy of 500 costs in a cluster with 50,000 pods: of its cap, and of what it selects.
func BenchmarkSync_Edit(b *testing.B) {
	for _, edit := range []string{"cap", "selector"} {
		b.Run(edit, func(b *testing.B) {
			sim := &simulation{policies: placement.NewPolicies()}
			compiled := make([]*placement.Policy, 500)
			for i := range compiled {
				compiled[i] = placement.Compile(wrappers.MakePolicy(fmt.Sprintf("p%d", i)).Selector("app", fmt.Sprint(i)).Unit(wrappers.ECS()).Obj())
			}
			sim.policies = sim.policies.WithNamespace("default", compiled)
			for i := range 2500 {
				node := simNode{name: fmt.Sprintf("node-%d", i), generation: int64(i + 1)}
				for p := range 20 {
					node.pods = append(node.pods, &simPod{namespace: "default", labels: map[string]string{"app": fmt.Sprint((i + p) % 500)}})
				}
				sim.nodes = append(sim.nodes, node)
			}
			l := New[*simPod]()
			l.Sync(sim.policies.EditsSince(placement.NewPolicies()), sim)
			edited := wrappers.MakePolicy("p0").Selector("app", "0").Unit(wrappers.ECS())
			b.ReportAllocs()
			for b.Loop() {
				edited.Generation++
				if edit == "selector" {
					edited.Selector("app", fmt.Sprint(edited.Generation%2))
				} else {
					edited.Spec.Units[0].Max = new(int32(edited.Generation))
				}
				before := sim.policies
				compiled[0] = placement.Compile(edited.Obj())
				sim.policies, sim.asked = sim.policies.WithNamespace("default", compiled), nil
				l.Sync(sim.policies.EditsSince(before), sim)
			}
		})
	}
}
