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
	// accountID is the account that the credentials belong to; empty until STS has told.
	accountID string
}

// connect returns the client of the credentials, a new one when they have changed, once it is known whose they are:
// until then it could not be told what else draws on the quota that the client would read.
func (c *Controller) connect(ctx context.Context, m *memory, vn *v1alpha1.VirtualNode) (eci.Client, error) {
	credentials, err := c.credentials(ctx, vn)
	if err != nil {
		return nil, err
	}
	s := &m.session
	if s.client == nil || !equal(credentials, s.credentials) {
		if s.limits == nil {
			s.limits = eci.NewLimiter()
		}
		made, err := c.options.NewClient(eci.Config{
			Credentials: credentials, Region: vn.Spec.Region, Endpoint: c.options.Endpoint,
			STSEndpoint: c.options.STSEndpoint, Limits: s.limits, Observe: metrics.Called,
		})
		if err != nil {
			return nil, fmt.Errorf("creating a client for ECI: %w", err)
		}
		s.credentials, s.client, s.accountID = credentials, made, ""
	}
	return s.client, c.identify(ctx, m, vn.Spec.Region)
}

// identify asks, once for the credentials, to which account they belong. What was read of another account is forgotten.
func (c *Controller) identify(ctx context.Context, m *memory, region string) error {
	if m.session.accountID != "" {
		return nil
	}
	id, err := m.session.client.AccountID(ctx)
	if err != nil {
		return err
	}
	limits := m.session.limits
	if before := m.reading.AccountID; before != id {
		*m = memory{session: m.session, reading: Reading{AccountID: id}}
		if before != "" {
			limits = eci.NewLimiter() // Those of the session are of the other account.
		}
	}
	m.session.accountID, m.session.limits = id, c.limitsOf(inRegion{accountID: id, region: region}, limits)
	m.session.client.Share(m.session.limits)
	return nil
}

func equal(a, b eci.Credentials) bool {
	if a.RRSA != nil && b.RRSA != nil {
		return *a.RRSA == *b.RRSA
	}
	return a == b
}

// credentials reads the credentials that a VirtualNode names.
func (c *Controller) credentials(ctx context.Context, vn *v1alpha1.VirtualNode) (eci.Credentials, error) {
	if role := vn.Spec.Credentials.RRSA; role != nil {
		if c.options.TokenFile == "" {
			return eci.Credentials{}, fmt.Errorf("%w: credentials.rrsa needs a token of the controller's ServiceAccount: set --rrsa-token-file (eci.rrsa in the chart)",
				ErrCredentialsMissing)
		}
		return eci.Credentials{RRSA: &eci.RRSA{
			RoleARN: role.RoleARN, OIDCProviderARN: role.OIDCProviderARN, TokenFile: c.options.TokenFile,
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
