package virtualnode

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var begin = time.Unix(1_800_000_000, 0)

// in returns the time after so many seconds.
func in(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }

// refusedAt returns the refusal of a pod of 2-4Gi.
func refusedAt(seconds int, specs ...string) refusal {
	if specs == nil {
		specs = []string{"2-4Gi"}
	}
	return refusal{specs: specs, reason: "NoStock", at: in(seconds)}
}

// step is one update of the stock-outs.
type step struct {
	at        int
	inventory map[string]eci.Stock
	refused   []refusal
	created   []creation
	// want are the stock-outs afterwards: "spec reason source until failures", in seconds.
	want []string
}

func TestStockOuts(t *testing.T) {
	cases := map[string][]step{
		"a refused pod closes the specification": {
			{at: 0, refused: []refusal{refusedAt(0)}, want: []string{"2-4Gi NoStock Pod 30 1"}},
			{at: 1, refused: []refusal{refusedAt(0), refusedAt(1)}, want: []string{"2-4Gi NoStock Pod 30 1"}},
		},
		"a pod that tries again doubles the wait": {
			{at: 0, refused: []refusal{refusedAt(0)}, want: []string{"2-4Gi NoStock Pod 30 1"}},
			{at: 29, refused: []refusal{refusedAt(29)}, want: []string{"2-4Gi NoStock Pod 30 1"}},
			{at: 31, refused: []refusal{refusedAt(30)}, want: []string{"2-4Gi NoStock Pod 91 2"}},
			{at: 92, refused: []refusal{refusedAt(91)}, want: []string{"2-4Gi NoStock Pod 212 3"}},
		},
		"a pod that is created afterwards opens it": {
			{at: 0, refused: []refusal{refusedAt(0)}, want: []string{"2-4Gi NoStock Pod 30 1"}},
			{at: 31, created: []creation{{specs: []string{"2-4Gi"}, at: in(30)}}},
		},
		"one that was created meanwhile may have been the last": {
			{at: 0, refused: []refusal{refusedAt(0)}, want: []string{"2-4Gi NoStock Pod 30 1"}},
			{at: 2, created: []creation{{specs: []string{"2-4Gi"}, at: in(1)}}, want: []string{"2-4Gi NoStock Pod 30 1"}},
		},
		"another specification says nothing": {
			{at: 0, refused: []refusal{refusedAt(0)}, want: []string{"2-4Gi NoStock Pod 30 1"}},
			{at: 31, created: []creation{{specs: []string{"4-8Gi"}, at: in(30)}}, want: []string{"2-4Gi NoStock Pod 30 1"}},
		},
		"any pod opens a zone": {
			{at: 0, refused: []refusal{refusedAt(0, anySpec)}, want: []string{"* NoStock Pod 30 1"}},
			{at: 31, created: []creation{{specs: []string{"4-8Gi"}, at: in(30)}}},
		},
		"stock that comes and goes counts on": {
			{at: 0, refused: []refusal{refusedAt(0)}, want: []string{"2-4Gi NoStock Pod 30 1"}},
			{at: 31, created: []creation{{specs: []string{"2-4Gi"}, at: in(30)}}},
			{at: 40, refused: []refusal{refusedAt(40)}, want: []string{"2-4Gi NoStock Pod 100 2"}},
			{at: 100, created: []creation{{specs: []string{"2-4Gi"}, at: in(100)}}},
			{at: 701, refused: []refusal{refusedAt(701)}, want: []string{"2-4Gi NoStock Pod 731 1"}},
		},
		"nobody tries again: it is forgotten": {
			{at: 0, refused: []refusal{refusedAt(0)}, want: []string{"2-4Gi NoStock Pod 30 1"}},
			{at: 1831},
		},
		"the inventory closes and opens": {
			{at: 0, inventory: map[string]eci.Stock{"2-4Gi": eci.StockWithout, "4-8Gi": eci.StockWithStock, "1-2Gi": eci.StockLow},
				want: []string{"2-4Gi WithoutStock Inventory 90 0"}},
			{at: 30, inventory: map[string]eci.Stock{"2-4Gi": eci.StockClosed}, want: []string{"2-4Gi ClosedWithoutStock Inventory 120 0"}},
			{at: 60, inventory: map[string]eci.Stock{"2-4Gi": eci.StockLow}},
		},
		"a specification that no zone sells": {
			{at: 0, inventory: map[string]eci.Stock{"2-4Gi": eci.StockNotSold}, want: []string{"2-4Gi NotSold Inventory 90 0"}},
		},
		"nobody asks for the specification any more": {
			{at: 0, inventory: map[string]eci.Stock{"2-4Gi": eci.StockWithout}, want: []string{"2-4Gi WithoutStock Inventory 90 0"}},
			{at: 89, want: []string{"2-4Gi WithoutStock Inventory 90 0"}}, // A new leader has not asked yet.
			{at: 90},
		},
		"a pod that stays where it was refused is heard once": {
			{at: 0, refused: []refusal{refusedAt(0)}, want: []string{"2-4Gi NoStock Pod 30 1"}},
			{at: 31, refused: []refusal{refusedAt(0)}, want: []string{"2-4Gi NoStock Pod 30 1"}},
			{at: 32, refused: []refusal{refusedAt(0)}, created: []creation{{specs: []string{"2-4Gi"}, at: in(31)}}},
			{at: 33, refused: []refusal{refusedAt(0)}},
			{at: 700, refused: []refusal{refusedAt(0)}},
		},
		"a refusal of long ago says nothing to a new leader": {
			{at: 601, refused: []refusal{refusedAt(0)}},
		},
		"a clock that is a second behind": {
			{at: 0, refused: []refusal{refusedAt(0)}, want: []string{"2-4Gi NoStock Pod 30 1"}},
			{at: 31, refused: []refusal{refusedAt(29)}, want: []string{"2-4Gi NoStock Pod 91 2"}},
			{at: 92, created: []creation{{specs: []string{"2-4Gi"}, at: in(90)}}},
		},
		"an inventory that says otherwise does not open what a pod found closed": {
			{at: 0, refused: []refusal{refusedAt(0)}, inventory: map[string]eci.Stock{"2-4Gi": eci.StockWithStock}, want: []string{"2-4Gi NoStock Pod 30 1"}},
		},
		"an inventory that agrees closes it for longer": {
			{at: 0, refused: []refusal{refusedAt(0)}, want: []string{"2-4Gi NoStock Pod 30 1"}},
			{at: 10, inventory: map[string]eci.Stock{"2-4Gi": eci.StockWithout}, want: []string{"2-4Gi NoStock Pod 100 1"}},
		},
		"a pod is refused where the inventory said so before": {
			{at: 0, inventory: map[string]eci.Stock{"2-4Gi": eci.StockWithout}, want: []string{"2-4Gi WithoutStock Inventory 90 0"}},
			{at: 1, inventory: map[string]eci.Stock{"2-4Gi": eci.StockWithout}, refused: []refusal{refusedAt(1)}, want: []string{"2-4Gi NoStock Pod 91 1"}},
		},
		"each choice of a pod": {
			{at: 0, refused: []refusal{refusedAt(0, "2-4Gi", "4-8Gi")}, want: []string{"2-4Gi NoStock Pod 30 1", "4-8Gi NoStock Pod 30 1"}},
		},
	}
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			book, outs := stockBook{}, []v1alpha1.StockOut(nil)
			for _, s := range steps {
				news := stockNews{now: in(s.at), zone: zoneJ, interval: 30 * time.Second, refusals: s.refused, creations: s.created, inventory: map[string]account.Stock{}}
				for spec, category := range s.inventory {
					news.inventory[spec] = account.Stock{At: in(s.at), Zones: map[string]eci.Stock{zoneJ: category}}
				}
				outs = book.update(outs, &news)
				if diff := cmp.Diff(s.want, written(outs)); diff != "" {
					t.Fatalf("after %d s (-want +got):\n%s", s.at, diff)
				}
			}
		})
	}
}

func written(outs []v1alpha1.StockOut) []string {
	var words []string
	for _, o := range outs {
		words = append(words, fmt.Sprintf("%s %s %s %.0f %d", o.Spec, o.Reason, o.Source, o.Until.Sub(begin).Seconds(), o.Failures))
	}
	return words
}

func TestBackoffEnds(t *testing.T) {
	if got := backoff(1000); got != maxBackoff {
		t.Errorf("backoff after 1,000 failures: %v, want %v", got, maxBackoff)
	}
}

func TestMostStockOuts(t *testing.T) {
	var refusals []refusal
	for i := range 100 {
		refusals = append(refusals, refusedAt(0, fmt.Sprintf("ecs.c6.%dxlarge", i)))
	}
	if got := len(stockBook{}.update(nil, &stockNews{now: in(0), refusals: refusals})); got != mostStockOuts {
		t.Errorf("%d stock-outs, want the CRD's limit of %d", got, mostStockOuts)
	}
}

func TestRunningOut(t *testing.T) {
	pods := []*corev1.Pod{eciSays(corev1.ConditionFalse, "StockExhaust", 0), eciSays(corev1.ConditionFalse, "NoStock", 0)}
	if diff := cmp.Diff([]string{"2-4Gi"}, runningOut(pods, "cn-beijing", in(599))); diff != "" {
		t.Errorf("running out (-want +got):\n%s", diff)
	}
	if got := runningOut(pods, "cn-beijing", in(600)); got != nil {
		t.Errorf("running out for ever: %v", got)
	}
}

func TestLowStock(t *testing.T) {
	news := stockNews{zone: zoneJ, inventory: map[string]account.Stock{
		"2-4Gi": {Zones: map[string]eci.Stock{zoneJ: eci.StockLow}}, "1-2Gi": {Zones: map[string]eci.Stock{zoneJ: eci.StockLow}},
		"4-8Gi": {Zones: map[string]eci.Stock{zoneJ: eci.StockWithStock, "cn-beijing-k": eci.StockLow}},
	}}
	if diff := cmp.Diff([]string{"1-2Gi", "2-4Gi", "8-16Gi"}, news.lowStock([]string{"8-16Gi", "2-4Gi"})); diff != "" {
		t.Errorf("low stock (-want +got):\n%s", diff)
	}
}

// eciSays returns a bound pod on which ECI has written a condition.
func eciSays(status corev1.ConditionStatus, reason string, at int) *corev1.Pod {
	pod := wrappers.MakePod("p").Request("cpu", "2").Request("memory", "4Gi").Node("virtual-kubelet-cn-beijing-j").Obj()
	pod.Status.Phase = corev1.PodPending
	pod.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(in(at - 1))},
		{Type: v1alpha1.ConditionContainerInstanceCreated, Status: status, Reason: reason, LastTransitionTime: metav1.NewTime(in(at))},
	}
	return pod
}

// beheldAt is a zone at a time, with a quota that had so many vCPUs left when it was read.
func beheldAt(now int, free int64, readAt int) *beheld {
	return &beheld{region: "cn-beijing", scheduler: wrappers.SchedulerName, freeMilliCPU: free * 1000, readAt: in(readAt), now: in(now)}
}

// TestRefusedBy_Scope checks that what one user asks for closes the zone for others only if ECI would refuse them, too.
func TestRefusedBy_Scope(t *testing.T) {
	const spot = "k8s.aliyun.com/eci-spot-strategy"
	refused := func(reason, useSpecs string, edits ...func(*corev1.Pod)) *corev1.Pod {
		p := eciSays(corev1.ConditionFalse, reason, 5)
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("1m")}
		p.Annotations = map[string]string{ecispec.AnnotationUseSpecs: useSpecs}
		for _, edit := range edits {
			edit(p)
		}
		return p
	}
	foreign := func(p *corev1.Pod) { p.Spec.SchedulerName = "default-scheduler" }
	onSpot := func(p *corev1.Pod) { p.Annotations[spot] = "SpotAsPriceGo" }
	cases := map[string]struct {
		pod *corev1.Pod
		// readAt is when the quota was read, which then had 8 vCPUs left.
		readAt int
		want   []string
	}{
		"fits into what is left":                   {pod: refused("QuotaExceeded", "8-16Gi"), want: []string{"*"}},
		"more than what is left":                   {pod: refused("QuotaExceeded", "16-32Gi"), want: []string{"16-32Gi"}},
		"an instance type that nobody sells":       {pod: refused("QuotaExceeded", "ecs.c6.64xlarge"), want: []string{"ecs.c6.64xlarge"}},
		"an instance type, which has its quota":    {pod: refused("QuotaExceeded", "ecs.c6.large"), want: []string{"ecs.c6.large"}},
		"one of several is more than what is left": {pod: refused("QuotaExceeded", "16-32Gi,2-4Gi"), want: []string{"16-32Gi"}},
		"read since: the capacity tells of it":     {pod: refused("QuotaExceeded", "8-16Gi"), readAt: 11},
		"read since, by a clock that is ahead":     {pod: refused("QuotaExceeded", "8-16Gi"), readAt: 10, want: []string{"*"}},
		"spot":                                     {pod: refused("QuotaExceeded", "8-16Gi", onSpot), want: []string{"* (choosy)"}},
		"spot that is more than what is left":      {pod: refused("QuotaExceeded", "16-32Gi", onSpot), want: []string{"16-32Gi (choosy)"}},
		"no stock of what only it asks for":        {pod: refused("NoStock", "ecs.zz9.small"), want: []string{"ecs.zz9.small"}},
		"a quota, of another scheduler":            {pod: refused("QuotaExceeded", "8-16Gi", foreign), want: []string{"8-16Gi"}},
		"the zone, of another scheduler":           {pod: refused("StockClose", "8-16Gi", foreign), want: []string{"8-16Gi"}},
		"addresses, of another scheduler":          {pod: refused("IpNotEnough", "8-16Gi", foreign), want: []string{"8-16Gi"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, refused := refusedBy(tc.pod, beheldAt(6, 8, tc.readAt))
			if diff := cmp.Diff(tc.want, got.specs, cmpopts.EquateEmpty()); diff != "" || !refused {
				t.Errorf("refused = %v (-want +got):\n%s", refused, diff)
			}
		})
	}
}

// TestRefusedBy_Unreadable checks that ECI's answer to something that nobody can read says nothing of others.
func TestRefusedBy_Unreadable(t *testing.T) {
	p := eciSays(corev1.ConditionFalse, "QuotaExceeded", 5)
	p.Annotations = map[string]string{ecispec.AnnotationUseSpecs: "ecs.c6.999xlarge"}
	if got, refused := refusedBy(p, beheldAt(6, 8, 0)); refused {
		t.Errorf("closes %v", got.specs)
	}
}

// TestCreationEndsZone checks whose instance shows that ECI accepts pods in a zone again.
func TestCreationEndsZone(t *testing.T) {
	const security, vSwitch = "k8s.aliyun.com/eci-security-group", "k8s.aliyun.com/eci-vswitch"
	cases := map[string]struct {
		annotations map[string]string
		closed      string
		want        bool
	}{
		"any pod":                          {closed: "*", want: true},
		"what the virtual-kubelet writes":  {annotations: map[string]string{security: "sg-1", vSwitch: "vsw-1"}, closed: "*", want: true},
		"somebody's own vSwitch":           {annotations: map[string]string{vSwitch: "vsw-own"}, closed: "*"},
		"somebody's address":               {annotations: map[string]string{"k8s.aliyun.com/eci-with-eip": "true"}, closed: "*"},
		"a spot instance":                  {annotations: map[string]string{"k8s.aliyun.com/eci-spot-strategy": "SpotAsPriceGo"}, closed: "*"},
		"the vSwitch that was full":        {annotations: map[string]string{security: "sg-1", vSwitch: "vsw-own"}, closed: "* (choosy, vswitch=vsw-own)", want: true},
		"a specification, written back":    {annotations: map[string]string{security: "sg-1", vSwitch: "vsw-1"}, closed: "2-4Gi", want: true},
		"one of two that ECI has taken":    {annotations: map[string]string{ecispec.AnnotationUseSpecs: "4-8Gi,2-4Gi", ecispec.AnnotationInstanceSpec: "2-4Gi"}, closed: "4-8Gi"},
		"the one of two that is taken":     {annotations: map[string]string{ecispec.AnnotationUseSpecs: "4-8Gi,2-4Gi", ecispec.AnnotationInstanceSpec: "2-4Gi"}, closed: "2-4Gi", want: true},
		"a specification, in a restricted": {annotations: map[string]string{vSwitch: "vsw-own"}, closed: "2-4Gi"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pod := eciSays(corev1.ConditionTrue, "", 31)
			pod.Annotations = tc.annotations
			by := beheldAt(32, 8, 0)
			by.vSwitches = []string{"vsw-1"}
			_, created := sortPods([]*corev1.Pod{pod}, by)
			out := v1alpha1.StockOut{Spec: tc.closed, Source: v1alpha1.SourcePod, Until: metav1.NewTime(in(30))}
			outs := stockBook{}.update([]v1alpha1.StockOut{out}, &stockNews{now: in(32), creations: created})
			if got := len(outs) == 0; got != tc.want {
				t.Errorf("ended = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestRefusedBy(t *testing.T) {
	cases := map[string]struct {
		pod *corev1.Pod
		// now is in seconds.
		now  int
		want *refusal
	}{
		"created":         {pod: eciSays(corev1.ConditionTrue, "", 0)},
		"being created":   {pod: eciSays(corev1.ConditionFalse, "Creating", 0), now: 1000},
		"nothing is said": {pod: wrappers.MakePod("p").Node("n").Obj()},
		"no stock":        {pod: eciSays(corev1.ConditionFalse, "NoStock", 5), now: 5, want: &refusal{specs: []string{"2-4Gi"}, reason: "NoStock", at: in(5)}},
		"the zone closes": {pod: eciSays(corev1.ConditionFalse, "StockClose", 5), now: 5, want: &refusal{specs: []string{"*"}, reason: "StockClose", at: in(5)}},
		"the quota":       {pod: eciSays(corev1.ConditionFalse, "QuotaExceeded", 5), now: 5, want: &refusal{specs: []string{"*"}, reason: "QuotaExceeded", at: in(5)}},
		"no address":      {pod: eciSays(corev1.ConditionFalse, "IpNotEnough", 5), now: 5, want: &refusal{specs: []string{"*"}, reason: "IpNotEnough", at: in(5)}},
		"stock runs out":  {pod: eciSays(corev1.ConditionFalse, "StockExhaust", 0), now: 100_000},
		"something else":  {pod: eciSays(corev1.ConditionFalse, "UnknownError", 0), now: 100_000},
		"a disk's quota":  {pod: eciSays(corev1.ConditionFalse, "DiskCapacityQuotaFull", 0), now: 100_000},
		"no spot instances": {pod: func() *corev1.Pod {
			p := eciSays(corev1.ConditionFalse, "NoStock", 5)
			p.Annotations = map[string]string{"k8s.aliyun.com/eci-spot-strategy": "SpotAsPriceGo"}
			return p
		}(), want: &refusal{specs: []string{"2-4Gi (choosy)"}, reason: "NoStock", at: in(5)}},
		"no address in its own vSwitch": {pod: func() *corev1.Pod {
			p := eciSays(corev1.ConditionFalse, "IpNotEnough", 5)
			p.Annotations = map[string]string{"k8s.aliyun.com/eci-vswitch": "vsw-own"}
			return p
		}(), want: &refusal{specs: []string{"* (choosy, vswitch=vsw-own)"}, reason: "IpNotEnough", at: in(5)}},
		"no EIP left": {pod: func() *corev1.Pod {
			p := eciSays(corev1.ConditionFalse, "EipQuotaExceeded", 5)
			p.Annotations = map[string]string{"k8s.aliyun.com/eci-with-eip": "true"}
			return p
		}(), want: &refusal{specs: []string{"* (choosy, with-eip=true)"}, reason: "EipQuotaExceeded", at: in(5)}},
		"it runs all the same": {pod: func() *corev1.Pod {
			p := eciSays(corev1.ConditionFalse, "NoStock", 0)
			p.Status.Phase = corev1.PodRunning
			return p
		}()},
		"fail-fast": {pod: func() *corev1.Pod {
			p := eciSays(corev1.ConditionFalse, "NoStock", 0)
			p.Status.Phase = corev1.PodFailed
			return p
		}(), want: &refusal{specs: []string{"2-4Gi"}, reason: "NoStock", at: in(0)}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, refused := refusedBy(tc.pod, beheldAt(tc.now, 2, 0))
			if refused != (tc.want != nil) {
				t.Fatalf("refused = %v (%+v)", refused, got)
			}
			if tc.want != nil {
				if diff := cmp.Diff(*tc.want, got, cmp.AllowUnexported(refusal{})); diff != "" {
					t.Errorf("refusal (-want +got):\n%s", diff)
				}
			}
		})
	}
}
