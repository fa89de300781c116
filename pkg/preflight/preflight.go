// Package preflight checks, before a binary does anything, that the cluster is one that it can work with: its version, the custom resources, and the rights
// of the ServiceAccount. What is missing is told in one sentence each, with what to do; without the check an informer would wait for it for ever.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	// patience is how long the API server may take for an answer.
	patience = 20 * time.Second
	// waitInterval is how often an API server is asked that does not answer.
	waitInterval = 2 * time.Second
)

// Needs are what a binary needs of the cluster.
type Needs struct {
	// ActsAs is the version of Kubernetes that the binary acts as, such as 1.36; nil when it does not depend on one.
	ActsAs *version.Version
	// Resources are the custom resources that it reads or writes.
	Resources []Resource
	// Access is what it must be allowed to do, and Role the ClusterRole that allows it.
	Access []Access
	Role   string
}

// finding is an error that says definitely that the cluster is not fit. Any other error of a check is a warning.
type finding string

func (f finding) Error() string { return string(f) }

// Check returns what the cluster definitely lacks as an error, a sentence each. What could not be asked, and what may be a problem, is in warnings: an API
// server that does not answer says nothing about the cluster, and kube-scheduler waits for one by itself.
func Check(ctx context.Context, config *rest.Config, needs *Needs) (warnings []string, err error) {
	config = rest.CopyConfig(config)
	config.Timeout, config.QPS = patience, -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	return check(ctx, client, needs)
}

// Wait waits until the API server answers anything, so that a binary that is started during an outage need not end, and be started again ever more slowly.
// told gets each reason why it waits, once. The error is that of the context.
func Wait(ctx context.Context, config *rest.Config, told func(error)) error {
	config = rest.CopyConfig(config)
	config.Timeout = patience
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("creating a client: %w", err)
	}
	last := ""
	return wait.PollUntilContextCancel(ctx, waitInterval, true, func(context.Context) (bool, error) {
		_, err := client.Discovery().ServerVersion()
		if err == nil || apierrors.ReasonForError(err) != metav1.StatusReasonUnknown {
			return true, nil
		}
		if err.Error() != last {
			last = err.Error()
			told(err)
		}
		return false, nil
	})
}

func check(ctx context.Context, client kubernetes.Interface, needs *Needs) (warnings []string, err error) {
	var findings []error
	for _, check := range []func(context.Context, kubernetes.Interface, *Needs) error{checkVersion, checkResources, checkAccess} {
		err := check(ctx, client, needs)
		var definite finding
		switch {
		case err == nil:
		case errors.As(err, &definite):
			findings = append(findings, err)
		default:
			warnings = append(warnings, err.Error())
		}
	}
	return warnings, errors.Join(findings...)
}
