package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	superviseCommand = "supervise"
	supervisorName   = "supervisor"
)

// supervisor starts the parts of a cluster and restarts those that end, as kubelets and machines would. It is a process
// of its own, the parent of all parts, and the only one that writes the list of processes while it runs.
type supervisor struct {
	cluster *cluster

	// mu guards what follows, the list of processes, and the time between the start of a part and its record.
	mu    sync.Mutex
	parts []part
	// ended is true when no part may be started any more.
	ended bool
}

// startSupervisor starts the supervisor in a session of its own, so that it goes on when this program ends, and records
// it. Commands that are written to what it returns are started and kept running.
func (c *cluster) startSupervisor() (commands io.WriteCloser, err error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	file, err := c.openLog(supervisorName)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	process := exec.Command(path, superviseCommand, c.bin)
	process.Stdout, process.Stderr = file, file
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if commands, err = process.StdinPipe(); err != nil {
		return nil, fmt.Errorf("connecting to the supervisor: %w", err)
	}
	if err := process.Start(); err != nil {
		return nil, fmt.Errorf("starting the supervisor: %w", err)
	}
	go func() { _ = process.Wait() }() // A supervisor that ends at once must not look alive as a zombie.
	p := part{Name: supervisorName, PID: process.Process.Pid, Started: startTime(process.Process.Pid)}
	if err := c.writeParts([]part{p}); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return commands, nil
}

// supervise starts the commands that it reads and restarts the parts that end, until the context is done. The parts go
// on running then.
func (c *cluster) supervise(ctx context.Context, commands io.Reader) error {
	s := &supervisor{cluster: c}
	go s.follow(ctx, json.NewDecoder(commands))
	<-ctx.Done()
	s.mu.Lock() // For good: whoever stops this process stops the parts that are recorded now.
	s.ended = true
	return nil
}

// follow keeps the parts running that it reads. Each is started, and recorded, before the next one.
func (s *supervisor) follow(ctx context.Context, commands *json.Decoder) {
	for {
		var cmd command
		if err := commands.Decode(&cmd); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			log.Printf("Reading what to start: %v", err)
			return
		}
		process, err := s.start(&cmd)
		go s.keep(ctx, &cmd, process, err)
	}
}

// keep restarts a part whenever it has ended.
func (s *supervisor) keep(ctx context.Context, cmd *command, process *exec.Cmd, failed error) {
	var wait backoff
	for began := time.Now(); ; began = time.Now() {
		if failed == nil {
			failed = process.Wait()
		}
		exit := "exit status 0"
		if failed != nil {
			exit = failed.Error()
		}
		ran := time.Since(began)
		delay := wait.next(ran)
		log.Printf("%s ended after %s: %s; it is started again in %s", cmd.Name, ran.Round(time.Second), exit, delay)
		s.noteEnd(cmd.Name, exit)
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
		process, failed = s.start(cmd)
	}
}

// start starts a part and records it.
func (s *supervisor) start(cmd *command) (*exec.Cmd, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, errors.New("the cluster is being stopped")
	}
	process, err := s.cluster.startProcess(cmd)
	now := part{Name: cmd.Name}
	if err == nil {
		now.PID, now.Started = process.Process.Pid, startTime(process.Process.Pid)
	}
	if i := s.find(cmd.Name); i >= 0 {
		now.Restarts, now.LastExit, now.LastEnd = s.parts[i].Restarts+1, s.parts[i].LastExit, s.parts[i].LastEnd
		s.parts[i] = now
	} else {
		s.parts = append(s.parts, now)
	}
	s.record()
	return process, err
}

// noteEnd records how a part has ended.
func (s *supervisor) noteEnd(name, exit string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(name); i >= 0 && !s.ended {
		s.parts[i].LastExit, s.parts[i].LastEnd = exit, time.Now().UTC().Truncate(time.Second)
		s.record()
	}
}

func (s *supervisor) find(name string) int {
	return slices.IndexFunc(s.parts, func(p part) bool { return p.Name == name })
}

// record writes the list of processes: the supervisor, then the parts in the order of their first start. The caller
// holds mu.
func (s *supervisor) record() {
	self := part{Name: supervisorName, PID: os.Getpid(), Started: startTime(os.Getpid())}
	if err := s.cluster.writeParts(append([]part{self}, s.parts...)); err != nil {
		log.Print(err)
	}
}
