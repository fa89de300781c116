// Command replay replays a trace of pods, its time compressed, under the stock scheduler and under Spillway, with fewer paid machines than the pods need at
// the peak, and tells what went to ECI. It is run by make replay, in the root of the repository.
//
//   - trace.go reads the trace, and plan.go makes of it what is replayed: both pure.
//   - cluster.go, objects.go and play.go replay it on a real API server.
//   - account.go and order.go make up what was seen, eci.go what it costs, and report.go shows it: pure again.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// options are the flags.
type options struct {
	trace, nodes   string
	bin, out, docs string
	gpuHour        string
	schedulers     string
	rounds         int
	verbosity      int
	settings
}

func main() {
	var o options
	flag.StringVar(&o.trace, "trace", "", "CSV file with the pods: name, cpu_milli, memory_mib, num_gpu, creation_time, deletion_time, scheduled_time")
	flag.StringVar(&o.nodes, "nodes", "", "CSV file with the nodes: sn, cpu_milli, memory_mib, gpu, model")
	flag.StringVar(&o.bin, "bin", "bin", "directory with etcd, kube-apiserver, kube-scheduler and spillway-scheduler")
	flag.StringVar(&o.out, "out", filepath.Join("bin", "replay"), "directory for results.json and the logs")
	flag.StringVar(&o.docs, "docs", "", "directory for replay.md and images/replay.svg; empty: none")
	flag.StringVar(&o.gpuHour, "gpu-price", "10", "CNY for a GPU of ECI for an hour, which no list says")
	flag.StringVar(&o.schedulers, "schedulers", "stock-tolerates,stock-prefers,spillway", "comma-separated schedulers to replay under")
	flag.IntVar(&o.verbosity, "verbosity", 0, "verbosity of the schedulers' logs")
	flag.IntVar(&o.rounds, "rounds", 3, "how often the trace is replayed under each scheduler")
	flag.IntVar(&o.pods, "pods", 2000, "how many pods come during the replay: the busiest window of the trace with so many; 0 is all")
	flag.DurationVar(&o.duration, "duration", time.Minute, "how long one replay takes")
	flag.Float64Var(&o.paid, "factor", 0.7, "vCPUs of the paid machines, as a part of the peak that the pods request")
	flag.Parse()
	ctrl.SetLogger(klog.Background())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := o.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "replay:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) error {
	p, err := o.read()
	if err != nil {
		return err
	}
	fmt.Print(p.describe())
	rates, err := makeRates(o.gpuHour)
	if err != nil {
		return fmt.Errorf("--gpu-price: %w", err)
	}
	costs := make([]cost, len(p.Pods))
	for i := range p.Pods {
		costs[i] = costOf(podObject(&p.Pods[i], contender{}), rates)
	}
	var outcomes []outcome
	for round := range o.rounds {
		measured, err := o.round(ctx, &p, costs, round)
		if err != nil {
			return err
		}
		outcomes = append(outcomes, measured...)
	}
	r := report{plan: &p, trace: filepath.Base(o.trace), nodes: filepath.Base(o.nodes), gpuHour: o.gpuHour, paid: o.paid, outcomes: outcomes}
	if err := o.save(outcomes); err != nil {
		return err
	}
	fmt.Print("\n" + r.table())
	if o.docs == "" {
		return nil
	}
	return r.write(o.docs)
}

// round replays the plan once under each scheduler. Who comes first changes, so that what else the machine does favours nobody.
func (o *options) round(ctx context.Context, p *plan, costs []cost, round int) ([]outcome, error) {
	var all []outcome
	chosen := o.contenders()
	for i := range chosen {
		who := chosen[(i+round)%len(chosen)]
		fmt.Printf("round %d: replaying under %s (%s)\n", round+1, who.name, o.duration)
		dir := filepath.Join(o.out, fmt.Sprintf("%s-%d", who.name, round+1))
		events, err := replayUnder(ctx, p, who, o.bin, dir)
		if err != nil {
			return nil, fmt.Errorf("replaying under %s: %w", who.name, err)
		}
		if err := writeEvents(filepath.Join(dir, "events.csv"), p, events); err != nil {
			return nil, err
		}
		result := account(p, events, costs)
		result.Scheduler, result.Round = who.name, round+1
		all = append(all, result)
	}
	return all, nil
}

// contenders are those that were asked for.
func (o *options) contenders() []contender {
	names := strings.Split(o.schedulers, ",")
	chosen := slices.Clone(contenders)
	for i := range chosen {
		chosen[i].verbosity = o.verbosity
	}
	return slices.DeleteFunc(chosen, func(c contender) bool { return !slices.Contains(names, c.name) })
}

// read checks the flags and makes the plan.
func (o *options) read() (plan, error) {
	if o.trace == "" || o.nodes == "" {
		return plan{}, fmt.Errorf("--trace=%q --nodes=%q: both must name a CSV file", o.trace, o.nodes)
	}
	if o.duration < time.Second || o.paid <= 0 || o.pods < 0 || o.rounds < 1 {
		return plan{}, fmt.Errorf("--duration=%s --factor=%g --pods=%d --rounds=%d: the duration must be at least 1s, the factor above 0, "+
			"the pods at least 0, the rounds at least 1",
			o.duration, o.paid, o.pods, o.rounds)
	}
	if len(o.contenders()) == 0 {
		return plan{}, fmt.Errorf("--schedulers=%q must have one of stock-tolerates, stock-prefers and spillway", o.schedulers)
	}
	pods, err := readFile(o.trace, parsePods)
	if err != nil {
		return plan{}, err
	}
	machines, err := readFile(o.nodes, parseMachines)
	if err != nil {
		return plan{}, err
	}
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return plan{}, fmt.Errorf("finding --bin: %w", err)
	}
	if o.out, err = filepath.Abs(o.out); err != nil {
		return plan{}, fmt.Errorf("finding --out: %w", err)
	}
	return makePlan(pods, machines, o.settings)
}

func (o *options) save(outcomes []outcome) error {
	data, err := json.MarshalIndent(outcomes, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the results: %w", err)
	}
	if err := os.WriteFile(filepath.Join(o.out, "results.json"), append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}
