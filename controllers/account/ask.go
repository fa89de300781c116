package account

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

const (
	// zonesAge is how long the list of zones is good, and priceAge how long a price is.
	zonesAge = 10 * time.Minute
	priceAge = time.Hour
	// unpricedFor is how long a price is not asked for again that ECI did not tell.
	unpricedFor = 10 * time.Minute
	// mostSpecs is how many specifications the stock is asked of: those that most pods ask for; and mostTypes of how many instance types the price is, which
	// is the CRD's limit.
	mostSpecs = 16
	mostTypes = 64
)

// ErrRegionUnknown is a region that ECI does not have.
var ErrRegionUnknown = errors.New("the region is not one of ECI's")

// memory is what is kept of one set of credentials in one region between two refreshes.
type memory struct {
	session session
	tracker tracker
	zones   []string
	zonesAt time.Time
	reading Reading
	// types are the instance types whose price is asked for.
	types []ecispec.Spec
	// unpriced are when ECI did not tell the price of an instance type in a zone, by "zone type".
	unpriced map[string]time.Time
}

// question is what the VirtualNodes of the credentials need to know.
type question struct {
	region    string
	zones     []string
	vSwitches []string
	// specs are those whose stock is asked for.
	specs []ecispec.Spec
}

// newQuestion returns the question of the VirtualNodes of one set of credentials.
func newQuestion(nodes []*v1alpha1.VirtualNode, specs []ecispec.Spec) question {
	q := question{region: nodes[0].Spec.Region, specs: specs}
	for _, vn := range nodes {
		q.zones = append(q.zones, vn.Spec.Zone)
		q.vSwitches = append(q.vSwitches, vn.Spec.VSwitches...)
	}
	q.zones = slices.Compact(slices.Sorted(slices.Values(q.zones)))
	q.vSwitches = slices.Compact(slices.Sorted(slices.Values(q.vSwitches)))
	return q
}

// ask asks ECI and returns the new reading. What the capacity follows from is asked for each time, and in this order: container groups, usage and vSwitches,
// container groups. A group that is in both lists is certain to be in the usage, so that it is never taken for free room.
func (c *Controller) ask(ctx context.Context, client eci.Client, m *memory, q *question) Reading {
	next := m.reading
	begin := c.options.Clock.Now()
	if err := c.askCapacity(ctx, client, m, q, &next); err != nil {
		next = m.reading
		next.Failure = err
		return next
	}
	next.Failure, next.At, next.Zones, next.asked = nil, begin, m.zones, *q
	// Stock and prices are worth having, but the capacity is known without them.
	if err := errors.Join(c.askStock(ctx, client, q, &next), c.askPrices(ctx, client, m, q, &next)); err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("Asking ECI for stock and prices failed", "err", err)
	}
	return next
}

func (c *Controller) askCapacity(ctx context.Context, client eci.Client, m *memory, q *question, next *Reading) error {
	if err := c.askZones(ctx, client, m, q.region); err != nil {
		return err
	}
	before, err := m.tracker.update(ctx, client, q.region, c.options.Clock.Now())
	if err != nil {
		return err
	}
	if next.Usage, err = client.ListUsage(ctx, q.region); err != nil {
		return err
	}
	if err := c.askVSwitches(ctx, client, q, next); err != nil {
		return err
	}
	after, err := m.tracker.update(ctx, client, q.region, c.options.Clock.Now())
	if err != nil {
		return err
	}
	next.Groups = inBoth(before, after)
	return nil
}

func (c *Controller) askZones(ctx context.Context, client eci.Client, m *memory, region string) error {
	if !m.zonesAt.IsZero() && c.options.Clock.Since(m.zonesAt) < zonesAge {
		return nil
	}
	regions, err := client.DescribeRegions(ctx)
	if err != nil && !m.zonesAt.IsZero() {
		return nil // They hardly ever change.
	} else if err != nil {
		return err
	}
	var ids []string
	for _, r := range regions {
		if r.ID == region {
			m.zones, m.zonesAt = r.Zones, c.options.Clock.Now()
			return nil
		}
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	return fmt.Errorf("%w: ECI is sold in %s", ErrRegionUnknown, strings.Join(ids, ", "))
}

func (c *Controller) askVSwitches(ctx context.Context, client eci.Client, q *question, next *Reading) error {
	if len(q.vSwitches) == 0 {
		next.VSwitches = nil
		return nil
	}
	found, err := client.DescribeVSwitches(ctx, q.region, q.vSwitches)
	if err != nil {
		return err
	}
	next.VSwitches = make(map[string]eci.VSwitch, len(found))
	for _, v := range found {
		next.VSwitches[v.ID] = v
	}
	return nil
}

// askStock asks for the stock of the specifications whose answer is older than the interval. Specifications that nobody asks for any more are forgotten.
func (c *Controller) askStock(ctx context.Context, client eci.Client, q *question, next *Reading) error {
	stock := make(map[string]Stock, len(q.specs))
	var failed error
	for _, spec := range q.specs {
		name := spec.String()
		known, ok := next.Stock[name]
		if ok {
			stock[name] = known
		}
		if failed != nil || ok && c.options.Clock.Since(known.At) < c.options.StockInterval {
			continue
		}
		at := c.options.Clock.Now()
		zones, err := client.DescribeAvailableResource(ctx, q.region, spec)
		if err != nil {
			failed = fmt.Errorf("asking for the stock of %s: %w", name, err)
			continue
		}
		stock[name] = Stock{At: at, Zones: zones}
	}
	next.Stock = stock
	return failed
}

// askPrices asks for the prices that are not known or too old: of vCPUs and memory by those of the default specification, and of each instance type.
func (c *Controller) askPrices(ctx context.Context, client eci.Client, m *memory, q *question, next *Reading) error {
	next.Prices = maps.Clone(next.Prices)
	if next.Prices == nil {
		next.Prices = map[string]Prices{}
	}
	var failed []error
	for _, zone := range q.zones {
		if !slices.Contains(next.Zones, zone) {
			continue
		}
		prices, err := c.zonePrices(ctx, client, eci.Zone{Region: q.region, ID: zone}, next.Prices[zone])
		if err != nil {
			failed = append(failed, fmt.Errorf("asking for prices in %s: %w", zone, err))
			continue
		}
		prices.Rates.InstanceTypes = c.typePrices(ctx, client, m, eci.Zone{Region: q.region, ID: zone}, prices.Rates.InstanceTypes)
		next.Prices[zone] = prices
	}
	return errors.Join(failed...)
}

// zonePrices returns the prices of a zone. When they are too old those of instance types are forgotten with them.
func (c *Controller) zonePrices(ctx context.Context, client eci.Client, zone eci.Zone, known Prices) (Prices, error) {
	if !known.At.IsZero() && c.options.Clock.Since(known.At) < priceAge {
		return known, nil
	}
	at, spec := c.options.Clock.Now(), ecispec.Default()
	price, err := client.DescribeContainerGroupPrice(ctx, zone, spec)
	if err != nil {
		return known, err
	}
	if price.CPUPerSecond <= 0 || price.MemoryPerSecond <= 0 {
		return known, errors.New("ECI does not tell the prices of vCPUs and memory apart")
	}
	return Prices{At: at, Currency: price.Currency, Rates: ecispec.Rates{
		CPUSecond: price.CPUPerSecond / ecispec.Pico(spec.MilliCPU/1000), GiBSecond: price.MemoryPerSecond / ecispec.Pico(spec.Memory>>30),
	}}, nil
}

// typePrices returns the prices of instance types. Those that ECI does not tell, for example because the zone does not sell the type, are asked for again
// after a while.
func (c *Controller) typePrices(ctx context.Context, client eci.Client, m *memory, zone eci.Zone, known map[string]ecispec.Pico) map[string]ecispec.Pico {
	prices := map[string]ecispec.Pico{}
	for _, spec := range m.types {
		if price, ok := known[spec.InstanceType]; ok {
			prices[spec.InstanceType] = price
			continue
		}
		key := zone.ID + " " + spec.InstanceType
		if at, failed := m.unpriced[key]; failed && c.options.Clock.Since(at) < unpricedFor {
			continue
		}
		delete(m.unpriced, key)
		price, err := client.DescribeContainerGroupPrice(ctx, zone, spec)
		if err != nil {
			if m.unpriced == nil {
				m.unpriced = map[string]time.Time{}
			}
			m.unpriced[key] = c.options.Clock.Now()
			continue
		}
		prices[spec.InstanceType] = price.PerSecond
	}
	return prices
}
