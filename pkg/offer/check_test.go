package offer_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/quantity"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/offer"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

var now = time.Unix(1_800_000_000, 0)

// in returns the time after so many seconds.
func in(seconds int) metav1.Time {
	return metav1.NewTime(now.Add(time.Duration(seconds) * time.Second))
}

// zone returns a VirtualNode with a fresh capacity of 10 vCPU, 80 GiB and 40 pods, and a quota of 100 vCPU.
func zone(edit func(*v1alpha1.VirtualNode)) *v1alpha1.VirtualNode {
	vn := wrappers.MakeZone("cn-beijing-j").Obj()
	vn.Status.Capacity = corev1.ResourceList{
		"cpu": resource.MustParse("10"), "memory": resource.MustParse("80Gi"), "pods": resource.MustParse("40"),
	}
	vn.Status.QuotaCPU = resource.NewQuantity(100, resource.DecimalSI)
	vn.Status.LastRefreshTime, vn.Status.FreshUntil = ptrTo(in(0)), ptrTo(in(60))
	vn.Status.Price = &v1alpha1.Price{Currency: "CNY", CPUPerHour: "0.18", MemoryPerHour: "0.036"}
	if edit != nil {
		edit(vn)
	}
	return vn
}

func ptrTo[T any](v T) *T { return &v }

func spec(t *testing.T, text string) ecispec.Spec {
	t.Helper()
	s, err := ecispec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCheck(t *testing.T) {
	out := func(spec, reason string, until int) v1alpha1.StockOut {
		return v1alpha1.StockOut{Spec: spec, Reason: reason, Source: v1alpha1.SourcePod, Until: in(until)}
	}
	two := wrappers.MakePod("p").Request("cpu", "2").Request("memory", "4Gi")
	cases := map[string]struct {
		edit func(*v1alpha1.VirtualNode)
		pod  *wrappers.Pod
		held offer.Held
		want offer.Verdict
	}{
		"fits":                 {},
		"fits exactly":         {held: offer.Held{Node: offer.Amount{MilliCPU: 8000, Memory: 76 << 30, Pods: 39}, Account: 98_000}},
		"the quota is used up": {held: offer.Held{Account: 98_001}, want: offer.Verdict{Why: "cn-beijing-j: the vCPU quota of cn-beijing leaves no room for 2-4Gi", Full: true}},
		"the node is full by the quota": {
			held: offer.Held{Node: offer.Amount{MilliCPU: 8001}},
			want: offer.Verdict{Why: "cn-beijing-j: the vCPU quota of cn-beijing leaves no room for 2-4Gi", Full: true},
		},
		"a limit on cpu": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.Limits = limits("cpu", "10") }, held: offer.Held{Node: offer.Amount{MilliCPU: 9000}},
			want: offer.Verdict{Why: "cn-beijing-j: spec.limits.cpu leaves no room for 2-4Gi", Full: true},
		},
		"a limit on memory": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.Limits = limits("memory", "80Gi") }, held: offer.Held{Node: offer.Amount{Memory: 77 << 30}},
			want: offer.Verdict{Why: "cn-beijing-j: spec.limits.memory leaves no room for 2-4Gi", Full: true},
		},
		"no address is free": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.VSwitches = []string{"vsw-a"} }, held: offer.Held{Node: offer.Amount{Pods: 40}},
			want: offer.Verdict{Why: "cn-beijing-j: the free IP addresses of its vSwitches leaves no room for 2-4Gi", Full: true},
		},
		"what is billed counts, not what is requested": {
			pod: wrappers.MakePod("p").Request("cpu", "2").Request("memory", "5Gi"), held: offer.Held{Node: offer.Amount{Memory: 73 << 30}},
			want: offer.Verdict{Why: "cn-beijing-j: the vCPU quota of cn-beijing leaves no room for 2-6Gi", Full: true}, // 2-5Gi is not sold
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.Capacity["memory"] = resource.MustParse("78Gi") },
		},
		"GPUs without a limit on them": {
			pod: wrappers.MakePod("p").Request("nvidia.com/gpu", "1").Annotation(ecispec.AnnotationUseSpecs, "ecs.gn6i-c4g1.xlarge"),
			want: offer.Verdict{
				Why: "cn-beijing-j: spec.limits has no nvidia.com/gpu, which leaves no room for ecs.gn6i-c4g1.xlarge", Full: true,
			},
		},
		"GPUs": {
			pod:  wrappers.MakePod("p").Request("nvidia.com/gpu", "1").Annotation(ecispec.AnnotationUseSpecs, "ecs.gn6i-c4g1.xlarge"),
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.Capacity["nvidia.com/gpu"] = resource.MustParse("1") },
		},
		"an External node has the GPUs that its virtual-kubelet says": {
			pod:  wrappers.MakePod("p").Request("nvidia.com/gpu", "1").Annotation(ecispec.AnnotationUseSpecs, "ecs.gn6i-c4g1.xlarge"),
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.Ownership = v1alpha1.OwnershipExternal },
		},
		"never refreshed": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status = v1alpha1.VirtualNodeStatus{} },
			want: offer.Verdict{Why: "cn-beijing-j: what ECI would accept is not known yet"},
		},
		"refreshed too long ago": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.FreshUntil = ptrTo(in(0)) },
			want: offer.Verdict{Why: "cn-beijing-j: what ECI would accept has not been known for a while"},
		},
		"what ECI cannot run": {
			pod:  func() *wrappers.Pod { p := wrappers.MakePod("p"); p.Spec.HostNetwork = true; return p }(),
			want: offer.Verdict{Why: "ECI cannot run pods with hostNetwork"},
		},
		"an annotation that cannot be read": {
			pod: wrappers.MakePod("p").Annotation(ecispec.AnnotationUseSpecs, "big"),
			want: offer.Verdict{Why: `annotation k8s.aliyun.com/eci-use-specs: specification "big" must be <vCPU>-<memory>Gi such as 2-4Gi, ` +
				`or an ECS instance type such as ecs.c6.large`},
		},
		"sold out": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.StockOuts = []v1alpha1.StockOut{out("2-4Gi", "NoStock", 1)} },
			want: offer.Verdict{Why: "cn-beijing-j: out of stock for 2-4Gi (NoStock)"},
		},
		"another specification is sold out": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.StockOuts = []v1alpha1.StockOut{out("4-8Gi", "NoStock", 1)} },
		},
		"the next choice is not sold out": {
			pod:  wrappers.MakePod("p").Annotation(ecispec.AnnotationUseSpecs, "2-4Gi,4-8Gi"),
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.StockOuts = []v1alpha1.StockOut{out("2-4Gi", "NoStock", 1)} },
		},
		"all choices are sold out": {
			pod: wrappers.MakePod("p").Annotation(ecispec.AnnotationUseSpecs, "2-4Gi,4-8Gi"),
			edit: func(vn *v1alpha1.VirtualNode) {
				vn.Status.StockOuts = []v1alpha1.StockOut{out("2-4Gi", "NoStock", 1), out("4-8Gi", "NotSold", 1)}
			},
			want: offer.Verdict{Why: "cn-beijing-j: out of stock for 2-4Gi (NoStock)"},
		},
		"one may try again": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.StockOuts = []v1alpha1.StockOut{out("2-4Gi", "NoStock", 0)} },
			held: offer.Held{Undecided: map[string]int64{"4-8Gi": 1}},
		},
		"one tries again": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.StockOuts = []v1alpha1.StockOut{out("2-4Gi", "NoStock", 0)} },
			held: offer.Held{Undecided: map[string]int64{"2-4Gi": 1}},
			want: offer.Verdict{Why: "cn-beijing-j: out of stock for 2-4Gi (NoStock)"},
		},
		"the zone is closed": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.StockOuts = []v1alpha1.StockOut{out("*", "StockClose", 1)} },
			want: offer.Verdict{Why: "cn-beijing-j: ECI refuses every pod (StockClose)"},
		},
		"money enough": { // 2-4Gi costs 0.504 an hour
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.MaxSpendPerHour = ptrTo(quantity.MustParse("1.008")) },
			held: offer.Held{Specs: map[ecispec.Spec]int64{spec(t, "2-4Gi"): 1}},
		},
		"not money enough": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.MaxSpendPerHour = ptrTo(quantity.MustParse("1.007")) },
			held: offer.Held{Specs: map[ecispec.Spec]int64{spec(t, "2-4Gi"): 1}},
			want: offer.Verdict{Why: "cn-beijing-j: spec.maxSpendPerHour leaves no room for 2-4Gi", Full: true},
		},
		"a limit on money and no prices": {
			edit: func(vn *v1alpha1.VirtualNode) {
				vn.Spec.MaxSpendPerHour, vn.Status.Price = ptrTo(quantity.MustParse("1")), nil
			},
			want: offer.Verdict{Why: "cn-beijing-j: the price of 2-4Gi is not known, and spec.maxSpendPerHour is set"},
		},
		"a limit on money and an instance type without a price": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.MaxSpendPerHour = ptrTo(quantity.MustParse("100")) },
			held: offer.Held{Specs: map[ecispec.Spec]int64{spec(t, "ecs.c6.large"): 1}},
			want: offer.Verdict{Why: "cn-beijing-j: the price of ecs.c6.large, which runs there, is not known, and spec.maxSpendPerHour is set"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pod := tc.pod
			if pod == nil {
				pod = two
			}
			tc.held.Quota = 100_000
			if got := offer.New(zone(tc.edit)).Check(offer.NewCandidate(pod.Obj(), "cn-beijing"), &tc.held, now); got != tc.want {
				t.Errorf("verdict %+v, want %+v", got, tc.want)
			}
		})
	}
}

func limits(name corev1.ResourceName, amount string) map[corev1.ResourceName]quantity.Quantity {
	return map[corev1.ResourceName]quantity.Quantity{name: quantity.MustParse(amount)}
}

func TestNewOfANodeThatIsAnothers(t *testing.T) {
	vn := zone(func(vn *v1alpha1.VirtualNode) {
		vn.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonNodeNameTaken}}
	})
	if offer.New(vn) != nil {
		t.Error("a VirtualNode offers a node that is another's")
	}
}

func TestBetterThan(t *testing.T) {
	sold := func(until int) func(*v1alpha1.VirtualNode) {
		return func(vn *v1alpha1.VirtualNode) {
			vn.Status.StockOuts = []v1alpha1.StockOut{{Spec: "2-4Gi", Reason: "NoStock", Until: in(until)}}
		}
	}
	stale := func(vn *v1alpha1.VirtualNode) { vn.Status.FreshUntil = ptrTo(in(-1)) }
	cases := map[string]struct {
		before, after func(*v1alpha1.VirtualNode)
		want          bool
	}{
		"the same":                  {},
		"refreshed":                 {after: func(vn *v1alpha1.VirtualNode) { vn.Status.FreshUntil = ptrTo(in(70)) }},
		"fresh again":               {before: stale, want: true},
		"more cpu":                  {after: func(vn *v1alpha1.VirtualNode) { vn.Status.Capacity["cpu"] = resource.MustParse("10001m") }, want: true},
		"less cpu":                  {after: func(vn *v1alpha1.VirtualNode) { vn.Status.Capacity["cpu"] = resource.MustParse("9") }},
		"more addresses":            {after: func(vn *v1alpha1.VirtualNode) { vn.Status.Capacity["pods"] = resource.MustParse("41") }, want: true},
		"more quota":                {after: func(vn *v1alpha1.VirtualNode) { vn.Status.QuotaCPU = resource.NewQuantity(101, resource.DecimalSI) }, want: true},
		"in stock again":            {before: sold(10), want: true},
		"sold out":                  {after: sold(10)},
		"sold out for longer":       {before: sold(10), after: sold(20)},
		"sold out for less":         {before: sold(20), after: sold(10), want: true},
		"a price without a limit":   {before: func(vn *v1alpha1.VirtualNode) { vn.Status.Price.CPUPerHour = "1" }},
		"a price that a limit uses": {before: spend("1", "1"), after: spend("1", "0.5"), want: true},
		"a dearer price":            {before: spend("1", "0.5"), after: spend("1", "1")},
		"a higher limit":            {before: spend("1", "1"), after: spend("2", "1"), want: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := offer.New(zone(tc.after)).BetterThan(offer.New(zone(tc.before)), now); got != tc.want {
				t.Errorf("better = %v, want %v", got, tc.want)
			}
		})
	}
	if !offer.New(zone(nil)).BetterThan(nil, now) {
		t.Error("a new offer is not better than none")
	}
}

func spend(limit, cpu string) func(*v1alpha1.VirtualNode) {
	return func(vn *v1alpha1.VirtualNode) {
		vn.Spec.MaxSpendPerHour, vn.Status.Price.CPUPerHour = ptrTo(quantity.MustParse(limit)), cpu
	}
}

func TestReopens(t *testing.T) {
	n := offer.New(zone(func(vn *v1alpha1.VirtualNode) {
		vn.Status.StockOuts = []v1alpha1.StockOut{{Spec: "2-4Gi", Until: in(20)}, {Spec: "4-8Gi", Until: in(10)}, {Spec: "8-16Gi", Until: in(-10)}}
	}))
	for after, want := range map[int]int{0: 10, 10: 20} {
		if got := n.Reopens(in(after).Time); !got.Equal(in(want).Time) {
			t.Errorf("after %d s: reopens at %v, want %v", after, got, in(want))
		}
	}
	if got := n.Reopens(in(20).Time); !got.IsZero() {
		t.Errorf("reopens at %v although all is over", got)
	}
}

func TestIsCreated(t *testing.T) {
	condition := func(status corev1.ConditionStatus) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: v1alpha1.ConditionContainerInstanceCreated, Status: status}}
		}
	}
	cases := map[string]struct {
		edit func(*corev1.Pod)
		want bool
	}{
		"assumed":         {edit: func(*corev1.Pod) {}},
		"bound":           {edit: func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }},
		"runs":            {edit: func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning }, want: true},
		"created":         {edit: condition(corev1.ConditionTrue), want: true},
		"refused":         {edit: condition(corev1.ConditionFalse)},
		"has an instance": {edit: func(p *corev1.Pod) { p.Annotations = map[string]string{v1alpha1.AnnotationInstanceID: "eci-1"} }, want: true},
		"refused after all": {edit: func(p *corev1.Pod) {
			condition(corev1.ConditionFalse)(p)
			p.Annotations = map[string]string{v1alpha1.AnnotationInstanceID: "eci-1"}
		}},
		"the virtual-kubelet is silent": {edit: func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pod := wrappers.MakePod("p").Obj()
			tc.edit(pod)
			if got := offer.IsCreated(pod); got != tc.want {
				t.Errorf("created = %v, want %v", got, tc.want)
			}
		})
	}
}
