package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// report is the result of a run.
type report struct {
	Plan   map[string]int `json:"plan"`
	Rate   int            `json:"rate"`
	Phases []phase        `json:"phases"`
}

// column is a number of a phase.
type column struct {
	title string
	value func(p *phase) string
}

var columns = []column{
	{"seconds", func(p *phase) string { return fmt.Sprintf("%.0f", p.Seconds) }},
	{"exact after", func(p *phase) string { return moment(p.Exact) }},
	{"idle after", func(p *phase) string { return moment(p.Idle) }},
	{"writes", func(p *phase) string { return fmt.Sprint(p.Requests.total(isWork)) }},
	{"writes a minute", func(p *phase) string { return p.perMinute(p.Requests.total(isWork)) }},
	{"heartbeats a minute", func(p *phase) string { return p.perMinute(p.Requests.total(isHeartbeat)) }},
	{"reads a minute", func(p *phase) string { return p.perMinute(p.Requests.total(isRead)) }},
	{"received", func(p *phase) string { return mib(p.Received) }},
	{"received a second", func(p *phase) string { return fmt.Sprintf("%.1f KiB", float64(p.Received)/p.Seconds/1024) }},
	{"connections", func(p *phase) string { return fmt.Sprint(p.Connections) }},
	{"CPU seconds", func(p *phase) string { return fmt.Sprintf("%.1f", p.CPU) }},
	{"CPU seconds per 1,000 pod events", func(p *phase) string { return p.perEvent() }},
	{"RSS", func(p *phase) string { return mib(p.Resident) }},
	{"RSS, peak", func(p *phase) string { return mib(p.Peak) }},
	{"Go heap in use", func(p *phase) string { return mib(p.Heap) }},
}

// json returns the result for programs.
func (r *report) json() ([]byte, error) {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the result: %w", err)
	}
	return append(data, '\n'), nil
}

// table returns the result for a terminal.
func (r *report) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-34s", "")
	for i := range r.Phases {
		fmt.Fprintf(&b, "%24s", r.Phases[i].Name)
	}
	for _, c := range columns {
		fmt.Fprintf(&b, "\n%-34s", c.title)
		for i := range r.Phases {
			fmt.Fprintf(&b, "%24s", c.value(&r.Phases[i]))
		}
	}
	b.WriteString("\n\n")
	for i := range r.Phases {
		p := &r.Phases[i]
		fmt.Fprintf(&b, "%s: %s\n  open watches: %s; reconciliations: %s\n", p.Name, numbers(p.Requests.ByKind), numbers(p.Requests.Watches), numbers(p.Reconciles))
		if len(p.Requests.Refused) > 0 {
			fmt.Fprintf(&b, "  refused: %s\n", numbers(p.Requests.Refused))
		}
	}
	return b.String()
}

// document returns the result as a page.
func (r *report) document() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# The controllers at scale

Written by `+"`make bench-controllers`"+`: %d nodes and %d virtual nodes, %d policies of three units in %d namespaces, %d pods on nodes, and %d that wait or are
held.

The built spillway-controller runs with its usual flags, as the ServiceAccount of an installation, on a real kube-apiserver and etcd that were filled before.
Pods are as large as those of a service with a sidecar, have ReplicaSets, what the scheduler writes on them, and the status that a kubelet writes; one in a hundred
or so was there before its policy, or lacks a label of its unit, so that there is something to correct. There is no scheduler and no other controller: all that is
measured is the controller's doing. A command plays the users: %d pods a second come (created, bound, running) and as many go.

Requests are those of the API server's audit log. Bytes and TCP connections are counted by a forwarder between the two, with TLS and compression. CPU and
memory are the kernel's. *Exact* is when every status, deletion cost and label was what a recount by other code says; after each phase the recount is made once
more from what the API server has, and the command fails when it differs. *Idle* is when the controllers had nothing more to do. *Writes* are statuses of
policies and patches of pods; *heartbeats* are Leases, and what VirtualNodes read from ECI. The peak of the RSS is that of the phase. Nothing changed before the restart, so that everything was exact from the start; before the restart after
a crash %d pods ended while no controller ran, and the Lease of the one that was killed had to run out. Everything shares one small machine, so that times
compare with each other only.

`, r.Plan["nodes"], r.Plan["virtualNodes"], r.Plan["policies"], r.Plan["namespaces"], r.Plan["pods"], r.Plan["unbound"], r.Rate,
		missed)
	b.WriteString("|")
	for i := range r.Phases {
		b.WriteString(" | " + r.Phases[i].Name)
	}
	b.WriteString(" |\n|---" + strings.Repeat("|---", len(r.Phases)) + "|\n")
	for _, c := range columns {
		b.WriteString("| " + c.title)
		for i := range r.Phases {
			b.WriteString(" | " + c.value(&r.Phases[i]))
		}
		b.WriteString(" |\n")
	}
	b.WriteString("\n## Requests\n\n| phase | requests | watches open at once |\n|---|---|---|\n")
	for i := range r.Phases {
		p := &r.Phases[i]
		fmt.Fprintf(&b, "| %s | %s | %s |\n", p.Name, numbers(p.Requests.ByKind), numbers(p.Requests.Watches))
	}
	return b.String()
}

func (p *phase) perMinute(n int) string { return fmt.Sprintf("%.0f", float64(n)*60/p.Seconds) }

func (p *phase) perEvent() string {
	if p.PodEvents == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", p.CPU*1000/float64(p.PodEvents))
}

// moment writes after how many seconds something was so; nothing where it was not looked at.
func moment(after float64) string {
	if after == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f s", after)
}

func mib(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

// numbers writes numbers by name, those that are not 0.
func numbers[N int | float64](all map[string]N) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] != 0 {
			words = append(words, fmt.Sprintf("%s %v", name, all[name]))
		}
	}
	return strings.Join(words, ", ")
}
