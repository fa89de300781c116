// Command controller runs the controllers of Spillway.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	_ "golang.org/x/crypto/x509roots/fallback" // ECI is asked over HTTPS, and the image has no file of root certificates.
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/spillway-k8s/spillway/controllers"
	"github.com/spillway-k8s/spillway/pkg/placement"
	"github.com/spillway-k8s/spillway/pkg/version"
)

// maxRefreshInterval keeps several refreshes within the minute after which the capacity is too old by default.
const maxRefreshInterval = 15 * time.Second

// options are the flags.
type options struct {
	controllers    controllers.Options
	leaderElect    bool
	metrics        metricsOptions
	probeAddress   string
	profileAddress string
}

func main() {
	var o options
	o.addFlags(flag.CommandLine)
	klog.InitFlags(nil)
	printVersion := flag.Bool("version", false, "print the version of Spillway and exit")
	if err := parse(flag.CommandLine, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "spillway-controller:", err)
		os.Exit(2)
	}
	if *printVersion {
		fmt.Println(version.Get())
		return
	}
	ctrl.SetLogger(klog.Background())
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, "spillway-controller:", err)
		os.Exit(1)
	}
}

// parse reads the flags. An error is one sentence; the help is printed for those who ask for it.
func parse(flags *flag.FlagSet, args []string) error {
	flags.Init("spillway-controller", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		os.Exit(0)
	}
	if err != nil {
		return fmt.Errorf("%w; --help lists the flags", err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("argument %q: there are flags only; --help lists them", flags.Arg(0))
	}
	return nil
}

func (o *options) addFlags(flags *flag.FlagSet) {
	account := &o.controllers.Account
	flags.StringVar(&account.Namespace, "namespace", "spillway-system", "namespace of the Secrets with ECI credentials, and of the leader election")
	flags.StringVar(&account.Endpoint, "eci-endpoint", "",
		"URL that replaces the endpoints of ECI and VPC in all regions, and of STS unless --sts-endpoint is set, such as "+
			"http://127.0.0.1:8080 for the simulator; empty: https://eci.<region>.aliyuncs.com")
	flags.StringVar(&account.TokenFile, "rrsa-token-file", os.Getenv("ALIBABA_CLOUD_OIDC_TOKEN_FILE"),
		"file with the token of this ServiceAccount, for VirtualNodes with credentials.rrsa; by default $ALIBABA_CLOUD_OIDC_TOKEN_FILE, which ACK sets")
	flags.StringVar(&account.STSEndpoint, "sts-endpoint", "",
		"host of STS, which returns the account of credentials, and the sessions of rrsa; empty: sts.<region>.aliyuncs.com")
	flags.DurationVar(&account.RefreshInterval, "refresh-interval", 10*time.Second, "how often the capacity of ECI is read: 1s to 15s")
	flags.DurationVar(&account.StockInterval, "stock-interval", 30*time.Second, "how often the stock of ECI is read, of each specification that pods ask for: 1s to 1h")
	flags.DurationVar(&o.controllers.MaxCapacityAge, "max-capacity-age", time.Minute,
		"how old the capacity of a virtual node may become before it gets no new pods; more than refresh-interval")
	flags.StringVar(&o.controllers.SchedulerName, "scheduler-name", "spillway-scheduler",
		"schedulerName of the pods that Spillway places; pods of others are not reported as waiting or held")
	flags.Func("allowed-pod-keys", "keys that podLabels and podAnnotations of units may have, separated by commas: keys, domains "+
		"such as example.com/*, or * for every key outside the reserved domains; as allowedPodKeys of the scheduler's plugin "+
		"ResourcePolicy; by default "+strings.Join(placement.DefaultPodKeys().Entries(), ","), o.allowPodKeys)
	flags.BoolVar(&o.leaderElect, "leader-elect", true, "act only while holding the lease, so that several replicas can run")
	o.metrics.addFlags(flags)
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	flags.StringVar(&o.profileAddress, "pprof-bind-address", "0", "address of /debug/pprof, such as 127.0.0.1:8082; 0 switches it off")
}

// allowPodKeys is the function of the flag allowed-pod-keys. Without a key nothing is allowed.
func (o *options) allowPodKeys(list string) (err error) {
	entries := strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
	o.controllers.AllowedPodKeys, err = placement.ParsePodKeys(entries)
	return err
}

// validate returns an error that names the flag, its value and what is allowed.
func (o *options) validate() error {
	v := &o.controllers.Account
	if v.RefreshInterval < time.Second || v.RefreshInterval > maxRefreshInterval {
		return fmt.Errorf("--refresh-interval=%s: must be from 1s to %s", v.RefreshInterval, maxRefreshInterval)
	}
	if v.StockInterval < time.Second || v.StockInterval > time.Hour {
		return fmt.Errorf("--stock-interval=%s: must be from 1s to 1h", v.StockInterval)
	}
	if o.controllers.MaxCapacityAge <= v.RefreshInterval {
		return fmt.Errorf("--max-capacity-age=%s: must be more than --refresh-interval=%s", o.controllers.MaxCapacityAge, v.RefreshInterval)
	}
	if v.Namespace == "" {
		return fmt.Errorf("--namespace=%q: must name a namespace", v.Namespace)
	}
	if err := o.metrics.validate(); err != nil {
		return err
	}
	if !isLoopbackOrOff(o.profileAddress) {
		return fmt.Errorf("--pprof-bind-address=%q: must be 0 or an address and port of this machine alone, such as 127.0.0.1:8082: a profile of the heap has credentials", o.profileAddress)
	}
	if o.controllers.SchedulerName == "" {
		return fmt.Errorf("--scheduler-name=%q: must name a profile of the scheduler", o.controllers.SchedulerName)
	}
	return nil
}

// isLoopbackOrOff tells whether an address is 0, or can be reached from this machine only.
func isLoopbackOrOff(address string) bool {
	if address == "0" {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

func (o *options) run() error {
	if err := o.validate(); err != nil {
		return err
	}
	klog.InfoS("Starting spillway-controller", "version", version.Get().String())
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	ctx := ctrl.SetupSignalHandler()
	if err := checkCluster(ctx, config, o.metrics.auth); err != nil {
		return err
	}
	managerOptions, err := controllers.ManagerOptions()
	if err != nil {
		return fmt.Errorf("preparing the manager: %w", err)
	}
	managerOptions.LeaderElection = o.leaderElect
	managerOptions.LeaderElectionID = "spillway-controller"
	managerOptions.LeaderElectionNamespace = o.controllers.Account.Namespace
	managerOptions.LeaderElectionReleaseOnCancel = true
	managerOptions.Metrics = o.metrics.server()
	managerOptions.HealthProbeBindAddress = o.probeAddress
	managerOptions.PprofBindAddress = o.profileAddress
	mgr, err := ctrl.NewManager(config, managerOptions)
	if err != nil {
		return fmt.Errorf("creating the manager: %w", err)
	}
	if err := controllers.Setup(mgr, o.controllers); err != nil {
		return fmt.Errorf("setting up the controllers: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("adding the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("adding the readiness check: %w", err)
	}
	return mgr.Start(ctx)
}
