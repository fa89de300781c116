package eci

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"regexp"
	"strings"

	"github.com/alibabacloud-go/tea/tea"
	"github.com/aliyun/credentials-go/credentials"
)

const (
	assumeRole  = "AssumeRoleWithOIDC"
	sessionName = "spillway"
	// refusedBySTS begins the error of credentials-go that carries the body of STS's answer.
	refusedBySTS = "get session token failed: "
)

// stsHost is a host with or without a port.
var stsHost = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?$`)

// RRSA is a RAM role for a service account: the token of the service account is exchanged at STS for a session of the role (source: ACK, "Use RRSA to
// authorize different pods to access different cloud services"). The session lasts an hour and is renewed by the first call of its last three minutes; the
// token is read anew each time. The environment variable ALIBABA_CLOUD_OIDC_TOKEN, which no cluster sets, would take the place of the file.
type RRSA struct {
	// RoleARN is such as acs:ram::1234567890123456:role/spillway.
	RoleARN string
	// OIDCProviderARN is such as acs:ram::1234567890123456:oidc-provider/ack-rrsa-c0123456789.
	OIDCProviderARN string
	// TokenFile is where the token is mounted.
	TokenFile string
}

// role is the session of a RAM role.
type role struct {
	provider  credentials.Credential
	tokenFile string
	// turn holds one value while the provider is asked: it is not safe for concurrent use.
	turn chan struct{}
}

func newRole(r RRSA, sts string) (keySource, error) {
	if r.RoleARN == "" || r.OIDCProviderARN == "" || r.TokenFile == "" {
		return nil, &Error{Class: ClassCredentials, Message: "RRSA needs the ARN of a role, the ARN of an OIDC provider and a token file"}
	}
	if sts == "" {
		return nil, &Error{Class: ClassCredentials, Message: "RRSA needs a region or an STS endpoint"}
	}
	provider, err := credentials.NewCredential(new(credentials.Config).SetType("oidc_role_arn").
		SetRoleArn(r.RoleARN).SetOIDCProviderArn(r.OIDCProviderARN).SetOIDCTokenFilePath(r.TokenFile).
		SetRoleSessionName(sessionName).SetSTSEndpoint(sts).
		SetConnectTimeout(int(connectTimeout.Milliseconds())).SetTimeout(int(readTimeout.Milliseconds())))
	if err != nil {
		return nil, &Error{Class: ClassCredentials, Message: "RRSA is incomplete"}
	}
	return &role{provider: provider, tokenFile: r.TokenFile, turn: make(chan struct{}, 1)}, nil
}

// get returns the keys of the session, or an *Error when ctx ends before STS has answered. The provider knows no context: it ends by itself, by the
// timeouts of the connection, and what it was told is there for the next call.
func (r *role) get(ctx context.Context) (keys, error) {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return keys{}, unreachable(assumeRole, ctx.Err())
	}
	type result struct {
		keys keys
		err  error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-r.turn }()
		held, err := r.ask()
		done <- result{held, err}
	}()
	select {
	case got := <-done:
		return got.keys, got.err
	case <-ctx.Done():
		return keys{}, unreachable(assumeRole, ctx.Err())
	}
}

// ask asks the provider, which asks STS when the session is new or about to end.
func (r *role) ask() (held keys, err error) {
	defer func() {
		// The provider takes for granted that STS says when a session expires.
		if recover() != nil {
			held, err = keys{}, incomplete(assumeRole, "session")
		}
	}()
	model, err := r.provider.GetCredential()
	if err != nil {
		return keys{}, r.explain(err)
	}
	return keys{
		id: tea.StringValue(model.AccessKeyId), secret: tea.StringValue(model.AccessKeySecret), token: tea.StringValue(model.SecurityToken),
		provider: tea.StringValue(model.ProviderName),
	}, nil
}

// explain finds out what the provider's error was. Its text is not passed on: it may quote what STS was sent.
func (r *role) explain(err error) *Error {
	var network net.Error
	body, answered := strings.CutPrefix(err.Error(), refusedBySTS)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Error{Class: ClassCredentials, Message: "the token file of RRSA does not exist"}
	case errors.As(err, new(*fs.PathError)):
		return &Error{Class: ClassCredentials, Message: "the token file of RRSA cannot be read"}
	case r.tokenIsEmpty():
		return &Error{Class: ClassCredentials, Message: "the token file of RRSA is empty"}
	case answered:
		return refusedRole(codeOf([]byte(body)))
	case errors.As(err, &network), broken(err):
		return unreachable(assumeRole, err)
	default:
		return incomplete(assumeRole, "session")
	}
}

// tokenIsEmpty tells whether the token file exists and has no token.
func (r *role) tokenIsEmpty() bool {
	token, err := os.ReadFile(r.tokenFile)
	return err == nil && len(bytes.TrimSpace(token)) == 0
}

// refusedRole is the error of a role that STS does not hand out. A code that STS does not share with other products is about the token, the role or its
// trust policy (source: STS, AssumeRoleWithOIDC).
func refusedRole(code string) *Error {
	class := classify(code)
	if class != ClassThrottled && code != "" && code != "InternalError" && code != "ServiceUnavailable" {
		class = ClassCredentials
	}
	return &Error{Class: class, Code: code, Message: assumeRole + " was refused"}
}
