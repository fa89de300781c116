// Package harness runs what the conformance suites test: the real scheduler and the real controllers, in the process of the test, on a real API server,
// with the ECI simulator behind real HTTP. There are no kubelets: a pod is where it is bound to.
package harness

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/spillway-k8s/spillway/controllers"
	"github.com/spillway-k8s/spillway/controllers/account"
	"github.com/spillway-k8s/spillway/internal/ecisim"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	// refreshInterval and maxAge and stockInterval are those of the virtual node controllers: short, so that the tests are.
	refreshInterval = time.Second
	maxAge          = 4 * time.Second
	stockInterval   = time.Second
	// patience is how long something that must happen may take on a slow machine.
	patience = 30 * time.Second
	poll     = 50 * time.Millisecond
	// SecretNamespace is where the controllers look for credentials.
	SecretNamespace = "spillway-system"
)

var (
	// API talks to the API server as an administrator.
	API client.Client
	// RestConfig is how to reach it.
	RestConfig *rest.Config
	// Version is the minor version of the API server, such as 1.34.
	Version *version.Version
	// Scheduler is the scheduler under test.
	Scheduler *SchedulerProcess
	// root is the path of the repository.
	root string
	// ECIURL is where the simulator is.
	ECIURL string
)

// RunSuite runs the specs of a package.
func RunSuite(t *testing.T, name string) {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Skip("KUBEBUILDER_ASSETS does not name the directory with etcd and kube-apiserver: run make test")
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(patience)
	SetDefaultEventuallyPollingInterval(poll)
	RunSpecs(t, name)
}

// Start starts everything until the suite ends. It is called in BeforeSuite with the path of the repository.
func Start(repository string) {
	GinkgoHelper()
	root = repository
	ctrl.SetLogger(klog.Background())
	environment := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join(root, "config", "crd")}, ErrorIfCRDPathMissing: true}
	// Nobody plays the node lifecycle controller, which would take the taint of new nodes away again.
	environment.ControlPlane.GetAPIServer().Configure().Append("disable-admission-plugins", "TaintNodesByCondition")
	var err error
	RestConfig, err = environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)
	emulate()

	options, err := controllers.ManagerOptions()
	Expect(err).NotTo(HaveOccurred())
	API, err = client.New(RestConfig, client.Options{Scheme: options.Scheme})
	Expect(err).NotTo(HaveOccurred())

	server := httptest.NewServer(ecisim.New(ecisim.DefaultState()))
	DeferCleanup(server.Close)
	ECIURL = server.URL

	startControllers(options)
	Scheduler = StartScheduler()
	DeferCleanup(func() { Scheduler.Stop() })

	// In a cluster without any node the scheduler does not ask its plugins.
	full := wrappers.MakeNode("full").Capacity(corev1.ResourcePods, "0").Obj()
	full.UID = ""
	Expect(API.Create(context.Background(), full)).To(Succeed())
}

// startControllers runs the controllers until the suite ends.
func startControllers(options ctrl.Options) {
	GinkgoHelper()
	options.Metrics = metricsserver.Options{BindAddress: "0"}
	options.Controller.SkipNameValidation = new(true)
	mgr, err := ctrl.NewManager(RestConfig, options)
	Expect(err).NotTo(HaveOccurred())
	Expect(controllers.Setup(mgr, controllers.Options{
		SchedulerName: wrappers.SchedulerName,
		Account: account.Options{
			Namespace: SecretNamespace, Endpoint: ECIURL, RefreshInterval: refreshInterval, StockInterval: stockInterval,
		},
		MaxCapacityAge: maxAge,
	})).To(Succeed())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	DeferCleanup(func() {
		cancel()
		Expect(<-done).To(Succeed())
	})
}
