// Package eci talks to the OpenAPI of Elastic Container Instance, version 2018-08-08.
package eci

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	openapiutil "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/aliyun/credentials-go/credentials"
)

const (
	apiVersion     = "2018-08-08"
	connectTimeout = 3 * time.Second
	readTimeout    = 5 * time.Second
)

// Client asks ECI. An error is always an *Error.
type Client interface {
	// ListUsage returns the vCPU quota of the account in a region and how much of it is used.
	ListUsage(ctx context.Context, region string) (Usage, error)
}

// Usage is the answer of ListUsage, in thousandths of a vCPU.
type Usage struct {
	MaxMilliCPU  int64
	UsedMilliCPU int64
}

// Config is what a client needs.
type Config struct {
	// AccessKeyID and AccessKeySecret are the account's credentials.
	AccessKeyID, AccessKeySecret string
	// Region decides the endpoint: eci.<region>.aliyuncs.com, over HTTPS.
	Region string
	// Endpoint, when set, replaces the region's endpoint, such as http://127.0.0.1:8080 for the simulator.
	Endpoint string
}

type client struct {
	openapi *openapi.Client
}

var _ Client = &client{}

// New returns a client. It does not call ECI yet.
func New(config Config) (Client, error) {
	credential, err := credentials.NewCredential(new(credentials.Config).
		SetType("access_key").SetAccessKeyId(config.AccessKeyID).SetAccessKeySecret(config.AccessKeySecret))
	if err != nil {
		return nil, &Error{Class: ClassCredentials, Message: "the access key is incomplete"}
	}
	endpoint, err := url.Parse(config.Endpoint)
	if err != nil || config.Endpoint != "" && endpoint.Host == "" {
		return nil, &Error{Class: ClassNetwork, Message: fmt.Sprintf("endpoint %q must be a URL such as https://eci.cn-beijing.aliyuncs.com", config.Endpoint)}
	}
	if config.Endpoint == "" {
		endpoint = &url.URL{Scheme: "https", Host: "eci." + config.Region + ".aliyuncs.com"}
	}
	c, err := openapi.NewClient(&openapiutil.Config{
		Credential:     credential,
		Protocol:       dara.String(endpoint.Scheme),
		Endpoint:       dara.String(endpoint.Host),
		ConnectTimeout: dara.Int(int(connectTimeout.Milliseconds())),
		ReadTimeout:    dara.Int(int(readTimeout.Milliseconds())),
	})
	if err != nil {
		return nil, &Error{Class: ClassNetwork, Message: err.Error()}
	}
	return &client{openapi: c}, nil
}

// ListUsage calls the action ListUsage.
func (c *client) ListUsage(ctx context.Context, region string) (Usage, error) {
	var answer struct {
		Attributes struct {
			MaxCPU  *float64 `json:"MaxCpu"`
			UsedCPU *float64 `json:"UsedCpu"`
		}
	}
	if err := c.call(ctx, "ListUsage", map[string]string{"RegionId": region}, &answer); err != nil {
		return Usage{}, err
	}
	attributes := answer.Attributes
	if attributes.MaxCPU == nil || attributes.UsedCPU == nil {
		return Usage{}, &Error{Class: ClassServer, Message: "ListUsage answered without MaxCpu and UsedCpu"}
	}
	return Usage{
		MaxMilliCPU:  int64(math.Floor(*attributes.MaxCPU * 1000)),
		UsedMilliCPU: int64(math.Ceil(*attributes.UsedCPU * 1000)),
	}, nil
}

// call sends one request and decodes the body of the answer. It does not retry: the caller asks again at its own interval.
func (c *client) call(ctx context.Context, action string, query map[string]string, answer any) error {
	params := &openapiutil.Params{
		Action: dara.String(action), Version: dara.String(apiVersion), Protocol: c.openapi.Protocol, Pathname: dara.String("/"),
		Method: dara.String("POST"), AuthType: dara.String("AK"), Style: dara.String("RPC"),
		ReqBodyType: dara.String("formData"), BodyType: dara.String("json"),
	}
	request := &openapiutil.OpenApiRequest{Query: map[string]*string{}}
	for key, value := range query {
		request.Query[key] = dara.String(value)
	}
	result, err := c.openapi.CallApiWithCtx(ctx, params, request, &dara.RuntimeOptions{})
	if err != nil {
		return newError(action, err)
	}
	body, err := json.Marshal(result["body"])
	if err == nil {
		err = json.Unmarshal(body, answer)
	}
	if err != nil {
		return &Error{Class: ClassServer, Message: fmt.Sprintf("%s answered with a body that cannot be read: %v", action, err)}
	}
	return nil
}
