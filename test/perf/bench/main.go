// Command bench measures Spillway against others: for each case and size it runs each scheduler in turn, several rounds, and prints the ratios. It is run by
// make bench, in test/perf, with etcd in PATH.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// allCases are those of test/perf.
	allCases = "ungoverned,fill,spill,caps,shadow,wait,preempt,churn"
	// churn is the case that takes minutes, and preempt the one whose pods come in bursts.
	churn   = "churn"
	preempt = "preempt"
)

// options are the flags.
type options struct {
	binary, out, doc string
	cases, sizes     string
	schedulers       string
	rounds           int
	// render is a results.json to write the page from, without measuring.
	render string
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "", "the compiled benchmark of test/perf")
	flag.StringVar(&o.out, "out", "", "directory for results.json and the logs")
	flag.StringVar(&o.doc, "doc", "", "Markdown file to write the tables to; empty: none")
	flag.StringVar(&o.cases, "cases", allCases, "comma-separated cases")
	flag.StringVar(&o.sizes, "nodes", "1000,5000", "comma-separated numbers of machines")
	flag.StringVar(&o.schedulers, "schedulers", strings.Join(schedulers, ","), "comma-separated schedulers; without stock there are no ratios")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each case is run with each scheduler")
	flag.StringVar(&o.render, "render", "", "a results.json to write --doc from, without measuring")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := o.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) error {
	if o.render != "" {
		return o.rewrite()
	}
	if o.binary == "" || o.out == "" || o.rounds < 1 {
		return fmt.Errorf("--binary=%q --out=%q --rounds=%d: the first two must be paths, rounds at least 1", o.binary, o.out, o.rounds)
	}
	if err := o.checkNames(); err != nil {
		return err
	}
	sizes, err := numbers(o.sizes)
	if err != nil {
		return fmt.Errorf("--nodes: %w", err)
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return fmt.Errorf("creating --out: %w", err)
	}
	var results []result
	for _, name := range strings.Split(o.cases, ",") {
		for _, nodes := range sizes {
			for round := range o.roundsOf(name) {
				measured, err := o.round(ctx, name, nodes, round)
				if err != nil {
					return err
				}
				results = append(results, measured...)
				if err := o.save(results); err != nil {
					return err
				}
			}
			fmt.Print(table(results, name, nodes))
		}
	}
	if o.doc == "" {
		return nil
	}
	return os.WriteFile(o.doc, []byte(document(results)), 0o644)
}

// checkNames refuses names that are not known before anything is measured.
func (o *options) checkNames() error {
	for flag, names := range map[string]struct{ given, known string }{"cases": {o.cases, allCases}, "schedulers": {o.schedulers, strings.Join(schedulers, ",")}} {
		known := strings.Split(names.known, ",")
		for _, name := range strings.Split(names.given, ",") {
			if !slices.Contains(known, name) {
				return fmt.Errorf("--%s=%q: %q is not one of %s", flag, names.given, name, strings.Join(known, ", "))
			}
		}
	}
	return nil
}

// rewrite writes the page from results that were measured before.
func (o *options) rewrite() error {
	data, err := os.ReadFile(o.render)
	if err != nil {
		return fmt.Errorf("reading the results: %w", err)
	}
	var results []result
	if err := json.Unmarshal(data, &results); err != nil {
		return fmt.Errorf("decoding %s: %w", o.render, err)
	}
	return os.WriteFile(o.doc, []byte(document(results)), 0o644)
}

// roundsOf returns how often a case is run. A round of churn takes minutes, and one tells whether memory grows.
func (o *options) roundsOf(name string) int {
	if name == churn {
		return 1
	}
	return o.rounds
}

// round runs a case once with each scheduler; with the one that ranks units by Score alone in the first round only, because it is slow. Who comes first
// changes, so that what else the machine does favours nobody.
func (o *options) round(ctx context.Context, name string, nodes, round int) ([]result, error) {
	var all []result
	for i := range schedulers {
		m := measurement{Case: name, Nodes: nodes, Scheduler: schedulers[(i+round)%len(schedulers)], Round: round + 1}
		if round > 0 && m.Scheduler == score || !slices.Contains(strings.Split(o.schedulers, ","), m.Scheduler) {
			continue
		}
		begin := time.Now()
		measured, err := m.run(ctx, o.binary, o.out)
		if err != nil {
			return nil, err
		}
		fmt.Printf("%-11s %5d nodes  round %d  %-9s %7.1f pods/s  %6.2f ms/attempt  %5d out of order  (%.0f s)\n",
			name, nodes, m.Round, m.Scheduler, measured.PodsPerSecond, measured.LoopMillis, measured.OrderViolations, time.Since(begin).Seconds())
		all = append(all, measured)
	}
	return all, nil
}

func (o *options) save(results []result) error {
	data, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the results: %w", err)
	}
	if err := os.WriteFile(o.out+"/results.json", append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}
