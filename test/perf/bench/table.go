package main

import (
	"fmt"
	"slices"
	"strings"
)

const barWidth = 40

// ratios returns the speed of a scheduler as a multiple of stock's in the same round.
func ratios(results []result, name string, nodes int, scheduler string) []float64 {
	byRound := map[int]float64{}
	for _, r := range results {
		if r.Case == name && r.Nodes == nodes && r.Scheduler == stock {
			byRound[r.Round] = r.PodsPerSecond
		}
	}
	var all []float64
	for _, r := range results {
		if r.Case == name && r.Nodes == nodes && r.Scheduler == scheduler && byRound[r.Round] > 0 {
			all = append(all, r.PodsPerSecond/byRound[r.Round])
		}
	}
	slices.Sort(all)
	return all
}

// median returns the middle of a sorted list, the lower one of two.
func median(sorted []float64) float64 { return sorted[(len(sorted)-1)/2] }

// violations returns the most pods that a scheduler has put out of order in a round.
func violations(results []result, name string, nodes int, scheduler string) int {
	most := 0
	for _, r := range results {
		if r.Case == name && r.Nodes == nodes && r.Scheduler == scheduler {
			most = max(most, r.OrderViolations)
		}
	}
	return most
}

// table is a case at one size in words.
func table(results []result, name string, nodes int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s, %d nodes\n", name, nodes)
	for _, scheduler := range schedulers {
		all := ratios(results, name, nodes, scheduler)
		if len(all) == 0 {
			continue
		}
		fmt.Fprintf(&b, "  %-9s %5.2f of stock (%.2f to %.2f), %d pods out of order\n", scheduler, median(all), all[0], all[len(all)-1], violations(results, name, nodes, scheduler))
	}
	return b.String() + "\n"
}

// wanted are the multiples of the stock scheduler's speed that Spillway is to reach, where the work is the same.
var wanted = map[string]map[int]float64{
	"ungoverned": {1000: 0.98, 5000: 0.98},
	"fill":       {1000: 1.15, 5000: 1.25},
	"spill":      {5000: 3},
}

const page = `# Performance

Written by ` + "`make bench`" + `: upstream's scheduler_perf (the real scheduler, API server and etcd, all on one machine) runs each case with the stock scheduler, with one
that ranks units by Score alone at an overwhelming weight (as others do), and with Spillway, in turn in every round. The first figure is the multiple of the
stock scheduler's pods a second in the same round, as the middle of the rounds and their range; the machine is not the same from run to run, so compare
within a line only. It is bounded from above by the API server, which does the same for all three and competes with them for the same cores.
"Loop" is how long the scheduler looks for a node in one attempt (PreFilter, Filter, PreScore, Score), as a multiple of stock's: smaller is faster.

That Spillway looks at fewer nodes is most of the reason, by design: the nodes of one unit, and of a large unit a hundred with room
([0004](designs/0004-speed.md)), where stock filters and scores a tenth of 5,000.

The cases are in ` + "`test/perf/cases_test.go`" + `. Stock spreads the same pods over the same machines; in "spill" it is given a toleration and a preference. A pod is
out of order when it is beyond the number that belongs in its unit; where there is no order, it says –.

| case | nodes | scheduler | of stock | range | rounds | wanted | loop | pods out of order | |
|---|---:|---|---:|---|---:|---:|---:|---:|---|
`

// document is all results as a page.
func document(results []result) string {
	var b strings.Builder
	b.WriteString(page)
	seen := map[string]bool{}
	for _, r := range results {
		key := fmt.Sprintf("%s %d", r.Case, r.Nodes)
		if seen[key] {
			continue
		}
		seen[key] = true
		for _, scheduler := range schedulers {
			line(&b, results, &r, scheduler)
		}
	}
	if lines := heapLines(results); lines != "" {
		b.WriteString("\n## Memory while pods come and go\n\nIn \"churn\" 200 pods are always on their way: as soon as one is bound it is deleted, and another comes, for minutes. The heap is that of the\n" +
			"scheduler, the API server and the benchmark together, as the garbage collector found it in use. It grows with every pod, because the API server and the\n" +
			"benchmark keep what happened; Spillway must not add to that. That it keeps nothing of pods that have gone is checked by TestChurnLeavesNothingBehind.\n\n" +
			"| nodes | scheduler | heap, MB | growth over the last minute, MB | for 1,000 pods, MB |\n|---:|---|---:|---:|---:|\n" + lines)
	}
	return b.String()
}

// line writes the line of a scheduler for the case and size of a result.
func line(b *strings.Builder, results []result, r *result, scheduler string) {
	all := ratios(results, r.Case, r.Nodes, scheduler)
	if len(all) == 0 {
		return
	}
	goal := ""
	if want, ok := wanted[r.Case][r.Nodes]; ok && scheduler == spillway {
		goal = fmt.Sprintf("%.2f", want)
	}
	bar := strings.Repeat("#", min(int(median(all)*10+0.5), barWidth))
	outOfOrder := fmt.Sprint(violations(results, r.Case, r.Nodes, scheduler))
	if r.Case == churn || r.Case == "ungoverned" {
		outOfOrder = "–"
	}
	fmt.Fprintf(b, "| %s | %d | %s | %.2f | %.2f to %.2f | %d | %s | %.2f | %s | `%s` |\n",
		r.Case, r.Nodes, scheduler, median(all), all[0], all[len(all)-1], len(all), goal, loopRatio(results, r, scheduler), outOfOrder, bar)
}

// loopRatio returns the time of the scheduler's loop as a multiple of stock's, as the middle of the rounds.
func loopRatio(results []result, of *result, scheduler string) float64 {
	loops := func(scheduler string) []float64 {
		var all []float64
		for _, r := range results {
			if r.Case == of.Case && r.Nodes == of.Nodes && r.Scheduler == scheduler {
				all = append(all, r.LoopMillis)
			}
		}
		slices.Sort(all)
		return all
	}
	own, theirs := loops(scheduler), loops(stock)
	if len(own) == 0 || len(theirs) == 0 || median(theirs) == 0 {
		return 0
	}
	return median(own) / median(theirs)
}

// heapLines are the lines of the table of memory.
func heapLines(results []result) string {
	var b strings.Builder
	for _, r := range results {
		if r.Case == churn {
			fmt.Fprintf(&b, "| %d | %s | %.0f | %+.1f | %+.1f |\n", r.Nodes, r.Scheduler, r.HeapMB, r.HeapGrowth, r.HeapGrowth/(r.PodsPerSecond*60)*1000)
		}
	}
	return b.String()
}
