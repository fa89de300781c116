package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/spillway-k8s/spillway/controllers"
)

// cluster is etcd and an API server on loopback addresses. It has no kubelets and no controllers.
type cluster struct {
	// bin is where the binaries are, and dir where the files of this cluster go.
	bin, dir string
	env      *envtest.Environment
	api      client.WithWatch
}

// scheduler is one that runs in a process of its own.
type scheduler struct {
	process *os.Process
	// done is closed when it has ended.
	done chan struct{}
}

// startCluster starts the API server with the CRDs of Spillway.
func startCluster(bin, dir string) (*cluster, error) {
	c := &cluster{bin: bin, dir: dir}
	c.env = &envtest.Environment{
		BinaryAssetsDirectory: bin, CRDDirectoryPaths: []string{filepath.Join("config", "crd")}, ErrorIfCRDPathMissing: true,
	}
	// Nobody plays the node lifecycle controller, which would take the taint of new nodes away again.
	c.env.ControlPlane.GetAPIServer().Configure().Append("disable-admission-plugins", "TaintNodesByCondition")
	config, err := c.env.Start()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting etcd and kube-apiserver: %w", err), c.stop())
	}
	options, err := controllers.ManagerOptions()
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	config.QPS, config.Burst = -1, -1 // The replay must not wait for its own client.
	if c.api, err = client.NewWithWatch(config, client.Options{Scheme: options.Scheme}); err != nil {
		return nil, errors.Join(fmt.Errorf("creating a client: %w", err), c.stop())
	}
	return c, nil
}

func (c *cluster) stop() error {
	if err := c.env.Stop(); err != nil {
		return fmt.Errorf("stopping etcd and kube-apiserver: %w", err)
	}
	return nil
}

// startScheduler starts a scheduler, whose log is beside its configuration.
func (c *cluster) startScheduler(who contender) (*scheduler, error) {
	config, err := c.writeConfig(who)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(c.dir, "scheduler.log"))
	if err != nil {
		return nil, fmt.Errorf("creating the log of %s: %w", who.binary, err)
	}
	cmd := exec.Command(filepath.Join(c.bin, who.binary), "--config="+config, "--secure-port=0", fmt.Sprintf("--v=%d", who.verbosity))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s, started := &scheduler{done: make(chan struct{})}, make(chan error)
	go func() {
		// The kernel takes the end of the thread that started the process for the end of its parent.
		runtime.LockOSThread()
		defer close(s.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // It is killed; if it ended by itself, its log says why.
		}
		_ = log.Close()
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", who.binary, err)
	}
	s.process = cmd.Process
	return s, nil
}

// stop kills the scheduler, and waits until it has ended.
func (s *scheduler) stop() {
	_ = s.process.Signal(syscall.SIGKILL) // It may have ended already.
	<-s.done
}

// writeConfig writes the installed configuration for this cluster. The stock scheduler has the same without Spillway's profile: the client may be as fast.
func (c *cluster) writeConfig(who contender) (string, error) {
	user, err := c.env.AddUser(envtest.User{Name: "scheduler", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return "", fmt.Errorf("creating a user for the scheduler: %w", err)
	}
	access, err := user.KubeConfig()
	if err != nil {
		return "", fmt.Errorf("writing the kubeconfig of the scheduler: %w", err)
	}
	data, err := os.ReadFile(filepath.Join("config", "scheduler", "config.yaml"))
	if err != nil {
		return "", fmt.Errorf("reading the configuration of the scheduler, from the root of the repository: %w", err)
	}
	var config map[string]any
	if err := yaml.Unmarshal(data, &config); err != nil {
		return "", fmt.Errorf("decoding the configuration of the scheduler: %w", err)
	}
	kubeconfig, file := filepath.Join(c.dir, "kubeconfig"), filepath.Join(c.dir, "scheduler.yaml")
	if err := unstructured.SetNestedField(config, kubeconfig, "clientConnection", "kubeconfig"); err != nil {
		return "", fmt.Errorf("setting the kubeconfig of the scheduler: %w", err)
	}
	config["leaderElection"] = map[string]any{"leaderElect": false}
	if !who.policy {
		delete(config, "profiles")
	}
	if data, err = yaml.Marshal(config); err != nil {
		return "", fmt.Errorf("encoding the configuration of the scheduler: %w", err)
	}
	return file, errors.Join(os.WriteFile(kubeconfig, access, 0o600), os.WriteFile(file, data, 0o600))
}

// replayUnder starts a cluster with the scheduler, and replays the plan there.
func replayUnder(ctx context.Context, p *plan, who contender, bin, dir string) (events []event, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("creating the directory for %s: %w", who.name, err)
	}
	c, err := startCluster(bin, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	if err := furnish(ctx, c.api, p, who); err != nil {
		return nil, err
	}
	s, err := c.startScheduler(who)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	return play(ctx, p, who, c.api, s.done)
}
