package ecisim

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

const (
	eciVersion = "2018-08-08"
	vpcVersion = "2016-04-28"
	stsVersion = "2015-04-01"
	bytesInGiB = 1 << 30
	// maxSize bounds a specification, so that sums stay exact.
	maxSize = 100_000
)

// action is how an action of the OpenAPI is answered.
type action struct {
	// version is that of the product that the action belongs to.
	version string
	// global actions need no region.
	global bool
	answer func(*call) (map[string]any, *apiError)
}

// actions are the actions that the simulator knows.
var actions = map[string]action{
	"CreateContainerGroup":         {version: eciVersion, answer: createContainerGroup},
	"DeleteContainerGroup":         {version: eciVersion, answer: deleteContainerGroup},
	"DescribeAvailableResource":    {version: eciVersion, answer: describeAvailableResource},
	"DescribeContainerGroupPrice":  {version: eciVersion, answer: describeContainerGroupPrice},
	"DescribeContainerGroupStatus": {version: eciVersion, answer: describeContainerGroupStatus},
	"DescribeContainerGroups":      {version: eciVersion, answer: describeContainerGroups},
	"DescribeRegions":              {version: eciVersion, global: true, answer: describeRegions},
	"DescribeVSwitches":            {version: vpcVersion, answer: describeVSwitches},
	"GetCallerIdentity":            {version: stsVersion, global: true, answer: getCallerIdentity},
	"ListUsage":                    {version: eciVersion, answer: listUsage},
}

// call is one call of an action, while Server.mu is held.
type call struct {
	state       *State
	ledger      *ledger
	region      string
	regionState Region
	query       url.Values
	now         time.Time
	// accessKeyID is that of the caller.
	accessKeyID string
}

// checkZone refuses a zone that the region does not have.
func (c *call) checkZone(id string) *apiError {
	if _, ok := c.regionState.Zones[id]; !ok {
		return &apiError{http.StatusNotFound, "InvalidZoneId.NotFound", "The specified ZoneId does not exist."}
	}
	return nil
}

// integer reads a whole number, or returns what its absence means.
func (c *call) integer(name string, absent, lowest, highest int) (int, *apiError) {
	if !c.query.Has(name) {
		return absent, nil
	}
	n, err := strconv.Atoi(c.query.Get(name))
	if err != nil || n < lowest || n > highest {
		return 0, invalid(name, fmt.Sprintf("must be from %d to %d.", lowest, highest))
	}
	return n, nil
}

// spec reads a specification from the parameters of these names: so many vCPUs and GiB, or an instance type, whose size the former can tell.
func (c *call) spec(cpu, memory, instanceType string) (ecispec.Spec, *apiError) {
	var spec ecispec.Spec
	name := c.query.Get(instanceType)
	if name != "" {
		parsed, err := ecispec.Parse(name)
		if err != nil || parsed.InstanceType == "" {
			return spec, invalid(instanceType, "must be an instance type such as ecs.c6.large.")
		}
		spec = parsed
	}
	if name != "" && c.query.Get(cpu) == "" && c.query.Get(memory) == "" {
		return spec, nil
	}
	cores, err := c.size(cpu)
	if err != nil {
		return spec, err
	}
	gigabytes, err := c.size(memory)
	if err != nil {
		return spec, err
	}
	spec.MilliCPU, spec.Memory = int64(math.Round(cores*1000)), int64(math.Round(gigabytes*bytesInGiB))
	return spec, nil
}

func (c *call) size(name string) (float64, *apiError) {
	if c.query.Get(name) == "" {
		return 0, missing(name)
	}
	n, err := strconv.ParseFloat(c.query.Get(name), 64)
	if err != nil || !isNumber(n) || n == 0 || n > maxSize {
		return 0, invalid(name, "must be a number above 0.")
	}
	return n, nil
}

func vCPU(milli int64) float64 { return float64(milli) / 1000 }

func gib(bytes int64) float64 { return float64(bytes) / bytesInGiB }
