package offer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/apis/quantity"
	schedulingv1alpha1 "github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
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
	vn.Status.Price = &v1alpha1.Price{ReadTime: ptrTo(in(0)), Currency: "CNY", CPUPerHour: "0.18", MemoryPerHour: "0.036"}
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
		return v1alpha1.StockOut{Spec: spec, Reason: reason, Source: v1alpha1.SourcePod, LastFailure: in(-30), Until: in(until)}
	}
	two := wrappers.MakePod("p").Request("cpu", "2").Request("memory", "4Gi")
	forbids := "cn-beijing-j: VirtualNode cn-beijing-j does not allow to add "
	grant := ": if ECI grants your account that, add it to spec.allowedCapabilities"
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
		"a limit that was lowered just now": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.Limits = limits("cpu", "1") },
			want: offer.Verdict{Why: "cn-beijing-j: spec.limits.cpu leaves no room for 2-4Gi", Full: true},
		},
		"an edit of which the status does not speak yet": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Generation = 2 }, want: offer.Verdict{Why: "cn-beijing-j: what ECI would accept is not known yet"},
		},
		"a limit on memory": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.Limits = limits("memory", "80Gi") }, held: offer.Held{Node: offer.Amount{Memory: 77 << 30}},
			want: offer.Verdict{Why: "cn-beijing-j: spec.limits.memory leaves no room for 2-4Gi", Full: true},
		},
		"no address is free": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.VSwitches = []string{"vsw-a"} }, held: offer.Held{Node: offer.Amount{Pods: 40}},
			want: offer.Verdict{Why: "cn-beijing-j: the number of free IP addresses of its vSwitches leaves no room for 2-4Gi", Full: true},
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
		"the VirtualNode is being deleted": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.DeletionTimestamp = ptrTo(in(0)) },
			want: offer.Verdict{Why: "cn-beijing-j: its VirtualNode is being deleted", Deleted: true},
		},
		"sold out": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.StockOuts = []v1alpha1.StockOut{out("2-4Gi", "NoStock", 1)} },
			want: offer.Verdict{Why: "cn-beijing-j: out of stock for 2-4Gi (NoStock)", SoldOut: true},
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
			want: offer.Verdict{Why: "cn-beijing-j: out of stock for 2-4Gi (NoStock)", SoldOut: true},
		},
		"one may try again": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.StockOuts = []v1alpha1.StockOut{out("2-4Gi", "NoStock", 0)} },
			held: offer.Held{Undecided: map[string]offer.Undecided{"4-8Gi": {Pods: 1}}},
		},
		"one tries again": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.StockOuts = []v1alpha1.StockOut{out("2-4Gi", "NoStock", 0)} },
			held: offer.Held{Undecided: map[string]offer.Undecided{"2-4Gi": {Pods: 1}}},
			want: offer.Verdict{Why: "cn-beijing-j: out of stock for 2-4Gi (NoStock)", SoldOut: true},
		},
		"one that was bound within three minutes tries again": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.StockOuts = []v1alpha1.StockOut{out("*", "StockClose", 0)} },
			held: offer.Held{Undecided: map[string]offer.Undecided{"*": {Pods: 1, Newest: in(-179).Time}}},
			want: offer.Verdict{Why: "cn-beijing-j: ECI refuses every pod (StockClose)", SoldOut: true},
		},
		"one of which nothing was heard for three minutes keeps nobody out": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.StockOuts = []v1alpha1.StockOut{out("*", "StockClose", 0)} },
			held: offer.Held{Undecided: map[string]offer.Undecided{"*": {Pods: 1, Newest: in(-180).Time}}},
		},
		"one that was refused is decided": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.StockOuts = []v1alpha1.StockOut{out("2-4Gi", "NoStock", 0)} },
			held: offer.Held{Undecided: map[string]offer.Undecided{"2-4Gi": {Refused: in(-100).Time}}},
		},
		"one that was refused just now is not known of yet": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.StockOuts = []v1alpha1.StockOut{out("2-4Gi", "NoStock", 0)} },
			held: offer.Held{Undecided: map[string]offer.Undecided{"2-4Gi": {Refused: in(-1).Time}}},
			want: offer.Verdict{Why: "cn-beijing-j: out of stock for 2-4Gi (NoStock)", SoldOut: true},
		},
		"no spot instances are left: others are": {
			edit: func(vn *v1alpha1.VirtualNode) {
				vn.Status.StockOuts = []v1alpha1.StockOut{out("2-4Gi (choosy)", "NoStock", 1)}
			},
		},
		"no spot instances are left": {
			pod: wrappers.MakePod("p").Annotation("k8s.aliyun.com/eci-spot-strategy", "SpotAsPriceGo"),
			edit: func(vn *v1alpha1.VirtualNode) {
				vn.Status.StockOuts = []v1alpha1.StockOut{out("2-4Gi (choosy)", "NoStock", 1)}
			},
			want: offer.Verdict{Why: "cn-beijing-j: out of stock for 2-4Gi (choosy) (NoStock)", SoldOut: true},
		},
		"a vSwitch of somebody's own is full: others are taken": {
			edit: func(vn *v1alpha1.VirtualNode) {
				vn.Status.StockOuts = []v1alpha1.StockOut{out("* (choosy, vswitch=vsw-1)", "IpNotEnough", 1)}
			},
		},
		"another vSwitch of somebody's own is full": {
			pod: wrappers.MakePod("p").Annotation("k8s.aliyun.com/eci-vswitch", "vsw-2"),
			edit: func(vn *v1alpha1.VirtualNode) {
				vn.Status.StockOuts = []v1alpha1.StockOut{out("* (choosy, vswitch=vsw-1)", "IpNotEnough", 1)}
			},
		},
		"its own vSwitch is full": {
			pod: wrappers.MakePod("p").Annotation("k8s.aliyun.com/eci-vswitch", "vsw-1"),
			edit: func(vn *v1alpha1.VirtualNode) {
				vn.Status.StockOuts = []v1alpha1.StockOut{out("* (choosy, vswitch=vsw-1)", "IpNotEnough", 1)}
			},
			want: offer.Verdict{Why: "cn-beijing-j: ECI refuses every pod that is restricted so (IpNotEnough)", SoldOut: true},
		},
		"nothing is left, for spot instances neither": {
			pod:  wrappers.MakePod("p").Annotation("k8s.aliyun.com/eci-spot-strategy", "SpotAsPriceGo"),
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.StockOuts = []v1alpha1.StockOut{out("2-4Gi", "NoStock", 1)} },
			want: offer.Verdict{Why: "cn-beijing-j: out of stock for 2-4Gi (NoStock)", SoldOut: true},
		},
		"the zone is closed": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.StockOuts = []v1alpha1.StockOut{out("*", "StockClose", 1)} },
			want: offer.Verdict{Why: "cn-beijing-j: ECI refuses every pod (StockClose)", SoldOut: true},
		},
		"money enough": { // 2-4Gi costs 0.504 an hour
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.MaxSpendPerHour = ptrTo(quantity.MustParse("1.008")) },
			held: offer.Held{Bills: bills(t, "2-4Gi")},
		},
		"the dearest of several instance types counts, also when it runs": { // 0.36 and 20
			edit: func(vn *v1alpha1.VirtualNode) {
				vn.Spec.MaxSpendPerHour = ptrTo(quantity.MustParse("40"))
				vn.Status.Price.InstanceTypes = []v1alpha1.InstanceTypePrice{{Type: "ecs.c6.large", PerHour: "12"}, {Type: "ecs.c7.large", PerHour: "20"}}
			},
			pod: wrappers.MakePod("p").Annotation(ecispec.AnnotationUseSpecs, "ecs.c6.large,ecs.c7.large"),
			held: offer.Held{Bills: func() map[string]offer.Bills {
				b := bills(t, "ecs.c6.large", "ecs.c7.large")
				b["x"] = b["ecs.c6.large,ecs.c7.large"]
				return b
			}()},
			want: offer.Verdict{Why: "cn-beijing-j: spec.maxSpendPerHour leaves no room for ecs.c6.large", Full: true},
		},
		"not money enough": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.MaxSpendPerHour = ptrTo(quantity.MustParse("1.007")) },
			held: offer.Held{Bills: bills(t, "2-4Gi")},
			want: offer.Verdict{Why: "cn-beijing-j: spec.maxSpendPerHour leaves no room for 2-4Gi", Full: true},
		},
		"a limit on money and no prices": {
			edit: func(vn *v1alpha1.VirtualNode) {
				vn.Spec.MaxSpendPerHour, vn.Status.Price = ptrTo(quantity.MustParse("1")), nil
			},
			want: offer.Verdict{Why: "cn-beijing-j: the price of 2-4Gi is not known, and spec.maxSpendPerHour is set"},
		},
		"a limit on money and a price that was read within a day": {
			edit: func(vn *v1alpha1.VirtualNode) {
				vn.Spec.MaxSpendPerHour, vn.Status.Price.ReadTime = ptrTo(quantity.MustParse("1")), ptrTo(in(1-24*3600))
			},
		},
		"a limit on money and a price that was read a day ago": {
			edit: func(vn *v1alpha1.VirtualNode) {
				vn.Spec.MaxSpendPerHour, vn.Status.Price.ReadTime = ptrTo(quantity.MustParse("1")), ptrTo(in(-24*3600))
			},
			want: offer.Verdict{Why: "cn-beijing-j: the price of 2-4Gi has not been read for a while, and spec.maxSpendPerHour is set"},
		},
		"a limit on money and a price without an age": {
			edit: func(vn *v1alpha1.VirtualNode) {
				vn.Spec.MaxSpendPerHour, vn.Status.Price.ReadTime = ptrTo(quantity.MustParse("1")), nil
			},
			want: offer.Verdict{Why: "cn-beijing-j: the price of 2-4Gi has not been read for a while, and spec.maxSpendPerHour is set"},
		},
		"an old price without a limit on money": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Status.Price.ReadTime = nil },
		},
		"a limit on money and an instance type without a price": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.MaxSpendPerHour = ptrTo(quantity.MustParse("100")) },
			held: offer.Held{Bills: bills(t, "ecs.c6.large")},
			want: offer.Verdict{Why: "cn-beijing-j: the price of ecs.c6.large, which runs there, is not known, and spec.maxSpendPerHour is set"},
		},
		"a limit on money and an instance type without a price of which no instance exists": { // 0.504, and 4 * (0.18 + 8 * 0.036)
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.MaxSpendPerHour = ptrTo(quantity.MustParse("2.376")) },
			held: offer.Held{Bills: waiting(bills(t, "ecs.zz9.small"))},
		},
		"an instance type without a price of which no instance exists counts for more than its vCPUs and memory": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.MaxSpendPerHour = ptrTo(quantity.MustParse("2.375")) },
			held: offer.Held{Bills: waiting(bills(t, "ecs.zz9.small"))},
			want: offer.Verdict{Why: "cn-beijing-j: spec.maxSpendPerHour leaves no room for 2-4Gi", Full: true},
		},
		"an instance of one of several specifications of which one has a price": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.MaxSpendPerHour = ptrTo(quantity.MustParse("2.376")) },
			held: offer.Held{Bills: bills(t, "2-4Gi", "ecs.zz9.small")},
		},
		"a capability that is allowed by default": {pod: wrappers.MakePod("p").Init("istio-init", "NET_ADMIN", "NET_RAW")},
		"capabilities that are not allowed by default": {
			pod:  wrappers.MakePod("p").Add("IPC_LOCK", "ipc_lock").Init("istio-init", "NET_ADMIN", "SYS_TIME"),
			want: offer.Verdict{Why: forbids + "SYS_TIME of container istio-init, IPC_LOCK of container main" + grant, Forbidden: true},
		},
		"more capabilities than are named": {
			pod: wrappers.MakePod("p").Add("BPF", "SYSLOG", "SYS_BOOT", "SYS_NICE", "SYS_TIME"),
			want: offer.Verdict{
				Why: forbids + "BPF of container main, SYSLOG of container main, SYS_BOOT of container main, 2 more" + grant, Forbidden: true,
			},
		},
		"a list of capabilities that has others": {
			edit: allow("IPC_LOCK"), pod: wrappers.MakePod("p").Init("istio-init", "NET_ADMIN"),
			want: offer.Verdict{Why: forbids + "NET_ADMIN of container istio-init" + grant, Forbidden: true},
		},
		"a list of capabilities that has it": {edit: allow("IPC_LOCK"), pod: wrappers.MakePod("p").Add("CAP_ipc_lock")},
		"an empty list of capabilities": {
			edit: allow(), pod: wrappers.MakePod("p").Add("NET_RAW"),
			want: offer.Verdict{Why: forbids + "NET_RAW of container main" + grant, Forbidden: true},
		},
		"an empty list of capabilities, and one that every container has": {edit: allow(), pod: wrappers.MakePod("p").Add("CHOWN", "NET_BIND_SERVICE")},
		"a capability on a node that is full": {
			held: offer.Held{Account: 100_000}, pod: wrappers.MakePod("p").Add("BPF"),
			want: offer.Verdict{Why: forbids + "BPF of container main" + grant, Forbidden: true},
		},
		"a capability, and an edit of which the status does not speak yet": {
			edit: func(vn *v1alpha1.VirtualNode) { vn.Generation = 7 }, pod: wrappers.MakePod("p").Add("BPF"),
			want: offer.Verdict{Why: forbids + "BPF of container main" + grant, Forbidden: true},
		},
		"all capabilities": {
			edit: allow("NET_ADMIN"), pod: wrappers.MakePod("p").Add("ALL"),
			want: offer.Verdict{Why: `ECI cannot run containers with the added capability "ALL" (container main)`},
		},
		"a limit on money and a pod that asks for an instance type without a price": {
			pod:  wrappers.MakePod("p").Annotation(ecispec.AnnotationUseSpecs, "ecs.zz9.small"),
			edit: func(vn *v1alpha1.VirtualNode) { vn.Spec.MaxSpendPerHour = ptrTo(quantity.MustParse("100")) },
			want: offer.Verdict{Why: "cn-beijing-j: the price of ecs.zz9.small is not known, and spec.maxSpendPerHour is set"},
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

// allow sets the capabilities that containers may add.
func allow(capabilities ...string) func(*v1alpha1.VirtualNode) {
	return func(vn *v1alpha1.VirtualNode) { vn.Spec.AllowedCapabilities = append([]string{}, capabilities...) }
}

// bills are one pod that ECI bills for one of these.
func bills(t *testing.T, specs ...string) map[string]offer.Bills {
	t.Helper()
	var bill ecispec.Bill
	for _, text := range specs {
		bill.Specs = append(bill.Specs, spec(t, text))
	}
	return map[string]offer.Bills{strings.Join(specs, ","): {Bill: bill, Pods: 1}}
}

// waiting are pods with these bills that have no instance.
func waiting(all map[string]offer.Bills) map[string]offer.Bills {
	for name, bills := range all {
		bills.Uncreated = bills.Pods
		all[name] = bills
	}
	return all
}

func limits(name corev1.ResourceName, amount string) map[corev1.ResourceName]quantity.Quantity {
	return map[corev1.ResourceName]quantity.Quantity{name: quantity.MustParse(amount)}
}

func TestDescribing(t *testing.T) {
	taken := wrappers.MakeZone("cn-beijing-j").Obj()
	taken.Name, taken.CreationTimestamp = "taken", in(-10)
	taken.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonNodeNameTaken}}
	younger, older, other := wrappers.MakeZone("cn-beijing-j").Obj(), wrappers.MakeZone("cn-beijing-j").Obj(), wrappers.MakeZone("cn-beijing-k").Obj()
	younger.Name, younger.CreationTimestamp = "a", in(1)
	older.Name, older.CreationTimestamp = "b", in(0)
	got := map[string]string{}
	for node, vn := range offer.Describing([]*v1alpha1.VirtualNode{taken, younger, older, other}) {
		got[node] = vn.Name
	}
	if diff := cmp.Diff(map[string]string{"virtual-kubelet-cn-beijing-j": "b", "virtual-kubelet-cn-beijing-k": "cn-beijing-k"}, got); diff != "" {
		t.Errorf("describing (-want +got):\n%s", diff)
	}
}

func TestHoldingOf(t *testing.T) {
	three := func() *wrappers.Pod {
		return wrappers.MakePod("p").Request("cpu", "2").Request("memory", "3Gi").Node("n")
	}
	running, refused := three(), three()
	running.Status.Phase = corev1.PodRunning
	refused.Status.Conditions = []corev1.PodCondition{{Type: v1alpha1.ConditionContainerInstanceCreated, Status: corev1.ConditionFalse, LastTransitionTime: in(0)}}
	bill := func(texts ...string) ecispec.Bill {
		var b ecispec.Bill
		for _, text := range texts {
			b.Specs = append(b.Specs, spec(t, text))
		}
		return b
	}
	cases := map[string]struct {
		pod  *wrappers.Pod
		want offer.Holding
	}{
		"ECI has still to decide": {pod: three(), want: offer.Holding{Bill: bill("2-4Gi"), Stock: []string{"2-4Gi"}}},
		"it runs":                 {pod: running, want: offer.Holding{Bill: bill("2-4Gi"), Stock: []string{"2-4Gi"}, Decided: true}},
		"ECI has refused it":      {pod: refused, want: offer.Holding{Bill: bill("2-4Gi"), Stock: []string{"2-4Gi"}, Refused: in(0).Time}},
		"what Spillway would not have placed counts, too": {pod: three().HostPort(80), want: offer.Holding{Bill: bill("2-4Gi"), Stock: []string{"2-4Gi"}}},
		"one of several": {
			pod:  wrappers.MakePod("p").Annotation(ecispec.AnnotationUseSpecs, "2-8Gi,4-4Gi").Node("n"),
			want: offer.Holding{Bill: bill("2-8Gi", "4-4Gi"), Stock: []string{"2-8Gi", "4-4Gi"}},
		},
		"one of a family": {
			pod:  three().Annotation("k8s.aliyun.com/eci-instance-family", "ecs.c7"),
			want: offer.Holding{Bill: bill("2-4Gi"), Stock: []string{"2-4Gi (choosy, instance-family=ecs.c7)"}},
		},
		"bound at a time": {
			pod: func() *wrappers.Pod {
				p := three()
				p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: in(-9)}}
				return p
			}(),
			want: offer.Holding{Bill: bill("2-4Gi"), Stock: []string{"2-4Gi"}, Bound: in(-9).Time},
		},
		"its binding is on its way after it has failed": {
			pod: func() *wrappers.Pod {
				p := three()
				p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, LastTransitionTime: in(-9)}}
				return p
			}(),
			want: offer.Holding{Bill: bill("2-4Gi"), Stock: []string{"2-4Gi"}},
		},
		"one of several that ECI has taken": {
			pod: func() *wrappers.Pod {
				p := wrappers.MakePod("p").Annotation(ecispec.AnnotationUseSpecs, "2-8Gi,4-4Gi").Annotation(ecispec.AnnotationInstanceSpec, "4-4Gi").Node("n").
					Annotation(schedulingv1alpha1.AnnotationECISpecs, "2-8Gi,4-4Gi")
				p.Status.Phase = corev1.PodRunning
				return p
			}(),
			want: offer.Holding{Bill: bill("4-4Gi"), Stock: []string{"4-4Gi"}, Decided: true},
		},
		"one of several that ECI has taken, of which it is not certain that they were asked for": {
			pod: func() *wrappers.Pod {
				p := three().Annotation(ecispec.AnnotationUseSpecs, "2-4Gi,0.25-0.5Gi").Annotation(ecispec.AnnotationInstanceSpec, "0.25-0.5Gi")
				p.Spec.Containers[0].Resources.Requests = nil
				p.Spec.Containers[0].Resources.Limits = wrappers.MakePod("").Request("cpu", "2").Request("memory", "3Gi").Spec.Containers[0].Resources.Limits
				p.Status.Phase = corev1.PodRunning
				return p
			}(),
			want: offer.Holding{Bill: bill("2-4Gi"), Stock: []string{"2-4Gi"}, Decided: true},
		},
		"one of several that somebody says ECI has taken": {
			pod:  wrappers.MakePod("p").Annotation(ecispec.AnnotationUseSpecs, "2-8Gi,4-4Gi").Annotation(ecispec.AnnotationInstanceSpec, "4-4Gi").Node("n"),
			want: offer.Holding{Bill: bill("2-8Gi", "4-4Gi"), Stock: []string{"2-8Gi", "4-4Gi"}},
		},
		"an instance that is far too large for the pod": {
			pod: func() *wrappers.Pod {
				p := three().Annotation(ecispec.AnnotationInstanceSpec, "1000000-1000000Gi")
				p.Status.Phase = corev1.PodRunning
				return p
			}(),
			want: offer.Holding{Bill: bill("2-4Gi"), Stock: []string{"2-4Gi"}, Decided: true},
		},
		"what cannot be read holds what its resources round up to": {
			pod:  three().Annotation(ecispec.AnnotationUseSpecs, "big"),
			want: offer.Holding{Bill: bill("2-4Gi"), Stock: []string{"2-4Gi"}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, offer.HoldingOf(tc.pod.Obj(), "cn-beijing")); diff != "" {
				t.Errorf("holding (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBetterThan(t *testing.T) {
	sold := func(until int) func(*v1alpha1.VirtualNode) {
		return func(vn *v1alpha1.VirtualNode) {
			vn.Status.StockOuts = []v1alpha1.StockOut{{Spec: "2-4Gi", Reason: "NoStock", Until: in(until)}}
		}
	}
	stale := func(vn *v1alpha1.VirtualNode) { vn.Status.FreshUntil = ptrTo(in(-1)) }
	oldPrice := func(vn *v1alpha1.VirtualNode) {
		spend("1", "1")(vn)
		vn.Status.Price.ReadTime = ptrTo(in(-24 * 3600))
	}
	cases := map[string]struct {
		before, after func(*v1alpha1.VirtualNode)
		want          bool
	}{
		"the same":                   {},
		"refreshed":                  {after: func(vn *v1alpha1.VirtualNode) { vn.Status.FreshUntil = ptrTo(in(70)) }},
		"fresh again":                {before: stale, want: true},
		"more cpu":                   {after: func(vn *v1alpha1.VirtualNode) { vn.Status.Capacity["cpu"] = resource.MustParse("10001m") }, want: true},
		"less cpu":                   {after: func(vn *v1alpha1.VirtualNode) { vn.Status.Capacity["cpu"] = resource.MustParse("9") }},
		"more addresses":             {after: func(vn *v1alpha1.VirtualNode) { vn.Status.Capacity["pods"] = resource.MustParse("41") }, want: true},
		"more quota":                 {after: func(vn *v1alpha1.VirtualNode) { vn.Status.QuotaCPU = resource.NewQuantity(101, resource.DecimalSI) }, want: true},
		"in stock again":             {before: sold(10), want: true},
		"sold out":                   {after: sold(10)},
		"sold out for longer":        {before: sold(10), after: sold(20)},
		"sold out for less":          {before: sold(20), after: sold(10), want: true},
		"a price without a limit":    {before: func(vn *v1alpha1.VirtualNode) { vn.Status.Price.CPUPerHour = "1" }},
		"a price that a limit uses":  {before: spend("1", "1"), after: spend("1", "0.5"), want: true},
		"a dearer price":             {before: spend("1", "0.5"), after: spend("1", "1")},
		"a price that is read again": {before: oldPrice, after: spend("1", "1"), want: true},
		"a price that is too old":    {before: spend("1", "1"), after: oldPrice},
		"a capability more":          {after: allow("NET_ADMIN", "NET_RAW", "BPF"), want: true},
		"another capability":         {after: allow("BPF"), want: true},
		"a capability less":          {after: allow("NET_ADMIN")},
		"the default capabilities":   {before: allow("NET_RAW", "NET_ADMIN")},
		"a higher limit":             {before: spend("1", "1"), after: spend("2", "1"), want: true},
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
		"assumed":                                {edit: func(*corev1.Pod) {}},
		"bound":                                  {edit: func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }},
		"runs":                                   {edit: func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning }, want: true},
		"created":                                {edit: condition(corev1.ConditionTrue), want: true},
		"refused":                                {edit: condition(corev1.ConditionFalse)},
		"says of itself that it has an instance": {edit: func(p *corev1.Pod) { p.Annotations = map[string]string{v1alpha1.AnnotationInstanceID: "eci-1"} }},
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
