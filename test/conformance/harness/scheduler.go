package harness

import (
	"context"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/discovery"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/component-base/configz"
	"k8s.io/kubernetes/cmd/kube-scheduler/app"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	"sigs.k8s.io/yaml"

	"github.com/spillway-k8s/spillway/plugins"
)

// SchedulerProcess is a scheduler that runs in this process with the configuration that is installed.
type SchedulerProcess struct {
	cancel context.CancelFunc
	// nodes are the nodes that the scheduler knows.
	nodes corelisters.NodeLister
	done  chan struct{}
}

// StartScheduler starts the scheduler.
func StartScheduler() *SchedulerProcess {
	GinkgoHelper()
	dir := GinkgoT().TempDir()
	o := options.NewOptions()
	o.ConfigFile = writeSchedulerConfig(dir)
	o.SecureServing.BindPort = 0
	var appOptions []app.Option
	factories, handleFailures := plugins.All()
	for name, factory := range factories {
		appOptions = append(appOptions, app.WithPlugin(name, factory))
	}
	ctx, cancel := context.WithCancel(context.Background())
	completed, sched, err := app.Setup(ctx, o, appOptions...)
	Expect(err).NotTo(HaveOccurred())
	sched.FailureHandler = handleFailures(sched.FailureHandler)
	// A process registers its configuration once; this one has several schedulers, one after the other.
	configz.Delete("componentconfig")
	p := &SchedulerProcess{cancel: cancel, nodes: completed.InformerFactory.Core().V1().Nodes().Lister(), done: make(chan struct{})}
	go func() {
		defer GinkgoRecover()
		defer close(p.done)
		err := app.Run(ctx, completed, sched)
		Expect(ctx.Err()).To(HaveOccurred(), "the scheduler stopped by itself: %v", err)
	}()
	return p
}

// Stop ends the scheduler, with its memory and its assumed pods.
func (p *SchedulerProcess) Stop() {
	p.cancel()
	<-p.done
}

// emulate makes the scheduler act as the version of the API server, as the chart does with the flag --emulated-version. The version is one of the process:
// it is set once, before anything asks for a feature.
func emulate() {
	GinkgoHelper()
	server, err := discovery.NewDiscoveryClientForConfigOrDie(RestConfig).ServerVersion()
	Expect(err).NotTo(HaveOccurred())
	full, err := version.ParseGeneric(server.GitVersion)
	Expect(err).NotTo(HaveOccurred())
	Version = version.MajorMinor(full.Major(), full.Minor())
	o := options.NewOptions()
	Expect(o.Flags.FlagSet("feature gate").Set("emulated-version", Version.String())).To(Succeed())
	Expect(o.ComponentGlobalsRegistry.Set()).To(Succeed())
	Expect(o.ComponentGlobalsRegistry.Validate()).To(BeEmpty())
}

// writeSchedulerConfig writes the installed configuration with the address of the test's API server and without leader election.
func writeSchedulerConfig(dir string) string {
	GinkgoHelper()
	data, err := os.ReadFile(filepath.Join(root, "config", "scheduler", "config.yaml"))
	Expect(err).NotTo(HaveOccurred())
	var config map[string]any
	Expect(yaml.Unmarshal(data, &config)).To(Succeed())
	kubeconfig := filepath.Join(dir, "kubeconfig")
	Expect(unstructured.SetNestedField(config, kubeconfig, "clientConnection", "kubeconfig")).To(Succeed())
	Expect(unstructured.SetNestedField(config, false, "leaderElection", "leaderElect")).To(Succeed())
	data, err = yaml.Marshal(config)
	Expect(err).NotTo(HaveOccurred())
	file := filepath.Join(dir, "scheduler.yaml")
	Expect(os.WriteFile(file, data, 0o600)).To(Succeed())

	access := clientcmdapi.NewConfig()
	access.Clusters["test"] = &clientcmdapi.Cluster{Server: RestConfig.Host, CertificateAuthorityData: RestConfig.CAData}
	access.AuthInfos["test"] = &clientcmdapi.AuthInfo{ClientCertificateData: RestConfig.CertData, ClientKeyData: RestConfig.KeyData}
	access.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "test"}
	access.CurrentContext = "test"
	Expect(clientcmd.WriteToFile(*access, kubeconfig)).To(Succeed())
	return file
}
