package eci

import (
	"context"

	"github.com/aliyun/credentials-go/credentials/providers"
)

// Credentials are an access key, an access key of STS with its token, or a role. Nothing is taken from the environment instead.
type Credentials struct {
	// AccessKeyID and AccessKeySecret belong to a RAM user, or with SecurityToken to a session of STS, which expires.
	AccessKeyID, AccessKeySecret, SecurityToken string
	// RRSA, when set, is used instead of an access key.
	RRSA *RRSA
}

// keys are what a request is signed with.
type keys struct {
	id, secret, token string
	// provider is the name of where they come from. ECI is told.
	provider string
}

// keySource returns the keys of the moment, or an *Error.
type keySource interface {
	get(ctx context.Context) (keys, error)
}

var (
	_ keySource                     = keys{}
	_ keySource                     = &role{}
	_ providers.CredentialsProvider = keys{}
)

// newKeySource returns the source of the credentials. sts is the host of STS.
func newKeySource(c Credentials, sts string) (keySource, error) {
	hasKey := c.AccessKeyID != "" || c.AccessKeySecret != "" || c.SecurityToken != ""
	switch {
	case c.RRSA != nil && hasKey:
		return nil, &Error{Class: ClassCredentials, Message: "either an access key or RRSA must be given, not both"}
	case c.RRSA != nil:
		return newRole(*c.RRSA, sts)
	case c.AccessKeyID == "" || c.AccessKeySecret == "":
		return nil, &Error{Class: ClassCredentials, Message: "the access key is incomplete"}
	default:
		return keys{id: c.AccessKeyID, secret: c.AccessKeySecret, token: c.SecurityToken, provider: "static"}, nil
	}
}

func (k keys) get(context.Context) (keys, error) { return k, nil }

// GetCredentials returns the keys in the form of the OpenAPI library.
func (k keys) GetCredentials() (*providers.Credentials, error) {
	return &providers.Credentials{AccessKeyId: k.id, AccessKeySecret: k.secret, SecurityToken: k.token, ProviderName: k.provider}, nil
}

// GetProviderName returns where the keys come from.
func (k keys) GetProviderName() string { return k.provider }
