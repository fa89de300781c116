package provider

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

func TestGroupName(t *testing.T) {
	for pod, want := range map[string]string{
		"web":                           "shop-web",
		strings.Repeat("a", 200):        "shop-" + strings.Repeat("a", 123),
		strings.Repeat("a", 122) + "-b": "shop-" + strings.Repeat("a", 122),
	} {
		if got := groupName(wrappers.MakePod(pod).Namespace("shop").Obj()); got != want {
			t.Errorf("the group of %s is %s, want %s", pod, got, want)
		}
	}
}

func TestReasonOf(t *testing.T) {
	for code, want := range map[string]string{
		"OperationDenied.NoStock": "NoStock", "Zone.NotOnSale": "StockClose", "QuotaExceeded": "QuotaExceeded", "QuotaExceed.Something": "QuotaExceeded",
		"InvalidVSwitchId.IpNotEnough": "IpNotEnough", "InvalidVSwitchId.NotFound": "UnknownError", "": "UnknownError",
	} {
		if got := reasonOf(code); got != want {
			t.Errorf("the reason for %q is %s, want %s", code, got, want)
		}
	}
}

func TestIsTransient(t *testing.T) {
	cases := []struct {
		status int
		code   string
		want   bool
	}{
		{http.StatusTooManyRequests, "Throttling.User", true}, {http.StatusBadRequest, "Throttling", true},
		{http.StatusBadRequest, "Degrade.Api", true}, {http.StatusServiceUnavailable, "ServiceUnavailable", true},
		{http.StatusForbidden, "OperationDenied.NoStock", false}, {http.StatusBadRequest, "QuotaExceeded", false},
	}
	for _, tc := range cases {
		if got := isTransient(tc.status, tc.code); got != tc.want {
			t.Errorf("%d %s: transient %t, want %t", tc.status, tc.code, got, tc.want)
		}
	}
}

func TestCreation(t *testing.T) {
	pod := wrappers.MakePod("web-1").Namespace("shop").Node("virtual-kubelet-cn-test-a").Obj()
	pod.UID = "u-1"
	at := site{"cn-test", "cn-test-a"}
	want := query{
		"RegionId": "cn-test", "ZoneId": "cn-test-a", "VSwitchId": "vsw-a", "ContainerGroupName": "shop-web-1", "ClientToken": "u-1",
		"Cpu": "0.25", "Memory": "0.5",
		"Tag.1.Key": "NodeName", "Tag.1.Value": "virtual-kubelet-cn-test-a", "Tag.2.Key": "NameSpace", "Tag.2.Value": "shop",
		"Tag.3.Key": "PodName", "Tag.3.Value": "web-1", "Tag.4.Key": "UID", "Tag.4.Value": "u-1",
	}
	if diff := cmp.Diff(want, creation(pod, at, "vsw-a", ecispec.Spec{MilliCPU: 250, Memory: 512 << 20})); diff != "" {
		t.Errorf("by vCPU and memory (-want +got):\n%s", diff)
	}
	delete(want, "Cpu")
	delete(want, "Memory")
	want["InstanceType"] = "ecs.c6.large"
	if diff := cmp.Diff(want, creation(pod, at, "vsw-a", ecispec.Spec{MilliCPU: 2000, Memory: 4 << 30, InstanceType: "ecs.c6.large"})); diff != "" {
		t.Errorf("by instance type (-want +got):\n%s", diff)
	}
}

func TestPatches(t *testing.T) {
	now := metav1.NewTime(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
	r := &refusal{"NoStock", "OperationDenied.NoStock"}
	const says = `{"type":"ContainerInstanceCreated","status":"False","lastTransitionTime":"2030-01-02T03:04:05Z",` +
		`"reason":"NoStock","message":"OperationDenied.NoStock"}`
	for name, tc := range map[string]struct {
		patch podPatch
		want  string
	}{
		"refused": {refused(r, now), `{"metadata":{"uid":"u-1"},"status":{"conditions":[` + says + `]}}`},
		"failed": {failed(r, now), `{"metadata":{"uid":"u-1"},"status":{"conditions":[` + says + `],"message":"OperationDenied.NoStock",` +
			`"phase":"Failed","reason":"ProviderFailed"}}`},
	} {
		got, err := tc.patch.encode("u-1")
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", name, err, got, tc.want)
		}
	}
	pod := wrappers.MakePod("web").Obj()
	pod.Status.Conditions = []corev1.PodCondition{{Type: "ContainerInstanceCreated", Status: "False", Reason: r.reason, Message: r.message}}
	if !alreadySays(pod, r) || alreadySays(pod, &refusal{"NoStock", "Zone.NotOnSale"}) || alreadySays(wrappers.MakePod("web").Obj(), r) {
		t.Error("alreadySays does not tell what a pod says")
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for want, options := range map[string]Options{
		`endpoint: "127.0.0.1": must be a URL such as http://127.0.0.1:8080`: {Endpoint: "127.0.0.1"},
		`workers: -1: must be 1 or more`:                                     {Endpoint: "http://127.0.0.1:1", Workers: -1},
		`retry: -1s: must be above 0s`:                                       {Endpoint: "http://127.0.0.1:1", Retry: -time.Second},
	} {
		if _, err := newProvider(nil, options); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
