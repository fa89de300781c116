// Package preflight checks, before a binary does anything, that the cluster is one that it can work with: its version, the custom resources, and the rights
// of the ServiceAccount. What is missing is told in one sentence each, with what to do; without the check an informer would wait for it for ever.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// patience is how long the API server may take for an answer.
const patience = 20 * time.Second

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

func check(ctx context.Context, client kubernetes.Interface, needs *Needs) (warnings []string, err error) {
	var findings []error
	for _, check := range []func(context.Context, kubernetes.Interface, *Needs) (string, error){checkVersion, checkResources, checkAccess} {
		warning, err := check(ctx, client, needs)
		if warning != "" {
			warnings = append(warnings, warning)
		}
		if err == nil {
			continue
		}
		if isUnanswered(err) {
			warnings = append(warnings, fmt.Sprintf("not checked: %v", err))
			continue
		}
		findings = append(findings, err)
	}
	return warnings, errors.Join(findings...)
}

// finding is a definite answer: the cluster is not fit.
type finding string

func (f finding) Error() string { return string(f) }

// isUnanswered tells whether a question was not answered, which says nothing about the cluster.
func isUnanswered(err error) bool {
	var definite finding
	return !errors.As(err, &definite)
}
