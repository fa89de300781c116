package ledger

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-k8s/spillway/pkg/placement"
)

// fakeNode is a node with pods; every change must give it a new generation.
type fakeNode struct {
	name       string
	generation int64
	pods       []*fakePod
}

type fakePod struct {
	key      Key
	requests []int64
}

// fakeSnapshot is a list of nodes that notes which pods it was asked about.
type fakeSnapshot struct {
	nodes   []fakeNode
	counted []string
}

func (s *fakeSnapshot) Owner(*fakePod) (string, map[string]string) { return "", nil }

func (s *fakeSnapshot) Len() int               { return len(s.nodes) }
func (s *fakeSnapshot) Generation(i int) int64 { return s.nodes[i].generation }
func (s *fakeSnapshot) Name(i int) string      { return s.nodes[i].name }
func (s *fakeSnapshot) Pods(i int) int         { return len(s.nodes[i].pods) }
func (s *fakeSnapshot) Pod(i, at int) *fakePod { return s.nodes[i].pods[at] }
func (s *fakeSnapshot) Contribution(i int, pod *fakePod) Contribution {
	s.counted = append(s.counted, s.nodes[i].name)
	return Contribution{
		Policy: pod.key.Policy, Group: pod.key.Group, Unit: pod.key.Unit, Counts: !pod.key.Terminating, Terminating: pod.key.Terminating, Requests: pod.requests,
	}
}

var (
	unit0 = Key{Policy: "p", Group: "g", Unit: 0}
	unit1 = Key{Policy: "p", Group: "g", Unit: 1}
)

func TestSync(t *testing.T) {
	a := fakeNode{name: "a", generation: 1, pods: []*fakePod{{unit0, []int64{5}}, {unit0, []int64{7}}}}
	b := fakeNode{name: "b", generation: 2, pods: []*fakePod{{unit0, []int64{1}}, {unit1, []int64{9}}}}
	// The scheduler puts the last pod in the place of the one that went.
	lessB := fakeNode{name: "b", generation: 3, pods: []*fakePod{b.pods[1]}}
	moreB := fakeNode{name: "b", generation: 3, pods: append(slices.Clone(b.pods), &fakePod{unit1, []int64{4}})}
	both := map[Key]placement.Usage{unit0: {Pods: 3, Requests: []int64{13}}, unit1: {Pods: 1, Requests: []int64{9}}}
	cases := map[string]struct {
		nodes       []fakeNode
		want        map[Key]placement.Usage
		wantChange  Change
		wantCounted []string
	}{
		"nothing changed: no pod is looked at": {nodes: []fakeNode{a, b}, want: both},
		"a pod went: no other is counted again": {
			nodes:      []fakeNode{a, lessB},
			want:       map[Key]placement.Usage{unit0: {Pods: 2, Requests: []int64{12}}, unit1: {Pods: 1, Requests: []int64{9}}},
			wantChange: Change{Nodes: []int{1}},
		},
		"a pod came: it alone is counted": {
			nodes:      []fakeNode{a, moreB},
			want:       map[Key]placement.Usage{unit0: {Pods: 3, Requests: []int64{13}}, unit1: {Pods: 2, Requests: []int64{13}}},
			wantChange: Change{Nodes: []int{1}}, wantCounted: []string{"b"},
		},
		"a node went: its pods count no longer, and their keys are forgotten": {
			nodes:      []fakeNode{a},
			want:       map[Key]placement.Usage{unit0: {Pods: 2, Requests: []int64{12}}},
			wantChange: Change{Realigned: true},
		},
		"the order changed: nothing is counted again": {nodes: []fakeNode{b, a}, want: both, wantChange: Change{Realigned: true}},
		"a node was replaced by another of the same name": {
			nodes:      []fakeNode{{name: "a", generation: 8}, b},
			want:       map[Key]placement.Usage{unit0: {Pods: 1, Requests: []int64{1}}, unit1: {Pods: 1, Requests: []int64{9}}},
			wantChange: Change{Nodes: []int{0}},
		},
		"a node was replaced by one of another name": {
			nodes:      []fakeNode{a, {name: "c", generation: 8, pods: []*fakePod{{unit1, []int64{2}}}}},
			want:       map[Key]placement.Usage{unit0: {Pods: 2, Requests: []int64{12}}, unit1: {Pods: 1, Requests: []int64{2}}},
			wantChange: Change{Realigned: true}, wantCounted: []string{"c"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			l := New[*fakePod]()
			l.Sync(nil, &fakeSnapshot{nodes: []fakeNode{a, b}})
			after := &fakeSnapshot{nodes: tc.nodes}
			change := l.Sync(nil, after)
			if diff := cmp.Diff(tc.wantChange, change); diff != "" {
				t.Errorf("change (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.want, l.totals); diff != "" {
				t.Errorf("totals (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantCounted, after.counted); diff != "" {
				t.Errorf("nodes of the pods that were counted (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnAbsurdRequestDoesNotSpoilTheSum(t *testing.T) {
	huge := fakeNode{name: "huge", generation: 1, pods: []*fakePod{{unit0, []int64{math.MaxInt64}}}}
	large := fakeNode{name: "large", generation: 2, pods: []*fakePod{{unit0, []int64{math.MaxInt64 - 1}}}}
	l := New[*fakePod]()
	l.Sync(nil, &fakeSnapshot{nodes: []fakeNode{huge, large}})
	if got := l.Usage(unit0).Requests[0]; got != math.MaxInt64 {
		t.Errorf("sum = %d, want the largest number", got)
	}
	huge.generation, huge.pods = 3, nil
	l.Sync(nil, &fakeSnapshot{nodes: []fakeNode{huge, large}})
	if got := l.Usage(unit0).Requests[0]; got != math.MaxInt64-1 {
		t.Errorf("sum = %d, want %d: what overflowed must not be subtracted", got, math.MaxInt64-1)
	}
}
