// Command demo shows on a local cluster what Spillway is for: a Deployment is scaled up and down, first placed by Spillway and then by the stock
// scheduler, and after each step a table says where the pods are and what they cost. It exits with 0 only if every check held.
//
// The scenario and its expected numbers are example B of ACK's page "Configure priority-based resource scheduling".
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/spillway-k8s/spillway/controllers"
)

// steps are the numbers of replicas of the scenario, in order.
var steps = []int32{2, 4, 6, 4, 2}

// demoTimeout bounds the whole demo; a step that cannot succeed fails much earlier.
const demoTimeout = 10 * time.Minute

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo KUBECONFIG")
		os.Exit(2)
	}
	ctrllog.SetLogger(klog.Background())
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(kubeconfig string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	options, err := controllers.ManagerOptions()
	if err != nil {
		return fmt.Errorf("preparing a client: %w", err)
	}
	api, err := client.New(config, client.Options{Scheme: options.Scheme})
	if err != nil {
		return fmt.Errorf("creating a client: %w", err)
	}
	d := &demo{api: api}
	if err := d.prepare(ctx); err != nil {
		return fmt.Errorf("preparing the cluster: %w", err)
	}
	spillway, err := d.play(ctx, spillwayRun)
	if err != nil {
		return err
	}
	stock, err := d.play(ctx, stockRun)
	if err != nil {
		return err
	}
	printComparison(spillway, stock)
	return verdict(spillway)
}

// verdict fails when a step of Spillway's run did not end as ACK documents.
func verdict(spillway []placed) error {
	failed := 0
	for _, p := range spillway {
		if p.wrong != "" {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d steps did not end as documented", failed, len(spillway))
	}
	fmt.Printf("\nAll %d steps ended as documented.\n", len(spillway))
	return nil
}
