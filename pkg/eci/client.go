// Package eci talks to the OpenAPI of Elastic Container Instance, version 2018-08-08, and asks that of VPC, version
// 2016-04-28, for vSwitches, and that of STS, version 2015-04-01, for the account. It only reads.
//
//   - client.go: the interface, the configuration, and a new client.
//   - types.go: what the answers mean.
//   - usage.go, zones.go, price.go, groups.go, vswitches.go, identity.go: the actions.
//   - calls.go: one call: its turn, the request, the answer, and when it is repeated.
//   - exchange.go: the HTTP connection.
//   - limiter.go: how often an action is called.
//   - credentials.go, role.go: access keys, and RAM roles for service accounts.
//   - errors.go: what can go wrong.
//   - decimal.go: numbers that stay exact.
package eci

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

const (
	eciVersion = "2018-08-08"
	vpcVersion = "2016-04-28"
	stsVersion = "2015-04-01"
)

// regionID is what a region is called. It becomes a part of host names, which must not lead anywhere else.
var regionID = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Client asks ECI. It is safe for concurrent use. An error is always an *Error. A call ends with its context, and needs a deadline there: it may have to
// wait for its turn (see Limiter).
type Client interface {
	// AccountID returns the ID of the account that the credentials belong to (source: STS, GetCallerIdentity). It needs
	// no right.
	AccountID(ctx context.Context) (string, error)
	// Share makes the client wait for its turn by these limits from now on. Whose account it is may be known only after
	// the client was made.
	Share(limits *Limiter)
	// ListUsage returns the vCPU quota of the account in a region and how much of it is used.
	ListUsage(ctx context.Context, region string) (Usage, error)
	// DescribeRegions returns the regions that ECI is sold in, and their zones.
	DescribeRegions(ctx context.Context) ([]Region, error)
	// DescribeAvailableResource returns the stock of a specification by zone ID. A zone that ECI lists without the specification is StockNotSold; a zone
	// that it does not list at all is missing.
	DescribeAvailableResource(ctx context.Context, region string, spec ecispec.Spec) (map[string]Stock, error)
	// DescribeContainerGroupPrice returns what a specification costs in a zone.
	DescribeContainerGroupPrice(ctx context.Context, zone Zone, spec ecispec.Spec) (Price, error)
	// DescribeContainerGroupStatus returns the status of the container groups of the account in a region: of all when since is 0 or less, otherwise of
	// those whose status changed in that time, rounded up to whole seconds. It reads pages of 200, and fails after 500 of them. A group that moves to
	// another page meanwhile is returned once, as it was seen last. ECI keeps groups that have ended for an hour, and of the older ones the last 100
	// (source: ECI, DescribeContainerGroups). It answers a RAM user without the right to read them with none instead of an error (source: the same).
	DescribeContainerGroupStatus(ctx context.Context, region string, since time.Duration) ([]GroupStatus, error)
	// DescribeContainerGroups returns the container groups of the account in a region, with what they consist of. It reads pages of 20, and fails after
	// 500 of them: it is for tests, and for looking into small accounts.
	DescribeContainerGroups(ctx context.Context, region string) ([]Group, error)
	// DescribeVSwitches returns those of the vSwitches that exist, in the order of ids. It makes one call for each.
	DescribeVSwitches(ctx context.Context, region string, ids []string) ([]VSwitch, error)
}

// Config is what a client needs.
type Config struct {
	// Credentials are those of the account.
	Credentials Credentials
	// Region decides the endpoints: eci.<region>.aliyuncs.com and vpc.<region>.aliyuncs.com, over HTTPS. It may be empty when Endpoint is set.
	Region string
	// Endpoint, when set, replaces both endpoints, and that of STS unless STSEndpoint is set, such as
	// http://127.0.0.1:8080 for the simulator. It has a scheme, a host and nothing else. Roles are assumed at STS
	// itself all the same.
	Endpoint string
	// STSEndpoint is the host of STS, with a port if it is not 443, such as sts-vpc.cn-beijing.aliyuncs.com; it is
	// always called over HTTPS. Empty: sts.<region>.aliyuncs.com.
	STSEndpoint string
	// Limits are shared by all clients of one account and region, because ECI counts the calls of the account. Nil: the client has limits of its own.
	Limits *Limiter
	// Observe, when set, is told of every HTTP request: the action, OK or the Class of the error, and how long it took. It is called by several goroutines
	// at once and must return soon.
	Observe func(action, outcome string, took time.Duration)
}

type client struct {
	eci, vpc, sts endpoint
	keys          keySource
	limits        atomic.Pointer[Limiter]
	observe       func(action, outcome string, took time.Duration)
}

// endpoint is where a version of an OpenAPI is served.
type endpoint struct {
	scheme, host, version string
}

var _ Client = &client{}

// New returns a client. It does not call ECI yet. A client with RRSA holds the session of its role: keep it, instead of asking STS anew for every call.
func New(config Config) (Client, error) {
	if config.Region != "" && !regionID.MatchString(config.Region) {
		message := fmt.Sprintf("region %q must consist of lower case letters, digits and dashes, such as cn-beijing", config.Region)
		return nil, &Error{Class: ClassNetwork, Message: message}
	}
	if config.Region == "" && config.Endpoint == "" {
		return nil, &Error{Class: ClassNetwork, Message: "a region is needed, such as cn-beijing"}
	}
	sts, err := config.stsHost()
	if err != nil {
		return nil, err
	}
	keys, err := newKeySource(config.Credentials, sts)
	if err != nil {
		return nil, err
	}
	c := &client{
		eci:  endpoint{scheme: "https", host: "eci." + config.Region + ".aliyuncs.com", version: eciVersion},
		vpc:  endpoint{scheme: "https", host: "vpc." + config.Region + ".aliyuncs.com", version: vpcVersion},
		sts:  endpoint{scheme: "https", host: sts, version: stsVersion},
		keys: keys, observe: config.Observe,
	}
	c.limits.Store(cmp.Or(config.Limits, NewLimiter()))
	if c.observe == nil {
		c.observe = func(string, string, time.Duration) {}
	}
	if config.Endpoint != "" {
		scheme, host, err := parseEndpoint(config.Endpoint)
		if err != nil {
			return nil, err
		}
		c.eci.scheme, c.eci.host, c.vpc.scheme, c.vpc.host = scheme, host, scheme, host
		if config.STSEndpoint == "" {
			c.sts.scheme, c.sts.host = scheme, host
		}
	}
	return c, nil
}

// Share replaces the limits.
func (c *client) Share(limits *Limiter) { c.limits.Store(limits) }

// stsHost returns the host of STS; empty when neither a region nor STSEndpoint says where it is.
func (c *Config) stsHost() (string, error) {
	host := c.STSEndpoint
	if host == "" && c.Region != "" {
		host = "sts." + c.Region + ".aliyuncs.com"
	}
	if host != "" && !stsHost.MatchString(host) {
		message := "the STS endpoint must be a host without a scheme, such as sts.cn-beijing.aliyuncs.com"
		return "", &Error{Class: ClassCredentials, Message: message}
	}
	return host, nil
}

// parseEndpoint refuses what a request would silently leave out: credentials, a path and a query.
func parseEndpoint(text string) (scheme, host string, err error) {
	at, err := url.Parse(text)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Hostname() == "" ||
		at.User != nil || at.Path != "" && at.Path != "/" || at.RawQuery != "" {
		return "", "", &Error{Class: ClassNetwork, Message: "the endpoint must be a URL of a scheme and a host, such as https://eci.cn-beijing.aliyuncs.com"}
	}
	return at.Scheme, at.Host, nil
}
