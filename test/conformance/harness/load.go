package harness

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

const (
	// createWorkers is how many objects are created at the same time: more than that the API server of a test does not take faster.
	createWorkers = 16
	// logTail is how many lines of a scheduler's log are shown when a test fails.
	logTail = 60
)

// Fleet creates many nodes of the world at once, and waits until the scheduler knows them.
func (w *World) Fleet(nodes []*wrappers.Node) {
	GinkgoHelper()
	names := make([]string, len(nodes))
	Parallel(len(nodes), func(i int) error {
		node := nodes[i].Label("pool", w.Namespace).Obj()
		node.Name, node.UID = w.Namespace+"-"+node.Name, ""
		names[i] = node.Name
		return API.Create(context.Background(), node)
	})
	Eventually(func(g Gomega) {
		for _, name := range names {
			_, err := Scheduler.nodes.Get(name)
			g.Expect(err).NotTo(HaveOccurred())
		}
	}).Should(Succeed())
}

// CreateAll creates many pods as fast as the API server takes them, in no certain order.
func (w *World) CreateAll(pods []*wrappers.Pod) {
	GinkgoHelper()
	Parallel(len(pods), func(i int) error {
		pod := pods[i].Obj()
		pod.UID = ""
		return API.Create(context.Background(), pod)
	})
}

// RemoveAll deletes many pods at once, as Remove does.
func (*World) RemoveAll(pods []*corev1.Pod) {
	GinkgoHelper()
	Parallel(len(pods), func(i int) error {
		return client.IgnoreNotFound(API.Delete(context.Background(), pods[i], client.GracePeriodSeconds(0)))
	})
}

// Parallel does n pieces of work at once, as far as there are workers, and wants all to succeed.
func Parallel(n int, do func(i int) error) {
	GinkgoHelper()
	failed := make([]error, n)
	workqueue.ParallelizeUntil(context.Background(), createWorkers, n, func(i int) { failed[i] = do(i) })
	Expect(errors.Join(failed...)).To(Succeed())
}

// Binary is the built scheduler in a process of its own, with the configuration that is installed.
type Binary struct {
	process *os.Process
	log     string
	done    chan struct{}
}

// WithoutScheduler does something while the scheduler of this process does not run: one in a process of its own takes its place.
func WithoutScheduler(do func()) {
	GinkgoHelper()
	Scheduler.Stop()
	defer func() { Scheduler = StartScheduler() }()
	do()
}

// BinaryConfig writes the configuration for StartBinary, and returns its file.
func BinaryConfig() string {
	GinkgoHelper()
	return writeSchedulerConfig(GinkgoT().TempDir())
}

// StartBinary starts the scheduler that `make build` builds, beside etcd and kube-apiserver. It writes a log of its own beside the configuration, whose
// end is shown when the test fails. Kill ends it; so does the end of this process, however that comes.
func StartBinary(config, name string) *Binary {
	GinkgoHelper()
	path := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "spillway-scheduler")
	b := &Binary{log: filepath.Join(filepath.Dir(config), name+".log"), done: make(chan struct{})}
	log, err := os.Create(b.log)
	Expect(err).NotTo(HaveOccurred())
	cmd := exec.Command(path, "--config="+config, "--secure-port=0", "--v=3")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The kernel takes the end of the thread that started the process for the end of its parent.
		runtime.LockOSThread()
		defer close(b.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // It is killed: how it ended is no news.
		}
		_ = log.Close()
	}()
	Expect(<-started).To(Succeed())
	b.process = cmd.Process
	DeferCleanup(func() {
		b.Kill()
		if CurrentSpecReport().Failed() {
			AddReportEntry(name, b.tail())
		}
	})
	return b
}

// Kill ends the process with SIGKILL, and waits until it has ended. It may be called again.
func (b *Binary) Kill() {
	_ = b.process.Signal(syscall.SIGKILL) // It may have ended already.
	<-b.done
}

// Running tells whether the process has not ended.
func (b *Binary) Running() bool {
	select {
	case <-b.done:
		return false
	default:
		return true
	}
}

// tail returns the end of the log.
func (b *Binary) tail() string {
	log, err := os.ReadFile(b.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-logTail):], "\n")
}
