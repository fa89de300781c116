package main

import (
	"fmt"
	"slices"
	"strings"
)

const barWidth = 40

// ratios returns the speed of a scheduler as a multiple of stock's in the same round.
func ratios(results []result, name string, nodes int, scheduler string) []float64 {
	stock := map[int]float64{}
	for _, r := range results {
		if r.Case == name && r.Nodes == nodes && r.Scheduler == schedulers[0] {
			stock[r.Round] = r.PodsPerSecond
		}
	}
	var all []float64
	for _, r := range results {
		if r.Case == name && r.Nodes == nodes && r.Scheduler == scheduler && stock[r.Round] > 0 {
			all = append(all, r.PodsPerSecond/stock[r.Round])
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

// document is all results as a page.
func document(results []result) string {
	var b strings.Builder
	b.WriteString("# Performance\n\nWritten by `make bench`: upstream's scheduler_perf, the three schedulers in turn in each round, as multiples of the stock scheduler's pods a second in the\n" +
		"same round. Compare within a line only: the machine is not the same from run to run. `score` ranks units by Score alone, as others do.\n\n")
	b.WriteString("| case | nodes | scheduler | of stock, median | min to max | rounds | pods out of order | |\n|---|---|---|---|---|---|---|---|\n")
	seen := map[string]bool{}
	for _, r := range results {
		key := fmt.Sprintf("%s %d", r.Case, r.Nodes)
		if seen[key] {
			continue
		}
		seen[key] = true
		for _, scheduler := range schedulers {
			all := ratios(results, r.Case, r.Nodes, scheduler)
			if len(all) == 0 {
				continue
			}
			bar := strings.Repeat("#", min(int(median(all)*10+0.5), barWidth))
			fmt.Fprintf(&b, "| %s | %d | %s | %.2f | %.2f to %.2f | %d | %d | `%s` |\n",
				r.Case, r.Nodes, scheduler, median(all), all[0], all[len(all)-1], len(all), violations(results, r.Case, r.Nodes, scheduler), bar)
		}
	}
	return b.String()
}
