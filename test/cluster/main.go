// Command cluster runs a local Kubernetes cluster from the binaries in bin/: etcd, kube-apiserver, kube-controller-manager, the stock scheduler, kwok
// in place of kubelets, the ECI simulator and a provider in place of ECI's virtual-kubelet, and the scheduler and controller of Spillway. Everything
// listens on loopback addresses only.
//
//	cluster up      starts the cluster, waits until every part is healthy, and returns; the parts go on running. A part that ends later is restarted,
//	                after a second at first and after half a minute at last, as a kubelet would. Flags after the directory go to
//	                Spillway's controller. With --bare nothing of Spillway is installed or run, and the API server logs what Spillway's ServiceAccounts
//	                ask of it once somebody installs it (audit.log)
//	cluster down    stops what up started, by recorded process ID, and nothing else
//	cluster status  tells which parts run, how often each was restarted, and how it ended last
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const (
	// upTimeout is the longest that up waits for all parts together.
	upTimeout = 3 * time.Minute
	// bareFlag leaves Spillway out of the cluster.
	bareFlag = "--bare"
)

func main() {
	if len(os.Args) < 3 || len(os.Args) > 3 && os.Args[1] != "up" || len(os.Args) > 4 && os.Args[3] == bareFlag {
		fmt.Fprintln(os.Stderr, "usage: cluster up DIR [--bare | CONTROLLER FLAG...]\n       cluster down|status DIR\n"+
			"The binaries are in DIR, and the cluster keeps its files in DIR/cluster.")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(command, bin string, controllerFlags []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	bin, err := filepath.Abs(bin)
	if err != nil {
		return fmt.Errorf("finding %s: %w", bin, err)
	}
	c := &cluster{bin: bin, dir: filepath.Join(bin, "cluster"), controllerFlags: controllerFlags, bare: slices.Contains(controllerFlags, bareFlag)}
	switch command {
	case "up":
		ctx, cancel := context.WithTimeout(ctx, upTimeout)
		defer cancel()
		return c.up(ctx)
	case "down":
		return c.down()
	case "status":
		return c.status()
	case superviseCommand: // It is started by up.
		return c.supervise(ctx, os.Stdin)
	default:
		return fmt.Errorf("unknown command %q: use up, down or status", command)
	}
}
