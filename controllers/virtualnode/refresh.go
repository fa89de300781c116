package virtualnode

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/eci"
)

const (
	keyAccessKeyID     = "accessKeyID"
	keyAccessKeySecret = "accessKeySecret"
)

var (
	// errCredentialsMissing is a Secret, or a key of it, that is not there.
	errCredentialsMissing = errors.New("credentials missing")
	// errCredentialsUnreadable is a Secret that the API server does not hand out.
	errCredentialsUnreadable = errors.New("credentials unreadable")
)

// refresh sets the status and both conditions by an answer of ECI. When ECI did not answer, the capacity of the last refresh stays in force until it is
// MaxAge old.
func (c *Controller) refresh(ctx context.Context, vn *v1alpha1.VirtualNode, usage eci.Usage, err error) error {
	var part share
	if err == nil {
		var failed error
		if part, failed = c.shareOf(ctx, vn, usage); failed != nil {
			return failed
		}
	}
	if err != nil {
		setCondition(vn, v1alpha1.ConditionCapacityKnown, reasonOf(err), err.Error())
	} else {
		vn.Status.NodeName = vn.NodeName()
		vn.Status.Capacity, vn.Status.LimitedBy = capacityOf(vn, usage, part)
		vn.Status.LastRefreshTime = &metav1.Time{Time: c.options.Clock.Now()}
		setCondition(vn, v1alpha1.ConditionCapacityKnown, v1alpha1.ReasonRefreshed, "ECI answered the last request for its quota")
	}
	switch {
	case vn.Status.LastRefreshTime == nil:
		setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonCapacityUnknown,
			fmt.Sprintf("no Node yet: the capacity was never read from ECI; see condition %s", v1alpha1.ConditionCapacityKnown))
	case c.stale(vn):
		setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonCapacityUnknown,
			fmt.Sprintf("no new pods: the capacity could not be read from ECI for %s or longer; see condition %s", c.options.MaxAge, v1alpha1.ConditionCapacityKnown))
	default:
		setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonNodeReady, "pods can be placed on the node")
	}
	return nil
}

// stale tells whether the capacity is too old to place pods by.
func (c *Controller) stale(vn *v1alpha1.VirtualNode) bool {
	return vn.Status.LastRefreshTime == nil || c.options.Clock.Since(vn.Status.LastRefreshTime.Time) > c.options.MaxAge
}

func (c *Controller) listUsage(ctx context.Context, vn *v1alpha1.VirtualNode) (eci.Usage, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: c.options.Namespace, Name: vn.Spec.Credentials.SecretName}
	if err := c.reader.Get(ctx, key, secret); apierrors.IsNotFound(err) {
		return eci.Usage{}, fmt.Errorf("%w: Secret %s does not exist: create it with the keys %s and %s", errCredentialsMissing, key, keyAccessKeyID, keyAccessKeySecret)
	} else if err != nil {
		return eci.Usage{}, fmt.Errorf("%w: getting Secret %s: %w", errCredentialsUnreadable, key, err)
	}
	for _, name := range []string{keyAccessKeyID, keyAccessKeySecret} {
		if len(secret.Data[name]) == 0 {
			return eci.Usage{}, fmt.Errorf("%w: Secret %s has no key %s: add it", errCredentialsMissing, key, name)
		}
	}
	api, err := c.options.NewClient(eci.Config{
		AccessKeyID:     string(secret.Data[keyAccessKeyID]),
		AccessKeySecret: string(secret.Data[keyAccessKeySecret]),
		Region:          vn.Spec.Region,
		Endpoint:        c.options.Endpoint,
	})
	if err != nil {
		return eci.Usage{}, fmt.Errorf("creating a client for ECI: %w", err)
	}
	// The refresh must end before the next heartbeat is due.
	ctx, cancel := context.WithTimeout(ctx, max(c.options.RefreshInterval, time.Second))
	defer cancel()
	usage, err := api.ListUsage(ctx, vn.Spec.Region)
	return usage, withAdvice(err, vn, key.String())
}

// withAdvice adds to an error of ECI what the user can do about it.
func withAdvice(err error, vn *v1alpha1.VirtualNode, secret string) error {
	var failed *eci.Error
	switch {
	case !errors.As(err, &failed):
		return err
	case failed.Class == eci.ClassCredentials:
		return fmt.Errorf("%w: check the access key in Secret %s and what its RAM user may do", err, secret)
	case failed.Code == "InvalidRegionId.NotFound":
		return fmt.Errorf("%w: spec.region %q is not a region of ECI", err, vn.Spec.Region)
	default:
		return err
	}
}

// reasonOf returns the reason of CapacityKnown=False for an error of listUsage.
func reasonOf(err error) string {
	var failed *eci.Error
	switch {
	case errors.Is(err, errCredentialsMissing):
		return v1alpha1.ReasonCredentialsMissing
	case errors.Is(err, errCredentialsUnreadable):
		return v1alpha1.ReasonCredentialsUnreadable
	case !errors.As(err, &failed):
		return v1alpha1.ReasonEndpointFailed
	}
	switch failed.Class {
	case eci.ClassCredentials:
		return v1alpha1.ReasonCredentialsRefused
	case eci.ClassThrottled:
		return v1alpha1.ReasonThrottled
	case eci.ClassNetwork:
		return v1alpha1.ReasonEndpointUnreachable
	default:
		return v1alpha1.ReasonEndpointFailed
	}
}
