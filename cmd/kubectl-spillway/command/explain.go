package command

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway-k8s/spillway/pkg/explain"
)

func (o *options) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "explain pod NAME",
		Short:   "Say why a pod is where it is, or why it waits",
		Example: "  kubectl spillway explain pod nginx-7d9c6b5f4-x2x7q -n web",
		RunE: func(command *cobra.Command, args []string) error {
			name, err := podName(args)
			if err != nil {
				return err
			}
			r, err := o.reader()
			if err != nil {
				return err
			}
			text, err := o.explain(command.Context(), r, name)
			return answer(command, text, err)
		},
	}
}

func (o *options) statusCommand() *cobra.Command {
	all := false
	command := &cobra.Command{
		Use:   "status",
		Short: "Show how full ResourcePolicies and VirtualNodes are, what waits, and what is wrong",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			r, err := o.reader()
			if err != nil {
				return err
			}
			if all {
				r.namespace = ""
			}
			text, err := o.status(command.Context(), r)
			return answer(command, text, err)
		},
	}
	command.Flags().BoolVarP(&all, "all-namespaces", "A", false, "show the ResourcePolicies of all namespaces")
	return command
}

// podName reads "pod NAME", as kubectl writes it, or "pod/NAME".
func podName(args []string) (string, error) {
	words := args
	if len(args) == 1 {
		words = strings.SplitN(args[0], "/", 2)
	}
	if len(words) == 2 && words[1] != "" {
		switch words[0] {
		case "pod", "pods", "po":
			return words[1], nil
		}
	}
	return "", fmt.Errorf("explain %q: must be pod and the name of one pod, such as explain pod nginx-7d9c6b5f4-x2x7q", strings.Join(args, " "))
}

// answer prints the text.
func answer(command *cobra.Command, text string, err error) error {
	if err == nil {
		_, err = io.WriteString(command.OutOrStdout(), text)
	}
	return err
}

func (o *options) explain(ctx context.Context, r *reader, name string) (string, error) {
	cluster := &explain.Cluster{SchedulerName: o.schedulerName}
	pod, err := r.pod(ctx, name)
	if err != nil {
		return "", err
	}
	if cluster.Policies, err = r.policies(ctx); err != nil {
		return "", err
	}
	r.readVirtualNodes(ctx, cluster)
	if pod.Spec.NodeName != "" {
		r.readNode(ctx, pod.Spec.NodeName, cluster)
	}
	cluster.Now = time.Now()
	return explain.Pod(pod, cluster), nil
}

func (o *options) status(ctx context.Context, r *reader) (string, error) {
	policies, err := r.policies(ctx)
	if err != nil {
		return "", err
	}
	cluster := &explain.Cluster{SchedulerName: o.schedulerName, Policies: policies}
	r.readVirtualNodes(ctx, cluster)
	r.readECIPods(ctx, cluster)
	cluster.Now = time.Now()
	return explain.Status(cluster), nil
}
