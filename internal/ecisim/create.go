package ecisim

import (
	"fmt"
	"math"
	"net/http"
	"reflect"
	"slices"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

const (
	maxTags       = 20
	maxNameLength = 128
	maxToken      = 64
)

// createRequest is what is asked for in CreateContainerGroup.
type createRequest struct {
	Name        string
	Zone        string
	VSwitch     string
	Spec        ecispec.Spec
	ClientToken string
	Tags        tags
}

// tags are the tags of a container group, in the order in which they were given.
type tags []tag

type tag struct{ Key, Value string }

func (t tags) value(key string) string {
	i := slices.IndexFunc(t, func(t tag) bool { return t.Key == key })
	if i < 0 {
		return ""
	}
	return t[i].Value
}

// createContainerGroup answers CreateContainerGroup: it creates what the quota, the vSwitch and the stock of this very moment allow.
func createContainerGroup(c *call) (map[string]any, *apiError) {
	request, err := c.createRequest()
	if err != nil {
		return nil, err
	}
	account := c.ledger.region(c.region)
	if g := account.byToken[request.ClientToken]; g != nil {
		if !reflect.DeepEqual(g.request, request) {
			return nil, &apiError{http.StatusBadRequest, "IdempotentParameterMismatch", "The request uses the same client token as a previous, but non-identical request."}
		}
		return map[string]any{"ContainerGroupId": g.id()}, nil
	}
	zone := c.regionState.Zones[request.Zone]
	if refusal := c.refusal(request, &zone); refusal != nil {
		account.refused[refusal.Code]++
		return nil, refusal
	}
	if _, limited := zone.Left[request.Spec.String()]; limited {
		zone.Left[request.Spec.String()]--
	}
	g := c.ledger.add(c.region, request, c.now, duration(c.state.CreationDelay))
	return map[string]any{"ContainerGroupId": g.id()}, nil
}

// deleteContainerGroup answers DeleteContainerGroup.
func deleteContainerGroup(c *call) (map[string]any, *apiError) {
	id := c.query.Get("ContainerGroupId")
	if id == "" {
		return nil, missing("ContainerGroupId")
	}
	account := c.ledger.region(c.region)
	g := account.byID[id]
	if g == nil {
		return nil, &apiError{http.StatusNotFound, "InvalidContainerGroupId.NotFound", "The specified ContainerGroupId does not exist."}
	}
	account.remove(g)
	c.state.giveBack(c.region, g)
	return map[string]any{}, nil
}

// giveBack adds a deleted group to what is left of its specification.
func (s *State) giveBack(region string, g *group) {
	left := s.Regions[region].Zones[g.request.Zone].Left
	if _, limited := left[g.request.Spec.String()]; limited {
		left[g.request.Spec.String()]++
	}
}

// refusal is why something cannot be created now, or nil.
func (c *call) refusal(request createRequest, zone *Zone) *apiError {
	account, spec := c.ledger.region(c.region), request.Spec.String()
	left, limited := zone.Left[spec]
	switch {
	case zone.Closed:
		return &apiError{http.StatusForbidden, codeNotOnSale, "The resource in the specified zone is no longer available for sale."}
	case account.milliCPU+request.Spec.MilliCPU > c.regionState.freeMilliCPU():
		return &apiError{http.StatusBadRequest, codeQuota, "The vCPU quota of your account in this region is exceeded."}
	case account.vSwitch[request.VSwitch] >= c.regionState.VSwitches[request.VSwitch].FreeIPs:
		return &apiError{http.StatusBadRequest, codeNoIP, "The specified VSwitch has not enough IP addresses."}
	case !slices.Contains(sellable, zone.category(spec)), limited && left == 0:
		return &apiError{http.StatusForbidden, codeNoStock,
			"The requested resource is sold out in the specified zone; try other types of resources or other regions and zones."}
	}
	return nil
}

// freeMilliCPU is what others leave of the quota, rounded so that it is never more than there is.
func (r *Region) freeMilliCPU() int64 {
	const noise = 1e-6 // What the arithmetic of floating point adds must not cost a thousandth.
	return int64(math.Floor(r.MaxCPU*1000+noise)) - int64(math.Ceil(r.UsedCPU*1000-noise))
}

// createRequest reads the parameters.
func (c *call) createRequest() (createRequest, *apiError) {
	request := createRequest{
		Name: c.query.Get("ContainerGroupName"), Zone: c.query.Get("ZoneId"), VSwitch: c.query.Get("VSwitchId"), ClientToken: c.query.Get("ClientToken"),
	}
	if n := len(request.Name); n < 2 || n > maxNameLength {
		return request, invalid("ContainerGroupName", "must have 2 to 128 characters.")
	}
	if len(request.ClientToken) > maxToken {
		return request, invalid("ClientToken", "must have at most 64 characters.")
	}
	vSwitch, ok := c.regionState.VSwitches[request.VSwitch]
	if request.VSwitch == "" {
		return request, missing("VSwitchId")
	}
	if request.Zone == "" {
		request.Zone = vSwitch.Zone
	}
	if err := c.checkZone(request.Zone); ok && err != nil {
		return request, err
	}
	if !ok || vSwitch.Zone != request.Zone {
		return request, &apiError{http.StatusNotFound, "InvalidVSwitchId.NotFound", "The specified VSwitchId does not exist in the zone."}
	}
	var err *apiError
	if request.Spec, err = c.spec("Cpu", "Memory", "InstanceType"); err != nil {
		return request, err
	}
	request.Tags, err = c.tags()
	return request, err
}

// tags reads Tag.1.Key, Tag.1.Value and so on.
func (c *call) tags() (tags, *apiError) {
	var read tags
	for i := 1; ; i++ {
		key := c.query.Get(fmt.Sprintf("Tag.%d.Key", i))
		if key == "" {
			return read, nil
		}
		if i > maxTags {
			return nil, invalid("Tag", "can be given 20 times at most.")
		}
		read = append(read, tag{key, c.query.Get(fmt.Sprintf("Tag.%d.Value", i))})
	}
}
