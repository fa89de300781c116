package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"
)

const (
	release    = "spillway"
	repository = "registry.example/spillway"
)

// The chart of the tree, and the one before it.
var (
	chart         = filepath.Join("..", "..", "charts", "spillway")
	previousChart = filepath.Join("testdata", "spillway-0.1.0.tgz")
)

// listeners are the loopback ports that stand for those of the pods, which all share one address here. The chart's extraArgs move the binaries there.
type listeners struct {
	schedulerSecure, controllerMetrics, controllerHealth int
}

func newListeners() listeners {
	GinkgoHelper()
	ports := freePorts(3)
	return listeners{schedulerSecure: ports[0], controllerMetrics: ports[1], controllerHealth: ports[2]}
}

// byPodPort returns the loopback ports of a Deployment by the port that the image would listen on.
func (l listeners) byPodPort(deployment string) map[int]int {
	if deployment == scheduler {
		return map[int]int{10259: l.schedulerSecure}
	}
	return map[int]int{8443: l.controllerMetrics, 8081: l.controllerHealth}
}

// values are the chart's values, as in a values.yaml.
type values map[string]any

// defaults are the values of a release whose binaries run here: images that nobody pulls, the simulator's account, the node of infraNode.
func (l listeners) defaults() values {
	place := func(v values) values {
		v["nodeSelector"] = map[string]string{infra: "true"}
		v["tolerations"] = []map[string]string{{"key": infra, "operator": "Exists"}}
		return v
	}
	return values{
		"image": values{"repository": repository},
		"eci":   values{"secretNames": []string{secretName}},
		"scheduler": place(values{
			"extraArgs": []string{"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", l.schedulerSecure)},
		}),
		"controller": place(values{
			"eciEndpoint": simulatorURL, "refreshInterval": "1s", "stockInterval": "5s",
			"extraArgs": []string{
				fmt.Sprintf("--metrics-bind-address=127.0.0.1:%d", l.controllerMetrics), fmt.Sprintf("--health-probe-bind-address=127.0.0.1:%d", l.controllerHealth),
			},
		}),
	}
}

// with returns the values with one more, which is named by its keys.
func (v values) with(value any, keys ...string) values {
	out := values{}
	for key, old := range v {
		out[key] = old
	}
	if len(keys) == 1 {
		out[keys[0]] = value
		return out
	}
	inner, _ := out[keys[0]].(values)
	out[keys[0]] = inner.with(value, keys[1:]...)
	return out
}

// file writes the values, and returns the flag by which helm reads them.
func (v values) file() string {
	GinkgoHelper()
	data, err := yaml.Marshal(v)
	Expect(err).NotTo(HaveOccurred())
	path := filepath.Join(GinkgoT().TempDir(), "values.yaml")
	Expect(os.WriteFile(path, data, 0o600)).To(Succeed())
	return "--values=" + path
}

// helm runs the real helm as an administrator, with nothing of the user's, and returns what it printed.
func helm(args ...string) (string, error) {
	home := filepath.Join(workDir, "helm")
	cmd := exec.Command(filepath.Join(bin, "helm"), append(args, "--namespace="+namespace)...)
	cmd.Env = []string{
		"KUBECONFIG=" + kubeconfig, "HOME=" + home,
		"HELM_CACHE_HOME=" + filepath.Join(home, "cache"), "HELM_CONFIG_HOME=" + filepath.Join(home, "config"), "HELM_DATA_HOME=" + filepath.Join(home, "data"),
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	GinkgoWriter.Printf("$ helm %s\n%s\n", strings.Join(args, " "), out.String())
	if err != nil {
		return out.String(), fmt.Errorf("helm %s: %w:\n%s", args[0], err, out.String())
	}
	return out.String(), nil
}

// mustHelm returns what helm printed when all went well.
func mustHelm(args ...string) string {
	GinkgoHelper()
	out, err := helm(args...)
	Expect(err).NotTo(HaveOccurred())
	return out
}

// freePorts returns loopback ports that were free a moment ago.
func freePorts(n int) []int {
	GinkgoHelper()
	var ports []int
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		defer func() { _ = listener.Close() }() // All are held until all are found, so that they differ.
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
