package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	// holdFinalizer keeps a pod that is being deleted.
	holdFinalizer = "spillway.dev/e2e"
	appLabel      = "app"
	tierLabel     = "tier"
)

// rights are the tests of what the running release may do. The demo has used most of it; these use the rest.
func rights() {
	var ns string

	BeforeAll(func(ctx SpecContext) {
		object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "rights-"}}
		create(ctx, object)
		ns = object.Name
	})

	It("labels the pods of any owner when their policy is edited", func(ctx SpecContext) {
		policy := wrappers.MakePolicy("early").Namespace(ns).Selector(appLabel, "early").Unit(wrappers.ECS().Named("first"))
		addPolicy(ctx, policy)
		template, one := podTemplate("early", "100m"), ptr.To[int32](1)
		create(ctx, &appsv1.ReplicaSet{ObjectMeta: in(ns, "set"), Spec: appsv1.ReplicaSetSpec{Replicas: one, Selector: selects("early"), Template: template}})
		create(ctx, &appsv1.StatefulSet{ObjectMeta: in(ns, "stateful"), Spec: appsv1.StatefulSetSpec{Replicas: one, Selector: selects("early"), Template: template}})
		create(ctx, &corev1.ReplicationController{
			ObjectMeta: in(ns, "controller"),
			Spec:       corev1.ReplicationControllerSpec{Replicas: one, Selector: map[string]string{appLabel: "early"}, Template: &template},
		})
		Eventually(phases).WithArguments(ctx, ns).Should(ConsistOf(corev1.PodRunning, corev1.PodRunning, corev1.PodRunning))
		edited := policy.Obj().DeepCopy()
		edited.Spec.Units[0] = wrappers.ECS().Named("first").PodLabel(tierLabel, "first").Unit
		Expect(api.Patch(ctx, edited, client.MergeFrom(policy.Obj()))).To(Succeed())
		Eventually(tiers).WithArguments(ctx, ns).Should(ConsistOf("first", "first", "first"))
	})

	It("moves a pod that ECI refuses", func(ctx SpecContext) {
		script(`{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":{"left":{"2-4Gi":0}}}}}}`)
		DeferCleanup(script, `{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":{"left":null}}}}}`)
		addPolicy(ctx, wrappers.MakePolicy("serverless").Namespace(ns).Selector(appLabel, "serverless").Unit(wrappers.ECI()))
		template := podTemplate("serverless", "2")
		template.Spec.RestartPolicy = corev1.RestartPolicyNever
		create(ctx, &batchv1.Job{ObjectMeta: in(ns, "job"), Spec: batchv1.JobSpec{Template: template}})
		Eventually(func(g Gomega) {
			events := &eventsv1.EventList{}
			g.Expect(api.List(ctx, events, client.InNamespace(ns))).To(Succeed())
			g.Expect(events.Items).To(ContainElement(HaveField("Reason", eciv1alpha1.ReasonPodMoved)))
		}).Should(Succeed())
	})

	It("drains a virtual node that is deleted", func(ctx SpecContext) {
		zone := wrappers.MakeZone("cn-beijing-k")
		zone.UID = ""
		create(ctx, zone.Obj())
		held := &corev1.Pod{ObjectMeta: in(ns, "held"), Spec: podTemplate("serverless", "2").Spec}
		held.Labels, held.Finalizers = map[string]string{appLabel: "serverless"}, []string{holdFinalizer}
		held.Spec.TerminationGracePeriodSeconds = ptr.To[int64](1)
		create(ctx, held)
		Eventually(func() corev1.PodPhase { Expect(get(ctx, held)).To(Succeed()); return held.Status.Phase }).Should(Equal(corev1.PodRunning))
		vn := &eciv1alpha1.VirtualNode{ObjectMeta: metav1.ObjectMeta{Name: strings.TrimPrefix(held.Spec.NodeName, "virtual-kubelet-")}}
		Expect(api.Delete(ctx, vn)).To(Succeed())
		Eventually(func() *metav1.Time { Expect(get(ctx, held)).To(Succeed()); return held.DeletionTimestamp }).ShouldNot(BeNil())
		Eventually(controllerDeletes).WithArguments(ns, held.Name).Should(BeTrue(), "the grace period of the pod is over")
		release := held.DeepCopy()
		controllerutil.RemoveFinalizer(release, holdFinalizer)
		Expect(api.Patch(ctx, release, client.MergeFrom(held))).To(Succeed())
		Eventually(get[*eciv1alpha1.VirtualNode]).WithArguments(ctx, vn).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
		Expect(get(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: held.Spec.NodeName}})).To(WithTransform(apierrors.IsNotFound, BeTrue()))
	})

	It("takes its Lease again when somebody deletes it", func(ctx SpecContext) {
		for _, name := range []string{scheduler, controller} {
			holder := leader(ctx, name)
			Expect(api.Delete(ctx, &coordinationv1.Lease{ObjectMeta: in(namespace, name)})).To(Succeed())
			Eventually(leader).WithArguments(ctx, name).Should(Equal(holder))
		}
	})

	It("reads the Secret that the values name, and no other", func(ctx SpecContext) {
		DeferCleanup(removeNamespace, ns)
		create(ctx, &corev1.Secret{ObjectMeta: in(namespace, "another")})
		DeferCleanup(func(ctx SpecContext) {
			Expect(api.Delete(ctx, &corev1.Secret{ObjectMeta: in(namespace, "another")})).To(Succeed())
		})
		as := clientAs(ctx, controller)
		Expect(as.Get(ctx, client.ObjectKey{Namespace: namespace, Name: secretName}, &corev1.Secret{})).To(Succeed())
		audit.expectRefusals(func() {
			Expect(as.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "another"}, &corev1.Secret{})).To(WithTransform(apierrors.IsForbidden, BeTrue()))
			Expect(as.List(ctx, &corev1.SecretList{}, client.InNamespace(namespace))).To(WithTransform(apierrors.IsForbidden, BeTrue()))
			Expect(clientAs(ctx, scheduler).Get(ctx, client.ObjectKey{Namespace: namespace, Name: secretName}, &corev1.Secret{})).
				To(WithTransform(apierrors.IsForbidden, BeTrue()))
		})
	})
}

func in(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

// controllerDeletes tells whether the controller has deleted a pod, which is not to evict it.
func controllerDeletes(namespace, name string) bool {
	GinkgoHelper()
	return slices.ContainsFunc(audit.requests(), func(a asked) bool {
		return a.account == controller && a.verb == "delete" && a.resource == "pods" && a.namespace == namespace && a.name == name
	})
}

func removeNamespace(ctx context.Context, name string) {
	GinkgoHelper()
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	Expect(api.Delete(ctx, object)).To(Succeed())
	Eventually(get[*corev1.Namespace]).WithArguments(ctx, object).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
}

func selects(app string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{appLabel: app}}
}

// podTemplate asks for Spillway.
func podTemplate(app, cpu string) corev1.PodTemplateSpec {
	spec := wrappers.MakePod("").Request("cpu", cpu).Request("memory", "4Gi").Obj().Spec
	if cpu != "2" {
		spec = wrappers.MakePod("").Request("cpu", cpu).Obj().Spec
	}
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{appLabel: app}}, Spec: spec}
}

func addPolicy(ctx context.Context, policy *wrappers.Policy) {
	GinkgoHelper()
	policy.UID = ""
	create(ctx, policy.Obj())
}

// phases and tiers are those of the pods of a namespace.
func phases(ctx context.Context, namespace string) []corev1.PodPhase {
	return ofPods(ctx, namespace, func(p *corev1.Pod) corev1.PodPhase { return p.Status.Phase })
}

func tiers(ctx context.Context, namespace string) []string {
	return ofPods(ctx, namespace, func(p *corev1.Pod) string { return p.Labels[tierLabel] })
}

func ofPods[T any](ctx context.Context, namespace string, read func(*corev1.Pod) T) []T {
	GinkgoHelper()
	var all []T
	for _, p := range podsIn(ctx, namespace) {
		all = append(all, read(&p))
	}
	return all
}

func podsIn(ctx context.Context, namespace string) []corev1.Pod {
	GinkgoHelper()
	list := &corev1.PodList{}
	Expect(api.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
	return list.Items
}

// clientAs returns a client with the rights of a ServiceAccount of the release.
func clientAs(ctx context.Context, account string) client.Client {
	GinkgoHelper()
	config := rest.AnonymousClientConfig(admin)
	config.BearerToken = tokenOf(ctx, account)
	as, err := client.New(config, client.Options{Scheme: api.Scheme(), Mapper: api.RESTMapper()})
	Expect(err).NotTo(HaveOccurred())
	return as
}

// script changes the state of the simulator.
func script(patch string) {
	GinkgoHelper()
	r, err := http.NewRequest(http.MethodPatch, simulatorURL+"/admin/state", strings.NewReader(patch))
	Expect(err).NotTo(HaveOccurred())
	response, err := (&http.Client{Timeout: 5 * time.Second}).Do(r)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = response.Body.Close() }()
	Expect(response.StatusCode).To(BeNumerically("<", 300), fmt.Sprintf("%s: %s", patch, response.Status))
}
