package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	got := read(`goos: linux
BenchmarkGrowth/nodes=2000-2         	    2000	     31508 ns/op	   25058 B/op	      76 allocs/op
BenchmarkGrowth/nodes=1000-2         	    2000	     90000 ns/op	   24932 B/op	      76 allocs/op
BenchmarkGrowth/nodes=1000-2         	    2000	     24680.5 ns/op	   24932 B/op	      76 allocs/op
BenchmarkGrowth/nodes=1000-2         	    2000	     24000 ns/op	   24932 B/op	      76 allocs/op
BenchmarkGrowth/held=1         	    5000	     62487 ns/op	   31262 B/op	     129 allocs/op
BenchmarkPreFilter-2 	   42826	     28072 ns/op	   14106 B/op	      56 allocs/op
PASS
`)
	want := map[string][]cost{
		"nodes": {{size: 1000, nanoseconds: 24680.5, bytes: 24932, allocations: 76}, {size: 2000, nanoseconds: 31508, bytes: 25058, allocations: 76}},
		"held":  {{size: 1, nanoseconds: 62487, bytes: 31262, allocations: 129}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(cost{})); diff != "" {
		t.Errorf("costs (-want +got):\n%s", diff)
	}
}
