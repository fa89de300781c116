package placement

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// FuzzCompile compiles whatever an API server may hand over, also one with ACK's own CRD: nothing panics, a policy that is not refused can be decided by,
// and the unit that it decides on is not full.
func FuzzCompile(f *testing.F) {
	f.Add(`{"units":[{"resource":"ecs","max":2},{"resource":"eci"}]}`, int64(2), int64(1))
	f.Add(`{"units":[{"resource":"acs","maxResources":{"cpu":"4"},"podLabels":{"a":"b"}}],"whenTryNextUnits":{"policy":"ExceedMax"}}`, int64(0), int64(5000))
	f.Add(`{"units":[{"resource":"ecs","name":"x","matchExpressions":[{"key":"a","operator":"Gt","values":["z"]}]}],"preemptPolicy":"BeforeNextUnit"}`, int64(-1), int64(0))
	f.Fuzz(func(t *testing.T, spec string, pods, requested int64) {
		rp := wrappers.MakePolicy("p").Obj()
		if len(spec) > 4096 || json.Unmarshal([]byte(spec), &rp.Spec) != nil {
			return
		}
		policy := Compile(rp)
		if (policy.Refusal == "") != (len(Validate(rp, EveryPodKey())) == 0) {
			t.Fatalf("refusal %q, but %v", policy.Refusal, Validate(rp, EveryPodKey()))
		}
		usage := Usage{Pods: max(pods, 0)}
		requests := make([]int64, policy.VectorLen())
		for i := range requests {
			requests[i] = max(requested, 0)
			usage.Requests = append(usage.Requests, max(pods, 0))
		}
		view := &fixedView{}
		for range policy.Units {
			view.usage = append(view.usage, usage)
		}
		decision := policy.Decide(requests, view, time.Time{})
		if decision.Outcome == Placed && policy.Full(decision.Unit, usage, requests) {
			t.Fatalf("unit %d is full and takes the pod: %s", decision.Unit, decision.Message())
		}
		if held := policy.FullForAll(requests, func(int) Usage { return usage }); held != (decision.Outcome == Held) && len(policy.Units) > 0 && decision.Outcome != Waiting {
			t.Fatalf("all units full: %v, outcome %d", held, decision.Outcome)
		}
		policy.HeldMessage(requests, func(int) time.Time { return begin })
		policy.Findings([]*Policy{policy}, Cluster{NodesIn: func(*Unit) int { return 1 }, HasResource: func(*Unit, string) bool { return false }})
	})
}

// FuzzGoverning compares which policy governs a pod (R1) with the rule spelled out over all policies. Labels are written "a=1,b=2".
func FuzzGoverning(f *testing.F) {
	f.Add("a=1", "a=1,b=2", "", "a=1,b=2,c=3")
	f.Add("", "a=1", "a=1", "a=2")
	f.Fuzz(func(t *testing.T, first, second, third, pod string) {
		var policies []*Policy
		for i, selector := range []string{first, second, third} {
			p := wrappers.MakePolicy(string(rune('a' + i))).Created(int64(i % 2))
			for key, value := range labelsOf(selector) {
				p.Selector(key, value)
			}
			policies = append(policies, Compile(p.Obj()))
		}
		var want *Policy
		for _, p := range policies {
			if containsAll(labelsOf(pod), p.selector) && (want == nil || Precedence(p, want) < 0) {
				want = p
			}
		}
		if got := NewPolicies().WithNamespace("default", policies).Governing("default", labelsOf(pod)); got != want {
			t.Errorf("selectors %q, %q, %q: pod %q is governed by %v, want %v", first, second, third, pod, got, want)
		}
	})
}

// FuzzNodeSet checks that a set within another has none of its nodes outside it.
func FuzzNodeSet(f *testing.F) {
	f.Add("a=1", "a=1,b=2", "a=1,b=2", true)
	f.Fuzz(func(t *testing.T, outer, inner, node string, virtual bool) {
		unit := func(selector string) v1alpha1.Unit {
			u := wrappers.ECS()
			for key, value := range labelsOf(selector) {
				u.On(key, value).Where(key, "In", v1alpha1.LabelValue(value), "other")
			}
			if virtual {
				u.Resource = v1alpha1.ResourceECI
			}
			return u.Unit
		}
		o, i := unit(outer), unit(inner)
		large, small := newNodeSet(&o), newNodeSet(&i)
		if small.within(&large) && small.Contains(labelsOf(node)) && !large.Contains(labelsOf(node)) {
			t.Errorf("%q is within %q, but node %q is only in the former", inner, outer, node)
		}
	})
}

// labelsOf reads "a=1,b=2".
func labelsOf(text string) map[string]string {
	out := map[string]string{}
	for _, pair := range strings.Split(text, ",") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			out[key] = value
		}
	}
	return out
}
