package eci

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/alibabacloud-go/tea/dara"
)

const (
	connectTimeout = 3 * time.Second
	readTimeout    = 5 * time.Second
	// maxAnswer bounds an answer. A page of 200 container groups with the conditions of their pods is below 2 MiB.
	maxAnswer = 16 << 20
)

// connections are shared by all clients, so that a client that is made for one call does not leave its connection behind.
var connections = &http.Client{
	Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: readTimeout,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       time.Minute,
	},
	Timeout: connectTimeout + readTimeout,
	// An OpenAPI does not redirect, and what is signed must not go elsewhere.
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// exchange sends the one request that the OpenAPI library signs, and keeps the answer as it came: the library rewrites bodies, and loses the status of an
// error whose body it cannot read.
type exchange struct {
	// status is that of the answer; 0 when none came.
	status int
	body   []byte
}

var _ dara.HttpClient = &exchange{}

// Call sends a request. The transport of the library is not used.
func (e *exchange) Call(request *http.Request, _ *http.Transport) (*http.Response, error) {
	// The library adds the password of a proxy to every request, for the endpoint to read. The transport tells it to the proxy alone.
	request.Header.Del("Proxy-Authorization")
	response, err := connections.Do(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	_ = response.Body.Close() // It has been read: nothing is lost.
	if err != nil {
		return nil, err
	}
	e.status, e.body = response.StatusCode, body
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}
