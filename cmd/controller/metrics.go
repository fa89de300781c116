package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	certificateFile = "tls.crt"
	keyFile         = "tls.key"
)

// metricsOptions are the flags of what serves the metrics.
type metricsOptions struct {
	address, certDir string
	secure, auth     bool
}

func (o *metricsOptions) addFlags(flags *flag.FlagSet) {
	flags.StringVar(&o.address, "metrics-bind-address", ":8443", "address of /metrics; 0 switches it off")
	flags.BoolVar(&o.secure, "metrics-secure", true, "serve the metrics by HTTPS, not by HTTP")
	flags.BoolVar(&o.auth, "metrics-auth", true,
		"let only those read the metrics whose token the API server knows, and who may get the URL /metrics (ClusterRole spillway-metrics-reader); needs --metrics-secure")
	flags.StringVar(&o.certDir, "metrics-cert-dir", "",
		"directory with the certificate tls.crt and the key tls.key of the metrics, which are read again when they change; empty: a self-signed certificate")
}

// validate returns an error that names the flag, its value and what is allowed.
func (o *metricsOptions) validate() error {
	switch {
	case o.address == "":
		return fmt.Errorf("--metrics-bind-address=%q: must be an address and port such as :8443, or 0", o.address)
	case o.address == "0":
		return nil
	case o.auth && !o.secure:
		return fmt.Errorf("--metrics-auth=true: must be false with --metrics-secure=false, because tokens must not be sent over HTTP")
	case o.certDir != "" && !o.secure:
		return fmt.Errorf("--metrics-cert-dir=%q: must be empty with --metrics-secure=false", o.certDir)
	case o.certDir == "":
		return nil
	}
	// Without these files the server would make a certificate of its own, without a word.
	for _, name := range []string{certificateFile, keyFile} {
		if _, err := os.Stat(filepath.Join(o.certDir, name)); err != nil {
			return fmt.Errorf("--metrics-cert-dir=%q: must be a directory with the files %s and %s: %w", o.certDir, certificateFile, keyFile, err)
		}
	}
	return nil
}

// server returns how the metrics are served.
func (o *metricsOptions) server() metricsserver.Options {
	options := metricsserver.Options{
		BindAddress: o.address, SecureServing: o.secure, CertDir: o.certDir, CertName: certificateFile, KeyName: keyFile,
		// HTTP/2 lets one client open very many streams at once; a scrape needs one (CVE-2023-44487).
		TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }},
	}
	if o.auth {
		options.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	return options
}
