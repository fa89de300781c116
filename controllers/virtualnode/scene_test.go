package virtualnode

import (
	"context"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	testingclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/controllers/podindex"
	"github.com/spillway-k8s/spillway/pkg/eci"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const nodeJ = "virtual-kubelet-cn-beijing-j"

// scene is a controller on an API server of objects, with a clock.
type scene struct {
	*testing.T
	api   client.Client
	ctrl  *Controller
	clock *testingclock.FakePassiveClock
	// evicted are the names of the pods that were evicted.
	evicted []string
	// fails, if set, is called before each write: "update", "patch", "patch status" or "evict". An error is the API
	// server's answer.
	fails func(ctx context.Context, verb string, obj client.Object) error
}

func newScene(t *testing.T, objects ...client.Object) *scene {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, coordinationv1.AddToScheme, batchv1.AddToScheme, policyv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	s := &scene{T: t, clock: testingclock.NewFakePassiveClock(in(0))}
	s.api = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithIndex(&corev1.Pod{}, podindex.Field, podindex.NodeOf).
		WithStatusSubresource(&v1alpha1.VirtualNode{}).WithInterceptorFuncs(s.writes()).Build()
	s.ctrl = New(s.api, s.api, Options{
		Readings: &account.Readings{}, RefreshInterval: 10 * time.Second, StockInterval: 30 * time.Second, MaxAge: time.Minute,
		SchedulerName: wrappers.SchedulerName, Recorder: events.NewFakeRecorder(1000), Clock: s.clock,
	})
	return s
}

// writes lets writes fail, and evictions be.
func (s *scene) writes() interceptor.Funcs {
	check := func(ctx context.Context, verb string, obj client.Object) error {
		if s.fails == nil {
			return nil
		}
		return s.fails(ctx, verb, obj)
	}
	return interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, obj client.Object, options ...client.UpdateOption) error {
			if err := check(ctx, "update", obj); err != nil {
				return err
			}
			return c.Update(ctx, obj, options...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, options ...client.PatchOption) error {
			if err := check(ctx, "patch", obj); err != nil {
				return err
			}
			return c.Patch(ctx, obj, patch, options...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			if err := check(ctx, "patch "+sub, obj); err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, obj, patch, options...)
		},
		SubResourceCreate: func(ctx context.Context, c client.Client, name string, obj, sub client.Object, options ...client.SubResourceCreateOption) error {
			if err := check(ctx, "evict", obj); err != nil {
				return err
			}
			return s.evict(ctx, c, name, obj, sub, options...)
		},
	}
}

// evict plays the eviction API, which holds to the preconditions.
func (s *scene) evict(ctx context.Context, _ client.Client, _ string, obj, sub client.Object, _ ...client.SubResourceCreateOption) error {
	preconditions := sub.(*policyv1.Eviction).DeleteOptions.Preconditions
	pod := &corev1.Pod{}
	if err := s.api.Get(ctx, client.ObjectKeyFromObject(obj), pod); err != nil {
		return err
	}
	if version := preconditions.ResourceVersion; version != nil && *version != pod.ResourceVersion {
		return apierrors.NewConflict(schema.GroupResource{Resource: "pods"}, pod.Name, nil)
	}
	s.evicted = append(s.evicted, pod.Name)
	return s.api.Delete(ctx, pod)
}

// managed returns a VirtualNode whose capacity is known at a time, and the Node that it owns.
func managed(zone string, now time.Time) (*v1alpha1.VirtualNode, *corev1.Node) {
	vn := wrappers.MakeZone(zone).Offers("cpu", "10").Fresh(now).Obj()
	vn.Finalizers = []string{v1alpha1.Finalizer}
	vn.Status.FreshUntil = &metav1.Time{Time: now.Add(time.Hour)}
	vn.Status.Account = vn.CredentialsKey()
	setCondition(vn, v1alpha1.ConditionReady, v1alpha1.ReasonNodeReady, "the capacity is known")
	return vn, newNode(vn)
}

// reconcile reconciles a VirtualNode as it is now.
func (s *scene) reconcile(zone string) (ctrl.Result, error) {
	s.Helper()
	return s.ctrl.Reconcile(s.Context(), s.virtualNode(zone))
}

func (s *scene) virtualNode(zone string) *v1alpha1.VirtualNode {
	s.Helper()
	vn := &v1alpha1.VirtualNode{}
	if err := s.api.Get(s.Context(), client.ObjectKey{Name: zone}, vn); err != nil {
		s.Fatal(err)
	}
	return vn
}

// ready returns the condition Ready as "Status Reason".
func (s *scene) ready(zone string) string {
	s.Helper()
	c := meta.FindStatusCondition(s.virtualNode(zone).Status.Conditions, v1alpha1.ConditionReady)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason
}

// pods returns the pods on the node as the controller sees them.
func (s *scene) pods() []*corev1.Pod {
	s.Helper()
	pods, err := s.ctrl.podsOn(s.Context(), nodeJ)
	if err != nil {
		s.Fatal(err)
	}
	return pods
}

// refused returns a pod of a controller that ECI has refused.
func refused(name, kind, apiVersion string) *corev1.Pod {
	pod := eciSays(corev1.ConditionFalse, "NoStock", 0)
	pod.Name, pod.UID = name, types.UID(name)
	if kind != "" {
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: "owner", UID: "owner", Controller: new(true)}}
	}
	return pod
}

// running returns a running pod of 2-4Gi with an instance.
func running(name, node, instance string) *corev1.Pod {
	pod := wrappers.MakePod(name).Request("cpu", "2").Request("memory", "4Gi").Node(node).Annotation(v1alpha1.AnnotationInstanceID, instance).Obj()
	pod.Status.Phase = corev1.PodRunning
	return pod
}

// groups are billed container groups, each named as its pod.
func groups(ids ...string) account.Groups {
	var all []eci.GroupStatus
	for _, id := range ids {
		all = append(all, eci.GroupStatus{ID: "eci-" + id, Namespace: "default", Name: id, Status: "Running"})
	}
	return account.NewGroups(all...)
}
