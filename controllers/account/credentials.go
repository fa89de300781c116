package account

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/pkg/metrics"
)

const (
	keyAccessKeyID     = "accessKeyID"
	keyAccessKeySecret = "accessKeySecret"
	keySecurityToken   = "securityToken"
)

var (
	// ErrCredentialsMissing is a Secret, or a key of it, that is not there.
	ErrCredentialsMissing = errors.New("credentials missing")
	// ErrCredentialsUnreadable is a Secret that the API server does not hand out.
	ErrCredentialsUnreadable = errors.New("credentials unreadable")
)

// session is a client and the credentials that it was made with. It is kept, because it holds the session of a role and the rates of its calls.
type session struct {
	credentials eci.Credentials
	client      eci.Client
	limits      *eci.Limiter
}

// connect returns the client of an account, a new one when the credentials have changed.
func (c *Controller) connect(ctx context.Context, s *session, vn *v1alpha1.VirtualNode) (eci.Client, error) {
	credentials, err := c.credentials(ctx, vn)
	if err != nil {
		return nil, err
	}
	if s.client != nil && equal(credentials, s.credentials) {
		return s.client, nil
	}
	if s.limits == nil {
		s.limits = eci.NewLimiter()
	}
	made, err := c.options.NewClient(eci.Config{
		Credentials: credentials, Region: vn.Spec.Region, Endpoint: c.options.Endpoint, Limits: s.limits,
		Observe: metrics.Called,
	})
	if err != nil {
		return nil, fmt.Errorf("creating a client for ECI: %w", err)
	}
	s.credentials, s.client = credentials, made
	return made, nil
}

func equal(a, b eci.Credentials) bool {
	if a.RRSA != nil && b.RRSA != nil {
		return *a.RRSA == *b.RRSA
	}
	return a == b
}

// mayBeOfAnother reports whether the credentials may be those of another account than before, of which nothing that was
// read holds: its prices may be in another currency, and its container groups would be taken for used quota of this
// one. Temporary credentials that are renewed are taken for those of the same account.
func mayBeOfAnother(before, after eci.Credentials) bool {
	if before == (eci.Credentials{}) || before.RRSA != nil && after.RRSA != nil {
		return false
	}
	renewed := before.SecurityToken != "" && after.SecurityToken != ""
	return before.AccessKeyID != after.AccessKeyID && !renewed
}

// credentials reads the credentials that a VirtualNode names.
func (c *Controller) credentials(ctx context.Context, vn *v1alpha1.VirtualNode) (eci.Credentials, error) {
	if role := vn.Spec.Credentials.RRSA; role != nil {
		if c.options.TokenFile == "" {
			return eci.Credentials{}, fmt.Errorf("%w: credentials.rrsa needs a token of the controller's ServiceAccount: set --rrsa-token-file (eci.rrsa in the chart)",
				ErrCredentialsMissing)
		}
		return eci.Credentials{RRSA: &eci.RRSA{
			RoleARN: role.RoleARN, OIDCProviderARN: role.OIDCProviderARN, TokenFile: c.options.TokenFile, STSEndpoint: c.options.STSEndpoint,
		}}, nil
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: c.options.Namespace, Name: vn.Spec.Credentials.SecretName}
	if err := c.reader.Get(ctx, key, secret); apierrors.IsNotFound(err) {
		return eci.Credentials{}, fmt.Errorf("%w: Secret %s does not exist: create it with the keys %s and %s", ErrCredentialsMissing, key, keyAccessKeyID, keyAccessKeySecret)
	} else if err != nil {
		return eci.Credentials{}, fmt.Errorf("%w: getting Secret %s: %w", ErrCredentialsUnreadable, key, err)
	}
	for _, name := range []string{keyAccessKeyID, keyAccessKeySecret} {
		if len(secret.Data[name]) == 0 {
			return eci.Credentials{}, fmt.Errorf("%w: Secret %s has no key %s: add it", ErrCredentialsMissing, key, name)
		}
	}
	return eci.Credentials{
		AccessKeyID: string(secret.Data[keyAccessKeyID]), AccessKeySecret: string(secret.Data[keyAccessKeySecret]),
		SecurityToken: string(secret.Data[keySecurityToken]),
	}, nil
}
