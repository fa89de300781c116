package main

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// cost is what a pod costs at one size.
type cost struct {
	size                            int
	nanoseconds, bytes, allocations float64
}

// line is a line of the output of go test -bench Growth -benchmem, such as
// "BenchmarkGrowth/nodes=1000-2   2000   24680 ns/op   24932 B/op   76 allocs/op".
var line = regexp.MustCompile(`^BenchmarkGrowth/(\w+)=(\d+)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op\s+([\d.]+) B/op\s+([\d.]+) allocs/op$`)

// read returns the costs by the name of what grows, the smallest size first. Of a size that was measured several times it takes the middle, by time.
func read(output string) map[string][]cost {
	all := map[string]map[int][]cost{}
	for text := range strings.Lines(output) {
		m := line.FindStringSubmatch(strings.TrimSpace(text))
		if m == nil {
			continue
		}
		size, err := strconv.Atoi(m[2])
		if err != nil {
			continue
		}
		if all[m[1]] == nil {
			all[m[1]] = map[int][]cost{}
		}
		all[m[1]][size] = append(all[m[1]][size], cost{size: size, nanoseconds: number(m[3]), bytes: number(m[4]), allocations: number(m[5])})
	}
	costs := map[string][]cost{}
	for name, sizes := range all {
		for _, repeated := range sizes {
			slices.SortFunc(repeated, func(a, b cost) int { return cmp.Compare(a.nanoseconds, b.nanoseconds) })
			costs[name] = append(costs[name], repeated[(len(repeated)-1)/2])
		}
		slices.SortFunc(costs[name], func(a, b cost) int { return cmp.Compare(a.size, b.size) })
	}
	return costs
}

// number reads a number that the pattern has found.
func number(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return n
}
