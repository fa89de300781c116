// Command eci-provider plays the virtual-kubelet of ECI in a local cluster. It serves its health on a loopback address.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/spillway-k8s/spillway/test/provider"
)

// zonePlace is what --vswitch has in place of the zone.
const zonePlace = "<zone>"

func main() {
	var options provider.Options
	klog.InitFlags(nil)
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig of the cluster")
	address := flag.String("listen", "127.0.0.1:8082", "loopback address to serve /healthz on")
	vSwitch := flag.String("vswitch", "vsw-"+zonePlace, "vSwitch of the container groups in a zone, whose ID takes the place of "+zonePlace)
	flag.StringVar(&options.Endpoint, "eci-endpoint", "", "URL of the ECI OpenAPI, such as http://127.0.0.1:8080")
	flag.IntVar(&options.Workers, "workers", 32, "how many pods are worked on at once")
	flag.DurationVar(&options.Retry, "retry", 5*time.Second, "how long a pod waits that ECI has refused")
	flag.Parse()
	options.VSwitch = func(zone string) string { return strings.ReplaceAll(*vSwitch, zonePlace, zone) }
	if err := run(*kubeconfig, *address, options); err != nil {
		fmt.Fprintln(os.Stderr, "eci-provider:", err)
		os.Exit(1)
	}
}

func run(kubeconfig, address string, options provider.Options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("reading --kubeconfig %q: %w", kubeconfig, err)
	}
	p, err := provider.New(config, options)
	if err != nil {
		return fmt.Errorf("creating the provider: %w", err)
	}
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return fmt.Errorf("reading --listen %q: %w", address, err)
	}
	if !tcp.IP.IsLoopback() {
		return fmt.Errorf("--listen %q: must be a loopback address such as 127.0.0.1:8082", address)
	}
	listener, err := net.ListenTCP("tcp", tcp)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", address, err)
	}
	server, served := &http.Server{Handler: health(p), ReadHeaderTimeout: 10 * time.Second}, make(chan error, 1)
	go func() {
		served <- server.Serve(listener)
		stop()
	}()
	err = p.Run(ctx)
	_ = server.Close() // What matters of it comes by served.
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		return errors.Join(err, fmt.Errorf("serving /healthz: %w", serveErr))
	}
	return err
}

func health(p *provider.Provider) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if !p.Ready() {
			http.Error(w, "the pods and nodes have not been read yet", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok"))
	})
	return mux
}
