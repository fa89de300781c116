// Package skew runs the binaries of Spillway as an installation does, with its rights and its configuration, on the API server that KUBEBUILDER_ASSETS names.
// `make test-skew` runs it on those of several versions.
package skew

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/spillway-k8s/spillway/controllers"
	"github.com/spillway-k8s/spillway/internal/ecisim"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
)

const (
	namespace  = "spillway-system"
	scheduler  = "spillway-scheduler"
	controller = "spillway-controller"
)

var (
	// root is the path of the repository.
	root        = filepath.Join("..", "..")
	environment *envtest.Environment
	// api talks to the API server as an administrator.
	api client.Client
	// version is the minor version of the API server, such as 1.34.
	version string
	eciURL  string
)

func TestSkew(t *testing.T) { harness.RunSuite(t, "Skew") }

var _ = BeforeSuite(func() {
	ctrl.SetLogger(klog.Background())
	environment = &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join(root, "config", "crd")}, ErrorIfCRDPathMissing: true}
	// Nobody plays the node lifecycle controller, which would take the taint of new nodes away again.
	environment.ControlPlane.GetAPIServer().Configure().Append("disable-admission-plugins", "TaintNodesByCondition")
	config, err := environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)
	server, err := discovery.NewDiscoveryClientForConfigOrDie(config).ServerVersion()
	Expect(err).NotTo(HaveOccurred())
	version = server.Major + "." + server.Minor

	options, err := controllers.ManagerOptions()
	Expect(err).NotTo(HaveOccurred())
	api, err = client.New(config, client.Options{Scheme: options.Scheme})
	Expect(err).NotTo(HaveOccurred())
	install()

	eci := httptest.NewServer(ecisim.New(ecisim.DefaultState()))
	DeferCleanup(eci.Close)
	eciURL = eci.URL
})

// install gives the cluster the roles of Spillway and the credentials of the simulator.
func install() {
	GinkgoHelper()
	files, err := filepath.Glob(filepath.Join(root, "config", "rbac", "*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	Expect(files).NotTo(BeEmpty())
	for _, file := range files {
		data, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
		for {
			object := &unstructured.Unstructured{}
			err := decoder.Decode(object)
			if errors.Is(err, io.EOF) {
				break
			}
			Expect(err).NotTo(HaveOccurred(), file)
			// The API server makes the namespace of leases a moment after it is ready.
			Eventually(func() error { return client.IgnoreAlreadyExists(api.Create(context.Background(), object)) }).Should(Succeed(), file)
		}
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "eci-credentials"}, StringData: map[string]string{}}
	for id, key := range ecisim.DefaultState().AccessKeys {
		secret.StringData["accessKeyID"], secret.StringData["accessKeySecret"] = id, key
	}
	Expect(api.Create(context.Background(), secret)).To(Succeed())
}

// start runs a binary with a log of its own until the test ends.
func start(binary string, args ...string) *gexec.Session {
	GinkgoHelper()
	session, err := gexec.Start(exec.Command(filepath.Join(os.Getenv("SPILLWAY_BIN"), binary), args...), GinkgoWriter, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { session.Terminate().Wait(30) })
	return session
}

// startScheduler runs the scheduler with the installed configuration.
func startScheduler(args ...string) *gexec.Session {
	GinkgoHelper()
	data, err := os.ReadFile(filepath.Join(root, "config", "scheduler", "config.yaml"))
	Expect(err).NotTo(HaveOccurred())
	kubeconfig := kubeconfigOf(scheduler)
	before, after, found := strings.Cut(string(data), "clientConnection:\n")
	Expect(found).To(BeTrue())
	file := filepath.Join(GinkgoT().TempDir(), "config.yaml")
	Expect(os.WriteFile(file, []byte(before+"clientConnection:\n  kubeconfig: "+kubeconfig+"\n"+after), 0o600)).To(Succeed())
	return start(scheduler, append([]string{
		"--config=" + file, "--secure-port=0", "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
	}, args...)...)
}

// kubeconfigOf writes a kubeconfig with the name of a ServiceAccount, and no other rights.
func kubeconfigOf(account string) string {
	GinkgoHelper()
	user, err := environment.AddUser(envtest.User{
		Name:   "system:serviceaccount:" + namespace + ":" + account,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace},
	}, nil)
	Expect(err).NotTo(HaveOccurred())
	data, err := user.KubeConfig()
	Expect(err).NotTo(HaveOccurred())
	file := filepath.Join(GinkgoT().TempDir(), account)
	Expect(os.WriteFile(file, data, 0o600)).To(Succeed())
	return file
}
