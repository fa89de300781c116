package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// lookEvery is how often is looked whether everything is right.
	lookEvery = 500 * time.Millisecond
	// patience is how long that may take.
	patience = 10 * time.Minute
	// mostTold is how many mistakes are told.
	mostTold = 10
	// missed is how many pods end while no controller runs.
	missed = 20
	// profiled is for how long the CPU is profiled.
	profiled = 20 * time.Second
)

// phase is what was measured in a part of the run.
type phase struct {
	Name string `json:"name"`
	// Seconds is how long it was. Exact is after how many seconds everything was as recounted, and Idle when the controllers had nothing more to do; in the
	// phase of churn since its end.
	Seconds float64 `json:"seconds"`
	Exact   float64 `json:"exactAfterSeconds"`
	Idle    float64 `json:"idleAfterSeconds"`
	// PodEvents is how many times a pod came, changed or went.
	PodEvents int      `json:"podEvents"`
	Requests  requests `json:"requests"`
	// Received and Sent are the bytes between the controller and the API server, and Connections how many TCP connections were made.
	Received    int64 `json:"receivedBytes"`
	Sent        int64 `json:"sentBytes"`
	Connections int64 `json:"connections"`
	// CPU is in seconds. Resident, Peak and Heap are bytes at the end, at most, and of the Go heap in use.
	CPU      float64 `json:"cpuSeconds"`
	Resident int64   `json:"residentBytes"`
	Peak     int64   `json:"peakBytes"`
	Heap     int64   `json:"heapBytes"`
	// Reconciles is how many reconciliations there were, by controller.
	Reconciles map[string]float64 `json:"reconciles"`
}

// step is a phase to be measured.
type step struct {
	name string
	do   func(ctx context.Context, p *phase) error
	// busy is true when the controllers are not expected to be done at the end.
	busy bool
}

// measurement measures a cluster that has been filled.
type measurement struct {
	*options
	cluster    *cluster
	mirror     *mirror
	forwarder  *forwarder
	audit      *auditReader
	kubeconfig string
	controller *controller
	cancel     context.CancelFunc
}

func startMeasurement(ctx context.Context, o *options, c *cluster) (*measurement, error) {
	ctx, cancel := context.WithCancel(ctx)
	m := &measurement{options: o, cluster: c, cancel: cancel}
	if err := m.prepare(ctx); err != nil {
		m.stop()
		return nil, err
	}
	return m, nil
}

func (m *measurement) prepare(ctx context.Context) error {
	server, err := url.Parse(m.cluster.config.Host)
	if err != nil {
		return fmt.Errorf("reading the address of the API server: %w", err)
	}
	target := server.Host
	if target == "" {
		target = m.cluster.config.Host
	}
	if m.forwarder, err = forward(target); err != nil {
		return err
	}
	if m.kubeconfig, err = m.cluster.kubeconfig(m.forwarder.address()); err != nil {
		return err
	}
	if m.audit, err = openAuditLog(m.cluster.auditLog()); err != nil {
		return err
	}
	m.mirror, err = startMirror(ctx, m.cluster)
	return err
}

// stop ends the controller and what follows it.
func (m *measurement) stop() {
	if m.controller != nil {
		m.controller.end(syscall.SIGKILL)
	}
	if m.audit != nil {
		m.audit.close()
	}
	if m.forwarder != nil {
		m.forwarder.stop()
	}
	m.cancel()
}

// run measures every phase. Those that were measured are returned with the error.
func (m *measurement) run(ctx context.Context) ([]phase, error) {
	var phases []phase
	churn := newChurn(m)
	for _, next := range []step{
		{name: "cold start", do: m.start},
		{name: "at rest", do: m.atRest},
		{name: "churn", busy: true, do: func(ctx context.Context, p *phase) error {
			return m.profiling(ctx, "churn", func() error { return churn.run(ctx, p) })
		}},
		{name: "after the churn", do: m.await},
		{name: "restart", do: func(ctx context.Context, p *phase) error {
			m.controller.end(syscall.SIGTERM)
			return m.start(ctx, p)
		}},
		{name: "restart after a crash", do: func(ctx context.Context, p *phase) error {
			m.controller.end(syscall.SIGKILL)
			if err := churn.end(ctx, missed); err != nil {
				return err
			}
			return m.start(ctx, p)
		}},
	} {
		measured, err := m.observe(ctx, next.name, next.do)
		phases = append(phases, measured)
		if err != nil {
			return phases, fmt.Errorf("%s: %w", next.name, err)
		}
		if next.busy {
			continue
		}
		if err := m.judge(ctx); err != nil {
			return phases, fmt.Errorf("%s: %w", next.name, err)
		}
	}
	return phases, nil
}

// observe does something and measures what the controller does meanwhile.
func (m *measurement) observe(ctx context.Context, name string, do func(ctx context.Context, p *phase) error) (phase, error) {
	fmt.Printf("%s\n", name)
	p := phase{Name: name}
	if _, err := m.audit.next(); err != nil {
		return p, err
	}
	before, was, counted := used{}, m.controller, metrics{}
	if was != nil {
		was.forgetPeak()
		var err error
		if before, err = was.use(); err != nil {
			return p, err
		}
		counted = was.scrape(ctx)
	}
	received, sent, connections := m.forwarder.received.Load(), m.forwarder.sent.Load(), m.forwarder.connections.Load()
	begin := time.Now()
	err := do(ctx, &p)
	p.Seconds = time.Since(begin).Seconds()
	p.Received, p.Sent = m.forwarder.received.Load()-received, m.forwarder.sent.Load()-sent
	p.Connections = m.forwarder.connections.Load() - connections
	if was != m.controller {
		before, counted = used{}, metrics{} // It is another process.
	}
	return p, errors.Join(err, m.measure(ctx, &p, before, counted))
}

// measure takes over what the process and the API server say. before and counted are what they said at the beginning.
func (m *measurement) measure(ctx context.Context, p *phase, before used, counted metrics) error {
	now, err := m.controller.use()
	if err != nil {
		return err
	}
	p.CPU, p.Resident, p.Peak = now.cpuSeconds-before.cpuSeconds, now.resident, now.peak
	said := m.controller.scrape(ctx)
	p.Heap = int64(said.sum(metricHeap, ""))
	p.Reconciles = map[string]float64{}
	for _, name := range []string{"resourcepolicy", "deletioncost", "virtualnode", "account"} {
		label := fmt.Sprintf("controller=%q", name)
		p.Reconciles[name] = said.sum(metricReconcile, label) - counted.sum(metricReconcile, label)
	}
	p.Requests, err = m.audit.next()
	return err
}

// start starts the controller and waits until everything is right and it has nothing more to do.
func (m *measurement) start(ctx context.Context, p *phase) error {
	var err error
	if m.controller, err = m.cluster.startController(m.bin, m.kubeconfig); err != nil {
		return err
	}
	if !m.profile {
		return m.await(ctx, p)
	}
	return m.profiling(ctx, strings.ReplaceAll(p.Name, " ", "-"), func() error { return m.await(ctx, p) })
}

// await waits until everything is right and the controller has nothing more to do.
func (m *measurement) await(ctx context.Context, p *phase) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	begin, looks := time.Now(), time.NewTicker(lookEvery)
	defer looks.Stop()
	isExact, isIdle := false, false
	for {
		now := time.Since(begin).Seconds()
		was := isExact && isIdle
		wrong := m.mirror.contents().mistakes()
		if is := len(wrong) == 0; !is || !isExact {
			isExact, p.Exact = is, now
		}
		// A policy that waits for its turn is in no queue: only the recount shows that it has something to do.
		if is := isExact && m.controller.scrape(ctx).idle(m.plan.policies); !is || !isIdle {
			isIdle, p.Idle = is, now
		}
		if was && isExact && isIdle {
			return nil // Twice in a row: it has not only been between two pieces of work.
		}
		select {
		case <-looks.C:
		case <-m.controller.done:
			return fmt.Errorf("the controller has ended; see %s", filepath.Join(m.cluster.logs, "controller.log"))
		case <-ctx.Done():
			return fmt.Errorf("waiting until all is right: %w; %s", ctx.Err(), first(wrong))
		}
	}
}

// atRest waits.
func (m *measurement) atRest(ctx context.Context, _ *phase) error {
	select {
	case <-time.After(m.rest):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// judge recounts what the API server has.
func (m *measurement) judge(ctx context.Context) error {
	found, err := m.cluster.list(ctx)
	if err != nil {
		return err
	}
	if wrong := found.mistakes(); len(wrong) > 0 {
		return fmt.Errorf("not as recounted: %s", first(wrong))
	}
	return nil
}

// profiling does something and profiles the controller meanwhile, if that is wanted.
func (m *measurement) profiling(ctx context.Context, name string, do func() error) error {
	if !m.profile {
		return do()
	}
	done := make(chan error, 1)
	go func() { done <- do() }()
	file := filepath.Join(m.cluster.logs, name)
	for {
		err := m.controller.writeProfile(ctx, fmt.Sprintf("profile?seconds=%d", int(profiled.Seconds())), file+".cpu")
		if err == nil {
			break
		}
		select { // It does not listen yet.
		case <-time.After(lookEvery / 10):
		case err := <-done:
			return err
		}
	}
	return errors.Join(<-done, m.controller.writeProfile(ctx, "heap?gc=1", file+".heap"))
}

// first returns the first of many sentences.
func first(wrong []string) string {
	return fmt.Sprintf("%d mistakes: %s", len(wrong), strings.Join(wrong[:min(len(wrong), mostTold)], "; "))
}
