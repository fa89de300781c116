package ecisim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

const (
	withStock    = "WithStock"
	notSold      = "NotSold"
	durationRule = "must be a duration of 0s or more, such as 250ms"
	// maxNumber keeps what is counted in thousandths within an int64.
	maxNumber  = 1e9
	numberRule = "must be from 0 to 1000000000"
)

// sellable are the values of StatusCategory in DescribeAvailableResource with which something can be created.
var sellable = []string{withStock, "ClosedWithStock"}

// stockCategories are the values of StatusCategory, and NotSold for what the answer does not list.
var stockCategories = []string{withStock, "ClosedWithStock", "WithoutStock", "ClosedWithoutStock", notSold}

// validate returns an error that names the field, its value and what is allowed. Of several it is always the same one.
func (s *State) validate() error {
	for _, f := range []struct{ name, value string }{{"latency", s.Latency}, {"creationDelay", s.CreationDelay}} {
		if !isDelay(f.value) {
			return fmt.Errorf("%s: %q: %s", f.name, f.value, durationRule)
		}
	}
	if _, err := time.ParseDuration(s.ClockSkew); err != nil {
		return fmt.Errorf("clockSkew: %q: must be a duration, such as -20m", s.ClockSkew)
	}
	if s.ErrorRate < 0 || s.ErrorRate > 1 {
		return fmt.Errorf("errorRate: %v: must be from 0 to 1", s.ErrorRate)
	}
	if err := each("accountIDs", s.AccountIDs, s.validateAccountID); err != nil {
		return err
	}
	if err := each("securityTokens", s.SecurityTokens, s.validateToken); err != nil {
		return err
	}
	if err := each("actions", s.Actions, validateAction); err != nil {
		return err
	}
	return each("regions", s.Regions, func(field, _ string, region Region) error { return region.validate(field) })
}

// each validates the entries of a map in the order of their keys.
func each[V any](field string, entries map[string]V, validate func(field, key string, value V) error) error {
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		if err := validate(field+"."+key, key, entries[key]); err != nil {
			return err
		}
	}
	return nil
}

func (s *State) validateAccountID(field, accessKeyID, id string) error {
	if _, ok := s.AccessKeys[accessKeyID]; !ok {
		return fmt.Errorf("%s: accessKeys has no such access key ID", field)
	}
	if !accountIDs.MatchString(id) {
		return fmt.Errorf("%s: %q: must be the ID of an account, such as %s", field, id, defaultAccountID)
	}
	return nil
}

func (s *State) validateToken(field, accessKeyID string, token SecurityToken) error {
	if _, ok := s.AccessKeys[accessKeyID]; !ok {
		return fmt.Errorf("%s: accessKeys has no such access key ID", field)
	}
	if token.Token == "" {
		return fmt.Errorf("%s.token: %q: must not be empty", field, token.Token)
	}
	if _, err := time.Parse(time.RFC3339, token.Expires); err != nil {
		return fmt.Errorf("%s.expires: %q: must be a time of RFC 3339, such as 2030-01-02T15:04:05Z", field, token.Expires)
	}
	return nil
}

func validateAction(field, name string, script ActionScript) error {
	if _, ok := actions[name]; !ok {
		return fmt.Errorf("%s: must be one of %v", field, slices.Sorted(maps.Keys(actions)))
	}
	if script.Latency != "" && !isDelay(script.Latency) {
		return fmt.Errorf("%s.latency: %q: %s", field, script.Latency, durationRule)
	}
	if !isNumber(script.PerMinute) {
		return fmt.Errorf("%s.perMinute: %v: %s", field, script.PerMinute, numberRule)
	}
	return nil
}

func (r *Region) validate(field string) error {
	if !isNumber(r.MaxCPU) || !isNumber(r.UsedCPU) {
		return fmt.Errorf("%s: maxCPU %v, usedCPU %v: %s", field, r.MaxCPU, r.UsedCPU, numberRule)
	}
	if err := each(field+".zones", r.Zones, func(field, _ string, zone Zone) error { return zone.validate(field) }); err != nil {
		return err
	}
	return each(field+".vSwitches", r.VSwitches, func(field, _ string, vSwitch VSwitch) error {
		if _, ok := r.Zones[vSwitch.Zone]; !ok {
			return fmt.Errorf("%s.zone: %q: must be one of %v", field, vSwitch.Zone, slices.Sorted(maps.Keys(r.Zones)))
		}
		if vSwitch.FreeIPs < 0 {
			return fmt.Errorf("%s.freeIPs: %d: must be 0 or more", field, vSwitch.FreeIPs)
		}
		return nil
	})
}

func (z *Zone) validate(field string) error {
	if !slices.Contains(stockCategories, z.Default) {
		return fmt.Errorf("%s.default: %q: must be one of %v", field, z.Default, stockCategories)
	}
	if err := each(field+".stock", z.Stock, func(field, spec, category string) error {
		if !slices.Contains(stockCategories, category) {
			return fmt.Errorf("%s: %q: must be one of %v", field, category, stockCategories)
		}
		return validateSpec(field, spec)
	}); err != nil {
		return err
	}
	if err := each(field+".left", z.Left, func(field, spec string, n int64) error {
		if n < 0 {
			return fmt.Errorf("%s: %d: must be 0 or more", field, n)
		}
		return validateSpec(field, spec)
	}); err != nil {
		return err
	}
	if !isNumber(z.Price.CPUSecond) || !isNumber(z.Price.MemorySecond) {
		return fmt.Errorf("%s.price: cpuSecond %v, memorySecond %v: %s", field, z.Price.CPUSecond, z.Price.MemorySecond, numberRule)
	}
	return each(field+".price.instanceTypes", z.Price.InstanceTypes, func(field, _ string, price float64) error {
		if !isNumber(price) {
			return fmt.Errorf("%s: %v: %s", field, price, numberRule)
		}
		return nil
	})
}

// validateSpec refuses names that no request can mean, because they are not written in the one way that a specification is.
func validateSpec(field, name string) error {
	if spec, err := ecispec.Parse(name); err != nil || spec.String() != name {
		return fmt.Errorf("%s: %q: must be a specification such as 2-4Gi or ecs.c6.large", field, name)
	}
	return nil
}

func isDelay(text string) bool {
	d, err := time.ParseDuration(text)
	return err == nil && d >= 0
}

func isNumber(n float64) bool { return n >= 0 && n <= maxNumber }
