// Package command is the plugin of kubectl: it says why a pod is where it is, and how full policies and virtual nodes are. It only reads.
package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // The ways in which a kubeconfig may log in.
	"k8s.io/client-go/tools/clientcmd"

	"github.com/spillway-k8s/spillway/pkg/version"
)

// options are the flags that all commands share.
type options struct {
	kubeconfig    *clientcmd.ClientConfigLoadingRules
	overrides     *clientcmd.ConfigOverrides
	schedulerName string
}

// New returns the command, with its subcommands.
func New() *cobra.Command {
	o := &options{kubeconfig: clientcmd.NewDefaultClientConfigLoadingRules(), overrides: &clientcmd.ConfigOverrides{}}
	root := &cobra.Command{
		Use:   "kubectl-spillway",
		Short: "Say why pods are where they are, and how full policies and virtual nodes are",
		Long: "Say why pods are where they are, and how full ResourcePolicies and VirtualNodes are. It only reads.\n\n" +
			"It exits with 0 when it could answer, also when the answer is that something is wrong, and with 1 when it could not.",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl spillway"},
		Args:          knownCommand,
		RunE:          func(command *cobra.Command, _ []string) error { return command.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	flags := root.PersistentFlags()
	flags.StringVar(&o.kubeconfig.ExplicitPath, "kubeconfig", "", "kubeconfig file; by default that of kubectl")
	clientcmd.BindOverrideFlags(o.overrides, flags, clientcmd.RecommendedConfigOverrideFlags(""))
	flags.StringVar(&o.schedulerName, "scheduler-name", "spillway-scheduler", "schedulerName of the pods that Spillway places")
	root.AddCommand(o.explainCommand(), o.statusCommand(), &cobra.Command{
		Use: "version", Short: "Print the version of this plugin", Args: cobra.NoArgs,
		Run: func(command *cobra.Command, _ []string) { _, _ = fmt.Fprintln(command.OutOrStdout(), version.Get()) },
	})
	return root
}

// knownCommand refuses a command that does not exist.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, command := range root.Commands() {
		names = append(names, command.Name())
	}
	return fmt.Errorf("unknown command %q: must be one of %s", args[0], strings.Join(names, ", "))
}
