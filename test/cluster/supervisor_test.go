package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the program of the tests be the supervisor that they start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == superviseCommand {
		main()
		return
	}
	os.Exit(m.Run())
}

// testCluster returns a cluster without parts, whose binaries are those of the system, and which ends with the test.
func testCluster(t *testing.T) *cluster {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"sh", "false"} {
		if err := os.Symlink(filepath.Join("/bin", name), filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	c := &cluster{bin: bin, dir: filepath.Join(bin, "cluster")}
	if err := os.MkdirAll(c.file("logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.stopAll(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// sleeper is a part that says in its log that it has started, and then does nothing.
func sleeper(t *testing.T, name string) command {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	return command{Name: name, Binary: "sh", Args: []string{"-c", "echo started; exec sleep 1000"}, Health: server.URL}
}

func startParts(t *testing.T, c *cluster, commands ...command) error {
	t.Helper()
	supervisor, err := c.startSupervisor()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = supervisor.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return c.launch(ctx, supervisor, commands...)
}

// recorded returns a part once it is recorded so.
func recorded(t *testing.T, c *cluster, name string, so func(p *part) bool) part {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(pollInterval) {
		parts, err := c.readParts()
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(parts, func(p part) bool { return p.Name == name }); i >= 0 && so(&parts[i]) {
			return parts[i]
		}
	}
	t.Fatalf("part %s was not recorded so in time; the supervisor says:\n%s", name, c.tail(supervisorName))
	return part{}
}

func TestSupervisor_RestartsWhatEnds(t *testing.T) {
	c := testCluster(t)
	if err := startParts(t, c, sleeper(t, "steady"), sleeper(t, "killed")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.file(completeFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.status(); err != nil {
		t.Fatalf("status of a cluster that runs: %v", err)
	}
	running := func(p *part) bool { return p.alive() }
	steady, killed := recorded(t, c, "steady", running), recorded(t, c, "killed", running)
	if err := syscall.Kill(killed.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ended := recorded(t, c, "killed", func(p *part) bool { return p.LastExit != "" })
	if ended.LastExit != "signal: killed" || ended.LastEnd.IsZero() {
		t.Errorf("it is recorded to have ended by %q at %s, want signal: killed", ended.LastExit, ended.LastEnd)
	}
	again := recorded(t, c, "killed", func(p *part) bool { return p.Restarts == 1 && p.alive() })
	if again.PID == killed.PID {
		t.Error("the restarted part has the process ID of the one that was killed")
	}
	if err := c.status(); err != nil {
		t.Errorf("status after the restart: %v", err)
	}
	if p := recorded(t, c, "steady", running); p != steady {
		t.Errorf("the other part was %+v and is %+v", steady, p)
	}
	data, err := os.ReadFile(c.logFile("killed"))
	if got := strings.Count(string(data), "started"); err != nil || got != 2 {
		t.Errorf("the log has %d starts (%v), want those of both processes: %s", got, err, data)
	}
}

func TestStopAll_StopsTheSupervisorFirst(t *testing.T) {
	c := testCluster(t)
	if err := startParts(t, c, sleeper(t, "a"), sleeper(t, "b")); err != nil {
		t.Fatal(err)
	}
	parts, err := c.readParts()
	if err != nil || len(parts) != 3 {
		t.Fatalf("parts %v (%v), want the supervisor and two", parts, err)
	}
	if err := c.stopAll(); err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if p.alive() {
			t.Errorf("%s still runs", p.Name)
		}
	}
	if c.has(partsFile) {
		t.Error("the list of processes is still there: somebody has started a part again")
	}
	if log := c.tail(supervisorName); strings.Contains(log, "started again") {
		t.Errorf("the supervisor saw parts end: it was not stopped first:\n%s", log)
	}
}

func TestLaunch_PartThatEndsAtOnce(t *testing.T) {
	c := testCluster(t)
	err := startParts(t, c, command{Name: "broken", Binary: "false", Health: "http://127.0.0.1:1"})
	if err == nil || !strings.Contains(err.Error(), "broken stopped while it was starting") {
		t.Errorf("got %v, want an error that says that it stopped", err)
	}
	missing := testCluster(t)
	err = startParts(t, missing, command{Name: "missing", Binary: "no-such-binary", Health: "http://127.0.0.1:1"})
	if err == nil || !strings.Contains(err.Error(), "missing stopped while it was starting") {
		t.Errorf("got %v, want an error that says that it stopped", err)
	}
}

func TestRestarts(t *testing.T) {
	at := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	got := restarts([]part{
		{Name: "etcd", PID: 1, Started: "1"},
		{Name: "spillway-controller", Restarts: 2, LastExit: "exit status 1", LastEnd: at},
	})
	if want := "spillway-controller: restarts 2, last exit at 2026-11-27T12:00:00Z: exit status 1\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
