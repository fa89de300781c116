package virtualnode

import (
	"cmp"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

const (
	// firstBackoff is for how long a specification is closed after a pod was refused; it doubles with each refusal of the pod that tries again.
	firstBackoff = 30 * time.Second
	maxBackoff   = 30 * time.Minute
	// relapse is how soon after a stock-out ended another refusal goes on counting where it had ended.
	relapse = 10 * time.Minute
	// inventoryIntervals is for how many intervals an answer of the inventory is good. It is asked again before.
	inventoryIntervals = 3
	// mostStockOuts is the CRD's limit.
	mostStockOuts = 64
)

// refusal is a pod that ECI refuses.
type refusal struct {
	// specs are those that ECI had none of; offer.AnySpec when it would have refused any.
	specs  []string
	reason string
	at     time.Time
}

// creation is a pod whose instance ECI has created.
type creation struct {
	specs []string
	at    time.Time
}

// stockNews is what has become known of the stock of a zone.
type stockNews struct {
	now       time.Time
	zone      string
	inventory map[string]account.Stock
	// interval is how often the inventory is asked.
	interval  time.Duration
	refusals  []refusal
	creations []creation
}

// stockBook remembers the stock-outs that ended, so that stock that comes and goes does not begin with short waits each time.
type stockBook map[string]ended

type ended struct {
	failures int32
	at       time.Time
}

// update returns the stock-outs after the news, ordered by specification.
func (b stockBook) update(current []v1alpha1.StockOut, news *stockNews) []v1alpha1.StockOut {
	outs := map[string]v1alpha1.StockOut{}
	for _, out := range current {
		switch {
		case out.Source == v1alpha1.SourceInventory && news.isAsked(out.Spec) && !news.soldOut(out.Spec):
		case out.Source == v1alpha1.SourceInventory && !news.isAsked(out.Spec) && !news.now.Before(out.Until.Time):
			// The inventory is not asked of it any more; while it has not been asked yet, because this is a new leader, the stock-out stands.
		case news.createdSince(&out), news.now.After(out.Until.Add(maxBackoff)):
			b[out.Spec] = ended{failures: out.Failures, at: news.now}
		default:
			outs[out.Spec] = out
		}
	}
	for spec, stock := range news.inventory {
		if category, at := stock.Zones[news.zone], stock.At; news.soldOut(spec) {
			outs[spec] = byInventory(outs[spec], spec, category, at, at.Add(inventoryIntervals*news.interval))
		}
	}
	for _, r := range news.refusals {
		for _, spec := range r.specs {
			if out := outs[spec]; b.isNews(&out, spec, &r, news.now) {
				outs[spec] = b.byPod(out, spec, &r, news.now)
			}
		}
	}
	maps.DeleteFunc(b, func(_ string, e ended) bool { return news.now.Sub(e.at) > relapse })
	// Where there are too many, those that concern all pods stay: users can make as many restrictions as they like.
	sorted := slices.SortedFunc(maps.Values(outs), func(x, y v1alpha1.StockOut) int {
		return cmp.Or(cmp.Compare(restrictions(x.Spec), restrictions(y.Spec)), y.LastFailure.Compare(x.LastFailure.Time))
	})
	sorted = sorted[:min(len(sorted), mostStockOuts)]
	slices.SortFunc(sorted, func(x, y v1alpha1.StockOut) int { return cmp.Compare(x.Spec, y.Spec) })
	return sorted
}

// restrictions is 0 for the name of a stock-out that concerns all pods, and 1 for one of restricted pods.
func restrictions(spec string) int {
	if _, restriction := ecispec.Unrestricted(spec); restriction != "" {
		return 1
	}
	return 0
}

// byInventory returns a stock-out of which the inventory tells. One of which a pod has told stays that pod's, because the inventory may be wrong again.
func byInventory(out v1alpha1.StockOut, spec string, category eci.Stock, at, until time.Time) v1alpha1.StockOut {
	if out.Source != v1alpha1.SourcePod {
		if category == "" {
			category = eci.StockNotSold
		}
		if out.Spec == "" {
			out = v1alpha1.StockOut{Spec: spec, Source: v1alpha1.SourceInventory, Since: metav1.NewTime(at)}
		}
		out.Reason, out.LastFailure = string(category), metav1.NewTime(at)
	}
	if until.After(out.Until.Time) {
		out.Until = metav1.NewTime(until)
	}
	return out
}

// isNews tells whether a refusal says something new of a specification. Pods stay where they were refused, some for ever: what they were told once counts once.
// The times of a pod are its virtual-kubelet's, and cut to seconds.
func (b stockBook) isNews(out *v1alpha1.StockOut, spec string, r *refusal, now time.Time) bool {
	switch {
	case out.Spec == "":
		return now.Sub(r.at) <= relapse && r.at.After(b[spec].at.Add(-knownWithin))
	case out.Source == v1alpha1.SourceInventory:
		return now.Sub(r.at) <= relapse
	default:
		return !now.Before(out.Until.Time) && r.at.After(out.LastFailure.Add(knownWithin))
	}
}

// byPod returns a stock-out after a pod was refused.
func (b stockBook) byPod(out v1alpha1.StockOut, spec string, r *refusal, now time.Time) v1alpha1.StockOut {
	if out.Spec == "" {
		out = v1alpha1.StockOut{Spec: spec, Since: metav1.NewTime(now)}
	}
	if before, relapsed := b[spec]; relapsed && now.Sub(before.at) <= relapse {
		out.Failures = max(out.Failures, before.failures)
	}
	out.Source, out.Reason, out.LastFailure = v1alpha1.SourcePod, r.reason, metav1.NewTime(now)
	out.Failures++
	if until := now.Add(backoff(out.Failures)); until.After(out.Until.Time) {
		out.Until = metav1.NewTime(until)
	}
	return out
}

// backoff is for how long a specification is closed after so many failures in a row, at least 1.
func backoff(failures int32) time.Duration {
	d := firstBackoff
	for range failures - 1 {
		if d *= 2; d >= maxBackoff {
			return maxBackoff
		}
	}
	return d
}

// soldOut tells whether the inventory says that the zone has none of a specification.
func (n *stockNews) soldOut(spec string) bool {
	stock, asked := n.inventory[spec]
	if !asked {
		return false
	}
	category := stock.Zones[n.zone]
	return category != eci.StockWithStock && category != eci.StockLow
}

// isAsked tells whether the inventory was asked for a specification.
func (n *stockNews) isAsked(spec string) bool {
	_, asked := n.inventory[spec]
	return asked
}

// createdSince tells whether ECI has created an instance of the specification since a pod may try again. One that was created earlier says nothing: it may
// have been the last. An instance of a restricted pod ends no stock-out of others: it may be in a vSwitch of its own.
func (n *stockNews) createdSince(out *v1alpha1.StockOut) bool {
	plain, restriction := ecispec.Unrestricted(out.Spec)
	for _, c := range n.creations {
		alike := slices.ContainsFunc(c.specs, func(spec string) bool {
			_, other := ecispec.Unrestricted(spec)
			return spec == out.Spec || plain == anySpec && other == restriction
		})
		if c.at.After(out.Until.Add(-knownWithin)) && alike {
			return true
		}
	}
	return false
}

// lowStock returns the specifications of which the inventory says that they will soon be sold out, and those of which pods do, ordered.
func (n *stockNews) lowStock(low []string) []string {
	for spec, stock := range n.inventory {
		if stock.Zones[n.zone] == eci.StockLow {
			low = append(low, spec)
		}
	}
	slices.Sort(low)
	low = slices.Compact(low)
	return low[:min(len(low), mostStockOuts)]
}
