package eci

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// Class says what kind of failure an Error is, and so what can be done about it.
type Class string

const (
	// ClassCredentials means that the access key or the role is unknown, its signature wrong, its rights too small, its token expired, or, with the code
	// InvalidTimeStamp.Expired, that the clock is off by more than 15 minutes. Someone must change the Secret, the account or the clock.
	ClassCredentials Class = "Credentials"
	// ClassThrottled means that ECI asks to be called less often, or that the call was not sent because of that.
	ClassThrottled Class = "Throttled"
	// ClassNoStock means that ECI has no stock of what was asked for. Another zone or specification may have.
	ClassNoStock Class = "NoStock"
	// ClassQuota means that a quota or limit of the account is used up.
	ClassQuota Class = "Quota"
	// ClassNotFound means that there is no such region, zone, vSwitch or container group.
	ClassNotFound Class = "NotFound"
	// ClassServer means that ECI answered with another error, or with something that is no answer.
	ClassServer Class = "Server"
	// ClassNetwork means that no answer came.
	ClassNetwork Class = "Network"
)

var (
	// errorCode is what an error code looks like. Anything else is not passed on: it may carry more than a code.
	errorCode = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,80}$`)
	// missingThing is the code of a region, zone, vSwitch or container group that does not exist. The products spell them differently.
	missingThing = regexp.MustCompile(`(?i)^Invalid_?(Region|Zone|VSwitch|ContainerGroup)(Id)?\.NotFound$`)
)

// Error is a failed call. It never contains a secret.
type Error struct {
	Class Class
	// Code is Alibaba Cloud's own error code, such as InvalidAccessKeyId.NotFound; empty when no answer came or it had none.
	Code string
	// Message says what happened, without moving parts such as request IDs and addresses.
	Message string
}

// Error returns the message and the code.
func (e *Error) Error() string {
	if e.Code == "" {
		return e.Message
	}
	return fmt.Sprintf("%s (%s)", e.Message, e.Code)
}

// refused is the error of an answer that is one. The server's own text carries request IDs and, for wrong signatures, the string that was signed: it is
// not passed on.
func refused(action string, status int, body []byte) *Error {
	code := codeOf(body)
	class := classify(code)
	if status == http.StatusTooManyRequests {
		class = ClassThrottled
	}
	return &Error{Class: class, Code: code, Message: fmt.Sprintf("%s was refused with status %d", action, status)}
}

// unreachable is the error of a call without an answer.
func unreachable(action string, err error) *Error {
	return &Error{Class: ClassNetwork, Message: fmt.Sprintf("%s got no answer: %s", action, networkCause(err))}
}

// incomplete is the error of an answer that lacks what the documentation promises.
func incomplete(action, fields string) *Error {
	return &Error{Class: ClassServer, Message: fmt.Sprintf("%s answered without a valid %s", action, fields)}
}

// networkCause says why no answer came, without ports and addresses, which differ each time.
func networkCause(err error) string {
	var timeout interface{ Timeout() bool }
	var lookup *net.DNSError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled):
		return "the request was cancelled"
	case errors.As(err, &lookup):
		return "the name of the endpoint cannot be resolved"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "the request timed out"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.As(err, &untrusted):
		return "the certificate of the endpoint is not trusted"
	case broken(err):
		return "the connection was closed"
	default:
		return "the request failed on the network"
	}
}

// broken tells whether a connection ended before the answer did.
func broken(err error) bool {
	causes := []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE}
	return slices.ContainsFunc(causes, func(cause error) bool { return errors.Is(err, cause) })
}

// codeOf returns the error code of the body of an answer; empty when it has none.
func codeOf(body []byte) string {
	var answer struct{ Code string }
	if json.Unmarshal(body, &answer) != nil || !errorCode.MatchString(answer.Code) {
		return ""
	}
	return answer.Code
}

// classify maps the error codes that Alibaba Cloud's API gateway documents for every product, ECI's own flow control, and those of ECS that mean stock
// (source: "Error codes" of ECI, ECS, STS and VPC).
func classify(code string) Class {
	switch {
	case strings.HasPrefix(code, "Throttling"), code == "Degrade.Api":
		return ClassThrottled
	case strings.HasPrefix(code, "InvalidAccessKeyId"), strings.HasPrefix(code, "Forbidden"), strings.HasPrefix(code, "InvalidTimeStamp"),
		strings.HasPrefix(code, "InvalidSecurityToken"), strings.HasPrefix(code, "MissingSecurityToken"), code == "SignatureDoesNotMatch",
		code == "IncompleteSignature", code == "NoPermission", code == "SignatureNonceUsed":
		return ClassCredentials
	case strings.Contains(code, "NoStock"), strings.HasPrefix(code, "Zone.NotOnSale"), strings.HasPrefix(code, "InvalidResourceType.NotSupported"),
		strings.HasPrefix(code, "InstanceType.Offline"):
		return ClassNoStock
	case strings.Contains(code, "Quota"), strings.Contains(code, "LimitExceed"):
		return ClassQuota
	case missingThing.MatchString(code):
		return ClassNotFound
	default:
		return ClassServer
	}
}
