package e2e

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const revision = "deployment.kubernetes.io/revision"

// pod is a Pod of the release. Its containers run here as processes, each in a root directory of its own.
type pod struct {
	*corev1.Pod
	// installed are the loopback ports that the arguments of the Deployment name, by what the image would listen on.
	installed map[int]int
	// ports are those that this pod has in their place: all replicas share one address.
	ports      map[int]int
	containers []*process
}

// newPods returns the pods of a Deployment as they are in the cluster, not started yet. Pods after the first get ports of their own in place of those
// installed, and so does the first one in place of a port that no value of the chart can move.
func newPods(ctx context.Context, deployment string, installed map[int]int) []*pod {
	GinkgoHelper()
	var pods []*pod
	for i, object := range podsOf(ctx, deployment) {
		p := &pod{Pod: object, installed: installed, ports: map[int]int{}}
		for podPort, port := range installed {
			if i > 0 || port == podPort {
				port = freePorts(1)[0]
			}
			p.ports[podPort] = port
		}
		pods = append(pods, p)
	}
	return pods
}

// podsOf waits until a Deployment has all pods of its newest template, and returns them as the API server has completed them.
func podsOf(ctx context.Context, name string) []*corev1.Pod {
	GinkgoHelper()
	var found []*corev1.Pod
	Eventually(func(g Gomega) {
		found = nil
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		g.Expect(get(ctx, d)).To(Succeed())
		g.Expect(d.Status.ObservedGeneration).To(Equal(d.Generation))
		selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
		g.Expect(err).NotTo(HaveOccurred())
		sets, pods := &appsv1.ReplicaSetList{}, &corev1.PodList{}
		matching := &client.ListOptions{Namespace: namespace, LabelSelector: selector}
		g.Expect(api.List(ctx, sets, matching)).To(Succeed())
		g.Expect(api.List(ctx, pods, matching)).To(Succeed())
		newest := slices.IndexFunc(sets.Items, func(s appsv1.ReplicaSet) bool { return s.Annotations[revision] == d.Annotations[revision] })
		g.Expect(newest).NotTo(BeNumerically("<", 0))
		for i := range pods.Items {
			if p := &pods.Items[i]; p.DeletionTimestamp == nil && metav1.IsControlledBy(p, &sets.Items[newest]) {
				found = append(found, p)
			}
		}
		g.Expect(found).To(HaveLen(int(*d.Spec.Replicas)))
	}).Should(Succeed())
	return found
}

// start runs the containers of the pod, until killAll at the latest.
func (p *pod) start(ctx context.Context) {
	GinkgoHelper()
	for i := range p.Spec.Containers {
		p.containers = append(p.containers, p.startContainer(ctx, &p.Spec.Containers[i]))
	}
}

// kill ends the pod as a node that fails does, and stop as the kubelet does.
func (p *pod) kill() { p.each((*process).kill) }
func (p *pod) stop() { p.each((*process).stop) }

func (p *pod) each(do func(*process)) {
	for _, c := range p.containers {
		do(c)
	}
}

func (p *pod) startContainer(ctx context.Context, c *corev1.Container) *process {
	GinkgoHelper()
	root := filepath.Join(workDir, "pods", p.Name, fmt.Sprintf("%s.%d", c.Name, len(started))) // A pod may be started again.
	Expect(os.MkdirAll(root, 0o755)).To(Succeed())
	entrypoint := p.installImage(c, root)
	for i := range c.VolumeMounts {
		p.mount(ctx, &c.VolumeMounts[i], root)
	}
	command := c.Command
	if len(command) == 0 {
		command = []string{entrypoint}
	}
	var args []string
	for _, arg := range c.Args {
		args = append(args, p.movePorts(arg))
	}
	running := &process{name: p.Name + "/" + c.Name, root: root, command: append(slices.Clone(command), args...), env: p.env(c), uid: p.uid(c)}
	running.start()
	return running
}

// installImage puts the binary where the Dockerfile puts it, and returns its path there. The name of the image is that of the binary.
func (p *pod) installImage(c *corev1.Container, root string) string {
	GinkgoHelper()
	name, _, _ := strings.Cut(path.Base(c.Image), ":")
	binary := name
	if name == "scheduler" || name == "controller" {
		binary = "spillway-" + name
	}
	Expect(c.Image).To(HavePrefix(repository+"/"), "the image of container %s", c.Name)
	// A link, because the binaries are big; it cannot be opened for writing while it runs.
	Expect(os.Link(filepath.Join(bin, binary), filepath.Join(root, binary))).To(Succeed())
	return "/" + binary
}

// movePorts gives a replica its own ports where an argument names installed ones.
func (p *pod) movePorts(arg string) string {
	for podPort, port := range p.ports {
		for _, before := range []string{":", "port="} {
			arg = strings.ReplaceAll(arg, before+strconv.Itoa(p.installed[podPort]), before+strconv.Itoa(port))
		}
	}
	return arg
}

// env returns the environment that the kubelet gives to a container.
func (p *pod) env(c *corev1.Container) []string {
	GinkgoHelper()
	host, port, found := strings.Cut(strings.TrimPrefix(admin.Host, "https://"), ":")
	Expect(found).To(BeTrue(), "the address %s of the API server", admin.Host)
	env := []string{"KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port, "HOSTNAME=" + p.Name}
	for _, e := range c.Env {
		value := e.Value
		if e.ValueFrom != nil {
			Expect(e.ValueFrom.FieldRef).NotTo(BeNil(), "variable %s: only fieldRef is played here", e.Name)
			value = p.field(e.ValueFrom.FieldRef.FieldPath)
		}
		env = append(env, e.Name+"="+value)
	}
	return env
}

// field returns a field of the pod for the downward API.
func (p *pod) field(fieldPath string) string {
	GinkgoHelper()
	switch fieldPath {
	case "metadata.name":
		return p.Name
	case "metadata.namespace":
		return p.Namespace
	case "status.podIP":
		return "127.0.0.1"
	}
	Fail(fmt.Sprintf("field %s of the downward API is not played here", fieldPath))
	return ""
}

// uid returns the user that the container runs as. The kubelet refuses root, and images whose user it does not know, where runAsNonRoot is set.
func (p *pod) uid(c *corev1.Container) int {
	GinkgoHelper()
	context := c.SecurityContext
	Expect(context).NotTo(BeNil(), "the security context of container %s", c.Name)
	user := context.RunAsUser
	if user == nil && p.Spec.SecurityContext != nil {
		user = p.Spec.SecurityContext.RunAsUser
	}
	Expect(user).NotTo(BeNil(), "runAsUser of container %s", c.Name)
	Expect(*user).NotTo(BeZero(), "runAsUser of container %s", c.Name)
	return int(*user)
}
