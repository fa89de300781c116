package equivalence

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/informers"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/tools/events"
	"k8s.io/kubernetes/cmd/kube-scheduler/app"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/spillway-k8s/spillway/apis/scheduling/v1alpha1"
	"github.com/spillway-k8s/spillway/plugins"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	// stockName is the profile of kube-scheduler without Spillway's plugins.
	stockName = "stock-scheduler"
	// weightFactor makes room for rank below the smallest difference of the other scores.
	weightFactor = 10
)

// cluster is an API server, and a scheduler with the installed profile and the stock one.
type cluster struct {
	api       client.Client
	sched     *scheduler.Scheduler
	queue     *turnstile
	informers informers.SharedInformerFactory
}

// startCluster starts the cluster until the test ends.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	environment := &envtest.Environment{
		CRDDirectoryPaths: []string{filepath.Join("..", "..", "config", "crd")}, ErrorIfCRDPathMissing: true,
	}
	// Nobody plays the node lifecycle controller, which would take the taint of new nodes away again, or the controllers
	// that take finalizers away.
	environment.ControlPlane.GetAPIServer().Configure().
		Append("disable-admission-plugins", "TaintNodesByCondition", "StorageObjectInUseProtection").
		// A list that must be up to date waits up to 100 ms for the cache.
		Set("watch-cache", "false")
	access, err := environment.Start()
	must(t, err)
	t.Cleanup(func() { _ = environment.Stop() })
	access.QPS, access.Burst = 5000, 10000
	api, err := client.New(access, client.Options{Scheme: scheme})
	must(t, err)
	c := &cluster{api: api}
	c.createFixtures(t)
	c.startScheduler(t, access)
	return c
}

// createFixtures creates the objects that all scenes share: the namespace of each side, the policy, and the priorities.
func (c *cluster) createFixtures(t *testing.T) {
	t.Helper()
	for _, side := range allSides {
		must(t, c.api.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: side.namespace}}))
		if side.governed {
			policy := wrappers.MakePolicy("all").Namespace(side.namespace).Unit(wrappers.ECS()).Obj()
			policy.UID, policy.Spec.Selector = "", v1alpha1.LabelSet{}
			must(t, c.api.Create(t.Context(), policy))
		}
	}
	for _, class := range priorityClasses {
		must(t, c.api.Create(t.Context(), &schedulingv1.PriorityClass{
			ObjectMeta: metav1.ObjectMeta{Name: class.name}, Value: class.value, PreemptionPolicy: &class.policy,
		}))
	}
}

// startScheduler does what app.Setup and app.Run do, with three differences: no backoff, because it depends on the clock
// which of two pods comes first; a score that breaks ties; and a turnstile before the queue.
func (c *cluster) startScheduler(t *testing.T, access *rest.Config) {
	t.Helper()
	opts := options.NewOptions()
	defaults, err := latest.Default()
	must(t, err)
	opts.ComponentConfig = defaults
	opts.ConfigFile = writeConfig(t, access)
	opts.SecureServing.BindPort = 0
	if errs := opts.Validate(); len(errs) > 0 {
		t.Fatal(errs)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cfg, err := opts.Config(ctx)
	must(t, err)
	stock, err := latest.Default()
	must(t, err)
	stock.Profiles[0].SchedulerName = stockName
	profiles := slices.Concat(cfg.ComponentConfig.Profiles, stock.Profiles)
	for i := range profiles {
		breakTies(profiles[i].Plugins)
	}
	registry := frameworkruntime.Registry{rankName: newRank}
	factories, handleFailures := plugins.All()
	for name, factory := range factories {
		must(t, registry.Register(name, factory))
	}
	cc := cfg.Complete()
	sched, err := scheduler.New(ctx, cc.Client, cc.InformerFactory, cc.DynInformerFactory,
		func(name string) events.EventRecorderLogger { return cc.EventBroadcaster.NewRecorder(name) },
		scheduler.WithKubeConfig(cc.KubeConfig),
		scheduler.WithProfiles(profiles...),
		scheduler.WithFrameworkOutOfTreeRegistry(registry),
		scheduler.WithPodMaxBackoffSeconds(0),
		scheduler.WithPodInitialBackoffSeconds(0),
		scheduler.WithPodMaxInUnschedulablePodsDuration(cc.PodMaxInUnschedulablePodsDuration),
		scheduler.WithParallelism(cc.ComponentConfig.Parallelism))
	must(t, err)
	sched.FailureHandler = handleFailures(sched.FailureHandler)
	c.sched, c.informers, c.queue = sched, cc.InformerFactory, newTurnstile(sched)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := app.Run(ctx, &cc, sched); ctx.Err() == nil {
			panic(fmt.Sprintf("the scheduler stopped by itself: %v", err))
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// breakTies multiplies all weights and adds rank, so that rank decides between nodes with the same score and no others.
func breakTies(enabled *config.Plugins) {
	for _, set := range []*config.PluginSet{&enabled.MultiPoint, &enabled.Score} {
		for i := range set.Enabled {
			set.Enabled[i].Weight *= weightFactor
		}
	}
	enabled.Score.Enabled = append(enabled.Score.Enabled, config.Plugin{Name: rankName, Weight: 1})
}

// writeConfig writes the installed configuration with the address of the API server and without leader election, and
// returns its file.
func writeConfig(t *testing.T, access *rest.Config) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "config", "scheduler", "config.yaml"))
	must(t, err)
	var installed map[string]any
	must(t, yaml.Unmarshal(data, &installed))
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	installed["clientConnection"].(map[string]any)["kubeconfig"] = kubeconfig
	installed["leaderElection"].(map[string]any)["leaderElect"] = false
	data, err = yaml.Marshal(installed)
	must(t, err)
	file := filepath.Join(dir, "scheduler.yaml")
	must(t, os.WriteFile(file, data, 0o600))

	user := clientcmdapi.NewConfig()
	user.Clusters["test"] = &clientcmdapi.Cluster{Server: access.Host, CertificateAuthorityData: access.CAData}
	user.AuthInfos["test"] = &clientcmdapi.AuthInfo{ClientCertificateData: access.CertData, ClientKeyData: access.KeyData}
	user.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "test"}
	user.CurrentContext = "test"
	must(t, clientcmd.WriteToFile(*user, kubeconfig))
	return file
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
