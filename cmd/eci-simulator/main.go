// Command eci-simulator serves the part of the ECI OpenAPI that Spillway uses, on a loopback address, without a cloud account.
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
	"syscall"
	"time"

	"github.com/spillway-k8s/spillway/internal/ecisim"
	"github.com/spillway-k8s/spillway/pkg/version"
)

func main() {
	address := flag.String("listen", "127.0.0.1:8080", "address to serve on; it must be a loopback address, because the admin API has no authentication")
	printVersion := flag.Bool("version", false, "print the version of Spillway and exit")
	flag.Parse()
	if *printVersion {
		fmt.Println(version.Get())
		return
	}
	if err := run(*address); err != nil {
		fmt.Fprintln(os.Stderr, "eci-simulator:", err)
		os.Exit(1)
	}
}

func run(address string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return fmt.Errorf("reading --listen %q: %w", address, err)
	}
	if !tcp.IP.IsLoopback() {
		return fmt.Errorf("--listen %q: must be a loopback address such as 127.0.0.1:8080", address)
	}
	listener, err := net.ListenTCP("tcp", tcp)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", address, err)
	}
	server := &http.Server{Handler: ecisim.New(ecisim.DefaultState()), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	fmt.Printf("serving ECI on http://%s, its admin API on http://%s/admin/state\n", listener.Addr(), listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}
