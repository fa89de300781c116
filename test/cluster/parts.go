package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	auditPolicyFile = "audit-policy.yaml"
	// auditPolicy logs every request of the two ServiceAccounts once, without bodies.
	auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    users:
      - system:serviceaccount:` + namespace + `:spillway-scheduler
      - system:serviceaccount:` + namespace + `:spillway-controller
  - level: None
`
)

// portNames are the ports that the parts listen on.
var portNames = []string{
	"etcd", "etcd-peer", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok",
	"eci-simulator", "eci-provider", "spillway-scheduler", "spillway-controller", "spillway-controller-metrics",
}

func (c *cluster) etcd(ports map[string]int) command {
	client, peer := loopback("http", ports["etcd"]), loopback("http", ports["etcd-peer"])
	return command{
		Name: "etcd", Binary: "etcd", Health: client + "/health",
		Args: []string{
			"--data-dir=" + c.file("etcd"), "--unsafe-no-fsync",
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=default=" + peer,
		},
	}
}

// apiserver returns the API server. That of a bare cluster logs what Spillway's ServiceAccounts ask of it.
func (c *cluster) apiserver(ports map[string]int) (command, error) {
	var extra []string
	if c.bare {
		if err := os.WriteFile(c.file(auditPolicyFile), []byte(auditPolicy), 0o644); err != nil {
			return command{}, fmt.Errorf("writing the audit policy: %w", err)
		}
		extra = []string{"--audit-policy-file=" + c.file(auditPolicyFile), "--audit-log-path=" + c.file("audit.log")}
	}
	return command{
		Name: "kube-apiserver", Binary: "kube-apiserver", Health: loopback("https", ports["kube-apiserver"]) + "/readyz",
		Args: append([]string{
			"--etcd-servers=" + loopback("http", ports["etcd"]),
			"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
			securePort(ports["kube-apiserver"]),
			"--tls-cert-file=" + c.cert("apiserver"), "--tls-private-key-file=" + c.key("apiserver"),
			"--client-ca-file=" + c.cert("ca"),
			// Schedulers and controllers look for this one, and complain without end when it is missing.
			"--requestheader-client-ca-file=" + c.cert("ca"), "--requestheader-allowed-names=front-proxy",
			"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + c.key("service-account"), "--service-account-signing-key-file=" + c.key("service-account"),
			"--service-cluster-ip-range=10.96.0.0/16",
			"--authorization-mode=Node,RBAC",
			// Pods are many and short-lived here; clients are few.
			"--enable-priority-and-fairness=false", "--max-requests-inflight=0", "--max-mutating-requests-inflight=0",
		}, extra...),
	}, nil
}

// controlPlane returns the rest of a stock cluster.
func (c *cluster) controlPlane(ports map[string]int) []command {
	return []command{
		{
			Name: "kube-controller-manager", Binary: "kube-controller-manager", Health: loopback("https", ports["kube-controller-manager"]) + "/healthz",
			Args: []string{
				"--kubeconfig=" + c.file("kube-controller-manager.kubeconfig"), "--leader-elect=false", "--use-service-account-credentials",
				"--bind-address=127.0.0.1", securePort(ports["kube-controller-manager"]),
				"--service-account-private-key-file=" + c.key("service-account"), "--root-ca-file=" + c.cert("ca"),
				"--kube-api-qps=500", "--kube-api-burst=1000",
			},
		},
		{
			Name: "kube-scheduler", Binary: "kube-scheduler", Health: loopback("https", ports["kube-scheduler"]) + "/readyz",
			Args: []string{
				"--kubeconfig=" + c.file("kube-scheduler.kubeconfig"), "--leader-elect=false",
				"--bind-address=127.0.0.1", securePort(ports["kube-scheduler"]),
			},
		},
	}
}

// kubelets returns kwok in place of those of machines, and the ECI simulator with what plays its virtual-kubelet.
func (c *cluster) kubelets(ports map[string]int) []command {
	return []command{
		{
			Name: "kwok", Binary: "kwok", Health: loopback("http", ports["kwok"]) + "/healthz",
			Args: []string{
				"--kubeconfig=" + c.file("kwok.kubeconfig"), fmt.Sprintf("--server-address=127.0.0.1:%d", ports["kwok"]),
				"--manage-all-nodes=false", "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake", "--node-lease-duration-seconds=40",
				"--config=" + stages("nodes.yaml"), "--config=" + stages("pods.yaml"),
			},
			// Without a home, kwok reads no configuration of the user's.
			Env: []string{"HOME=" + c.dir},
		},
		{
			Name: "eci-simulator", Binary: "eci-simulator", Health: loopback("http", ports["eci-simulator"]) + "/healthz",
			Args: []string{fmt.Sprintf("--listen=127.0.0.1:%d", ports["eci-simulator"])},
		},
		// The Nodes of ECI and their Leases are written by Spillway; this one only plays the kubelet for their pods.
		{
			Name: "eci-provider", Binary: "eci-provider", Health: loopback("http", ports["eci-provider"]) + "/healthz",
			Args: []string{
				"--kubeconfig=" + c.file("kwok.kubeconfig"), "--eci-endpoint=" + loopback("http", ports["eci-simulator"]),
				fmt.Sprintf("--listen=127.0.0.1:%d", ports["eci-provider"]),
			},
		},
	}
}

// spillway returns the binaries of Spillway, with the identities and the configuration that an installation has.
func (c *cluster) spillway(ports map[string]int) []command {
	return []command{
		{
			Name: "spillway-scheduler", Binary: "spillway-scheduler", Health: loopback("https", ports["spillway-scheduler"]) + "/readyz",
			Args: []string{
				"--config=" + c.file("scheduler-config.yaml"), "--bind-address=127.0.0.1", securePort(ports["spillway-scheduler"]), "--v=2",
				"--authentication-kubeconfig=" + c.file("spillway-scheduler.kubeconfig"), "--authorization-kubeconfig=" + c.file("spillway-scheduler.kubeconfig"),
			},
		},
		{
			Name: "spillway-controller", Binary: "spillway-controller", Health: loopback("http", ports["spillway-controller"]) + "/readyz",
			Args: append([]string{
				"--kubeconfig=" + c.file("spillway-controller.kubeconfig"), "--eci-endpoint=" + loopback("http", ports["eci-simulator"]),
				fmt.Sprintf("--health-probe-bind-address=127.0.0.1:%d", ports["spillway-controller"]),
				fmt.Sprintf("--metrics-bind-address=127.0.0.1:%d", ports["spillway-controller-metrics"]),
			}, c.controllerFlags...),
		},
	}
}

// stages returns the path of a file with kwok's stages.
func stages(name string) string {
	path, err := filepath.Abs(filepath.Join("test", "cluster", "kwok", name))
	if err != nil {
		return name
	}
	return path
}

func loopback(scheme string, port int) string { return fmt.Sprintf("%s://127.0.0.1:%d", scheme, port) }

func securePort(port int) string { return fmt.Sprintf("--secure-port=%d", port) }
