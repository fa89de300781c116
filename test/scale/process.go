package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"k8s.io/client-go/tools/clientcmd"
)

const (
	// ticksPerSecond is in what /proc counts the CPU: USER_HZ, which Linux fixes for programs.
	ticksPerSecond = 100
	// statCPU is where the CPU of a process is in /proc/PID/stat, behind the name: utime and stime.
	statCPU = 11
)

// controller is the controller of Spillway in a process of its own.
type controller struct {
	process *os.Process
	done    chan struct{}
	// metrics and profiles are the URLs of its metrics and profiles.
	metrics, profiles string
}

// used is what a process uses.
type used struct {
	// cpuSeconds are those since it began.
	cpuSeconds float64
	// resident and peak are bytes: now, and the most since forgetPeak.
	resident, peak int64
}

// kubeconfig writes the kubeconfig of the controller, with the forwarder for the API server, and returns its path.
func (c *cluster) kubeconfig(forwarder string) (string, error) {
	data, err := c.controller.KubeConfig()
	if err != nil {
		return "", fmt.Errorf("making the kubeconfig: %w", err)
	}
	config, err := clientcmd.Load(data)
	if err != nil {
		return "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	for _, cluster := range config.Clusters {
		cluster.Server = "https://" + forwarder
	}
	path := filepath.Join(c.logs, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return "", fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return path, nil
}

// startController starts the built controller with its usual flags.
func (c *cluster) startController(bin, kubeconfig string) (*controller, error) {
	metrics, profiles, probes := freeAddress(), freeAddress(), freeAddress()
	log, err := os.OpenFile(filepath.Join(c.logs, "controller.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the log of the controller: %w", err)
	}
	cmd := exec.Command(filepath.Join(bin, "spillway-controller"), "--kubeconfig="+kubeconfig, "--eci-endpoint="+c.eci.URL,
		"--metrics-bind-address="+metrics, "--metrics-secure=false", "--metrics-auth=false", "--health-probe-bind-address="+probes, "--pprof-bind-address="+profiles)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := &controller{done: make(chan struct{}), metrics: "http://" + metrics + "/metrics", profiles: "http://" + profiles + "/debug/pprof/"}
	failed := make(chan error)
	go func() {
		// The kernel takes the end of the thread that started the process for the end of its parent.
		runtime.LockOSThread()
		defer close(started.done)
		err := cmd.Start()
		failed <- err
		if err == nil {
			_ = cmd.Wait() // It is told to end: how it ended is no news.
		}
		_ = log.Close()
	}()
	if err := <-failed; err != nil {
		return nil, fmt.Errorf("starting the controller: %w", err)
	}
	started.process = cmd.Process
	return started, nil
}

// end sends a signal that ends the process, and waits until it has ended.
func (c *controller) end(signal os.Signal) {
	_ = c.process.Signal(signal) // It may have ended already.
	<-c.done
}

// use returns what the process uses.
func (c *controller) use() (used, error) {
	dir := filepath.Join("/proc", strconv.Itoa(c.process.Pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return used{}, fmt.Errorf("reading the CPU of the controller: %w", err)
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return used{}, fmt.Errorf("reading the memory of the controller: %w", err)
	}
	return parseUse(string(stat), string(status))
}

// forgetPeak begins the peak of the memory anew.
func (c *controller) forgetPeak() {
	// Not every kernel lets us: then the peak is that of the process.
	_ = os.WriteFile(filepath.Join("/proc", strconv.Itoa(c.process.Pid), "clear_refs"), []byte("5"), 0o200)
}

// parseUse reads /proc/PID/stat and /proc/PID/status.
func parseUse(stat, status string) (used, error) {
	var u used
	// The name of the program, in brackets, may contain anything: count from behind it. The state is the first field there.
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) <= statCPU+1 {
		return u, fmt.Errorf("reading the CPU of the controller: %d fields", len(fields))
	}
	for _, field := range fields[statCPU : statCPU+2] {
		ticks, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return u, fmt.Errorf("reading the CPU of the controller: %w", err)
		}
		u.cpuSeconds += ticks / ticksPerSecond
	}
	for line := range strings.Lines(status) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(words[1], 10, 64) // Other lines are no numbers.
		switch words[0] {
		case "VmRSS:":
			u.resident = kib << 10
		case "VmHWM:":
			u.peak = kib << 10
		}
	}
	return u, nil
}

// freeAddress returns a loopback address that was free a moment ago; "0", which switches off, when there is none.
func freeAddress() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "0"
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
