package eci

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	openapiutil "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/aliyun/credentials-go/credentials"
)

const (
	// outcomeOK is what Config.Observe is told of a call that succeeded.
	outcomeOK = "OK"
	// retryDelay is at least half and at most one and a half of this.
	retryDelay = 100 * time.Millisecond
	// maxPages bounds an answer in pages.
	maxPages = 500
)

// request is one action and its parameters.
type request struct {
	at     endpoint
	action string
	query  map[string]string
}

// call makes a call and decodes the answer. All actions read, so that a connection that broke and an internal error of the server are worth one more
// attempt. Nothing else is: the caller asks again at its own interval.
func (c *client) call(ctx context.Context, r request, answer any) error {
	again, err := c.attempt(ctx, r, answer)
	if !again || !sleep(ctx, retryDelay/2+rand.N(retryDelay)) {
		return err
	}
	if c.limits.Load().wait(ctx, r.action) != nil {
		return err // What went wrong says more than that there is no time to try again.
	}
	_, err = c.send(ctx, r, answer)
	return err
}

// attempt waits for the turn of the action and sends the request.
func (c *client) attempt(ctx context.Context, r request, answer any) (again bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, unreachable(r.action, err)
	}
	if err := c.limits.Load().wait(ctx, r.action); err != nil {
		return false, err
	}
	return c.send(ctx, r, answer)
}

// send sends the request and tells the limiter and the observer what became of it. It returns true when the same request may be answered better.
func (c *client) send(ctx context.Context, r request, answer any) (again bool, err error) {
	held, err := c.keys.get(ctx)
	if err != nil {
		return false, err
	}
	sent, begin := &exchange{}, time.Now()
	again, failed := r.read(sent, r.send(ctx, held, sent), answer)
	took := time.Since(begin)
	switch {
	case failed == nil:
		c.limits.Load().succeeded(r.action)
		c.observe(r.action, outcomeOK, took)
		return false, nil
	case failed.Class == ClassThrottled:
		c.limits.Load().throttled(r.action)
	}
	c.observe(r.action, string(failed.Class), took)
	return again, failed
}

// send signs the request and sends it by sent. The error matters only when no answer came.
func (r request) send(ctx context.Context, held keys, sent *exchange) error {
	api, err := openapi.NewClient(&openapiutil.Config{
		Credential: credentials.FromCredentialsProvider("sts", held),
		Protocol:   dara.String(r.at.scheme),
		Endpoint:   dara.String(r.at.host),
		HttpClient: sent,
	})
	if err != nil {
		return err
	}
	query := map[string]*string{}
	for name, value := range r.query {
		query[name] = dara.String(value)
	}
	_, err = api.CallApiWithCtx(ctx, &openapiutil.Params{
		Action: dara.String(r.action), Version: dara.String(r.at.version), Protocol: dara.String(r.at.scheme), Pathname: dara.String("/"),
		Method: dara.String(http.MethodPost), AuthType: dara.String("AK"), Style: dara.String("RPC"),
		ReqBodyType: dara.String("formData"), BodyType: dara.String("string"),
	}, &openapiutil.OpenApiRequest{Query: query}, &dara.RuntimeOptions{})
	return err
}

// read decodes the answer, or says what is wrong, and whether the same request may be answered better. err is why no answer came.
func (r request) read(sent *exchange, err error, answer any) (again bool, failed *Error) {
	switch {
	case sent.status == 0:
		return broken(err), unreachable(r.action, err)
	case sent.status/100 != 2:
		failed = refused(r.action, sent.status, sent.body)
		return sent.status >= http.StatusInternalServerError && failed.Class == ClassServer, failed
	}
	if json.Unmarshal(sent.body, answer) != nil {
		return false, &Error{Class: ClassServer, Message: fmt.Sprintf("%s answered with a body that is not the documented JSON", r.action)}
	}
	return false, nil
}

// pages makes the call of one page until there is no token of a next page.
func (r request) pages(page func(request) (next string, err error)) error {
	for range maxPages {
		next, err := page(r)
		if err != nil || next == "" {
			return err
		}
		r.query["NextToken"] = next
	}
	return &Error{Class: ClassServer, Message: fmt.Sprintf("%s has more than %d pages", r.action, maxPages)}
}
