package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	// Started tells the process from a later one with the same ID: the start time in clock ticks since boot. Empty: it could not be started.
	Started string `json:"started"`
	// Restarts counts the starts after the first one.
	Restarts int `json:"restarts,omitempty"`
	// LastExit is how the part has ended last, and LastEnd is when; empty while it never has.
	LastExit string    `json:"lastExit,omitempty"`
	LastEnd  time.Time `json:"lastEnd,omitzero"`
}

// command is a part to start.
type command struct {
	Name string
	// Binary is its name in the directory of the binaries.
	Binary string
	Args   []string
	Env    []string
	// Health is the URL that answers 200 when the part is healthy.
	Health string
}

// launch has the supervisor start the commands, and waits until all are healthy.
func (c *cluster) launch(ctx context.Context, supervisor io.Writer, commands ...command) error {
	for i := range commands {
		fmt.Printf("starting %s\n", commands[i].Name)
		if err := json.NewEncoder(supervisor).Encode(&commands[i]); err != nil {
			return fmt.Errorf("starting %s: %w; the end of %s:\n%s", commands[i].Name, err, c.logFile(supervisorName), c.tail(supervisorName))
		}
	}
	for i := range commands {
		if err := c.awaitHealth(ctx, &commands[i]); err != nil {
			return err
		}
	}
	return nil
}

// startProcess starts a command in a session of its own: what stops the supervisor must not reach it.
func (c *cluster) startProcess(cmd *command) (*exec.Cmd, error) {
	file, err := c.openLog(cmd.Name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	process := exec.Command(filepath.Join(c.bin, cmd.Binary), cmd.Args...)
	process.Env = append(os.Environ(), cmd.Env...)
	process.Dir = c.dir
	process.Stdout, process.Stderr = file, file
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := process.Start(); err != nil {
		return nil, err
	}
	return process, nil
}

func (c *cluster) logFile(name string) string { return c.file("logs", name+".log") }

// openLog opens the log of a part. A part that is restarted goes on in the log that it has.
func (c *cluster) openLog(name string) (*os.File, error) {
	return os.OpenFile(c.logFile(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
}

// awaitHealth waits until the part answers that it is healthy, or has ended: a part that cannot even start is not waited for.
func (c *cluster) awaitHealth(ctx context.Context, cmd *command) error {
	// The health endpoints have self-signed certificates.
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // loopback
	defer client.CloseIdleConnections()
	for {
		started, err := c.hasStarted(cmd.Name)
		if err != nil {
			return err
		}
		if started && healthy(ctx, client, cmd.Health) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not become healthy (%w); the end of %s:\n%s", cmd.Name, ctx.Err(), c.logFile(cmd.Name), c.tail(cmd.Name))
		case <-time.After(pollInterval):
		}
	}
}

// hasStarted reports whether a part has been started. It returns an error when the part has ended since, or nobody starts it.
func (c *cluster) hasStarted(name string) (started bool, err error) {
	parts, err := c.readParts()
	if err != nil {
		return false, err
	}
	for i := range parts {
		switch p := &parts[i]; {
		case p.Name == supervisorName && !p.alive():
			return false, fmt.Errorf("the supervisor stopped; the end of %s:\n%s", c.logFile(p.Name), c.tail(p.Name))
		case p.Name == name && (p.LastExit != "" || !p.alive()):
			return false, fmt.Errorf("%s stopped while it was starting: %s; the end of %s:\n%s", name, p.LastExit, c.logFile(name), c.tail(name))
		case p.Name == name:
			started = true
		}
	}
	return started, nil
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
	log, err := os.ReadFile(c.logFile(name))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-logTail):], "\n  ")
}

// writeParts writes the list of processes, which is what down stops and status shows. Nobody reads a part of it.
func (c *cluster) writeParts(parts []part) error {
	data, err := json.MarshalIndent(parts, "", "  ")
	if err == nil {
		err = os.WriteFile(c.file(partsFile)+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(c.file(partsFile)+".new", c.file(partsFile))
	}
	if err != nil {
		return fmt.Errorf("recording the processes: %w", err)
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

// supervised reports whether the supervisor is among the parts: what has ended is started again.
func supervised(parts []part) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return p.Name == supervisorName })
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
