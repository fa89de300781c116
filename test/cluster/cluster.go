package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// completeFile is there while a cluster is up with all its parts.
const completeFile = "complete"

// cluster is the local cluster of one directory.
type cluster struct {
	// bin is where the binaries are.
	bin string
	// dir is where the cluster keeps its files.
	dir string
	// controllerFlags are added to those of Spillway's controller.
	controllerFlags []string
	// bare leaves Spillway out.
	bare bool
}

// file returns the path of a file of the cluster.
func (c *cluster) file(name ...string) string {
	return filepath.Join(append([]string{c.dir}, name...)...)
}

// up starts an empty cluster. It changes nothing when the cluster runs already, and stops what it started when it fails.
func (c *cluster) up(ctx context.Context) error {
	begin := time.Now()
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	running, err := c.prepare()
	if err != nil || running {
		return err
	}
	if err := c.start(ctx); err != nil {
		return errors.Join(err, c.stopAll())
	}
	if err := os.WriteFile(c.file(completeFile), nil, 0o644); err != nil {
		return errors.Join(fmt.Errorf("noting that the cluster is up: %w", err), c.stopAll())
	}
	fmt.Printf("the cluster is up after %.1f s\n\n  export KUBECONFIG=%s\n  %s get nodes\n\nlogs: %s   stop it: make cluster-down\n",
		time.Since(begin).Seconds(), c.file("kubeconfig"), filepath.Join(c.bin, "kubectl"), c.file("logs"))
	return nil
}

// lock keeps a second command from changing the cluster at the same time.
func (c *cluster) lock() (unlock func(), err error) {
	path := c.dir + ".lock"
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(errors.New("another command is starting or stopping this cluster: wait until it has ended"), file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// prepare empties the directory, unless a cluster runs there.
func (c *cluster) prepare() (running bool, err error) {
	if _, err := os.Stat(filepath.Join("config", "crd")); err != nil {
		return false, errors.New("config/crd is not here: run the command from the root of the repository")
	}
	parts, err := c.readParts()
	if err != nil {
		return false, err
	}
	alive, stopped := split(parts)
	switch {
	case len(alive) > 0 && !c.has(completeFile):
		return false, fmt.Errorf("a cluster was being started and did not come up; of it run: %s; run: make cluster-down", names(alive))
	case len(alive) > 0 && len(stopped) == 0 || supervised(alive):
		if len(stopped) > 0 {
			fmt.Printf("these parts are being restarted: %s; see %s\n", names(stopped), c.file("logs"))
		}
		fmt.Printf("the cluster is running already: export KUBECONFIG=%s (make cluster-down stops it)\n", c.file("kubeconfig"))
		return true, nil
	case len(alive) > 0:
		return false, fmt.Errorf("a cluster is running, but these parts have stopped: %s; see %s, then run: make cluster-down", names(stopped), c.file("logs"))
	case len(stopped) > 0:
		fmt.Printf("removing what a cluster that runs no longer has left in %s\n", c.dir)
	}
	return false, c.empty()
}

// empty empties the directory.
func (c *cluster) empty() error {
	if entries, err := os.ReadDir(c.dir); err == nil && len(entries) > 0 && !c.has("logs") {
		return fmt.Errorf("%s has files that no cluster put there: move them away", c.dir)
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("emptying %s: %w", c.dir, err)
	}
	if err := os.MkdirAll(c.file("logs"), 0o755); err != nil {
		return fmt.Errorf("creating %s: %w", c.file("logs"), err)
	}
	return nil
}

// start starts the parts in the order in which they need each other.
func (c *cluster) start(ctx context.Context) error {
	ports, err := freePorts(len(portNames))
	if err != nil {
		return err
	}
	if err := c.writeCertificates(); err != nil {
		return fmt.Errorf("creating certificates: %w", err)
	}
	if err := c.writeAdminKubeconfigs(ports); err != nil {
		return err
	}
	supervisor, err := c.startSupervisor()
	if err != nil {
		return err
	}
	defer func() { _ = supervisor.Close() }() // It goes on with what it has.
	if err := c.launch(ctx, supervisor, c.etcd(ports)); err != nil {
		return err
	}
	apiserver, err := c.apiserver(ports)
	if err != nil {
		return err
	}
	if err := c.launch(ctx, supervisor, apiserver); err != nil {
		return err
	}
	if err := c.launch(ctx, supervisor, append(c.controlPlane(ports), c.kubelets(ports)...)...); err != nil {
		return err
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	if err := c.writeSimulatorURL(ports); err != nil {
		return err
	}
	if c.bare {
		return waitForDefaultServiceAccount(ctx, api)
	}
	if err := c.install(ctx, api, ports); err != nil {
		return fmt.Errorf("installing Spillway: %w", err)
	}
	return c.launch(ctx, supervisor, c.spillway(ports)...)
}

// has tells whether a file of the cluster exists.
func (c *cluster) has(name string) bool {
	_, err := os.Stat(c.file(name))
	return err == nil
}

// down stops every part that up recorded.
func (c *cluster) down() error {
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return c.stopAll()
}

// stopAll stops the supervisor, so that nothing is started any more, and then every part that is recorded, the last started first.
func (c *cluster) stopAll() error {
	parts, err := c.readParts()
	if err != nil {
		return err
	}
	running, _ := split(parts)
	for i := range running {
		if running[i].Name == supervisorName {
			if err := running[i].stop(); err != nil {
				return err
			}
		}
	}
	if parts, err = c.readParts(); err != nil { // The supervisor may have restarted one meanwhile.
		return err
	}
	alive, _ := split(parts)
	for i := len(alive) - 1; i >= 0; i-- {
		if err := alive[i].stop(); err != nil {
			return err
		}
	}
	if len(running) == 0 {
		fmt.Println("no cluster is running")
	} else {
		fmt.Printf("stopped %s\n", names(running))
	}
	if err := os.RemoveAll(c.file(partsFile)); err != nil {
		return fmt.Errorf("removing the list of processes: %w", err)
	}
	return nil
}

// status prints which parts run, and which were restarted, and fails when one does not run.
func (c *cluster) status() error {
	parts, err := c.readParts()
	if err != nil {
		return err
	}
	alive, stopped := split(parts)
	switch {
	case len(parts) == 0:
		return errors.New("no cluster is running: make cluster-up starts one")
	case len(stopped) > 0 && !supervised(alive):
		return fmt.Errorf("these parts have stopped: %s; see %s", names(stopped), c.file("logs"))
	case !c.has(completeFile):
		return fmt.Errorf("the cluster is not up yet, or did not come up; of it run: %s", names(alive))
	}
	fmt.Printf("running: %s\n%s", names(alive), restarts(parts))
	if len(stopped) > 0 {
		return fmt.Errorf("these parts are being restarted: %s; see %s", names(stopped), c.file("logs"))
	}
	return nil
}

// restarts returns a line for each part that has ended since it was started first.
func restarts(parts []part) string {
	var out strings.Builder
	for i := range parts {
		if p := &parts[i]; p.LastExit != "" {
			fmt.Fprintf(&out, "%s: restarts %d, last exit at %s: %s\n", p.Name, p.Restarts, p.LastEnd.Format(time.RFC3339), p.LastExit)
		}
	}
	return out.String()
}
