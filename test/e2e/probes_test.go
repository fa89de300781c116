package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// insecure accepts the certificates that the binaries sign themselves, as the kubelet does in probes.
var insecure = &http.Client{
	Timeout:   5 * time.Second,
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}, //nolint:gosec // loopback, self-signed
}

// probe waits until every probe of every container of the pods passes. A container whose process has ended fails at once.
func probe(pods ...*pod) {
	GinkgoHelper()
	for _, p := range pods {
		for i := range p.Spec.Containers {
			c := &p.Spec.Containers[i]
			for _, each := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
				if each != nil {
					p.pass(c, p.containers[i], each)
				}
			}
		}
	}
}

func (p *pod) pass(c *corev1.Container, running *process, each *corev1.Probe) {
	GinkgoHelper()
	Expect(each.HTTPGet).NotTo(BeNil(), "a probe of container %s: only httpGet is played here", c.Name)
	scheme := strings.ToLower(string(each.HTTPGet.Scheme))
	url := fmt.Sprintf("%s://127.0.0.1:%d%s", scheme, p.port(c, each.HTTPGet.Port), each.HTTPGet.Path)
	Eventually(func(g Gomega) {
		if _, exited := running.exited(); exited {
			StopTrying(running.name + " has ended:\n" + running.output()).Now()
		}
		status, body, err := request(url, "")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(status).To(And(BeNumerically(">=", 200), BeNumerically("<", 400)), "%s: %s", url, body)
	}).Should(Succeed())
}

// port returns the loopback port that stands for a port of the container, which is a number or a name.
func (p *pod) port(c *corev1.Container, port intstr.IntOrString) int {
	GinkgoHelper()
	number := port.IntValue()
	if port.Type == intstr.String {
		at := slices.IndexFunc(c.Ports, func(named corev1.ContainerPort) bool { return named.Name == port.StrVal })
		Expect(at).NotTo(BeNumerically("<", 0), "port %s of container %s", port.StrVal, c.Name)
		number = int(c.Ports[at].ContainerPort)
	}
	Expect(p.ports).To(HaveKey(number), "port %d of container %s has no loopback port", number, c.Name)
	return p.ports[number]
}

// request gets a URL with a bearer token, unless that is "".
func request(url, token string) (status int, body string, err error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := insecure.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	return response.StatusCode, string(data), err
}
