package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	schedulingv1alpha1 "github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/podindex"
	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/pkg/ecispec"
	"github.com/spillway-k8s/spillway/pkg/metrics"
	"github.com/spillway-k8s/spillway/test/scrape"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// cloud is an ECI that answers at once.
type cloud struct {
	// mu guards calls, err and failing: all groups are listed in a goroutine.
	mu    sync.Mutex
	calls []string
	usage eci.Usage
	// cpuPrice is added to the price of vCPUs.
	cpuPrice ecispec.Pico
	// groups exist now, changed are those that have changed lately.
	groups, changed []eci.GroupStatus
	// onUsage is called when the usage is asked for.
	onUsage func()
	err     error
	// accounts are the IDs of accounts by access key ID; the others are wrappers.AccountID. keyID is the access key ID
	// of the newest client.
	accounts map[string]string
	keyID    string
	// limits are those that clients share.
	limits []*eci.Limiter
	// failing is the call that fails with err; empty for all.
	failing string
}

var _ eci.Client = &cloud{}

func (c *cloud) call(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, name)
	if c.failing == "" || c.failing == name {
		return c.err
	}
	return nil
}

// fail lets a call fail from now on; an empty one stands for all.
func (c *cloud) fail(call string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failing, c.err = call, err
}

func (c *cloud) AccountID(context.Context) (string, error) {
	if err := c.call("GetCallerIdentity"); err != nil {
		return "", err
	}
	if id, other := c.accounts[c.keyID]; other {
		return id, nil
	}
	return wrappers.AccountID, nil
}

func (c *cloud) Share(limits *eci.Limiter) { c.limits = append(c.limits, limits) }

func (c *cloud) ListUsage(context.Context, string) (eci.Usage, error) {
	if c.onUsage != nil {
		c.onUsage()
	}
	return c.usage, c.call("ListUsage")
}

func (c *cloud) DescribeRegions(context.Context) ([]eci.Region, error) {
	return []eci.Region{{ID: "cn-hangzhou"}, {ID: "cn-beijing", Zones: []string{"cn-beijing-j"}}}, c.call("DescribeRegions")
}

func (c *cloud) DescribeAvailableResource(_ context.Context, _ string, spec ecispec.Spec) (map[string]eci.Stock, error) {
	return map[string]eci.Stock{"cn-beijing-j": eci.StockLow}, c.call("DescribeAvailableResource " + spec.String())
}

func (c *cloud) DescribeContainerGroupPrice(_ context.Context, _ eci.Zone, spec ecispec.Spec) (eci.Price, error) {
	return eci.Price{Currency: "CNY", PerSecond: 7, CPUPerSecond: 200 + c.cpuPrice, MemoryPerSecond: 400}, c.call("DescribeContainerGroupPrice " + spec.String())
}

func (c *cloud) DescribeContainerGroupStatus(_ context.Context, _ string, since time.Duration) ([]eci.GroupStatus, error) {
	if since > 0 {
		return c.changed, c.call(fmt.Sprintf("DescribeContainerGroupStatus %v", since))
	}
	return c.groups, c.call("DescribeContainerGroupStatus all")
}

func (c *cloud) DescribeContainerGroups(context.Context, string) ([]eci.Group, error) {
	return nil, nil
}

func (c *cloud) DescribeVSwitches(_ context.Context, _ string, ids []string) ([]eci.VSwitch, error) {
	var all []eci.VSwitch
	for _, id := range ids {
		all = append(all, eci.VSwitch{ID: id, ZoneID: "cn-beijing-j", FreeIPs: 9})
	}
	return all, c.call(fmt.Sprintf("DescribeVSwitches %v", ids))
}

// scene is a controller with a cloud and a clock.
type scene struct {
	*testing.T
	cloud *cloud
	clock *testingclock.FakePassiveClock
	ctrl  *Controller
	// configs are what clients were made with.
	configs []eci.Config
}

const accountName = "cn-beijing Secret eci-credentials"

func newScene(t *testing.T, objects ...client.Object) *scene {
	t.Helper()
	return newSceneWith(t, &cloud{usage: eci.Usage{MaxMilliCPU: 1000}}, objects...)
}

func newSceneWith(t *testing.T, asked *cloud, objects ...client.Object) *scene {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme, schedulingv1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "spillway-system", Name: "eci-credentials"}, Data: map[string][]byte{
		keyAccessKeyID: []byte("id"), keyAccessKeySecret: []byte("secret"),
	}}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(objects, secret)...).WithIndex(&corev1.Pod{}, podindex.Field, podindex.NodeOf).Build()
	s := &scene{T: t, cloud: asked, clock: testingclock.NewFakePassiveClock(time.Unix(1_800_000_000, 0))}
	s.ctrl = New(api, api, Options{
		Namespace: "spillway-system", SchedulerName: wrappers.SchedulerName, RefreshInterval: 10 * time.Second, StockInterval: 30 * time.Second, Clock: s.clock,
		NewClient: func(config eci.Config) (eci.Client, error) {
			s.configs = append(s.configs, config)
			s.cloud.keyID = config.Credentials.AccessKeyID
			return s.cloud, nil
		},
	})
	return s
}

// refresh lets a time pass, refreshes, and returns the reading and the calls that it took.
func (s *scene) refresh(after time.Duration) (*Reading, []string) {
	s.Helper()
	s.clock.SetTime(s.clock.Now().Add(after))
	s.cloud.mu.Lock()
	s.cloud.calls = nil
	s.cloud.mu.Unlock()
	result, err := s.ctrl.Reconcile(s.Context(), accountName)
	if err != nil {
		s.Fatal(err)
	}
	if result.RequeueAfter != 10*time.Second {
		s.Errorf("comes back after %v", result.RequeueAfter)
	}
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	return s.ctrl.Readings().Get(accountName), slices.Clone(s.cloud.calls)
}

// waitForCall waits until ECI has been called since the last refresh began.
func (s *scene) waitForCall(call string) {
	s.Helper()
	err := wait.PollUntilContextTimeout(s.Context(), time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		s.cloud.mu.Lock()
		defer s.cloud.mu.Unlock()
		return slices.Contains(s.cloud.calls, call), nil
	})
	if err != nil {
		s.Errorf("%s was not called: %v", call, err)
	}
}

func (s *scene) wantCalls(got []string, want ...string) {
	s.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("calls (-want +got):\n%s", diff)
	}
}

func billed(name string) *wrappers.Pod {
	return wrappers.MakePod(name).Request("cpu", "2").Request("memory", "4Gi")
}

func TestCallsOfARefresh(t *testing.T) {
	s := newScene(t, wrappers.MakeZone("cn-beijing-j").VSwitch("vsw-a").Obj(), billed("waits").Obj(),
		billed("typed").Annotation(ecispec.AnnotationUseSpecs, "ecs.c6.large").Node("virtual-kubelet-cn-beijing-j").Obj(),
		billed("other").Request("cpu", "8").Scheduler("default-scheduler").Obj())
	reading, calls := s.refresh(0)
	s.wantCalls(calls, "GetCallerIdentity", "DescribeRegions", "DescribeContainerGroupStatus all", "DescribeContainerGroupStatus 10s", "ListUsage", "DescribeVSwitches [vsw-a]", "DescribeContainerGroupStatus 10s",
		"DescribeAvailableResource 2-4Gi", "DescribeAvailableResource ecs.c6.large", "DescribeContainerGroupPrice 2-4Gi", "DescribeContainerGroupPrice ecs.c6.large")
	if reading.Failure != nil || !reading.At.Equal(s.clock.Now()) {
		t.Errorf("reading at %v: %v", reading.At, reading.Failure)
	}
	prices := reading.Prices["cn-beijing-j"]
	if diff := cmp.Diff(ecispec.Rates{CPUSecond: 100, GiBSecond: 100, InstanceTypes: map[string]ecispec.Pico{"ecs.c6.large": 7}}, prices.Rates); diff != "" {
		t.Errorf("rates (-want +got):\n%s", diff)
	}
	if got := reading.Stock["2-4Gi"].Zones["cn-beijing-j"]; got != eci.StockLow {
		t.Errorf("stock = %v", got)
	}
	if n := len(s.ctrl.Changed()); n != 1 {
		t.Errorf("%d VirtualNodes are told", n)
	}

	_, calls = s.refresh(10 * time.Second)
	s.wantCalls(calls, "DescribeContainerGroupStatus 20s", "ListUsage", "DescribeVSwitches [vsw-a]", "DescribeContainerGroupStatus 10s")
	_, calls = s.refresh(20 * time.Second)
	s.wantCalls(calls, "DescribeContainerGroupStatus 30s", "ListUsage", "DescribeVSwitches [vsw-a]", "DescribeContainerGroupStatus 10s",
		"DescribeAvailableResource 2-4Gi", "DescribeAvailableResource ecs.c6.large")
	_, calls = s.refresh(time.Hour)
	s.waitForCall("DescribeContainerGroupStatus all") // All groups are listed beside the refresh.
	if !slices.Contains(calls, "DescribeRegions") || !slices.Contains(calls, "DescribeContainerGroupPrice 2-4Gi") {
		t.Errorf("after an hour all is asked again: %v", calls)
	}
	if len(s.configs) != 1 {
		t.Errorf("%d clients for one account", len(s.configs))
	}
}

// TestCallsDoNotGrow checks that the number of calls depends neither on the pods nor on the nodes of an account.
func TestCallsDoNotGrow(t *testing.T) {
	count := func(pods, zones int) int {
		var objects []client.Object
		for i := range zones {
			z := wrappers.MakeZone("cn-beijing-j")
			z.Name = fmt.Sprintf("z-%d", i)
			objects = append(objects, z.Obj())
		}
		for i := range pods {
			objects = append(objects, billed(fmt.Sprintf("p-%d", i)).Node("virtual-kubelet-cn-beijing-j").Obj())
		}
		s := newScene(t, objects...)
		s.refresh(0)
		_, calls := s.refresh(30 * time.Second)
		return len(calls)
	}
	few, many := count(1, 1), count(1000, 5)
	t.Logf("calls of a refresh with the stock: %d with 1 pod in 1 zone, %d with 1,000 pods in 5 zones", few, many)
	if few != many {
		t.Errorf("calls grow from %d to %d", few, many)
	}
}

func TestGroupsAreThoseBeforeAndAfterTheUsage(t *testing.T) {
	s := newScene(t, wrappers.MakeZone("cn-beijing-j").Obj())
	group := func(id, status string) eci.GroupStatus {
		return eci.GroupStatus{ID: id, Namespace: "default", Name: id, Status: status}
	}
	s.cloud.groups = []eci.GroupStatus{group("stays", "Running"), group("ends", "Running"), group("waits", "Scheduling")}
	s.cloud.onUsage = func() {
		s.cloud.changed = []eci.GroupStatus{group("ends", "Succeeded"), group("comes", "Running"), group("waits", "Pending")}
	}
	reading, _ := s.refresh(0)
	has := func(name string) bool {
		id, ok := reading.Groups.Of(wrappers.MakePod(name).Annotation(v1alpha1.AnnotationInstanceID, name).Obj())
		return ok && id == name
	}
	for name, want := range map[string]bool{"stays": true, "ends": false, "comes": false, "waits": false} {
		if has(name) != want {
			t.Errorf("%s is certain to be in the usage: %v, want %v", name, !want, want)
		}
	}
	// Next time those that came are certain, too.
	s.cloud.onUsage = nil
	reading, _ = s.refresh(10 * time.Second)
	for name, want := range map[string]bool{"stays": true, "ends": false, "comes": true, "waits": true} {
		if has(name) != want {
			t.Errorf("next time: %s is certain to be in the usage: %v, want %v", name, !want, want)
		}
	}
}

func TestGroupsOfAPod(t *testing.T) {
	group := func(id, namespace, name string) eci.GroupStatus {
		return eci.GroupStatus{ID: id, Namespace: namespace, Name: name, Status: "Running"}
	}
	groups := NewGroups(group("eci-1", "default", "web-0"), group("eci-2", "default", "default-web-1"), group("eci-3", "other", "web-0"))
	cases := map[string]struct {
		pod  *wrappers.Pod
		want bool
	}{
		"by ID and name":                     {wrappers.MakePod("web-0").Annotation(v1alpha1.AnnotationInstanceID, "eci-1"), true},
		"named behind its namespace":         {wrappers.MakePod("web-1").Annotation(v1alpha1.AnnotationInstanceID, "eci-2"), true},
		"by name alone":                      {wrappers.MakePod("web-0"), false},
		"the ID of another pod":              {wrappers.MakePod("forger").Annotation(v1alpha1.AnnotationInstanceID, "eci-1"), false},
		"the ID of a pod elsewhere":          {wrappers.MakePod("web-0").Annotation(v1alpha1.AnnotationInstanceID, "eci-3"), false},
		"a pod of that name before this one": {wrappers.MakePod("web-0").Annotation(v1alpha1.AnnotationInstanceID, "eci-9"), false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, got := groups.Of(tc.pod.Obj()); got != tc.want {
				t.Errorf("is one of them: %v, want %v", got, tc.want)
			}
		})
	}
}

// TestAllGroupsAreListedBesideTheRefresh checks that a list that takes long, or fails, delays no reading.
func TestAllGroupsAreListedBesideTheRefresh(t *testing.T) {
	s := newScene(t, wrappers.MakeZone("cn-beijing-j").Obj())
	s.cloud.groups = []eci.GroupStatus{{ID: "a", Namespace: "default", Name: "a", Status: "Running"}}
	s.cloud.fail("DescribeContainerGroupStatus all", &eci.Error{Class: eci.ClassServer})
	reading, _ := s.refresh(0)
	if reading.Failure != nil || len(reading.Groups) != 0 {
		t.Errorf("without the list: %v, groups %v", reading.Failure, reading.Groups)
	}
	s.cloud.fail("", nil)
	deadline := time.Now().Add(10 * time.Second)
	for len(reading.Groups) == 0 && time.Now().Before(deadline) {
		reading, _ = s.refresh(time.Minute)
	}
	if len(reading.Groups) != 1 {
		t.Errorf("groups %v after the list has succeeded", reading.Groups)
	}
}

func TestAFailureKeepsWhatIsKnown(t *testing.T) {
	s := newScene(t, wrappers.MakeZone("cn-beijing-j").Obj())
	before, _ := s.refresh(0)
	slowDown := &eci.Error{Class: eci.ClassThrottled, Message: "slow down"}
	for _, failing := range []string{"ListUsage", ""} {
		s.cloud.fail(failing, slowDown)
		reading, _ := s.refresh(10 * time.Second)
		if !errors.Is(reading.Failure, slowDown) || !reading.At.Equal(before.At) || reading.Usage != before.Usage {
			t.Errorf("reading of %v, usage %v: %v", reading.At, reading.Usage, reading.Failure)
		}
	}
	s.cloud.fail("DescribeRegions", slowDown)
	if reading, _ := s.refresh(time.Hour); reading.Failure != nil {
		t.Errorf("without a new list of zones: %v", reading.Failure)
	}
	s.cloud.fail("DescribeContainerGroupPrice 2-4Gi", slowDown)
	if reading, _ := s.refresh(2 * time.Hour); reading.Failure != nil || reading.Prices["cn-beijing-j"].Currency != "CNY" {
		t.Errorf("without a new price: %v, %+v", reading.Failure, reading.Prices)
	}
}

func TestPrices(t *testing.T) {
	s := newScene(t, wrappers.MakeZone("cn-beijing-j").Obj(), wrappers.MakePolicy("p").Unit(wrappers.ECI().PodAnnotation(ecispec.AnnotationUseSpecs, "ecs.c6.large")).Obj())
	s.cloud.fail("DescribeContainerGroupPrice ecs.c6.large", &eci.Error{Class: eci.ClassNotFound})
	asked := func(after time.Duration) bool {
		_, calls := s.refresh(after)
		return slices.Contains(calls, "DescribeContainerGroupPrice ecs.c6.large")
	}
	if !asked(0) || asked(10*time.Second) || !asked(unpricedFor) {
		t.Error("a price that ECI does not tell is asked for at first, not at every refresh, and again after a while")
	}
	s.cloud.fail("", nil)
	if reading, _ := s.refresh(2 * unpricedFor); reading.Prices["cn-beijing-j"].Rates.InstanceTypes["ecs.c6.large"] != 7 {
		t.Errorf("prices %+v", reading.Prices)
	}
	s.cloud.cpuPrice = -200
	if reading, _ := newSceneWith(t, s.cloud, wrappers.MakeZone("cn-beijing-j").Obj()).refresh(0); len(reading.Prices) != 0 || reading.Failure != nil {
		t.Errorf("prices that are not itemised: %+v, %v", reading.Prices, reading.Failure)
	}
}

func TestCovers(t *testing.T) {
	reading := NewReading(wrappers.MakeZone("cn-beijing-j").VSwitch("vsw-a").Obj(), Reading{})
	for name, tc := range map[string]struct {
		zone *wrappers.Zone
		want bool
	}{
		"the same":        {wrappers.MakeZone("cn-beijing-j").VSwitch("vsw-a"), true},
		"less":            {wrappers.MakeZone("cn-beijing-j"), true},
		"another vSwitch": {wrappers.MakeZone("cn-beijing-j").VSwitch("vsw-b"), false},
		"another zone":    {wrappers.MakeZone("cn-beijing-k"), false},
	} {
		if got := reading.Covers(tc.zone.Obj()); got != tc.want {
			t.Errorf("%s: covers = %v, want %v", name, got, tc.want)
		}
	}
}

func TestStockIsForgottenWhenNobodyAsks(t *testing.T) {
	pod := billed("p").Obj()
	s := newScene(t, wrappers.MakeZone("cn-beijing-j").Obj(), pod)
	if reading, _ := s.refresh(0); len(reading.Stock) != 1 {
		t.Fatalf("stock = %v", reading.Stock)
	}
	if err := s.ctrl.client.Delete(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if reading, _ := s.refresh(10 * time.Second); len(reading.Stock) != 0 {
		t.Errorf("stock = %v", reading.Stock)
	}
}

func TestMostSpecs(t *testing.T) {
	var objects []client.Object
	for i := range 2 * mostSpecs {
		for n := range i + 1 {
			objects = append(objects, wrappers.MakePod(fmt.Sprintf("p-%d-%d", i, n)).Annotation(ecispec.AnnotationUseSpecs, fmt.Sprintf("ecs.c6.%dxlarge", i+2)).Obj())
		}
	}
	s := newScene(t, append(objects, wrappers.MakeZone("cn-beijing-j").Obj())...)
	reading, _ := s.refresh(0)
	if _, most := reading.Stock[fmt.Sprintf("ecs.c6.%dxlarge", 2*mostSpecs+1)]; !most || len(reading.Stock) != mostSpecs {
		t.Errorf("asked for %d specifications, that of most pods among them: %v", len(reading.Stock), most)
	}
}

func TestCredentials(t *testing.T) {
	t.Run("a new key makes a new client", func(t *testing.T) {
		s := newScene(t, wrappers.MakeZone("cn-beijing-j").Obj())
		s.refresh(0)
		secret := &corev1.Secret{}
		if err := s.ctrl.client.Get(t.Context(), client.ObjectKey{Namespace: "spillway-system", Name: "eci-credentials"}, secret); err != nil {
			t.Fatal(err)
		}
		secret.Data[keySecurityToken] = []byte("token")
		if err := s.ctrl.client.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		s.refresh(10 * time.Second)
		if len(s.configs) != 2 || s.configs[1].Credentials.SecurityToken != "token" || s.configs[0].Limits != s.configs[1].Limits {
			t.Errorf("clients: %d", len(s.configs))
		}
	})
	t.Run("no Secret", func(t *testing.T) {
		z := wrappers.MakeZone("cn-beijing-j")
		z.Spec.Credentials.SecretName = "missing"
		s := newScene(t, z.Obj())
		if _, err := s.ctrl.Reconcile(t.Context(), z.Obj().CredentialsKey()); err != nil {
			t.Fatal(err)
		}
		if reading := s.ctrl.Readings().Get(z.Obj().CredentialsKey()); !errors.Is(reading.Failure, ErrCredentialsMissing) {
			t.Errorf("failure: %v", reading.Failure)
		}
	})
	t.Run("a role", func(t *testing.T) {
		z := wrappers.MakeZone("cn-beijing-j")
		z.Spec.Credentials = v1alpha1.Credentials{RRSA: &v1alpha1.RRSA{RoleARN: "role", OIDCProviderARN: "provider"}}
		s := newScene(t, z.Obj())
		s.ctrl.options.TokenFile = "/token"
		for range 2 {
			if _, err := s.ctrl.Reconcile(t.Context(), z.Obj().CredentialsKey()); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]*eci.RRSA{{RoleARN: "role", OIDCProviderARN: "provider", TokenFile: "/token"}}, roles(s.configs)); diff != "" {
			t.Errorf("clients (-want +got):\n%s", diff)
		}
	})
}

func roles(configs []eci.Config) []*eci.RRSA {
	var all []*eci.RRSA
	for _, config := range configs {
		all = append(all, config.Credentials.RRSA)
	}
	return all
}

func TestAnAccountWithoutVirtualNodesIsForgotten(t *testing.T) {
	z := wrappers.MakeZone("cn-beijing-j").Obj()
	s := newScene(t, z)
	s.refresh(0)
	if err := s.ctrl.client.Delete(t.Context(), z); err != nil {
		t.Fatal(err)
	}
	result, err := s.ctrl.Reconcile(t.Context(), accountName)
	if err != nil || result.RequeueAfter != 0 || s.ctrl.Readings().Get(accountName) != nil || len(s.ctrl.memories) != 0 {
		t.Errorf("result %+v, %v", result, err)
	}
}

func TestCallsAreCounted(t *testing.T) {
	s := newScene(t, wrappers.MakeZone("cn-beijing-j").Obj())
	s.refresh(0)
	before := scrape.Read(t, &metrics.Controller)
	s.configs[0].Observe("ListUsage", string(eci.ClassThrottled), time.Second)
	want := scrape.Series{`spillway_eci_calls_total{action="ListUsage",code="Throttled"}`: 1, `spillway_eci_call_duration_seconds{action="ListUsage"}`: 1}
	if diff := cmp.Diff(want, scrape.Read(t, &metrics.Controller).Since(before)); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

// setKey replaces the access key in the Secret.
func (s *scene) setKey(id, token string) {
	s.Helper()
	secret := &corev1.Secret{}
	if err := s.ctrl.client.Get(s.Context(), client.ObjectKey{Namespace: "spillway-system", Name: "eci-credentials"}, secret); err != nil {
		s.Fatal(err)
	}
	secret.Data[keyAccessKeyID], secret.Data[keySecurityToken] = []byte(id), []byte(token)
	if err := s.ctrl.client.Update(s.Context(), secret); err != nil {
		s.Fatal(err)
	}
}

// TestAnotherKeyForgetsWhatWasRead checks that prices and container groups of one account do not count in another one
// whose key is in the Secret now.
func TestAnotherKeyForgetsWhatWasRead(t *testing.T) {
	cases := map[string]struct {
		before, after, token string
		forgets              bool
	}{
		"a key of another account":     {before: "id", after: "other", forgets: true},
		"another key":                  {before: "id", after: "id-2"},
		"a session of another account": {before: "STS.1", after: "other", token: "token", forgets: true},
		"the same key":                 {before: "id", after: "id"},
		"a renewed session":            {before: "STS.1", after: "STS.2", token: "token"},
		"the keys stay for now":        {before: "STS.1", after: "STS.1", token: "token"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, wrappers.MakeZone("cn-beijing-j").Obj())
			s.cloud.accounts = map[string]string{"other": "2"}
			s.setKey(tc.before, tc.token)
			s.refresh(0)
			s.setKey(tc.after, tc.token)
			s.cloud.fail("DescribeContainerGroupPrice 2-4Gi", &eci.Error{Class: eci.ClassThrottled})
			reading, calls := s.refresh(10 * time.Second)
			if got := len(reading.Prices) == 0; got != tc.forgets {
				t.Errorf("prices %+v", reading.Prices)
			}
			if got := slices.Contains(calls, "DescribeContainerGroupStatus all"); got != tc.forgets {
				t.Errorf("all groups are listed again: %v, want %v", got, tc.forgets)
			}
		})
	}
}

// TestARefreshWaitsForNobody checks that an account is asked although the controller of VirtualNodes is behind.
func TestARefreshWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, wrappers.MakeZone("cn-beijing-j").Obj())
		for range maxBacklog {
			s.ctrl.changed <- event.GenericEvent{}
		}
		s.refresh(0)
	})
}
