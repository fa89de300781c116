package placement

import (
	"fmt"
	"testing"
	"time"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

// tenUnitPolicy is a policy of ten capped units.
func tenUnitPolicy() *wrappers.Policy {
	p := wrappers.MakePolicy("p").Selector("app", "web")
	for i := range 10 {
		p.Unit(wrappers.ECS().On("pool", fmt.Sprint(i)).Max(100))
	}
	return p
}

// BenchmarkDecide walks through nine full units to the tenth.
func BenchmarkDecide(b *testing.B) {
	policy, view := Compile(tenUnitPolicy().Obj()), nineFull{}
	now := time.Unix(0, 0)
	b.ReportAllocs()
	for b.Loop() {
		if d := policy.Decide(nil, view, now); d.Outcome != Placed || d.Unit != 9 {
			b.Fatal(d)
		}
	}
}

// BenchmarkCompile is what an edit of a policy costs.
func BenchmarkCompile(b *testing.B) {
	rp := tenUnitPolicy().Obj()
	b.ReportAllocs()
	for b.Loop() {
		Compile(rp)
	}
}

// BenchmarkGoverning finds the policy of a pod among a thousand.
func BenchmarkGoverning(b *testing.B) {
	var all []*Policy
	for i := range 1000 {
		all = append(all, Compile(wrappers.MakePolicy(fmt.Sprint(i)).Selector("app", fmt.Sprint(i)).Selector("team", "a").Obj()))
	}
	policies := NewPolicies().WithNamespace("default", all)
	pod := map[string]string{"app": "500", "team": "a", "version": "1", "tier": "web"}
	b.ReportAllocs()
	for b.Loop() {
		if policies.Governing("default", pod) == nil {
			b.Fatal("the pod has no policy")
		}
	}
}

// nineFull is a cluster in which only the last of ten units is not full.
type nineFull struct{ View }

func (nineFull) Barred(int) string  { return "" }
func (nineFull) Nominated(int) bool { return false }
func (nineFull) Preempt(int) bool   { return false }
func (nineFull) Room(int) Room      { return RoomYes }
func (nineFull) Usage(unit int) Usage {
	if unit == 9 {
		return Usage{}
	}
	return Usage{Pods: 100}
}
