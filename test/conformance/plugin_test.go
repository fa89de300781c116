package conformance

import (
	"bytes"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/spillway-k8s/spillway/cmd/kubectl-spillway/command"
	"github.com/spillway-k8s/spillway/test/conformance/harness"
	"github.com/spillway-k8s/spillway/test/wrappers"
)

// kubeconfig writes how to reach the API server, and returns the path.
func kubeconfig(namespace string) string {
	GinkgoHelper()
	rest, config := harness.RestConfig, clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{Server: rest.Host, CertificateAuthorityData: rest.CAData}
	config.AuthInfos["test"] = &clientcmdapi.AuthInfo{ClientCertificateData: rest.CertData, ClientKeyData: rest.KeyData}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "test", Namespace: namespace}
	config.CurrentContext = "test"
	path := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(clientcmd.WriteToFile(*config, path)).To(Succeed())
	return path
}

var _ = Describe("kubectl spillway", func() {
	var w *harness.World
	var path string

	// run runs the plugin as kubectl does, and returns what it prints.
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		plugin := command.New()
		plugin.SetOut(&out)
		plugin.SetArgs(append(args, "--kubeconfig="+path))
		err := plugin.Execute()
		return out.String(), err
	}
	prints := func(args ...string) func(Gomega) string {
		return func(g Gomega) string {
			out, err := run(args...)
			g.Expect(err).NotTo(HaveOccurred())
			return out
		}
	}

	BeforeEach(func() {
		w = harness.NewWorld()
		path = kubeconfig(w.Namespace)
		w.Nodes(1, "paid")
	})

	It("says why a pod is where it is and why another is held, and how full the policy is", func() {
		w.Policy(wrappers.MakePolicy("web").Unit(w.ECS("paid").Max(1)))
		placed := w.Create(w.Pod())
		w.UnitOf(placed)
		held := w.Create(w.Pod())

		Eventually(prints("explain", "pod", placed.Name)).Should(And(
			ContainSubstring("is on node %s-paid-0, in unit 0 (ecs, pool=%s, unit=paid) of ResourcePolicy web.\n", w.Namespace, w.Namespace),
			ContainSubstring("That is the first unit, and it had room.\n"),
			ContainSubstring("full, this pod is here\n")))
		Eventually(prints("explain", "pod/"+held.Name)).Should(And(
			ContainSubstring("Pod %s/%s is held", w.Namespace, held.Name),
			ContainSubstring(": held by ResourcePolicy web: unit 0 (ecs, pool=%s, unit=paid): full, max 1\n", w.Namespace)))
		Eventually(prints("status")).Should(MatchRegexp(`%s +web +yes +0 +1 +0 ecs, pool=%s, unit=paid +1 +pods 1/1 +full\n`, w.Namespace, w.Namespace))
	})

	It("says that no policy governs a pod", func() {
		pod := w.Create(w.Pod().Request(corev1.ResourceCPU, "1"))
		w.UnitOf(pod)
		Expect(prints("explain", "pod", pod.Name)(NewWithT(GinkgoT()))).To(
			ContainSubstring("No ResourcePolicy governs it: namespace %s has none.\n", w.Namespace))
	})

	It("refuses in one sentence", func() {
		_, err := run("explain", "pod", "missing")
		Expect(err).To(MatchError("there is no pod missing in namespace " + w.Namespace))
		_, err = run("status", "--as=nobody")
		Expect(err).To(MatchError(And(HavePrefix("reading ResourcePolicies: "), ContainSubstring(`User "nobody" cannot list resource "resourcepolicies"`), Not(ContainSubstring("\n")))))
	})
})
