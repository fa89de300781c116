// Package e2e installs the chart with the real helm into the local cluster, and runs both binaries as the release says: with the arguments, the files, the
// identity and the rights of the installed Deployments, and no others. `make test-e2e` starts the cluster, bare, and takes it down.
//
//   - helm_test.go, objects_test.go: helm, and what is in the cluster before and after it.
//   - kubelet_test.go, volumes_test.go, process_test.go, probes_test.go: no kubelet runs in the local cluster; these play it for the pods of the release.
//   - audit_test.go: what the API server has logged of the two ServiceAccounts.
//   - the others: the tests.
package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/spillway-k8s/spillway/controllers"
	"github.com/spillway-k8s/spillway/internal/ecisim"
)

const (
	// patience is how long what must happen may take on a slow machine.
	patience = 60 * time.Second
	poll     = 100 * time.Millisecond

	namespace = "spillway-system"
	scheduler = "spillway-scheduler"
	// controller is the name of the Deployment, the ServiceAccount and the Lease, as scheduler is.
	controller = "spillway-controller"
	secretName = "eci-credentials"
	// infra labels and taints the node for the pods of the release, so that they take no room from those of the tests.
	infra = "infra"
)

var (
	// bin is where the binaries are, and workDir where the suite keeps its files.
	bin, workDir string
	kubeconfig   string
	simulatorURL string
	// admin and its clients have all rights.
	admin      *rest.Config
	api        client.WithWatch
	everything dynamic.Interface
	discoverer discovery.DiscoveryInterface
	// audit is the log of the requests of the two ServiceAccounts.
	audit *auditLog
)

func TestE2E(t *testing.T) {
	if os.Getenv("LOCAL_CLUSTER") == "" {
		t.Skip("LOCAL_CLUSTER does not name the directory of a bare local cluster: run make test-e2e")
	}
	ctrllog.SetLogger(klog.Background())
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(patience)
	SetDefaultEventuallyPollingInterval(poll)
	RunSpecs(t, "E2E")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	cluster := os.Getenv("LOCAL_CLUSTER")
	bin, workDir, kubeconfig = filepath.Dir(cluster), filepath.Join(cluster, "e2e"), filepath.Join(cluster, "kubeconfig")
	audit = &auditLog{path: filepath.Join(cluster, "audit.log")}
	url, err := os.ReadFile(filepath.Join(cluster, "eci-simulator.url"))
	Expect(err).NotTo(HaveOccurred())
	simulatorURL = strings.TrimSpace(string(url))
	Expect(os.MkdirAll(workDir, 0o755)).To(Succeed())
	admin, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	Expect(err).NotTo(HaveOccurred())
	// The suite reads objects of all kinds, deprecated ones as well.
	admin.WarningHandler = rest.NoWarnings{}
	admin.QPS, admin.Burst = 500, 1000
	options, err := controllers.ManagerOptions()
	Expect(err).NotTo(HaveOccurred())
	api, err = client.NewWithWatch(admin, client.Options{Scheme: options.Scheme})
	Expect(err).NotTo(HaveOccurred())
	everything = dynamic.NewForConfigOrDie(admin)
	discoverer = discovery.NewDiscoveryClientForConfigOrDie(admin)
	create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: secretName}, StringData: credentials()})
	create(ctx, infraNode())
	Eventually(get[*corev1.ServiceAccount]).WithArguments(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"}}).
		Should(Succeed())
	Eventually(get[*corev1.ConfigMap]).WithArguments(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "kube-root-ca.crt"}}).
		Should(Succeed())
})

var _ = AfterSuite(func() {
	if audit != nil {
		Expect(audit.refused()).To(BeEmpty(), "Spillway asked for what its roles do not grant")
	}
})

// credentials are those of the simulator's account.
func credentials() map[string]string {
	for id, secret := range ecisim.DefaultState().AccessKeys {
		return map[string]string{"accessKeyID": id, "accessKeySecret": secret}
	}
	return nil
}

// infraNode has room for the pods of the release only. To the API server they run there, by kwok; kubelet_test.go runs them in truth.
func infraNode() *corev1.Node {
	size := corev1.ResourceList{"cpu": resource.MustParse("32"), "memory": resource.MustParse("64Gi"), "pods": resource.MustParse("110")}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: infra, Labels: map[string]string{infra: "true"}, Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: infra, Effect: corev1.TaintEffectNoSchedule}}},
		Status:     corev1.NodeStatus{Capacity: size, Allocatable: size},
	}
}

func create(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Expect(api.Create(ctx, object)).To(Succeed())
}

// get reads an object anew.
func get[T client.Object](ctx context.Context, object T) error {
	return api.Get(ctx, client.ObjectKeyFromObject(object), object)
}
