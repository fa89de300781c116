// Package eci runs scripts on the local cluster in which ECI has less than pods want: a quota shrinks, a zone sells out, addresses run out, the endpoint is
// slow, busy or gone, credentials change, a thousand pods come at once. Everything is the real thing but the cloud: the binaries with the rights of an
// installation, kube-controller-manager, and the simulator over HTTP, whose own ledger is the judge. `make test-eci` starts the cluster.
package eci

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spillway-k8s/spillway/controllers"
	"github.com/spillway-k8s/spillway/internal/ecisim"
)

const (
	// patience is how long what must happen may take on a slow machine.
	patience = 90 * time.Second
	poll     = 200 * time.Millisecond
)

var (
	// api talks to the API server as an administrator.
	api client.WithWatch
	// simulatorURL is where the simulator is.
	simulatorURL string
)

func TestECI(t *testing.T) {
	if os.Getenv("LOCAL_CLUSTER") == "" {
		t.Skip("LOCAL_CLUSTER does not name the directory of a local cluster: run make test-eci")
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(patience)
	SetDefaultEventuallyPollingInterval(poll)
	RunSpecs(t, "ECI")
}

var _ = BeforeSuite(func() {
	dir := os.Getenv("LOCAL_CLUSTER")
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "kubeconfig"))
	Expect(err).NotTo(HaveOccurred())
	config.QPS, config.Burst = 500, 1000
	options, err := controllers.ManagerOptions()
	Expect(err).NotTo(HaveOccurred())
	api, err = client.NewWithWatch(config, client.Options{Scheme: options.Scheme})
	Expect(err).NotTo(HaveOccurred())
	url, err := os.ReadFile(filepath.Join(dir, "eci-simulator.url"))
	Expect(err).NotTo(HaveOccurred())
	simulatorURL = strings.TrimSpace(string(url))
	prepare()
})

// send sends a request to the admin API of the simulator and decodes the answer.
func send(method, path, body string, answer any) {
	GinkgoHelper()
	request, err := http.NewRequestWithContext(context.Background(), method, simulatorURL+path, strings.NewReader(body))
	Expect(err).NotTo(HaveOccurred())
	response, err := http.DefaultClient.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	Expect(response.StatusCode).To(BeNumerically("<", 300), "%s %s: %s", method, path, data)
	if answer != nil {
		Expect(json.Unmarshal(data, answer)).To(Succeed())
	}
}

// script changes the state of the simulator until the test ends.
func script(format string, args ...any) {
	GinkgoHelper()
	send(http.MethodPatch, "/admin/state", fmt.Sprintf(format, args...), nil)
}

// reset gives the simulator the state of its start.
func reset() {
	GinkgoHelper()
	state, err := json.Marshal(ecisim.DefaultState())
	Expect(err).NotTo(HaveOccurred())
	script(`{"regions":null,"actions":null,"accessKeys":null,"accountIDs":null,"securityTokens":null}`)
	send(http.MethodPatch, "/admin/state", string(state), nil)
}

// ledger returns what the simulator has sold in cn-beijing.
func ledger() ecisim.LedgerRegion {
	GinkgoHelper()
	var l ecisim.Ledger
	send(http.MethodGet, "/admin/ledger", "", &l)
	return l.Regions["cn-beijing"]
}

// reads returns how often the actions were called that only Spillway's controller calls.
func reads() map[string]int {
	GinkgoHelper()
	var calls map[string]int
	send(http.MethodGet, "/admin/calls", "", &calls)
	counts := map[string]int{}
	for call, n := range calls {
		action, _, _ := strings.Cut(call, " ")
		if action != "CreateContainerGroup" && action != "DeleteContainerGroup" {
			counts[action] += n
		}
	}
	return counts
}

// say prints a line of the result, also when the test passes.
func say(format string, args ...any) { fmt.Printf("\n"+format, args...) }
