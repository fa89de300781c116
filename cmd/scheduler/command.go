package main

import (
	"fmt"
	"sync"

	"github.com/spf13/cobra"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/tools/cache"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/cli/globalflag"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/component-base/featuregate"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/component-base/term"
	"k8s.io/component-base/version/verflag"
	"k8s.io/kubernetes/cmd/kube-scheduler/app"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"

	"github.com/spillway-k8s/spillway/plugins"
)

// newCommand returns the command of kube-scheduler with the plugins of Spillway. It does what app.NewSchedulerCommand does, which does not give access to the
// scheduler that it makes: Spillway wraps its failure handler.
func newCommand() *cobra.Command {
	opts := options.NewOptions()
	cmd := &cobra.Command{
		Use:   "kube-scheduler",
		Short: "kube-scheduler with the plugins of Spillway",
		Args:  cobra.NoArgs,
		// The feature gates are set before anything asks for one.
		PersistentPreRunE: func(*cobra.Command, []string) error { return opts.ComponentGlobalsRegistry.Set() },
		RunE:              func(cmd *cobra.Command, _ []string) error { return run(cmd, opts) },
	}
	sets := opts.Flags
	verflag.AddFlags(sets.FlagSet("global"))
	globalflag.AddGlobalFlags(sets.FlagSet("global"), cmd.Name(), logs.SkipLoggingConfigurationFlags())
	for _, set := range sets.FlagSets {
		cmd.Flags().AddFlagSet(set)
	}
	columns, _, _ := term.TerminalSize(cmd.OutOrStdout())
	cliflag.SetUsageAndHelpFunc(cmd, *sets, columns)
	return cmd
}

// run runs the scheduler until the process is told to stop.
func run(cmd *cobra.Command, opts *options.Options) error {
	verflag.PrintAndExitIfRequested()
	gates := opts.ComponentGlobalsRegistry.FeatureGateFor(basecompatibility.DefaultKubeComponent)
	if err := logsapi.ValidateAndApply(opts.Logs, gates); err != nil {
		return fmt.Errorf("applying the flags of the log: %w", err)
	}
	cliflag.PrintFlags(cmd.Flags())
	if opts.InformerName == nil {
		name, err := cache.NewInformerName("kube-scheduler")
		if err != nil {
			return fmt.Errorf("naming the informers: %w", err)
		}
		opts.InformerName = name
	}
	factories, handleFailures := plugins.All()
	var all []app.Option
	var once sync.Once
	for name, factory := range factories {
		all = append(all, app.WithPlugin(name, checked(factory, &once)))
	}
	ctx := server.SetupSignalContext()
	config, scheduler, err := app.Setup(ctx, opts, all...)
	if err != nil {
		return err
	}
	scheduler.FailureHandler = handleFailures(scheduler.FailureHandler)
	gates.(featuregate.MutableFeatureGate).AddMetrics()
	opts.ComponentGlobalsRegistry.AddMetrics()
	return app.Run(ctx, config, scheduler)
}
