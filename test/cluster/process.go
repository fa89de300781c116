package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	partsFile    = "processes.json"
	pollInterval = 100 * time.Millisecond
	// stopPatience is how long a part may take to stop by itself before it is killed.
	stopPatience = 10 * time.Second
	logTail      = 12
)

// part is a process of the cluster that was started.
type part struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
	// Started tells the process from a later one with the same ID: the start time in clock ticks since boot.
	Started string `json:"started"`
}

// command is a part to start.
type command struct {
	name string
	// binary is its name in the directory of the binaries.
	binary string
	args   []string
	env    []string
	// health is the URL that answers 200 when the part is healthy.
	health string
}

// launch starts the commands and waits until all are healthy.
func (c *cluster) launch(ctx context.Context, commands ...command) error {
	var started []part
	for _, cmd := range commands {
		fmt.Printf("starting %s\n", cmd.name)
		p, err := c.startProcess(cmd)
		if err != nil {
			return fmt.Errorf("starting %s: %w", cmd.name, err)
		}
		started = append(started, p)
		if err := c.record(p); err != nil {
			return err
		}
	}
	for i, cmd := range commands {
		if err := c.awaitHealth(ctx, cmd, started[i]); err != nil {
			return err
		}
	}
	return nil
}

// startProcess starts a command in a session of its own, so that it goes on when this program ends.
func (c *cluster) startProcess(cmd command) (part, error) {
	log, err := os.Create(c.file("logs", cmd.name+".log"))
	if err != nil {
		return part{}, err
	}
	defer func() { _ = log.Close() }()
	process := exec.Command(filepath.Join(c.bin, cmd.binary), cmd.args...)
	process.Env = append(os.Environ(), cmd.env...)
	process.Dir = c.dir
	process.Stdout, process.Stderr = log, log
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := process.Start(); err != nil {
		return part{}, err
	}
	go func() { _ = process.Wait() }() // A part that stops at once must not look alive as a zombie.
	return part{Name: cmd.name, PID: process.Process.Pid, Started: startTime(process.Process.Pid)}, nil
}

// awaitHealth waits until the part answers that it is healthy, or has stopped.
func (c *cluster) awaitHealth(ctx context.Context, cmd command, p part) error {
	// The health endpoints have self-signed certificates.
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // loopback
	defer client.CloseIdleConnections()
	for {
		if !p.alive() {
			return fmt.Errorf("%s stopped while it was starting; the end of %s:\n%s", p.Name, c.file("logs", p.Name+".log"), c.tail(p.Name))
		}
		if healthy(ctx, client, cmd.health) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not become healthy (%w); the end of %s:\n%s", p.Name, ctx.Err(), c.file("logs", p.Name+".log"), c.tail(p.Name))
		case <-time.After(pollInterval):
		}
	}
}

func healthy(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// tail returns the last lines of a part's log.
func (c *cluster) tail(name string) string {
	log, err := os.ReadFile(c.file("logs", name+".log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-logTail):], "\n  ")
}

// record adds the part to the list of processes, so that down can stop it whatever happens next.
func (c *cluster) record(p part) error {
	parts, err := c.readParts()
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(append(parts, p), "", "  ")
	if err == nil {
		err = os.WriteFile(c.file(partsFile), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("recording process %s: %w", p.Name, err)
	}
	return nil
}

func (c *cluster) readParts() ([]part, error) {
	data, err := os.ReadFile(c.file(partsFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var parts []part
	if err == nil {
		err = json.Unmarshal(data, &parts)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the list of processes: %w; delete %s when no cluster is running", err, c.dir)
	}
	return parts, nil
}

// alive tells whether the very process that was started still runs.
func (p part) alive() bool { return p.Started != "" && startTime(p.PID) == p.Started }

// stop ends the process, and waits until it has ended.
func (p part) stop() error {
	if !p.alive() {
		return nil
	}
	if err := syscall.Kill(p.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stopping %s: %w", p.Name, err)
	}
	for deadline := time.Now().Add(stopPatience); p.alive(); time.Sleep(pollInterval) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(p.PID, syscall.SIGKILL) // It has had its time; alive tells whether it went.
		}
	}
	return nil
}

// startTime returns field 22 of /proc/PID/stat, or "" when the process does not exist or is a zombie.
func startTime(pid int) string {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return ""
	}
	// The name of the program, in brackets, may contain anything: count from behind it. The state is the first field there.
	fields := strings.Fields(string(stat)[strings.LastIndex(string(stat), ")")+1:])
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}

func split(parts []part) (alive, stopped []part) {
	for _, p := range parts {
		if p.alive() {
			alive = append(alive, p)
		} else {
			stopped = append(stopped, p)
		}
	}
	return alive, stopped
}

func names(parts []part) string {
	var out []string
	for _, p := range parts {
		out = append(out, p.Name)
	}
	return strings.Join(out, ", ")
}

// freePorts returns loopback ports that were free a moment ago.
func freePorts(n int) (map[string]int, error) {
	ports := map[string]int{}
	for i := range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer func() { _ = listener.Close() }() // All are held until all are found, so that they differ.
		ports[portNames[i]] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
