// Command scale measures the controllers in a large cluster: the built spillway-controller on a real API server, with nodes, policies and pods that look like
// those of a production cluster, and nobody else to write to them. It is run by make bench-controllers, in the root of the repository.
//
//   - main.go: the flags, and the run.
//   - cluster.go: etcd, kube-apiserver and the ECI simulator; what is installed.
//   - plan.go, machine.go, pod.go: what the cluster is filled with (pure); fill.go: filling it.
//   - process.go, metrics.go: the controller, and what it uses; forward.go: the bytes between it and the API server; audit.go: its requests.
//   - recount.go: what every status, deletion cost and label must be (pure); mirror.go: what they are.
//   - phases.go, churn.go: what is measured.
//   - report.go: the result as a table and as a page.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	bin, out, doc string
	plan          plan
	rest, churn   time.Duration
	rate          int
	profile       bool
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "directory of etcd, kube-apiserver and spillway-controller")
	flag.StringVar(&o.out, "out", "bin/bench", "directory for controllers.json and the logs")
	flag.StringVar(&o.doc, "doc", "", "Markdown file to write the result to; empty: none")
	flag.IntVar(&o.plan.machines, "nodes", 5000, "how many ECS nodes there are")
	flag.IntVar(&o.plan.zones, "virtual-nodes", 3, "how many virtual nodes there are: 1 to 3")
	flag.IntVar(&o.plan.policies, "policies", 500, "how many policies there are")
	flag.IntVar(&o.plan.namespaces, "namespaces", 50, "in how many namespaces the policies and pods are")
	flag.IntVar(&o.plan.bound, "pods", 50_000, "how many pods are on nodes: a multiple of 20 for each policy")
	flag.IntVar(&o.plan.unbound, "unbound", 500, "how many more pods wait or are held")
	flag.DurationVar(&o.rest, "rest", 2*time.Minute, "how long the cluster is at rest")
	flag.DurationVar(&o.churn, "churn", 2*time.Minute, "how long pods come and go")
	flag.IntVar(&o.rate, "rate", 50, "how many pods come, and how many go, in a second")
	flag.BoolVar(&o.profile, "profile", false, "write profiles of the CPU and the heap of the controller beside its log")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := o.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

// run fills a cluster, measures and reports.
func (o *options) run(ctx context.Context) (err error) {
	if err := o.validate(); err != nil {
		return err
	}
	logs := filepath.Join(o.out, "controllers")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return fmt.Errorf("creating --out: %w", err)
	}
	c, err := startCluster(ctx, o.bin, logs)
	if err != nil {
		return err
	}
	defer c.stop()
	if err := c.fill(ctx, &o.plan); err != nil {
		return fmt.Errorf("filling the cluster: %w", err)
	}
	m, err := startMeasurement(ctx, o, c)
	if err != nil {
		return err
	}
	defer m.stop()
	phases, err := m.run(ctx)
	r := report{Plan: o.plan.public(), Rate: o.rate, Phases: phases}
	fmt.Print(r.table())
	if err != nil {
		return err
	}
	return o.save(&r)
}

func (o *options) validate() error {
	p := &o.plan
	switch {
	case p.policies < 1 || p.bound < 1 || p.bound%(p.policies*stride) != 0:
		return fmt.Errorf("--policies=%d --pods=%d: the pods must be a multiple of %d for each policy", p.policies, p.bound, stride)
	case p.zones < 1 || p.zones > len(zones):
		return fmt.Errorf("--virtual-nodes=%d: must be from 1 to %d", p.zones, len(zones))
	case p.machines < stride || p.namespaces < 1 || p.unbound < 0 || o.rate < 1:
		return fmt.Errorf("--nodes=%d --namespaces=%d --unbound=%d --rate=%d: must be at least %d, 1, 0 and 1", p.machines, p.namespaces, p.unbound, o.rate, stride)
	}
	return nil
}

func (o *options) save(r *report) error {
	data, err := r.json()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.out, "controllers.json"), data, 0o644); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	if o.doc == "" {
		return nil
	}
	if err := os.WriteFile(o.doc, []byte(r.document()), 0o644); err != nil {
		return fmt.Errorf("writing --doc: %w", err)
	}
	return nil
}
