package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	openapiutil "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/aliyun/credentials-go/credentials"
)

const (
	apiVersion = "2018-08-08"
	apiTimeout = 10 * time.Second
)

// query are the parameters of an action.
type query map[string]string

// api is the part of the ECI OpenAPI that writes, which Spillway itself never calls.
type api struct {
	openapi *openapi.Client
	scheme  string
}

// connections are those of one provider. The vendor's own are not safe for concurrent use, and too few.
type connections struct{ client *http.Client }

// Call sends a request.
func (c connections) Call(r *http.Request, _ *http.Transport) (*http.Response, error) {
	return c.client.Do(r)
}

func newAPI(options Options) (*api, error) {
	endpoint, err := url.Parse(options.Endpoint)
	if err != nil || endpoint.Host == "" {
		return nil, fmt.Errorf("endpoint: %q: must be a URL such as http://127.0.0.1:8080", options.Endpoint)
	}
	credential, err := credentials.NewCredential(new(credentials.Config).
		SetType("access_key").SetAccessKeyId(options.AccessKeyID).SetAccessKeySecret(options.AccessKeySecret))
	if err != nil {
		return nil, fmt.Errorf("reading the access key: %w", err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: options.Workers, IdleConnTimeout: time.Minute}
	client, err := openapi.NewClient(&openapiutil.Config{
		Credential: credential, Protocol: dara.String(endpoint.Scheme), Endpoint: dara.String(endpoint.Host),
		HttpClient: connections{&http.Client{Transport: transport, Timeout: apiTimeout}},
	})
	if err != nil {
		return nil, fmt.Errorf("creating a client of the OpenAPI: %w", err)
	}
	return &api{openapi: client, scheme: endpoint.Scheme}, nil
}

// create calls CreateContainerGroup and returns the ID of the container group.
func (a *api) create(ctx context.Context, q query) (string, error) {
	body, err := a.call(ctx, "CreateContainerGroup", q)
	if err != nil {
		return "", err
	}
	id, _ := body["ContainerGroupId"].(string)
	if id == "" {
		return "", errors.New("CreateContainerGroup answered without ContainerGroupId")
	}
	return id, nil
}

// remove calls DeleteContainerGroup. That there is no such container group is as good as its end.
func (a *api) remove(ctx context.Context, region, id string) error {
	_, err := a.call(ctx, "DeleteContainerGroup", query{"RegionId": region, "ContainerGroupId": id})
	if a := (*answer)(nil); errors.As(err, &a) && a.code == codeNotFound {
		return nil
	}
	return err
}

// call sends a request. An error that is an answer about what was asked for wraps a *refusal.
func (a *api) call(ctx context.Context, action string, q query) (map[string]any, error) {
	params := &openapiutil.Params{
		Action: dara.String(action), Version: dara.String(apiVersion), Protocol: dara.String(a.scheme), Pathname: dara.String("/"),
		Method: dara.String(http.MethodPost), AuthType: dara.String("AK"), Style: dara.String("RPC"),
		ReqBodyType: dara.String("formData"), BodyType: dara.String("json"),
	}
	request := &openapiutil.OpenApiRequest{Query: map[string]*string{}}
	for key, value := range q {
		request.Query[key] = dara.String(value)
	}
	// Each call changes the client.
	client := *a.openapi
	result, err := client.CallApiWithCtx(ctx, params, request, &dara.RuntimeOptions{})
	if err != nil {
		return nil, fmt.Errorf("calling %s: %w", action, explain(err))
	}
	body, _ := result["body"].(map[string]any)
	return body, nil
}

// answer is an error that ECI has answered with.
type answer struct {
	status int
	code   string
}

func (a *answer) Error() string { return fmt.Sprintf("status %d, code %s", a.status, a.code) }

// explain drops the request from an error, and makes it a *refusal when it is an answer about what was asked for.
func explain(err error) error {
	var answered *tea.SDKError
	if errors.As(err, &answered) && tea.IntValue(answered.StatusCode) != 0 {
		a := &answer{tea.IntValue(answered.StatusCode), tea.StringValue(answered.Code)}
		if isTransient(a.status, a.code) {
			return a
		}
		return fmt.Errorf("%w: %w", &refusal{reasonOf(a.code), a.code}, a)
	}
	if sent := (*url.Error)(nil); errors.As(err, &sent) {
		return sent.Err
	}
	return err
}

// isTransient tells whether an answer says nothing about what was asked for: the same request may be answered otherwise in a moment.
func isTransient(status int, code string) bool {
	return status == http.StatusTooManyRequests || status >= http.StatusInternalServerError ||
		strings.HasPrefix(code, "Throttling") || code == "Degrade.Api"
}
