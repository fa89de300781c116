package eci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/alibabacloud-go/tea/tea"
)

// Class says what kind of failure an Error is, and so what can be done about it.
type Class string

const (
	// ClassCredentials means that the access key is unknown, its signature wrong or its rights too small. Someone must change the Secret or the account.
	ClassCredentials Class = "Credentials"
	// ClassThrottled means that ECI asks to be called less often.
	ClassThrottled Class = "Throttled"
	// ClassServer means that ECI answered with another error, or with something that is no answer.
	ClassServer Class = "Server"
	// ClassNetwork means that no answer came.
	ClassNetwork Class = "Network"
)

// Error is a failed call. It never contains a secret.
type Error struct {
	Class Class
	// Code is ECI's own error code, such as InvalidAccessKeyId.NotFound; empty when no answer came.
	Code string
	// Message says what happened, without moving parts such as request IDs.
	Message string
}

// Error returns the message and the code.
func (e *Error) Error() string {
	if e.Code == "" {
		return e.Message
	}
	return fmt.Sprintf("%s (%s)", e.Message, e.Code)
}

// newError classifies an error of the OpenAPI client by the code of the answer.
func newError(action string, err error) *Error {
	var answered *tea.SDKError
	if !errors.As(err, &answered) || tea.IntValue(answered.StatusCode) == 0 {
		return &Error{Class: ClassNetwork, Message: fmt.Sprintf("%s got no answer: %s", action, networkCause(err))}
	}
	code := tea.StringValue(answered.Code)
	// The server's own text carries request IDs and, for wrong signatures, the string that was signed: it is not passed on.
	message := fmt.Sprintf("%s was refused with status %d", action, tea.IntValue(answered.StatusCode))
	return &Error{Class: classify(code), Code: code, Message: message}
}

// networkCause says why no answer came, without ports and addresses, which differ each time.
func networkCause(err error) string {
	var timeout interface{ Timeout() bool }
	var lookup *net.DNSError
	switch {
	case errors.As(err, &lookup):
		return "the name of the endpoint cannot be resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "the request timed out"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection was closed"
	default:
		return "the request failed on the network"
	}
}

// classify maps the error codes that Alibaba Cloud's API gateway documents for every product, and ECI's own flow control.
func classify(code string) Class {
	switch {
	case strings.HasPrefix(code, "Throttling"), code == "Degrade.Api":
		return ClassThrottled
	case strings.HasPrefix(code, "InvalidAccessKeyId"), strings.HasPrefix(code, "Forbidden"), strings.HasPrefix(code, "InvalidTimeStamp"),
		strings.HasPrefix(code, "InvalidSecurityToken"), code == "SignatureDoesNotMatch", code == "IncompleteSignature",
		code == "NoPermission", code == "SignatureNonceUsed":
		return ClassCredentials
	default:
		return ClassServer
	}
}
