package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// marker begins the line that tells how a command has ended.
	marker = "=== ended "
	// strict notes that any part of a command has failed, such as the first round of a loop, whose exit code bash does not keep.
	strict = "set -E -o pipefail; trap 'docs_failed=1' ERR\n"
)

// shell is one bash for a whole page, so that variables and functions stay.
type shell struct {
	process *exec.Cmd
	input   io.WriteCloser
	lines   chan string
	folder  string
}

func openShell(env []string) (*shell, error) {
	folder, err := os.MkdirTemp("", "docs")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the commands: %w", err)
	}
	process := exec.Command("bash", "--noprofile", "--norc")
	process.Env = env
	// A group of its own, so that whatever a command has left running can be stopped with it.
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := process.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("opening the input of bash: %w", err)
	}
	output, err := process.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("opening the output of bash: %w", err)
	}
	process.Stderr = process.Stdout
	if err := process.Start(); err != nil {
		return nil, fmt.Errorf("starting bash: %w", err)
	}
	if _, err := io.WriteString(input, strict); err != nil {
		return nil, fmt.Errorf("preparing bash: %w", err)
	}
	s := &shell{process: process, input: input, lines: make(chan string, 1000), folder: folder}
	go func() {
		defer close(s.lines)
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			s.lines <- scanner.Text()
		}
	}()
	return s, nil
}

// run runs a command and returns what it prints. Anything but exit code 0 is an error, also within it.
func (s *shell) run(ctx context.Context, text string) (string, error) {
	file := filepath.Join(s.folder, "command")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("writing the command: %w", err)
	}
	if _, err := fmt.Fprintf(s.input, "docs_failed=0; source %s </dev/null; docs_code=$?; printf '\\n%s%%s\\n' $((docs_code ? docs_code : docs_failed))\n", file, marker); err != nil {
		return "", fmt.Errorf("giving the command to bash: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	var printed strings.Builder
	for {
		select {
		case <-ctx.Done():
			s.kill()
			return "", fmt.Errorf("it has not ended: %w; it printed\n%s", ctx.Err(), &printed)
		case line, ok := <-s.lines:
			if !ok {
				return "", fmt.Errorf("it has ended the shell; it printed\n%s", &printed)
			}
			if code, ended := strings.CutPrefix(line, marker); ended {
				if n, err := strconv.Atoi(code); err != nil || n != 0 {
					return "", fmt.Errorf("it ended with exit code %s and printed\n%s", code, &printed)
				}
				return printed.String(), nil
			}
			printed.WriteString(line + "\n")
		}
	}
}

func (s *shell) kill() { _ = syscall.Kill(-s.process.Process.Pid, syscall.SIGKILL) }

// close ends the shell, and what it has left running.
func (s *shell) close() {
	_ = s.input.Close()
	// What runs in the background keeps the output open.
	time.AfterFunc(time.Second, s.kill)
	for range s.lines {
	}
	_ = s.process.Wait()
	_ = os.RemoveAll(s.folder)
}
