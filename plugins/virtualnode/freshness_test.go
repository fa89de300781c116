package virtualnode

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/test/scrape"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// TestFreshness checks what is told of how long the capacities that the scheduler knows are good.
func TestFreshness(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	w := newWorld(t, zone(zoneJ, "4").Fresh(at), wrappers.MakeZone(zoneK))
	w.pl.offers.synced = func() bool { return true }
	metrics.ReadFreshness(w.pl.offers.freshness)
	t.Cleanup(func() { metrics.ReadFreshness(func() *map[string]time.Time { return nil }) })
	const name = "spillway_scheduler_virtualnode_fresh_until_timestamp_seconds"
	want := scrape.Series{name + `{node="` + nodeJ + `"}`: float64(at.Add(time.Minute).Unix()), name + `{node="` + nodeK + `"}`: 0}
	if diff := cmp.Diff(want, scrape.Read(t, &metrics.Scheduler).Of(name, "_total")); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}
