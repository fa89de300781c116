package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	eciv1alpha1 "github.com/spillway-k8s/spillway/apis/eci/v1alpha1"
	schedulingv1alpha1 "github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/test/monitoring"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	monitoringNamespace = "e2e-monitoring"
	// boundedZone is the one of the virtual node with a limit on spending.
	boundedZone = "cn-beijing-i"
	// window is what Grafana would put in place of $__rate_interval.
	window = "5m"
)

// observer is a Prometheus that scrapes the release from before its first pod is placed, as its ServiceMonitors say, with its alerts.
type observer struct {
	prometheus *monitoring.Prometheus
	token      string
	addresses  map[string][]string
}

// starts are the tests for the beginning of the release: who may read the metrics. Prometheus runs from then on.
func (o *observer) starts(ports *listeners, schedulers, controllers *[]*pod) {
	BeforeAll(func() {
		DeferCleanup(func() {
			if o.prometheus != nil {
				o.prometheus.Stop()
			}
		})
	})

	It("lets nobody read the metrics without the right to", func(ctx SpecContext) {
		create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: monitoringNamespace}})
		reader, stranger := newAccount(ctx, "prometheus"), newAccount(ctx, "stranger")
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: monitoringNamespace},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "spillway-metrics-reader"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: monitoringNamespace, Name: "prometheus"}},
		}
		create(ctx, binding)
		o.token = reader
		o.addresses = map[string][]string{scheduler: addresses(*schedulers, 10259), controller: addresses(*controllers, 8443)}
		for _, name := range []string{scheduler, controller} {
			url := "https://" + o.addresses[name][0] + "/metrics"
			Eventually(statusOf).WithArguments(url, reader).Should(Equal(http.StatusOK), url)
			Expect(statusOf(url, "")).To(Or(Equal(http.StatusUnauthorized), Equal(http.StatusForbidden)), url)
			Expect(statusOf(url, "not a token")).To(Or(Equal(http.StatusUnauthorized), Equal(http.StatusInternalServerError)), url) // controller-runtime says 500
			Expect(statusOf(url, stranger)).To(Equal(http.StatusForbidden), url)
		}
	})

	It("is scraped by Prometheus as the ServiceMonitors say", func(ctx SpecContext) {
		o.start(ctx, ports.defaults().with(true, "metrics", "serviceMonitor", "enabled"))
		Eventually(o.up).WithArguments(ctx).Should(ConsistOf(
			o.addresses[scheduler][0]+" "+scheduler, o.addresses[controller][0]+" "+controller), "the first replicas; the second ones do not run yet")
	})
}

// shows are the tests after all that the others have done, and after what none of them does: the alerts and the dashboard.
func (o *observer) shows() {
	It("has a value for every query of the dashboard", func(ctx SpecContext) {
		o.live(ctx)
		dashboard, err := monitoring.LoadDashboard(filepath.Join(chart, "files", "dashboards", "spillway.json"))
		Expect(err).NotTo(HaveOccurred())
		Eventually(o.without).WithArguments(ctx, dashboard).Should(BeEmpty(), "panels and queries that have no value")
	})

	It("evaluates every alert without an error, and none is critical", func(ctx SpecContext) {
		DeferCleanup(leave)
		want, err := monitoring.Rules(alertsFile())
		Expect(err).NotTo(HaveOccurred())
		Eventually(func(g Gomega) {
			got, err := o.prometheus.Rules(ctx)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got).To(HaveLen(len(want)))
			g.Expect(got).To(HaveEach(And(HaveField("Health", "ok"), HaveField("LastError", ""))))
			for _, rule := range got {
				if rule.Labels["severity"] == "critical" {
					g.Expect(rule.State).To(Equal("inactive"), rule.Name)
				}
				for _, alert := range rule.Alerts {
					g.Expect(alert.Annotations).To(HaveEach(Not(ContainSubstring("<error"))), rule.Name)
				}
			}
			g.Expect(got).To(ContainElement(And(HaveField("Name", "SpillwayPodsUnschedulable"), HaveField("State", "pending"))))
		}).Should(Succeed())
	})
}

func (o *observer) start(ctx context.Context, v values) {
	GinkgoHelper()
	dir := filepath.Join(workDir, "prometheus")
	Expect(os.MkdirAll(dir, 0o755)).To(Succeed())
	token := filepath.Join(dir, "token")
	Expect(os.WriteFile(token, []byte(o.token), 0o600)).To(Succeed())
	version, err := discoverer.ServerVersion()
	Expect(err).NotTo(HaveOccurred())
	monitors := mustHelm("template", release, chart, v.file(), "--show-only=templates/monitoring/servicemonitor.yaml", "--kube-version="+version.GitVersion)
	settings := monitoring.Settings{
		Monitors: []byte(monitors), Targets: o.addresses, TokenFile: token, RuleFiles: []string{alertsFile()}, Interval: "1s",
	}
	config, err := settings.Config()
	Expect(err).NotTo(HaveOccurred())
	// It runs beyond this test.
	o.prometheus, err = monitoring.Start(context.WithoutCancel(ctx), filepath.Join(bin, "prometheus"), dir, config)
	Expect(err).NotTo(HaveOccurred())
}

// up returns the targets that were scraped, with their jobs.
func (o *observer) up(ctx context.Context) []string {
	targets, err := o.prometheus.Targets(ctx)
	Expect(err).NotTo(HaveOccurred())
	var up []string
	for _, target := range targets {
		if target.Health == "up" {
			up = append(up, target.Labels["instance"]+" "+target.Labels["job"])
		}
	}
	return up
}

// without returns the queries of the dashboard that have no value now.
func (o *observer) without(ctx context.Context, dashboard *monitoring.Dashboard) []string {
	GinkgoHelper()
	var missing []string
	for _, panel := range dashboard.Charts() {
		for _, target := range panel.Targets {
			query := target.Query(window)
			values, err := o.prometheus.Query(ctx, query)
			Expect(err).NotTo(HaveOccurred(), panel.Title)
			if len(values) == 0 {
				missing = append(missing, panel.Title+": "+query)
			}
		}
	}
	return missing
}

// live brings the release into every state that a panel shows: a limit on spending; pods that spill, some of which wait before; a pod that waits and one that
// is held, and a hold that has ended; a specification that is sold out, and a pod that ECI refuses; a deletion cost that is written afterwards.
func (o *observer) live(ctx context.Context) {
	GinkgoHelper()
	bounded := wrappers.MakeZone(boundedZone).MaxSpend("40")
	bounded.UID = ""
	create(ctx, bounded.Obj())
	paid := wrappers.ECS().On("paidtype", "subscription").Max(50)
	deploy(ctx, "late", "10m", 1)
	govern(ctx, "spilling", wrappers.MakePolicy("").TryNext(schedulingv1alpha1.TryNextTimeoutOrExceedMax).Timeout(2*time.Second).Unit(paid).Unit(wrappers.ECI()))
	deploy(ctx, "spilling", "2", 4)
	govern(ctx, "waiting", wrappers.MakePolicy("").TryNext(schedulingv1alpha1.TryNextExceedMax).Unit(paid).Unit(wrappers.ECI()))
	deploy(ctx, "waiting", "2", 3)
	govern(ctx, "held", wrappers.MakePolicy("").Unit(wrappers.ECS().Max(1)))
	deploy(ctx, "held", "10m", 3)
	Eventually(o.prometheus.Query).WithArguments(ctx, `spillway_held_pods > 1 and on () sum(spillway_virtualnode_used{resource="pods"}) > 1`).ShouldNot(BeEmpty())
	placed := placedPod(ctx, "held")
	Expect(api.Delete(ctx, &placed)).To(Succeed(), "so that one of the others is held no longer")
	govern(ctx, "late", wrappers.MakePolicy("").Unit(wrappers.ECS().On("no", "node")).Unit(wrappers.ECS()))
	script(`{"regions":{"cn-beijing":{"zones":{
		"cn-beijing-i":{"stock":{"2-4Gi":"WithoutStock"}},"cn-beijing-j":{"left":{"2-4Gi":0}},"cn-beijing-k":{"left":{"2-4Gi":0}}}}}}`)
	govern(ctx, "refused", wrappers.MakePolicy("").Unit(wrappers.ECI()))
	deploy(ctx, "refused", "2", 1)
}

// govern creates a policy for the pods of an app.
func govern(ctx context.Context, app string, policy *wrappers.Policy) {
	GinkgoHelper()
	policy.Name = app
	addPolicy(ctx, policy.Namespace(monitoringNamespace).Selector(appLabel, app))
}

// leave removes what live and starts have left behind.
func leave(ctx SpecContext) {
	GinkgoHelper()
	script(`{"regions":{"cn-beijing":{"zones":{"cn-beijing-i":{"stock":null},"cn-beijing-j":{"left":null},"cn-beijing-k":{"left":null}}}}}`)
	Expect(api.Delete(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: monitoringNamespace}})).To(Succeed())
	// In a namespace that is going the API server refuses bindings and events, whatever the roles say.
	audit.expectRefusals(func() { removeNamespace(ctx, monitoringNamespace) })
	zone := &eciv1alpha1.VirtualNode{ObjectMeta: metav1.ObjectMeta{Name: boundedZone}}
	Expect(client.IgnoreNotFound(api.Delete(ctx, zone))).To(Succeed())
	Eventually(get[*eciv1alpha1.VirtualNode]).WithArguments(ctx, zone).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
}

// newAccount creates a ServiceAccount, and returns a token of it.
func newAccount(ctx context.Context, name string) string {
	GinkgoHelper()
	account := &corev1.ServiceAccount{ObjectMeta: in(monitoringNamespace, name)}
	create(ctx, account)
	request := &authenticationv1.TokenRequest{}
	Expect(api.SubResource("token").Create(ctx, account, request)).To(Succeed())
	return request.Status.Token
}

// addresses are where the pods listen, by the port that their image would listen on.
func addresses(pods []*pod, port int) []string {
	var all []string
	for _, p := range pods {
		all = append(all, fmt.Sprintf("127.0.0.1:%d", p.ports[port]))
	}
	return all
}

// statusOf returns the status of an answer; 0 for none.
func statusOf(url, token string) int {
	status, _, err := request(url, token)
	if err != nil {
		return 0
	}
	return status
}

func deploy(ctx context.Context, app, cpu string, replicas int32) {
	GinkgoHelper()
	create(ctx, &appsv1.Deployment{
		ObjectMeta: in(monitoringNamespace, app),
		Spec:       appsv1.DeploymentSpec{Replicas: ptr.To(replicas), Selector: selects(app), Template: podTemplate(app, cpu)},
	})
}

// placedPod returns a pod of the app that has a node.
func placedPod(ctx context.Context, app string) corev1.Pod {
	GinkgoHelper()
	pods := podsIn(ctx, monitoringNamespace)
	at := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Labels[appLabel] == app && p.Spec.NodeName != "" })
	Expect(at).NotTo(BeNumerically("<", 0), "a pod of %s with a node", app)
	return pods[at]
}

func alertsFile() string {
	GinkgoHelper()
	path, err := filepath.Abs(filepath.Join(chart, "files", "alerts", "spillway.yaml"))
	Expect(err).NotTo(HaveOccurred())
	return path
}
